"""Figures, rows and origins of datasets."""

from __future__ import annotations

from pathlib import Path

import pytest

from fourfold.core.errors import NotFound
from fourfold.data.clean import build_steps, clean_into
from fourfold.data.collect import collect_into
from fourfold.data.dataset import Dataset, split_of
from fourfold.data.describe import describe, language, show, trace
from fourfold.data.sources.files import Files


@pytest.fixture
def chain(tmp_path: Path) -> list[Dataset]:
    """A cleaned dataset and the collected one behind it."""
    inbox, raw, cleaned = (tmp_path / name for name in ("inbox", "raw", "cleaned"))
    for folder in (inbox, raw, cleaned):
        folder.mkdir()
    (inbox / "a.csv").write_bytes(
        "text,label,note\n我的水壶坏了，怎么办,repair,\n谢谢你们,praise,好\n谢谢你们,praise,\n".encode("gb18030")
    )
    (inbox / "b.txt").write_text("Where is my parcel?")
    collect_into(raw, Files(str(inbox)))
    clean_into(Dataset(raw), cleaned, build_steps(["drop_duplicates"]))
    return [Dataset(cleaned), Dataset(raw)]


def test_describe(chain: list[Dataset]) -> None:
    found = describe(chain[0])
    assert found["rows"] == 3
    assert {c["name"]: c["missing"] for c in found["columns"]}["note"] == 0.6667
    assert {c["name"]: c["missing"] for c in found["columns"]}["label"] == 0.3333
    assert found["length"]["characters"] == {"min": 4, "p05": 4, "median": 10, "p95": 19, "max": 19, "mean": 11.0}
    assert found["length"]["words"]["max"] >= 4
    assert found["languages"] == {"zh": 2, "other": 1}
    assert found["labels"] == {"repair": 1, "praise": 1}
    assert sum(found["splits"].values()) == 3
    assert found["drops"] == {"duplicate": 1}
    assert found["sources"] == [{"path": "a.csv", "rows": 2}, {"path": "b.txt", "rows": 1}]
    assert len(found["samples"]) == 3


def test_describe_a_split(chain: list[Dataset]) -> None:
    ids = [row["doc_id"] for row in show(chain[0])]
    name = split_of(ids[0])
    assert describe(chain[0].of(name))["rows"] == sum(split_of(i) == name for i in ids)


def test_show(chain: list[Dataset]) -> None:
    rows = show(chain[1])
    assert [row["source"] for row in rows] == ["a.csv#2", "a.csv#3", "a.csv#4", "b.txt#1"]
    assert show(chain[1], limit=2, offset=1) == rows[1:3]
    assert show(chain[1], limit=9, offset=9) == []
    assert show(chain[1], doc_id=rows[2]["doc_id"]) == [rows[2]]
    assert show(chain[1], doc_id="doc_none") == []


def test_show_across_fragments(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "in" / "a.csv").write_text("text\n" + "".join(f"row {i}\n" for i in range(50_003)))
    collect_into(tmp_path / "out", Files(str(tmp_path / "in")))
    dataset = Dataset(tmp_path / "out")
    assert len(list(dataset.fragments())) == 2
    assert [row["text"] for row in show(dataset, limit=4, offset=49_998)] == [f"row {i}" for i in range(49_998, 50_002)]


def test_trace_ends_at_the_very_line(chain: list[Dataset]) -> None:
    row = show(chain[0])[1]
    origin = trace(chain, row["doc_id"])
    assert (origin.path, origin.line, origin.digest) == ("a.csv", 3, row["source_digest"])
    assert origin.record() == "谢谢你们,praise,好\n".encode("gb18030")
    assert origin.raw is not None
    assert trace(chain[:1], row["doc_id"]).raw is None
    with pytest.raises(NotFound, match="doc_none"):
        trace(chain, "doc_none")


@pytest.mark.parametrize(
    ("text", "name"), [("你好 hello", "zh"), ("Dear 林知夏, thank you very much", "other"), ("123 !", "none")]
)
def test_language(text: str, name: str) -> None:
    assert language(text) == name
