"""Predictions over a dataset: what is added to each row, what is taken up after a stop, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.compute.evaluation_fakes import ACTOR, MajorityModel, keep, row

from fourfold.compute import predict as module
from fourfold.compute.families import FAMILIES
from fourfold.compute.predict import predict
from fourfold.compute.train import train
from fourfold.core.errors import BadInput, BadSpec
from fourfold.core.nouns import Version
from fourfold.data.dataset import Dataset
from fourfold.storage.ledger import Ledger

ROWS = [
    row("doc_1", "train", "we brew coffee", "PRON VERB NOUN"),
    row("doc_2", "train", "we brew brew brew", "PRON VERB VERB NOUN"),
    {**row("doc_3", "dev", "we", "PRON"), "text": None},
    row("doc_4", "test", "coffee", "NOUN"),
]


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    monkeypatch.setitem(FAMILIES.lines, "majority", "tests.compute.evaluation_fakes:Majority")  # type: ignore[arg-type]
    ledger = Ledger.open(tmp_path / "home")
    yield ledger
    ledger.close()


@pytest.fixture
def dataset(ledger: Ledger) -> Version:
    return keep(ledger, "tags", ROWS)


@pytest.fixture
def model(ledger: Ledger, dataset: Version) -> Version:
    return train(ledger, ACTOR, "words", dataset, "majority")


def rows(ledger: Ledger, version: Version) -> list[dict[str, Any]]:
    return Dataset(ledger.materialise(version)).table().to_pylist()


def test_tags_and_their_confidence_stand_beside_the_rows(ledger, model, dataset):
    made = predict(ledger, ACTOR, "guessed", model, dataset)
    assert (made.ref, made.kind, made.meta["rows"], made.meta["skipped"]) == ("guessed@1", "dataset", 4, {"no text": 1})
    assert [v.ref for v in ledger.inputs(made)] == ["tags@1", "words@1"] or {v.ref for v in ledger.inputs(made)} == {
        "tags@1", "words@1",
    }  # fmt: skip
    first, second, third, fourth = rows(ledger, made)
    assert first["doc_id"] == "doc_1" and first["upos"] == ["PRON", "VERB", "NOUN"]
    assert first["predicted_tokens"] == ["we", "brew", "coffee"]
    assert first["predicted_labels"] == ["PRON", "VERB", "NOUN"]
    assert (first["predicted_starts"], first["predicted_ends"]) == ([0, 3, 8], [2, 7, 14])
    assert first["confidence"] == 0.75  # brew: three of four
    assert second["predicted_scores"] == [1.0, 0.75, 0.75, 0.75]
    assert third["predicted_labels"] is None and third["confidence"] is None
    assert fourth["confidence"] == 1.0
    assert {"name": "confidence", "type": "float"} in made.meta["columns"]


def test_one_split_alone(ledger, model, dataset):
    made = predict(ledger, ACTOR, "guessed", model, dataset, split="test")
    assert [r["doc_id"] for r in rows(ledger, made)] == ["doc_4"]


def test_what_was_predicted_before_a_stop_is_not_predicted_again(ledger, model, dataset, monkeypatch):
    monkeypatch.setattr(module, "PART_ROWS", 1)
    asked: list[str] = []
    answer = MajorityModel.tag

    def stopping(self: MajorityModel, inputs: Any, options: Any) -> Any:
        asked.extend(given.text for given in inputs)
        if len(asked) == 2:
            raise KeyboardInterrupt
        return answer(self, inputs, options)

    monkeypatch.setattr(MajorityModel, "tag", stopping)
    with pytest.raises(KeyboardInterrupt):
        predict(ledger, ACTOR, "guessed", model, dataset)
    assert asked == ["we brew coffee", "we brew brew brew"]
    made = predict(ledger, ACTOR, "guessed", model, dataset)
    assert asked[2:] == ["we brew brew brew", "coffee"]
    assert ledger.find_run(made.run_id).metrics["resumed_rows"] == 1
    assert [r["doc_id"] for r in rows(ledger, made)] == ["doc_1", "doc_2", "doc_3", "doc_4"]
    assert not list((ledger.home / "cache" / "cleaning").glob("*")), "nothing is left of the work"
    monkeypatch.setattr(MajorityModel, "tag", answer)
    whole = predict(ledger, ACTOR, "guessed", model, keep(ledger, "tags", ROWS))
    assert whole.digest == made.digest, "a stop changes nothing"


def test_language_models_score_suggest_and_generate(ledger, tmp_path):
    texts = [{"doc_id": f"doc_{i}", "text": t, "source": "a#1"} for i, t in enumerate(["we brew tea", "we brew coffee"] * 20)]
    dataset = keep(ledger, "texts", [{**text, "split": "train"} for text in texts])
    model = train(ledger, ACTOR, "lines", dataset, {"ngram": {"order": 2, "discount_fallback": [0.5, 1.0, 1.5]}})
    scored = rows(ledger, predict(ledger, ACTOR, "scored", model, dataset))[0]
    assert scored["predicted_log10_probability"] < 0 < scored["predicted_perplexity"]
    assert scored["confidence"] is None
    suggested = rows(ledger, predict(ledger, ACTOR, "next", model, dataset, task="suggest", options={"top_k": 2}))[0]
    assert len(suggested["predicted_texts"]) == 2
    assert suggested["confidence"] == suggested["predicted_scores"][0] >= suggested["predicted_scores"][1]
    options = {"max_tokens": 3, "seed": 1}
    generated = rows(ledger, predict(ledger, ACTOR, "more", model, dataset, task="generate", options=options))[0]
    assert isinstance(generated["predicted_text"], str) and generated["predicted_finish_reason"] in ("stop", "length")
    ranked = rows(ledger, predict(ledger, ACTOR, "best", model, dataset, task="rank"))[0]
    assert sum(ranked["predicted_scores"]) == pytest.approx(1)


def test_predictions_replace_those_of_an_earlier_model(ledger, model, dataset):
    once = predict(ledger, ACTOR, "guessed", model, dataset)
    twice = predict(ledger, ACTOR, "guessed", model, once)
    assert rows(ledger, twice) == rows(ledger, once)


def test_what_cannot_be_predicted_is_refused(ledger, model, dataset):
    with pytest.raises(BadSpec, match=r"words@1 does not tga\. Did you mean 'tag'\?"):
        predict(ledger, ACTOR, "x", model, dataset, task="tga")
    with pytest.raises(BadSpec, match=r"predict\.options: tag has no option 'top_k'"):
        predict(ledger, ACTOR, "x", model, dataset, options={"top_k": 3})
    with pytest.raises(BadInput, match=r"The dataset has no column 'txt'\. Did you mean 'text'\?"):
        predict(ledger, ACTOR, "x", model, dataset, column="txt")
    with pytest.raises(BadInput, match="Column 'tokens' holds no text"):
        predict(ledger, ACTOR, "x", model, dataset, column="tokens")
    with pytest.raises(BadInput, match="tags@1 is a dataset; predict needs a model"):
        predict(ledger, ACTOR, "x", dataset, dataset)
    assert [v for v in ledger.versions() if v.name == "x"] == []


def test_fragments_of_one_dataset_have_one_schema(ledger, model, dataset):
    made = predict(ledger, ACTOR, "guessed", model, dataset)
    schemas = {str(pq.read_schema(path)) for path in ledger.materialise(made).glob("fragment-*.parquet")}
    assert len(schemas) == 1
    assert pa.types.is_list(Dataset(ledger.materialise(made)).table()["predicted_scores"].type)
