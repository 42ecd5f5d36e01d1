"""The report on detectors: labelled spans in the forms that people have them, and figures worked out by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fourfold.core.errors import BadInput, BadSpec
from fourfold.core.nouns import Actor, Version
from fourfold.data.collect import collect
from fourfold.data.detection import detection
from fourfold.data.detectors import Finding
from fourfold.data.gold_spans import spans_of
from fourfold.storage.ledger import Ledger

ACTOR = Actor("key_1", "Tessa", "admin")
TEXT = "打 13800002947 或 a@b.example"


@pytest.mark.parametrize(
    "span",
    [
        {"start": 2, "end": 13, "label": "CN_MOBILE"},
        {"start_position": 2, "end_position": 13, "entity_type": "CN_MOBILE", "entity_value": "13800002947"},
        {"start_offset": 2, "end_offset": 13, "label": "CN_MOBILE"},
        {"from_name": "label", "to_name": "text", "type": "labels", "value": {"start": 2, "end": 13, "labels": ["CN_MOBILE"]}},
    ],
)
def test_spans_as_people_have_them(span: dict[str, Any]) -> None:
    row = {"doc_id": "doc_1", "text": TEXT, "spans": json.dumps([span, {"type": "choices", "value": {"choices": ["x"]}}])}
    assert spans_of(row, "spans") == [Finding(2, 13, "CN_MOBILE", 1.0)]


def test_tags_beside_tokens() -> None:
    row = {
        "doc_id": "d",
        "text": "Anna Li met Bo",
        "tokens": ["Anna", "Li", "met", "Bo"],
        "ner": ["B-PER", "I-PER", "O", "I-PER"],
    }
    assert spans_of(row, "ner") == [Finding(0, 7, "PER", 1.0), Finding(12, 14, "PER", 1.0)]
    assert spans_of({**row, "text": "du Bo"}, "ner") is None, "tokens that do not make up the text"
    assert spans_of({**row, "ner": None}, "ner") is None


@pytest.mark.parametrize("value", ["no JSON", '["a"]', '[{"start": 3, "end": 400, "label": "X"}]', '[{"start": 3}]', "7"])
def test_what_holds_no_spans(value: str) -> None:
    with pytest.raises(BadInput, match="document doc_1 holds no labelled spans"):
        spans_of({"doc_id": "doc_1", "text": TEXT, "spans": value}, "spans")


def labelled(ledger: Ledger, folder: Path) -> Version:
    """Three labelled rows and one without labels: a missed phone, a right one, and an e-mail address that is not labelled."""
    rows = [
        {"text": TEXT, "spans": [{"start": 2, "end": 13, "label": "MOBILE"}]},
        {"text": "手机壹叁捌", "spans": [{"start": 2, "end": 5, "label": "MOBILE"}]},
        {"text": "nothing", "spans": []},
        {"text": "unlabelled 13800002947"},
    ]
    folder.mkdir()
    (folder / "rows.jsonl").write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return collect(ledger, ACTOR, "labelled", {"files": {"path": str(folder)}})


def test_report(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path / "home")
    report = detection(ledger, ACTOR, "pii", labelled(ledger, tmp_path / "in"), same={"CN_MOBILE": "MOBILE"})
    assert report.kind == "report"
    assert report.meta["rows"] == 3 or report.meta["unlabelled"] == 1
    assert report.meta["entities"]["MOBILE"] == {
        **{"gold": 2, "found": 1, "findings": 1, "right": 1},
        **{"recall": 0.5, "precision": 1.0, "f1": 0.666667},
    }
    assert report.meta["entities"]["EMAIL_ADDRESS"]["precision"] == 0.0
    assert report.meta["metrics"]["recall/MOBILE"] == 0.5
    whole = msgspec.json.decode((ledger.materialise(report) / "report.json").read_bytes())
    assert [(one["start"], one["entity"]) for one in whole["missed"]] == [(2, "MOBILE")]
    assert [one["entity"] for one in whole["wrong"]] == ["EMAIL_ADDRESS"]
    assert "13800002947" not in str(whole) and "壹叁捌" not in str(whole), "a report holds places, not texts"
    ledger.close()


def test_refusals(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path / "home")
    dataset = labelled(ledger, tmp_path / "in")
    with pytest.raises(BadInput, match="no column 'ner'"):
        detection(ledger, ACTOR, "pii", dataset, spans="ner")
    with pytest.raises(BadSpec, match="holds no labels"):
        detection(ledger, ACTOR, "pii", dataset, spans="text")
    assert ledger.versions(kind="report") == []
    ledger.close()
