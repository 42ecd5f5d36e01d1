"""Clean: steps over fragments, barriers over the whole; drops and changes are listed, and neighbours are left as they were."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fourfold.core.errors import BadInput, BadSpec
from fourfold.core.nouns import Actor
from fourfold.data.clean import build_steps, clean, clean_into
from fourfold.data.collect import collect
from fourfold.data.dataset import Dataset
from fourfold.data.fragments import FragmentWriter
from fourfold.storage.ledger import Ledger

ACTOR = Actor("key_1", "Tessa", "admin")
ALL = ["normalise", {"drop_short": {"min_words": 2}}, "drop_duplicates"]


def dataset(folder: Path, texts: Sequence[str], per_fragment: int = 2) -> Dataset:
    folder.mkdir()
    writer = FragmentWriter(folder, rows=per_fragment)
    for i, text in enumerate(texts):
        source = f"a.txt#{i + 1}"
        writer.add({"doc_id": f"doc_{i}", "text": text, "source": source, "source_digest": "0", "fetched_at": None}, 1)
    writer.close()
    return Dataset(folder)


def run(source: Dataset, folder: Path, steps: Sequence[Any]) -> dict[str, Any]:
    folder.mkdir()
    return clean_into(source, folder, build_steps(steps))


def drops(folder: Path) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in pq.read_table(folder / "drops.parquet").to_pylist()]


TEXTS = ["Hello  there", "one", "hello there", "ＡＢＣ here", "two words", "Two words", "hello there!", "abc HERE"]


def test_steps_in_order_over_fragments(tmp_path: Path) -> None:
    meta = run(dataset(tmp_path / "in", TEXTS), tmp_path / "out", ALL)
    rows = Dataset(tmp_path / "out").table().to_pylist()
    assert [(row["doc_id"], row["text"]) for row in rows] == [
        ("doc_0", "Hello there"),
        ("doc_3", "ABC here"),
        ("doc_4", "two words"),
        ("doc_6", "hello there!"),
    ]
    assert drops(tmp_path / "out") == [
        ("a.txt", 2, "doc_1", "drop_short", "short", None),
        ("a.txt", 3, "doc_2", "drop_duplicates", "duplicate", "doc_0"),
        ("a.txt", 6, "doc_5", "drop_duplicates", "duplicate", "doc_4"),
        ("a.txt", 8, "doc_7", "drop_duplicates", "duplicate", "doc_3"),
    ]
    changes = pq.read_table(tmp_path / "out" / "changes.parquet").to_pylist()
    assert [tuple(row.values()) for row in changes] == [("doc_0", "normalise", "text", 1), ("doc_3", "normalise", "text", 1)]
    assert (meta["rows"], meta["rows_before"]) == (4, 8)
    assert meta["drops"] == {"duplicate": 3, "short": 1}
    assert meta["changes"] == {"normalise": {"text": 2}}
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "changes.parquet", "drops.parquet", *(f"fragment-0000{i}.parquet" for i in range(4)),
    ]  # fmt: skip


def test_fragments_and_barriers_change_nothing(tmp_path: Path) -> None:
    """However the rows are cut into fragments, and wherever the barrier stands, the outcome is the same."""
    orders = [ALL, ["drop_duplicates", *ALL], ["normalise", "drop_duplicates", {"drop_short": {"min_words": 2}}]]
    outcomes = set()
    for i, steps in enumerate(orders):
        for per_fragment in (1, 3, 100):
            folder = tmp_path / f"out{i}{per_fragment}"
            run(dataset(tmp_path / f"in{i}{per_fragment}", TEXTS, per_fragment), folder, steps)
            outcomes.add(tuple(Dataset(folder).table()["doc_id"].to_pylist()))
    assert outcomes == {("doc_0", "doc_3", "doc_4", "doc_6")}


def test_a_fragment_without_rows_left_goes_and_the_others_keep_their_bytes(tmp_path: Path) -> None:
    source = dataset(tmp_path / "in", ["fine words", "good words", "x", "y", "more words", "last words"])
    run(source, tmp_path / "out", [{"drop_short": {"min_words": 2}}, "drop_duplicates"])
    names = [f.path.name for f in Dataset(tmp_path / "out").fragments()]
    assert names == ["fragment-00000.parquet", "fragment-00002.parquet"]
    assert [f.key for f in Dataset(tmp_path / "out").fragments()] == [f.key for f in source.fragments() if f.path.name in names]


def test_nothing_left(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="Cleaning left none of 2 rows: 2 × short"):
        run(dataset(tmp_path / "in", ["a", "b"]), tmp_path / "out", ["drop_short", "drop_duplicates"])


def test_steps_are_checked_before_anything_runs() -> None:
    with pytest.raises(BadSpec, match=r"clean.steps\[1\].drop_short has no setting 'min_word'. Did you mean 'min_words'\?"):
        build_steps(["normalise", {"drop_short": {"min_word": 3}}])
    with pytest.raises(BadSpec, match=r"no step 'normalize'. Did you mean 'normalise'"):
        build_steps(["normalize"])
    with pytest.raises(BadSpec, match=r"clean.steps is empty"):
        build_steps([])


@dataclass(frozen=True, slots=True)
class Annotate:
    """Adds a column, and changes a nullable one and a list."""

    def __call__(self, table: pa.Table, /) -> pa.Table:
        table = table.append_column("size", pa.array([len(t) for t in table["text"].to_pylist()]))
        return table.set_column(
            table.column_names.index("source_digest"), "source_digest", pa.array([None, *["0"] * (len(table) - 1)], pa.string())
        )


def test_new_columns_are_no_changes_and_nulls_are(tmp_path: Path) -> None:
    source = dataset(tmp_path / "in", ["a", "b", "c"], 10)
    (tmp_path / "out").mkdir()
    meta = clean_into(source, tmp_path / "out", [("annotate", Annotate())])
    assert meta["changes"] == {"annotate": {"source_digest": 1}}
    assert {"name": "size", "type": "int"} in meta["columns"]


def test_the_verb(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Hello  there")
    ledger = Ledger.open(tmp_path / "home")
    try:
        raw = collect(ledger, ACTOR, "notes", {"files": {"path": str(tmp_path / "a.txt")}})
        made = clean(ledger, ACTOR, "notes-clean", raw, ["normalise"])
        assert ledger.inputs(made) == [raw]
        assert ledger.find_run(made.run_id).spec == {
            "steps": [{"normalise": {"columns": [], "repair": True, "html": True, "width": True}}]
        }
        (before,), (after,) = (Dataset(ledger.materialise(v)).table().to_pylist() for v in (raw, made))
        assert after["text"] == "Hello there"
        assert {**before, "text": ""} == {**after, "text": ""}, "provenance survives"
        with pytest.raises(BadSpec):
            clean(ledger, ACTOR, "notes-clean", raw, ["normalize"])
        assert ledger.runs(verb="clean", state="failed") == [], "a wrong spec opens no run"
    finally:
        ledger.close()
