"""Documents by shared words, in both languages, whatever a query holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from fourfold.data.indexes import INDEXES
from fourfold.data.indexes.bm25 import Bm25

DOCUMENTS = {
    "kettle": "The Dewdrop kettle leaks at the lid.",
    "robot": "小田鼠扫地机器人不回充了。",
    "parcel": "快递到哪里了？包裹三天没动。",
    "lamp": "The desk lamp flickers, and the lamp is warm.",
}


@pytest.fixture
def index(tmp_path: Path) -> Path:
    INDEXES.build("bm25").build(DOCUMENTS.items(), tmp_path / "index")
    return tmp_path / "index"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("KETTLE", ["kettle"]),
        ("扫地机器人", ["robot"]),
        ("包裹", ["parcel"]),
        ("a warm lamp or a kettle", ["lamp", "kettle"]),  # more words in common: first
        ("refund?", []),
        ("", []),
        ('kettle NOT (lid" ', ["kettle"]),  # no syntax
    ],
)
def test_documents_that_share_words_come_first(index: Path, query: str, found: list[str]) -> None:
    hits = Bm25().search(index, query, 10)
    assert [hit.doc_id for hit in hits] == found
    assert sorted((hit.score for hit in hits), reverse=True) == [hit.score for hit in hits]


def test_no_more_than_asked_for(index: Path) -> None:
    assert len(Bm25().search(index, "the kettle, the lamp", 1)) == 1
