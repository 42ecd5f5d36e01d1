"""The perplexity of a model of one's own as a filter, and its version as lineage."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from fourfold.compute.families.ngram import Ngram
from fourfold.compute.steps.keep_perplexity import KeepPerplexity
from fourfold.compute.train import train
from fourfold.core.errors import BadSpec
from fourfold.core.nouns import Actor, Version
from fourfold.data.clean import clean
from fourfold.data.collect import collect
from fourfold.data.dataset import Dataset
from fourfold.storage.ledger import Ledger

ACTOR = Actor("key_1", "Tessa", "admin")
WORDS = "the lamp switch is broken and we want a new one with more light please send it by post today thank you".split()  # noqa: SIM905


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory):
    """A home with an n-gram model of plain sentences, and a dataset of such sentences and of noise."""
    folder, rng = tmp_path_factory.mktemp("perplexity"), random.Random(2)
    ledger = Ledger.open(folder / "home")
    plain = [" ".join(WORDS[(k := rng.randrange(14)) : k + 8]) for _ in range(600)]
    noise = ["".join(rng.choice("qxzjkv0189#") for _ in range(7)) + " " + " ".join(rng.sample(WORDS, 6)) for _ in range(20)]
    collected(ledger, folder, "plain", plain)
    collected(ledger, folder, "mixed", [*plain[:50], *noise])
    spec = {"ngram": {"order": 3, "discount_fallback": [0.5, 1.0, 1.5]}}
    train(ledger, ACTOR, "words", ledger.version("plain"), spec, split="all")
    yield ledger
    ledger.close()


def collected(ledger: Ledger, folder: Path, name: str, lines: list[str]) -> Version:
    (folder / f"{name}.txt").write_text("\n".join(lines) + "\n")
    source = {"files": {"path": str(folder / f"{name}.txt"), "formats": {"txt": {"unit": "line"}}}}
    return collect(ledger, ACTOR, name, source)


@pytest.mark.parametrize("runner", ["loop", "pool"])
def test_unlikely_texts_go(ledger: Ledger, runner: str) -> None:
    version = clean(
        ledger, ACTOR, "likely", ledger.version("mixed"), [{"keep_perplexity": {"model": "words", "most": 20}}], runner=runner
    )
    assert version.meta["drops"] == {"perplexity": 20}
    table = Dataset(ledger.materialise(version)).table()
    expected = Ngram.load(ledger.materialise(ledger.version("words"))).perplexity(table["text"].to_pylist()[:1]).value
    assert table["perplexity"][0].as_py() == pytest.approx(expected)
    assert {v.ref for v in ledger.inputs(version)} == {"mixed@1", "words@1"}
    assert ledger.find_run(version.run_id).spec["steps"][0]["keep_perplexity"]["model"] == "words@1"


def test_without_bounds_it_only_writes_the_column(ledger: Ledger) -> None:
    version = clean(ledger, ACTOR, "scored", ledger.version("mixed"), [{"keep_perplexity": {"model": "words@1"}}])
    assert version.meta["rows"] == 70
    assert "perplexity" in Dataset(ledger.materialise(version)).table().column_names


def test_refusals(ledger: Ledger) -> None:
    for settings in ({"model": ""}, {"model": "words", "least": -1}, {"model": "words", "least": 5, "most": 5}):
        with pytest.raises(BadSpec):
            KeepPerplexity(**settings)
    with pytest.raises(BadSpec, match="mixed@1 is no n-gram model"):
        clean(ledger, ACTOR, "likely", ledger.version("mixed"), [{"keep_perplexity": {"model": "mixed"}}])
