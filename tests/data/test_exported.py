"""Exports of Label Studio, Prodigy and Hugging Face `datasets`: texts, labels, spans in code points, splits."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fourfold.core.errors import BadSpec
from fourfold.core.nouns import Actor
from fourfold.data.collect import collect
from fourfold.data.dataset import Dataset
from fourfold.data.exported import offsets
from fourfold.data.formats import BadLine, Record
from fourfold.data.formats.huggingface import HuggingFace
from fourfold.data.formats.label_studio import LabelStudio
from fourfold.data.formats.prodigy import Prodigy
from fourfold.data.sources.export import Export
from fourfold.storage.ledger import Ledger

ACTOR = Actor("key_1", "Tessa", "admin")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger.open(tmp_path / "home")
    yield opened
    opened.close()


def choice(name: str, *labels: str) -> dict[str, Any]:
    return {"from_name": name, "to_name": "text", "type": "choices", "value": {"choices": list(labels)}}


def span(start: int, end: int, text: str, label: str) -> dict[str, Any]:
    value = {"start": start, "end": end, "text": text, "labels": [label]}
    return {"from_name": "ner", "to_name": "text", "type": "labels", "value": value, "id": "x"}


TASKS = [
    {  # 🧧 is two units of a browser's string, one code point
        "id": 1, "data": {"text": "🧧红包寄到上海", "channel": "app"},
        "annotations": [{"result": [span(6, 8, "上海", "LOC"), span(2, 4, "红包", "ITEM"), choice("sentiment", "good")]}],
        "predictions": [{"result": []}],
    },
    {
        "id": 2, "data": {"text": "Kettle leaks"},
        "annotations": [
            {"result": [choice("c", "return")]},
            {"result": [choice("c", "repair")], "ground_truth": True},
            {"result": [], "was_cancelled": True},
        ],
    },
    {"id": 3, "data": {"text": "not yet"}, "annotations": []},
    {"id": 4, "data": {"text": "skipped"}, "annotations": [{"result": [], "was_cancelled": True}]},
    {"id": 5, "data": {"image": "a.png", "size": 3, "mask": "b.png"}, "annotations": []},
    {"id": 6, "text": "flat", "sentiment": "bad", "annotator": 1},
    {
        "id": 7, "data": {"text": "both"},
        "annotations": [{"result": [choice("c", "a", "b"), {"from_name": "why", "type": "textarea", "value": {"text": ["so"]}},
                                    {"from_name": "stars", "type": "rating", "value": {"rating": 4}}]}],
    },
]  # fmt: skip


def test_label_studio() -> None:
    found = list(LabelStudio()(json.dumps(TASKS).encode()))
    reasons = [one.reason if isinstance(one, BadLine) else one.text for one in found]
    assert reasons == ["🧧红包寄到上海", "Kettle leaks", "not yet", "skipped", "no_text", "flat", "both"]
    one, two, three, _, _, six, seven = (one.fields if isinstance(one, Record) else {} for one in found)
    assert json.loads(one["spans"]) == [{"start": 1, "end": 3, "label": "ITEM"}, {"start": 5, "end": 7, "label": "LOC"}]
    assert (one["label"], one["channel"], one["annotators"], one["task_id"]) == ("good", "app", 1, "1")
    assert (two["label"], two["annotators"], two["agreed"]) == ("repair", 2, False)
    assert [each["label"] for each in json.loads(two["annotations"])] == ["return", "repair"]
    assert three["annotators"] == 0 and "label" not in three
    assert six == {"id": 6, "sentiment": "bad", "annotator": 1}
    assert (seven["label"], seven["why"], seven["stars"]) == (["a", "b"], "so", 4)
    assert isinstance(found[3], BadLine)


def test_offsets_that_fit_nothing_stay() -> None:
    assert offsets("abc", 0, 2, "ab") == (0, 2)
    assert offsets("abc", 0, 2, "zz") == (0, 2)
    assert offsets("abc", 1, 2, None) == (1, 2)


def test_prodigy() -> None:
    tasks = [
        {"text": "Kettle leaks", "label": "return", "answer": "accept", "meta": {"source": "mail"}, "_input_hash": 1},
        {"text": "上海见", "spans": [{"start": 0, "end": 2, "label": "LOC", "token_start": 0}], "answer": "accept",
         "tokens": [{"text": "上海", "start": 0, "end": 2, "id": 0}, {"text": "见", "start": 2, "end": 3, "id": 1}]},
        {"text": "no", "answer": "reject"},
        {"text": "?", "answer": "ignore"},
        {"text": "pick", "options": [{"id": "a"}], "accept": ["a"], "answer": "accept"},
        {"html": "<b>", "answer": "accept"},
    ]  # fmt: skip
    found = list(Prodigy()("\n".join(json.dumps(task) for task in tasks).encode()))
    assert [one.reason for one in found if isinstance(one, BadLine)] == ["rejected", "ignored", "no_text"]
    one, two, three = (one for one in found if isinstance(one, Record))
    assert one.fields == {"label": "return", "answer": "accept", "meta_source": "mail"}
    assert json.loads(two.fields["spans"]) == [{"start": 0, "end": 2, "label": "LOC"}] and two.fields["tokens"] == [
        "上海",
        "见",
    ]
    assert three.fields["label"] == "a"
    kept = list(Prodigy(answers=("accept", "reject"))(json.dumps(tasks[2]).encode()))
    assert isinstance(kept[0], Record) and kept[0].fields["answer"] == "reject"


def table() -> pa.Table:
    """As `Dataset.save_to_disk` writes it: the features stand in the schema."""
    features = {"text": {"dtype": "string", "_type": "Value"}, "label": {"names": ["neg", "pos"], "_type": "ClassLabel"}}
    schema = pa.schema(
        [("text", pa.string()), ("label", pa.int64()), ("at", pa.timestamp("s"))],
        metadata={"huggingface": json.dumps({"info": {"features": features}})},
    )
    return pa.table({"text": ["好", "坏", None], "label": [1, 0, -1], "at": [0, None, 5]}, schema=schema)


def written(path: Path, kind: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "parquet":
        pq.write_table(table(), path)
        return path
    make = pa.ipc.new_stream if kind == "stream" else pa.ipc.new_file
    with pa.OSFile(str(path), "wb") as sink, make(sink, table().schema) as writer:
        writer.write_table(table())
    return path


@pytest.mark.parametrize("kind", ["stream", "file", "parquet"])
def test_tables_of_datasets(tmp_path: Path, kind: str) -> None:
    data = written(tmp_path / "data.bin", kind).read_bytes()
    one, two, three = HuggingFace()(data)
    assert one == Record("好", 1, {"label": "pos", "at": "1970-01-01T00:00:00"})
    assert isinstance(two, Record) and two.fields["label"] == "neg"
    assert three == BadLine(3, "no_text")
    broken = list(HuggingFace()(data[: len(data) // 2]))
    assert isinstance(broken[-1], BadLine) and broken[-1].reason == "not_huggingface"


def test_folders_with_splits(ledger: Ledger, tmp_path: Path) -> None:
    folder = tmp_path / "set"
    for split in ("train", "validation", "test"):
        written(folder / split / "data-00000-of-00001.arrow", "stream")
        (folder / split / "state.json").write_text("{}")
        (folder / split / "dataset_info.json").write_text("{}")
    (folder / "dataset_dict.json").write_text('{"splits": ["train", "validation", "test"]}')
    written(folder / "cache-12.arrow", "stream")
    written(folder / "extra" / "dev-00000-of-00001.parquet", "parquet")
    version = collect(ledger, ACTOR, "set", {"export": {"path": str(folder)}})
    found = Dataset(ledger.materialise(version)).table().to_pylist()
    assert sorted((row["split"], row["text"], row["label"]) for row in found) == [
        ("dev", "坏", "neg"), ("dev", "坏", "neg"), ("dev", "好", "pos"), ("dev", "好", "pos"),
        ("test", "坏", "neg"), ("test", "好", "pos"), ("train", "坏", "neg"), ("train", "好", "pos"),
    ]  # fmt: skip
    assert version.meta["drops"] == {"no_text": 4}


def test_a_folder_of_tools(ledger: Ledger, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "studio.json").write_text(json.dumps(TASKS))
    (tmp_path / "out" / "prodigy.jsonl").write_text(json.dumps({"text": "x y", "label": "z", "answer": "accept"}))
    version = collect(ledger, ACTOR, "labels", {"export": {"path": str(tmp_path / "out"), "exclude": []}})
    assert version.meta["formats"] == {"label_studio": 1, "prodigy": 1} and version.meta["rows"] == 6


def test_settings() -> None:
    with pytest.raises(BadSpec):
        Export()
    with pytest.raises(BadSpec):
        Export(path="x", max_file_bytes=0)
