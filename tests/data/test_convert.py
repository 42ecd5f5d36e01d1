"""Convert: one uniform table; what does not fit is in the drop log with its field and never its text."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from fourfold.core.errors import BadInput, BadSpec
from fourfold.data.steps import DETAIL, DROPPED, STEPS
from fourfold.data.steps.convert import Convert
from fourfold.data.typed import typed


def table(**columns: list[Any]) -> pa.Table:
    rows = len(next(iter(columns.values())))
    leading = {
        "doc_id": pa.array([f"doc_{i}" for i in range(rows)]),
        "text": pa.array(columns.pop("text", ["a text"] * rows), pa.string()),
        "source": pa.array([f"a.csv#{i}" for i in range(rows)]),
        "source_digest": pa.array(["0"] * rows),
        "fetched_at": pa.array([None] * rows, pa.timestamp("ms", tz="UTC")),
    }
    return pa.table({**leading, **{name: pa.array(values) for name, values in columns.items()}})


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        ("7", "int", 7), (" 1,234 ", "int", 1234), ("１２３４", "int", 1234), ("7.0", "int", 7), ("7.5", "int", None),
        (True, "int", None), ("1_000", "int", None), ("12,34", "int", None), ("9" * 30, "int", None),
        (2**62 + 1, "int", 2**62 + 1), ("1,234.5", "float", 1234.5), ("nan", "float", None), ("1e3", "float", 1000.0),
        (3, "float", 3.0),
        (["1"], "float", None),
        ("是", "bool", True), ("No", "bool", False), (1, "bool", True), ("perhaps", "bool", None),
        ("2026-03-01", "date", "2026-03-01"), ("2026年3月1日", "date", "2026-03-01"), ("20260301", "date", "2026-03-01"),
        ("1.3.2026", "date", "2026-03-01"), ("2026-03-01T10:20:30Z", "date", "2026-03-01"), ("2026-02-30", "date", None),
        ("yesterday", "date", None), ("a\n b \n\n", "list", ["a", "b"]),
        ('["a", "b"]', "list", ["a", "b"]), ("[1]", "list", None),
        (7.0, "str", "7"), (True, "str", "true"), (["a", "b"], "str", "a\nb"),
    ],
)  # fmt: skip
def test_values(value: Any, kind: Any, expected: Any) -> None:
    found = typed(value, kind)
    assert found == expected and type(found) is type(expected)


def test_a_uniform_table() -> None:
    given = table(
        subject=["Hi", "你好"],
        body=["there", None],
        rating=["5", "４"],
        shop=["web", "app"],
        kind=["a", "b"],
        tongue=["en", "zh"],
    )
    fields = {"stars": {"column": "rating", "type": "int", "least": 1, "most": 5}, "channel": "shop"}
    found = Convert(fields=fields, text=("subject", "body"), label="kind", lang="tongue")(given)
    assert found.column_names[:9] == [
        *("doc_id", "text", "source", "source_digest", "fetched_at", "lang", "label", "stars", "channel"),
    ]
    assert found["text"].to_pylist() == ["Hi\nthere", "你好"]
    assert found["stars"].to_pylist() == [5, 4] and found["stars"].type == pa.int64()
    assert found["channel"].to_pylist() == ["web", "app"]
    assert found[DROPPED].to_pylist() == [None, None]
    assert "rating" not in found.column_names


def test_misfits_are_named() -> None:
    given = table(
        text=["x", "x", "x", "x", " "],
        stars=["5", "six", "9", None, "1"],
        label=["a", "a", "a", "a", "a"],
        n=["", "1", "1", "1", "1"],
    )
    fields = {"stars": {"type": "int", "required": True, "most": 5}, "n": {"type": "int"}}
    found = Convert(fields=fields)(given)
    assert list(zip(found[DROPPED].to_pylist(), found[DETAIL].to_pylist())) == [
        (None, None),
        ("wrong_type", "stars"),
        ("out_of_range", "stars"),
        ("missing_field", "stars"),
        ("no_text", "text"),
    ]
    kept = Convert(fields={"stars": {"type": "int", "most": 5}}, keep_misfits=True)(given)
    assert kept["stars"].to_pylist() == [5, None, None, None, 1]
    assert kept[DROPPED].to_pylist() == [None, None, None, None, "no_text"]
    labels = Convert(label="label", labels=("b",))(given)
    assert labels[DROPPED].to_pylist()[0] == "not_allowed"


def test_others_may_stay_and_the_split_does() -> None:
    given = table(rating=["1"], other=["o"], split=["test"])
    assert "other" not in Convert()(given).column_names
    found = Convert(fields={"stars": "rating"}, keep_others=True)(given)
    assert {"other", "split", "stars"} <= set(found.column_names) and "rating" not in found.column_names


def test_refusals() -> None:
    with pytest.raises(BadInput, match=r"convert.fields.stars: the dataset has no column 'ratng'.*'rating'"):
        Convert(fields={"stars": "ratng"})(table(rating=["1"]))
    with pytest.raises(BadSpec, match=r"convert.fields.n.type: Invalid enum value 'integer'"):
        STEPS.build({"convert": {"fields": {"n": {"type": "integer"}}}})
    with pytest.raises(BadSpec, match=r"convert.fields.n has no setting 'typ'"):
        STEPS.build({"convert": {"fields": {"n": {"typ": "int"}}}})
    with pytest.raises(BadSpec, match="every dataset has a column"):
        Convert(fields={"doc_id": "x"})
    with pytest.raises(BadSpec, match="text names no column"):
        Convert(text=())
