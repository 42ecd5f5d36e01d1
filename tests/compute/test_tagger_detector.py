"""Names by a tagger version: trained here, pinned in the run, an input of what it cleaned."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fourfold.compute.detectors.tagger import Tagger
from fourfold.compute.train import train
from fourfold.core.errors import BadSpec, NotFound
from fourfold.core.nouns import Actor, Version
from fourfold.data.collect import collect
from fourfold.data.dataset import Dataset
from fourfold.data.deidentify import deidentify
from fourfold.data.detection import detection
from fourfold.data.invented import invented_texts, tagged
from fourfold.storage.ledger import Ledger

ACTOR = Actor("key_1", "Tessa", "admin")


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory):
    """A home with labelled messages, a tagger of names trained on one half of the sentences, and messages of the other."""
    folder = tmp_path_factory.mktemp("tagger")
    ledger = Ledger.open(folder / "home")
    collected(ledger, folder / "train", "messages", 1500, 1, 0)
    collected(ledger, folder / "test", "others", 700, 2, 1)
    train(ledger, ACTOR, "names", ledger.version("messages"), {"crf": {"tags": "ner", "max_iterations": 60}}, split="all")
    yield ledger
    ledger.close()


def collected(ledger: Ledger, folder: Path, name: str, count: int, seed: int, half: int) -> Version:
    folder.mkdir()
    with open(folder / "rows.jsonl", "w", encoding="utf-8") as file:
        for one in invented_texts(count, seed=seed, half=half):
            tokens, tags = tagged(one)
            spans = [{"start": f.start, "end": f.end, "label": f.entity} for f in one.gold]
            file.write(json.dumps({"text": one.text, "tokens": tokens, "ner": tags, "spans": spans}) + "\n")
    return collect(ledger, ACTOR, name, {"files": {"path": str(folder)}})


def test_names_are_found_and_the_tagger_is_on_record(ledger: Ledger) -> None:
    report = detection(ledger, ACTOR, "report", ledger.version("others"), detectors=[{"tagger": {"model": "names"}}])
    person = report.meta["entities"]["PERSON"]
    print(
        f"names by {report.meta['versions']}: recall {person['recall']}, precision {person['precision']}, of {person['gold']}"
    )
    assert person["gold"] > 100
    assert person["recall"] >= 0.6, "sentences and most names that it never saw"
    assert person["precision"] >= 0.6
    assert report.meta["versions"] == ["names@1"]
    assert {v.ref for v in ledger.inputs(report)} == {"others@1", "names@1"}
    assert ledger.find_run(report.run_id).spec["detectors"] == [
        {"tagger": {"model": "names@1", "labels": {}, "min_score": 0.5}}
    ], "the run says which version it was, not which was newest"


def test_names_are_taken_out(ledger: Ledger) -> None:
    version = deidentify(
        ledger, ACTOR, "safe", ledger.version("others"), detectors=["patterns", {"tagger": {"model": "names"}}]
    )
    assert version.meta["findings"]["PERSON"]["text"] > 50
    assert version.meta["detected_by"] == ["patterns", "tagger", "names@1"]
    assert {v.ref for v in ledger.inputs(version)} == {"others@1", "names@1"}
    assert any("<PERSON>" in text for text in Dataset(ledger.materialise(version)).table()["text"].to_pylist())


def test_refusals(ledger: Ledger, tmp_path: Path) -> None:
    others = ledger.version("others")
    with pytest.raises(BadSpec, match="model is empty"):
        Tagger("")
    with pytest.raises(BadSpec, match="min_score"):
        Tagger("names", min_score=2)
    with pytest.raises(NotFound, match="people"):
        deidentify(ledger, ACTOR, "safe", others, detectors=[{"tagger": {"model": "people"}}])
    with pytest.raises(BadSpec, match="names@1 does not mark 'ORG'"):
        deidentify(ledger, ACTOR, "safe", others, detectors=[{"tagger": {"model": "names", "labels": {"ORG": "ORGANIZATION"}}}])
    with pytest.raises(BadSpec, match="others@1 is no tagger"):
        deidentify(ledger, ACTOR, "safe", others, detectors=[{"tagger": {"model": "others"}}])
    with pytest.raises(BadSpec, match="not open"):
        Tagger("names")(["text"])
