"""Documents by shared words, in both languages, ranked; segments are the fragments'."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from fourfold.core.errors import BadInput
from fourfold.core.progress import silent
from fourfold.data.dataset import Dataset
from fourfold.data.fragments import FragmentWriter
from fourfold.data.indexes import INDEXES, Asked
from fourfold.data.indexes.bm25 import Bm25
from fourfold.data.queries import parse

DOCUMENTS = [
    "The Dewdrop kettle leaks at the lid.",
    "小田鼠扫地机器人不回充了。",
    "快递到哪里了？包裹三天没动。",
    "The desk lamp flickers, and the lamp is warm.",
]
KETTLE, ROBOT, PARCEL, LAMP = range(4)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "rows").mkdir()
    writer = FragmentWriter(tmp_path / "rows", rows=3)
    for n, text in enumerate(DOCUMENTS):
        writer.add({"doc_id": str(n), "text": text, "source": "", "source_digest": "", "fetched_at": None}, 1)
    writer.close()
    INDEXES.build("bm25").build(list(Dataset(tmp_path / "rows").fragments()), tmp_path / "index", None, None, silent)
    return tmp_path / "index"


def asked(query: str, limit: int = 10) -> Asked:
    return Asked(query, parse(query), limit, match="any")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("KETTLE", [KETTLE]),
        ("扫地机器人", [ROBOT]),
        ("包裹", [PARCEL]),
        ("a warm lamp or a kettle", [LAMP, KETTLE]),  # more words in common: first
        ("refund?", []),
        ("", []),
        ('kettle NOT (lid" ', [KETTLE]),  # no syntax
    ],
)
def test_documents_that_share_words_come_first(folder: Path, query: str, found: list[int]) -> None:
    with closing(Bm25().open(folder, None)) as words:
        ranked = words.rank(asked(query))
    assert [hit.row for hit in ranked.hits] == found
    assert ranked.total == len(found)
    assert sorted((hit.score for hit in ranked.hits), reverse=True) == [hit.score for hit in ranked.hits]


def test_no_more_than_asked_for(folder: Path) -> None:
    with closing(Bm25().open(folder, None)) as words:
        ranked = words.rank(asked("the kettle, the lamp", 1))
    assert (len(ranked.hits), ranked.total) == (1, 2)


def test_an_index_of_another_tantivy_is_not_read(folder: Path) -> None:
    path = folder / "words" / "words.json"
    about = msgspec.json.decode(path.read_bytes())
    path.write_bytes(msgspec.json.encode({**about, "made_by": "tantivy v0.1"}))
    with pytest.raises(BadInput, match=r"written by tantivy v0\.1"):
        Bm25().open(folder, None)
