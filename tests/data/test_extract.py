"""Extract: raw pages read anew, without collecting again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fourfold.core.errors import BadInput, BadSpec
from fourfold.core.nouns import Actor
from fourfold.data.clean import clean
from fourfold.data.collect import collect
from fourfold.data.dataset import Dataset
from fourfold.data.extract import extract
from fourfold.storage.ledger import Ledger

ACTOR = Actor("key_1", "Tessa", "admin")
PAGE = """<html><head><title>闭馆</title><link rel="canonical" href="https://library.example/1"></head><body>
<nav>首页 目录</nav><div class="post">周一闭馆整理书库，周二照常开放。</div><div class="junk">扫码关注</div></body></html>"""


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    found = Ledger.open(tmp_path / "home")
    yield found
    found.close()


def test_raw_pages_are_read_anew(ledger: Ledger, tmp_path: Path) -> None:
    pages = tmp_path / "pages"
    pages.mkdir()
    (pages / "1.html").write_text(PAGE, encoding="utf-8")
    (pages / "note.txt").write_text("便条", encoding="utf-8")
    spec = {"files": {"path": str(pages), "formats": {"html": {"extract": "whole"}}}}
    first = collect(ledger, ACTOR, "pages", spec, licence="CC-BY-4.0")
    (pages / "1.html").unlink()  # the source is not asked again
    second = extract(ledger, ACTOR, "articles", first, mode="fast", rules={"library.example": ".post"})
    old = Dataset(ledger.materialise(first)).table().to_pylist()
    new = Dataset(ledger.materialise(second)).table().to_pylist()
    assert "扫码关注" in old[0]["text"]
    assert [row["text"] for row in new] == ["周一闭馆整理书库，周二照常开放。", "便条"]
    assert new[1]["doc_id"] == old[1]["doc_id"]
    assert [(r["source_digest"], r["fetched_at"]) for r in new] == [(r["source_digest"], r["fetched_at"]) for r in old]
    third = extract(ledger, ACTOR, "articles", second, mode="whole")  # and once more, from its own raw bytes
    assert Dataset(ledger.materialise(third)).table().to_pylist()[0]["url"] == "https://library.example/1"


def test_what_cannot_be_extracted(ledger: Ledger, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("some words of a text", encoding="utf-8")
    collected = collect(ledger, ACTOR, "a", {"files": {"path": str(tmp_path / "a.txt")}})
    with pytest.raises(BadSpec, match="extract"):
        extract(ledger, ACTOR, "b", collected, mode="exact")
    cleaned = clean(ledger, ACTOR, "c", collected, ["normalise"])
    with pytest.raises(BadInput, match="holds no raw files"):
        extract(ledger, ACTOR, "b", cleaned)
