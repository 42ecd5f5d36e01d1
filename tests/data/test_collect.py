"""Collect: files become documents with ids, provenance and raw bytes; what is left out is listed."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from fourfold.core.errors import BadInput, BadSpec
from fourfold.core.fingerprint import digest_bytes
from fourfold.core.nouns import Actor
from fourfold.data.collect import Limits, collect, collect_into, contents, document_id
from fourfold.data.dataset import Dataset, splits
from fourfold.data.fragments import FragmentWriter
from fourfold.data.sources.files import Files
from fourfold.storage.ledger import Ledger

ACTOR = Actor("key_1", "Tessa", "admin")


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    folder = tmp_path / "inbox"
    folder.mkdir()
    return folder


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def read(folder: Path) -> list[dict[str, Any]]:
    return Dataset(folder).table().to_pylist()


def drops(folder: Path) -> list[tuple[Any, ...]]:
    return [tuple(row.values())[:5] for row in pq.read_table(folder / "drops.parquet").to_pylist()]


def test_documents_with_provenance_and_raw_bytes(inbox: Path, out: Path) -> None:
    data = "id,body\n1,烧不开水\n2\n3,谢谢您\n".encode("gb18030")
    (inbox / "tickets").mkdir()
    (inbox / "tickets" / "old.csv").write_bytes(data)
    (inbox / "logo.png").write_bytes(b"\x89PNG")
    (inbox / ".DS_Store").write_bytes(b"")
    (inbox / "empty.txt").write_bytes(b"")
    meta = collect_into(out, Files(str(inbox)), now=lambda: 1_700_000_000.5)
    first, second = read(out)
    assert first["text"] == "烧不开水"
    assert first["source"] == "tickets/old.csv#2"
    assert first["source_digest"] == digest_bytes(data)
    assert first["fetched_at"].timestamp() == 1_700_000_000.5
    assert second["id"] == "3"
    assert (out / "raw" / "tickets" / "old.csv").read_bytes() == data
    assert not (out / "raw" / "logo.png").exists()
    assert drops(out) == [
        (".DS_Store", None, None, "collect", "hidden"),
        ("empty.txt", None, None, "collect", "empty_file"),
        ("logo.png", None, None, "collect", "unknown_format"),
        ("tickets/old.csv", 3, None, "collect", "wrong_length"),
    ]
    assert meta["rows"] == 2
    assert meta["bad"] == 1
    assert meta["encodings"] == {"gb18030": 1, "utf-8": 1}
    assert meta["drops"] == {"empty_file": 1, "hidden": 1, "unknown_format": 1, "wrong_length": 1}
    assert {"name": "id", "type": "string"} in meta["columns"]
    files = pq.read_table(out / "files.parquet").to_pylist()
    assert [(f["path"], f["encoding"], f["rows"], f["bad"]) for f in files] == [
        ("empty.txt", "utf-8", 0, 0),
        ("tickets/old.csv", "gb18030", 2, 1),
    ]


def test_ids_are_stable_when_lines_move(inbox: Path, tmp_path: Path) -> None:
    def ids(text: str) -> dict[str, str]:
        (inbox / "a.csv").write_text(text)
        folder = tmp_path / f"out{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        collect_into(folder, Files(str(inbox)))
        return {row["doc_id"]: row["text"] for row in read(folder)}

    before = ids("text,n\nalpha,1\nbeta,2\nbeta,2\n")
    assert len(before) == 3
    assert all(doc_id.startswith("doc_") and len(doc_id) == 30 for doc_id in before)
    assert ids("text,n\nnew,0\n\nbeta,2\nalpha,1\nbeta,2\n").items() >= before.items()
    assert ids("n,text\n1,alpha\n2,beta\n2,beta\n") == before, "the order of columns does not matter"


def test_an_id_worked_out_by_hand() -> None:
    assert document_id("a.txt", b"x", 0) != document_id("a.txt", b"x", 1)
    import blake3

    from fourfold.core.ids import base32

    number = int.from_bytes(blake3.blake3(b"a.txt\x000\x00x").digest(20), "big") >> 30  # 160 bits, of which 130 are kept
    assert document_id("a.txt", b"x", 0) == "doc_" + base32(number, 26)


def test_columns_are_typed_over_all_files(inbox: Path, out: Path) -> None:
    (inbox / "a.jsonl").write_text('{"text": "a", "n": 1, "m": 1, "tags": ["x"]}\n')
    (inbox / "b.jsonl").write_text('{"text": "b", "n": 2.5, "m": "two", "ok": true, "tags": "y", "doc_id": "7"}\n')
    meta = collect_into(out, Files(str(inbox)))
    a, b = read(out)
    assert (a["n"], b["n"]) == (1.0, 2.5)
    assert (a["m"], b["m"]) == ("1", "two")
    assert (a["tags"], b["tags"]) == ('["x"]', "y")
    assert (a["ok"], b["ok"]) == (None, True)
    assert b["doc_id_"] == "7"
    assert meta["type_clashes"] == {"m": ["int", "string"], "tags": ["list of strings", "string"]}
    assert meta["renamed"] == ["doc_id → doc_id_"]


def test_fragments_share_one_schema_and_keep_the_order(out: Path) -> None:
    writer = FragmentWriter(out, rows=2)
    leading = {"text": "t", "source": "a#1", "source_digest": "", "fetched_at": None}
    for i, more in enumerate([{"n": 1}, {"n": 2}, {"n": 1.5}, {}, {"n": None, "x": [str(1)]}]):
        writer.add({"doc_id": f"doc_{i}", **leading, **more}, 10)
    schema = writer.close()
    paths = sorted(out.glob("*.parquet"))
    assert [pq.read_metadata(p).num_rows for p in paths] == [2, 2, 1]
    assert all(pq.read_schema(p) == schema for p in paths)
    assert Dataset(out).table()["doc_id"].to_pylist() == [f"doc_{i}" for i in range(5)]
    assert Dataset(out).table()["n"].to_pylist() == [1.0, 2.0, 1.5, None, None]


def test_splits_by_column_and_by_pattern(inbox: Path, out: Path) -> None:
    (inbox / "x-dev.txt").write_text("held out")
    (inbox / "y.jsonl").write_text('{"text": "a", "split": "Validation"}\n{"text": "b"}\n{"text": "c", "split": "fold 3"}\n')
    collect_into(out, Files(str(inbox), splits={"*-dev.txt": "dev"}))
    table = Dataset(out).table()
    assert table["split"].to_pylist() == ["dev", "dev", None, None]
    assert table["split_"].to_pylist() == [None, None, None, "fold 3"]
    assert set(splits(table).to_pylist()) <= {"train", "dev", "test"}


def test_packed_files(inbox: Path, out: Path) -> None:
    (inbox / "a.csv.gz").write_bytes(gzip.compress(b"text\npacked\n"))
    (inbox / "b.txt.gz").write_bytes(gzip.compress(b"x" * 10_000_000))
    (inbox / "c.txt.gz").write_bytes(gzip.compress(b"cut")[:-6])
    (inbox / "d.txt.gz").write_bytes(b"not packed")
    meta = collect_into(out, Files(str(inbox), max_file_bytes=1_000_000))
    assert [row["text"] for row in read(out)] == ["packed"]
    assert meta["drops"] == {"bad_gzip": 2, "too_large": 1}


def test_endings_and_settings_of_formats(inbox: Path, out: Path) -> None:
    (inbox / "a.dat").write_text("subject;intent\nhello;praise\n")
    (inbox / "b.ndjson").write_text('{"text": "json"}')
    collect_into(out, Files(str(inbox), endings={"dat": "csv"}, formats={"csv": {"text": "subject", "label": "intent"}}))
    assert [(row["text"], row["label"]) for row in read(out)] == [("hello", "praise"), ("json", None)]
    with pytest.raises(BadSpec, match=r"source.formats.csv has no setting 'txt'. Did you mean 'text'\?"):
        collect_into(out, Files(str(inbox), formats={"csv": {"txt": "subject"}}))
    with pytest.raises(BadSpec, match=r"no format 'cvs'. Did you mean 'csv'\?"):
        collect_into(out, Files(str(inbox), endings={"dat": "cvs"}))
    with pytest.raises(BadSpec, match="no format 'cvs'"):
        collect_into(out, Files(str(inbox), formats={"cvs": {}}))


def test_an_unclear_text_column_names_the_file(inbox: Path, out: Path) -> None:
    (inbox / "sub").mkdir()
    (inbox / "sub" / "orders.csv").write_text("id,amount\n1,2\n")
    with pytest.raises(BadInput, match=r"sub/orders.csv: It is not clear which column holds the text. Columns: id, amount."):
        collect_into(out, Files(str(inbox)))


def test_limits_stop_with_figures(inbox: Path, out: Path) -> None:
    (inbox / "a.csv").write_text("id,text\n" + "1,good\n" * 97 + "2\n" * 3)
    files = Files(str(inbox))
    assert collect_into(out, files, Limits(max_bad_lines=3, max_bad_share=0.03))["bad"] == 3
    with pytest.raises(
        BadInput, match=r"3 bad lines \(the last: a.csv:101 wrong_length\) among 97 good ones: .*max_bad_lines = 2"
    ):
        collect_into(out, files, Limits(max_bad_lines=2))
    with pytest.raises(BadInput, match=r"3 of 100 lines are bad \(3.0%.*max_bad_share = 0.02"):
        collect_into(out, files, Limits(max_bad_share=0.02))
    with pytest.raises(BadSpec, match="max_bad_share"):
        Limits(max_bad_share=3)
    with pytest.raises(BadSpec, match="max_bad_lines"):
        Limits(max_bad_lines=-1)


def test_nothing_to_collect(inbox: Path, out: Path) -> None:
    with pytest.raises(BadInput, match="The source holds no file"):
        collect_into(out, Files(str(inbox)))
    (inbox / "a.png").write_bytes(b"")
    with pytest.raises(BadInput, match=r"no document that can be read. Left out: 1 × unknown_format"):
        collect_into(out, Files(str(inbox)))


def test_the_verb(inbox: Path, tmp_path: Path) -> None:
    (inbox / "a.txt").write_text("hello")
    ledger = Ledger.open(tmp_path / "home")
    try:
        made = collect(ledger, ACTOR, "notes", {"files": {"path": str(inbox)}})
        run = ledger.find_run(made.run_id)
        assert (made.ref, made.kind, made.meta["rows"]) == ("notes@1", "dataset", 1)
        assert run.spec["source"]["files"]["max_file_bytes"] == 1 << 30, "the complete settings are kept"
        assert run.metrics["rows"] == 1
        assert read(ledger.materialise(made))[0]["text"] == "hello"
        assert made.meta["contents"] == contents(Files(str(inbox)))
        (inbox / "a.txt").write_text("hello again")
        assert made.meta["contents"] != contents(Files(str(inbox)))
        with pytest.raises(BadInput):
            collect(ledger, ACTOR, "notes", {"files": {"path": str(inbox), "include": ["*.csv"]}})
        failed = ledger.runs(name="notes", state="failed")
        assert len(failed) == 1
        assert "The source holds no file" in (failed[0].error or "")
        assert len(ledger.versions(name="notes")) == 1
    finally:
        ledger.close()


def test_the_example_company(company: Path, out: Path) -> None:
    source = Files(str(company / "tickets"), formats={"csv": {"text": ["subject", "body"]}})  # type: ignore[arg-type]
    meta = collect_into(out, source)
    assert meta["rows"] > 400
    assert meta["encodings"]["gb18030"] == 1
    texts = [row["text"] for row in read(out) if row["source"].startswith("tickets-2025-gb18030")]
    assert sum("\ufffd" in text for text in texts) == 0
    assert json.dumps(meta)
