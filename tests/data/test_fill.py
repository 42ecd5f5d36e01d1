"""Missing values: each policy by hand, learnt from the split train, kept in the version and used again when serving."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from fourfold.core.errors import BadInput, BadSpec
from fourfold.core.nouns import Actor, Version
from fourfold.data.clean import clean
from fourfold.data.collect import collect
from fourfold.data.dataset import Dataset
from fourfold.data.policies import POLICIES
from fourfold.data.steps import DROPPED, STEPS
from fourfold.data.steps.fill import Fill, fill_rows
from fourfold.storage.ledger import Ledger

ACTOR = Actor("key_1", "Tessa", "admin")


@pytest.fixture
def ledger(tmp_path: Path):
    ledger = Ledger.open(tmp_path / "home")
    yield ledger
    ledger.close()


def collected(ledger: Ledger, folder: Path, rows: list[dict[str, Any]], name: str = "raw") -> Version:
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.jsonl"
    path.write_text("\n".join(json.dumps({"text": f"text {i}", "split": "train", **row}) for i, row in enumerate(rows)))
    return collect(ledger, ACTOR, name, {"files": {"path": str(path)}})


def rows_of(ledger: Ledger, version: Version) -> list[dict[str, Any]]:
    return Dataset(ledger.materialise(version)).table().to_pylist()


ROWS = [
    {"stars": 1, "price": 2.0, "shop": "web", "label": "a"},
    {"stars": None, "price": None, "shop": " ", "label": "b"},
    {"stars": 5, "price": 4.0, "shop": "app", "label": None},
    {"stars": 4, "price": 9.0, "shop": "web", "label": "b"},
    {"stars": 100, "price": 100.0, "shop": "test", "label": "c", "split": "test"},
    {"stars": None, "price": None, "shop": None, "label": "d", "split": "test"},
]


@pytest.mark.parametrize(
    ("column", "policy", "expected"),
    [
        ("stars", "mean", [1, 3, 5, 4, 100, 3]),  # (1 + 5 + 4) / 3 = 3.33, an integer's is rounded; the test row counts nothing
        ("stars", "median", [1, 4, 5, 4, 100, 4]),
        ("price", "mean", [2.0, 5.0, 4.0, 9.0, 100.0, 5.0]),
        ("price", "median", [2.0, 4.0, 4.0, 9.0, 100.0, 4.0]),
        ("shop", "mode", ["web", "web", "app", "web", "test", "web"]),
        ("shop", {"constant": "none"}, ["web", "none", "app", "web", "test", "none"]),
        ("shop", {"constant": {"value": "none"}}, ["web", "none", "app", "web", "test", "none"]),
        ("stars", "forward", [1, 1, 5, 4, 100, 100]),
    ],
)
def test_policies_by_hand(ledger: Ledger, tmp_path: Path, column: str, policy: Any, expected: list[Any]) -> None:
    version = clean(
        ledger, ACTOR, "filled", collected(ledger, tmp_path / "in", ROWS), [{"fill": {"columns": {column: policy}}}]
    )
    assert [row[column] for row in rows_of(ledger, version)] == expected
    told = version.meta["steps"]["fill"][column]
    assert (told["missing_before"], told["missing_after"], told["filled"]) == (2, 0, 2)
    assert version.meta["changes"]["fill"] == {column: 2}


def test_drop(ledger: Ledger, tmp_path: Path) -> None:
    raw = collected(ledger, tmp_path / "in", ROWS)
    version = clean(ledger, ACTOR, "filled", raw, [{"fill": {"columns": {"label": "drop", "stars": "median"}}}])
    assert version.meta["drops"] == {"missing": 1}
    assert [row["label"] for row in rows_of(ledger, version)] == ["a", "b", "b", "c", "d"]
    assert version.meta["steps"]["fill"]["label"] == {
        **{"policy": "drop", "missing_before": 1, "filled": 0, "dropped": 1, "missing_after": 0},
    }


def predictable(count: int, seed: int) -> list[dict[str, Any]]:
    """Rows whose topic and size follow from their words; a quarter lack them."""
    rng, rows = random.Random(seed), []
    words = {"refund": ("money", "back", "paid", 50), "delivery": ("parcel", "late", "courier", 10)}
    for _ in range(count):
        topic = rng.choice(list(words))
        *said, size = words[topic]
        text = " ".join(rng.choice(said) for _ in range(6))
        gone = rng.random() < 0.25
        rows.append(
            {"text": text, "topic": None if gone else topic, "size": None if gone else size, "truth": [topic, str(size)]}
        )
    return rows


def test_a_model_of_the_rest_of_the_row(ledger: Ledger, tmp_path: Path) -> None:
    raw = collected(ledger, tmp_path / "in", predictable(300, 1))
    version = clean(ledger, ACTOR, "filled", raw, [{"fill": {"columns": {"topic": "model", "size": "model"}}}])
    rows = rows_of(ledger, version)
    assert version.meta["steps"]["fill"]["topic"]["filled"] > 50
    assert all(row["topic"] == row["truth"][0] for row in rows)
    assert sum(abs(row["size"] - int(row["truth"][1])) <= 3 for row in rows) > 0.95 * len(rows)
    assert fill_rows(ledger.materialise(version), [{"text": "courier late parcel"}])[0]["topic"] == "delivery"
    assert fill_rows(ledger.materialise(version), [{"text": "money paid back"}])[0]["size"] >= 45


def test_the_same_values_when_serving_and_for_other_data(ledger: Ledger, tmp_path: Path) -> None:
    columns = {"stars": "median", "shop": "mode", "price": "forward"}
    raw = collected(ledger, tmp_path / "in", ROWS)
    version = clean(ledger, ACTOR, "filled", raw, [{"fill": {"columns": columns}}])
    served = fill_rows(ledger.materialise(version), [{"text": "new", "shop": "  "}, {"stars": 2, "shop": "app", "price": 1.0}])
    assert served == [
        {"text": "new", "shop": "web", "stars": 4, "price": 9.0},
        {"stars": 2, "shop": "app", "price": 1.0},
    ]
    others = collected(
        ledger, tmp_path / "in", [{"stars": 1, "price": 1.0, "shop": "x"}, {"stars": None, "shop": None}], "others"
    )
    again = clean(ledger, ACTOR, "others-filled", others, [{"fill": {"like": "filled"}}])
    assert [(row["stars"], row["shop"]) for row in rows_of(ledger, again)] == [(1, "x"), (4, "web")]
    assert {v.ref for v in ledger.inputs(again)} == {"others@1", "filled@1"}
    assert ledger.find_run(again.run_id).spec["steps"][0]["fill"]["like"] == "filled@1"
    once_more = clean(ledger, ACTOR, "third", others, [{"fill": {"like": "others-filled"}}])
    assert rows_of(ledger, once_more) == rows_of(ledger, again), "fitted values go along"


def test_a_row_that_would_be_dropped_is_refused_when_serving(ledger: Ledger, tmp_path: Path) -> None:
    version = clean(
        ledger, ACTOR, "filled", collected(ledger, tmp_path / "in", ROWS), [{"fill": {"columns": {"label": "drop"}}}]
    )
    with pytest.raises(BadInput, match="A row has no 'label'"):
        fill_rows(ledger.materialise(version), [{"text": "x"}])
    with pytest.raises(BadInput, match="holds no fitted values"):
        fill_rows(ledger.materialise(ledger.version("raw")), [{}])


def test_lists_and_empty_tables() -> None:
    base = {"doc_id": ["a", "b"], "split": ["train", "train"], "tags": pa.array([["x"], None], pa.list_(pa.string()))}
    table = pa.table(base)
    part = Fill(columns={"tags": {"constant": ["none"]}})
    marks = part(table)
    assert part.apply(table, marks)["tags"].to_pylist() == [["x"], ["none"]]
    assert marks[DROPPED].to_pylist() == [None, None]
    with pytest.raises(BadInput, match="holds lists"):
        Fill(columns={"tags": "mode"})(table)


def test_refusals(ledger: Ledger, tmp_path: Path) -> None:
    raw = collected(ledger, tmp_path / "in", ROWS)
    for columns, error, match in (
        ({"star": "mean"}, BadInput, r"no column 'star'.*'stars'"),
        ({"shop": "mean"}, BadInput, "which has no mean"),
        ({"stars": {"constant": "many"}}, BadSpec, "'many' does not fit"),
        ({"stars": "average"}, BadSpec, r"fill.columns.stars: there is no policy 'average'"),
    ):
        with pytest.raises(error, match=match):
            clean(ledger, ACTOR, "filled", raw, [{"fill": {"columns": columns}}])
    for settings in ({}, {"columns": {"a": "mode"}, "like": "x"}):
        with pytest.raises(BadSpec):
            STEPS.build({"fill": settings})
    with pytest.raises(BadSpec, match="smoothing"):
        POLICIES.build({"model": {"smoothing": 0}})
    nothing = collected(ledger, tmp_path / "in", [{"stars": None, "x": 1}, {"stars": 2, "split": "dev"}], "nothing")
    with pytest.raises(BadInput, match="has no value in the split train"):
        clean(ledger, ACTOR, "filled", nothing, [{"fill": {"columns": {"stars": "median"}}}])
