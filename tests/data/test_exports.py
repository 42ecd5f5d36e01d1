"""Exports: each format as its readers read it, ours among them; what a format cannot hold is counted."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from fourfold.core.errors import BadInput, BadSpec
from fourfold.core.nouns import Actor
from fourfold.data.collect import collect
from fourfold.data.export import export
from fourfold.data.exports import EXPORTERS
from fourfold.data.formats.conll import Conll
from fourfold.data.formats.conllu import Conllu
from fourfold.data.gold_spans import spans_of
from fourfold.data.warc import read_warc
from fourfold.storage.ledger import Ledger

ACTOR = Actor("key_1", "Tessa", "admin")
ROWS: list[dict[str, Any]] = [
    {
        "text": "Anna Li wohnt hier.", "tokens": ["Anna", "Li", "wohnt", "hier", "."],
        "tags": ["B-PER", "I-PER", "O", "O", "O"],
        "upos": ["PROPN", "PROPN", "VERB", "ADV", "PUNCT"], "label": "person", "split": "train",
        "spans": [{"start": 0, "end": 7, "label": "PER"}],
        "messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}],
        "instruction": "say hi", "output": "hi", "prompt": "hi?", "chosen": "hi!", "rejected": "no",
    },
    {
        "text": "=1+1 打 13800002947", "label": "phone", "split": "dev",
        "spans": [{"start": 7, "end": 18, "label": "CN_MOBILE"}],
        "instruction": "dial", "prompt": "dial?", "url": "https://a.example/1",
    },
]  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("exports")
    (folder / "rows.jsonl").write_text("\n".join(json.dumps(row) for row in ROWS), encoding="utf-8")
    ledger = Ledger.open(folder / "home")
    collect(ledger, ACTOR, "rows", {"files": {"path": str(folder / "rows.jsonl")}})
    yield ledger
    ledger.close()


def exported(ledger: Ledger, format: Any, **settings: Any) -> tuple[bytes, dict[str, Any]]:
    version = export(ledger, ACTOR, "out", ledger.version("rows"), format, **settings)
    return (ledger.materialise(version) / version.meta["file"]).read_bytes(), dict(version.meta)


def test_rows(home: Ledger) -> None:
    lines = [json.loads(line) for line in exported(home, "jsonl")[0].splitlines()]
    assert [line["text"] for line in lines] == [row["text"] for row in ROWS]
    assert lines[0]["tokens"] == ROWS[0]["tokens"] and "tokens" not in lines[1]
    data, meta = exported(home, "parquet", split="dev")
    assert pq.read_table(io.BytesIO(data))["text"].to_pylist() == [ROWS[1]["text"]]
    assert (meta["rows"], meta["file"], meta["split"]) == (1, "rows-dev.parquet", "dev")
    read = list(csv.DictReader(io.StringIO(exported(home, "csv")[0].decode())))
    assert read[1]["text"] == "'=1+1 打 13800002947", "no spreadsheet takes it for a formula"
    assert json.loads(read[0]["tokens"]) == ROWS[0]["tokens"]
    assert b"\t" in exported(home, {"csv": {"delimiter": "\t"}})[0]


def test_conll(home: Ledger) -> None:
    data, meta = exported(home, "conll")
    assert data.decode().splitlines()[:3] == ["Anna\tB-PER", "Li\tI-PER", "wohnt\tO"]
    assert meta["skipped"] == {"no_tags": 1}
    assert [record.fields["tags"] for record in Conll()(data)] == [ROWS[0]["tags"]]  # type: ignore[union-attr]
    laid = exported(home, {"conll": {"spans": "spans"}})[0].decode()
    assert "13800002947\tB-CN_MOBILE" in laid and "Li\tI-PER" in laid
    data, meta = exported(home, "conllu")
    record = next(iter(Conllu()(data)))
    assert record.fields["upos"] == ROWS[0]["upos"] and record.text == ROWS[0]["text"]  # type: ignore[union-attr]
    assert meta["skipped"] == {"no_tokens": 1}


def test_annotation(home: Ledger) -> None:
    tasks = json.loads(exported(home, "label_studio")[0])
    assert tasks[0]["data"]["text"] == ROWS[0]["text"]
    labels, choice = tasks[0]["annotations"][0]["result"]
    assert labels["value"] == {"start": 0, "end": 7, "text": "Anna Li", "labels": ["PER"]}
    assert choice["value"] == {"choices": ["person"]}
    again = spans_of({"doc_id": "d", "text": ROWS[0]["text"], "r": json.dumps([labels, choice])}, "r")
    assert again is not None and [(f.start, f.end, f.entity) for f in again] == [(0, 7, "PER")]
    prodigy = [json.loads(line) for line in exported(home, "prodigy")[0].splitlines()]
    assert prodigy[0]["spans"] == [{"start": 0, "end": 7, "token_start": 0, "token_end": 1, "label": "PER"}]
    assert prodigy[1]["tokens"][-1]["text"] == "13800002947" and prodigy[1]["answer"] == "accept"


def test_conversations(home: Ledger) -> None:
    data, meta = exported(home, "chat")
    assert json.loads(data) == {"messages": ROWS[0]["messages"]} and meta["skipped"] == {"no_messages": 1}
    (item,) = json.loads(exported(home, "sharegpt")[0])
    assert item["conversations"] == [{"from": "human", "value": "hi"}, {"from": "gpt", "value": "hello"}]
    (item,) = json.loads(exported(home, {"sharegpt": {"prompt": "prompt", "response": "chosen"}})[0])
    assert item["conversations"][1] == {"from": "gpt", "value": "hi!"}
    data, meta = exported(home, "alpaca")
    assert json.loads(data) == [{"instruction": "say hi", "input": "", "output": "hi"}] and meta["skipped"] == {"no_answer": 1}
    data, meta = exported(home, "preference")
    assert json.loads(data) == {"prompt": "hi?", "chosen": "hi!", "rejected": "no"} and meta["skipped"] == {"no_pair": 1}


def test_archives(home: Ledger, tmp_path: Path) -> None:
    (tmp_path / "rows.warc.gz").write_bytes(exported(home, "warc")[0])
    pages = list(read_warc(tmp_path / "rows.warc.gz", 1000))
    assert [(body or b"").decode() for _, body in pages] == [row["text"] for row in ROWS]
    assert pages[1][0].url == "https://a.example/1" and pages[0][0].url.startswith("http://documents.invalid/doc_")
    archive = zipfile.ZipFile(io.BytesIO(exported(home, {"croissant": {"name": "rows", "licence": "CC-BY-4.0"}})[0]))
    card = json.loads(archive.read("croissant.json"))
    assert card["distribution"][0]["sha256"] == hashlib.sha256(archive.read("data.parquet")).hexdigest()
    kinds = {field["name"]: (field["dataType"], field.get("repeated")) for field in card["recordSet"][0]["field"]}
    assert (
        kinds["text"] == ("sc:Text", None) and kinds["tokens"] == ("sc:Text", True) and kinds["fetched_at"][0] == "sc:DateTime"
    )
    archive = zipfile.ZipFile(io.BytesIO(exported(home, {"hugging_face": {"licence": "cc-by-4.0"}})[0]))
    assert archive.namelist() == [
        *("README.md", "data/train-00000-of-00001.parquet", "data/validation-00000-of-00001.parquet"),
    ]
    assert "split: validation" in archive.read("README.md").decode()


@pytest.mark.parametrize("format", EXPORTERS.names())
def test_equal_data_makes_equal_bytes(home: Ledger, format: str) -> None:
    assert exported(home, format)[0] == exported(home, format)[0]


def test_refusals(home: Ledger, tmp_path: Path) -> None:
    with pytest.raises(BadSpec, match="no exporter 'json'"):
        exported(home, "json")
    with pytest.raises(BadInput, match=r"no column 'anser', which a conversation is made of"):
        exported(home, {"chat": {"prompt": "prompt", "response": "anser"}})
    with pytest.raises(BadSpec, match="one character"):
        EXPORTERS.build({"csv": {"delimiter": "::"}})
    with pytest.raises(BadInput, match="No document of rows@1 can be written as chat: 1 × no_messages"):
        exported(home, "chat", split="dev")
