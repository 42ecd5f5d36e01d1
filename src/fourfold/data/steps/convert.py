"""Map columns to one uniform table: named, typed, validated."""

# pyarrow.compute makes its functions when it is imported; pyright cannot see them.
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from fourfold.core.build import build_part
from fourfold.core.errors import BadInput, BadSpec, did_you_mean
from fourfold.data.columns import text_of
from fourfold.data.fragments import LEADING
from fourfold.data.steps import DETAIL, DROPPED
from fourfold.data.typed import TYPES, FieldType, typed

OWN = (*LEADING, "label", "lang", "split")


@dataclass(frozen=True, slots=True)
class Field:
    """Where a field comes from, what it is, and what it may be."""

    column: str  # the column that it is made of
    type: FieldType = "str"
    required: bool = False
    values: tuple[str, ...] = ()  # all that it may be, where it is one of a few
    least: float | None = None
    most: float | None = None


@dataclass(frozen=True, slots=True)
class Convert:
    """One table for whatever was collected: `doc_id`, `text`, `source` …, `lang` and `label` where they are named, and
    `fields`: a column for each, of its type. `{stars: {column: rating, type: int, least: 1, most: 5}, channel: origin}`.

    A row that does not fit goes under "missing_field", "wrong_type", "out_of_range", "not_allowed" or "no_text", and the
    detail names the field; with `keep_misfits` the field is left empty instead. Columns that are not named go, unless
    `keep_others`.
    """

    fields: dict[str, Any] = field(default_factory=dict)
    text: tuple[str, ...] = ("text",)  # columns whose values, joined by newlines, are the text
    label: str = ""
    lang: str = ""
    labels: tuple[str, ...] = ()  # all that a label may be; empty: anything
    keep_misfits: bool = False
    keep_others: bool = False

    def __post_init__(self) -> None:
        if not self.text:
            raise BadSpec("convert: text names no column.", hint="Name one or several, such as [subject, body].")
        for name in self.wanted():
            if name in LEADING or name == "split":
                raise BadSpec(f"convert.fields.{name}: every dataset has a column of that name.", hint="Call it otherwise.")

    def wanted(self) -> dict[str, Field]:
        """The fields, `lang` and `label` among them. Raises BadSpec with the path of what is wrong."""
        found = {}
        if self.lang:
            found["lang"] = Field(self.lang)
        if self.label:
            found["label"] = Field(self.label, required=True, values=self.labels)
        for name, spec in self.fields.items():
            settings = (
                {"column": spec} if isinstance(spec, str) else {"column": name, **spec} if isinstance(spec, Mapping) else None
            )
            if settings is None:
                raise BadSpec(f"convert.fields.{name} is neither a column nor a mapping.")
            found[name] = build_part(Field, settings, path=f"convert.fields.{name}")
        return found

    def __call__(self, table: pa.Table, /) -> pa.Table:
        wanted = self.wanted()
        self._check(table, wanted)
        faults: list[tuple[str, str] | None] = [None] * len(table)
        columns: dict[str, pa.Array | pa.ChunkedArray] = {name: table[name] for name in LEADING}
        texts = [text_of(values) for values in zip(*(table[name].to_pylist() for name in self.text))]
        columns["text"] = pa.array(texts, pa.string())
        for i, text in enumerate(texts):
            if not text.strip():
                faults[i] = ("no_text", "text")
        for name, one in wanted.items():
            values, wrong = _converted(table[one.column].to_pylist(), one)
            columns[name] = pa.array(values, TYPES[one.type])
            for i, reason in wrong.items():
                required = one.required and values[i] is None
                if faults[i] is None and (required or not self.keep_misfits):
                    faults[i] = (reason, name)
        used = {*self.text, *(one.column for one in wanted.values())}
        kept = [n for n in table.column_names if n not in columns and (n == "split" or (self.keep_others and n not in used))]
        columns |= {name: table[name] for name in kept}
        return _marked(pa.table(columns), faults)

    def _check(self, table: pa.Table, wanted: Mapping[str, Field]) -> None:
        for path, column in [("text", name) for name in self.text] + [(f"fields.{n}", one.column) for n, one in wanted.items()]:
            if column not in table.column_names:
                raise BadInput(
                    f"convert.{path}: the dataset has no column {column!r}.{did_you_mean(column, table.column_names)}",
                    hint=f"Columns: {', '.join(table.column_names)}.",
                )


def _marked(table: pa.Table, faults: Sequence[tuple[str, str] | None]) -> pa.Table:
    reasons = pa.array([fault and fault[0] for fault in faults], pa.string())
    return table.append_column(DETAIL, pa.array([fault and fault[1] for fault in faults], pa.string())).append_column(
        DROPPED, reasons
    )


def _converted(values: Sequence[Any], wanted: Field) -> tuple[list[Any], dict[int, str]]:
    """The values as the field's type (None for those that do not fit), and what is wrong with which rows."""
    found: list[Any] = []
    wrong: dict[int, str] = {}
    for i, value in enumerate(values):
        if value is None or (isinstance(value, str) and not value.strip()):
            found.append(None)
            if wanted.required:
                wrong[i] = "missing_field"
            continue
        converted = typed(value, wanted.type)
        reason = "wrong_type" if converted is None else _misfit(converted, wanted)
        if reason:
            wrong[i] = reason
        found.append(None if reason else converted)
    return found, wrong


def _misfit(value: Any, wanted: Field) -> str:
    """Why a value of the right type may not be; empty if it may."""
    if wanted.values and str(value) not in wanted.values:
        return "not_allowed"
    size = len(value) if isinstance(value, str | list) else value
    low = wanted.least is not None and size < wanted.least
    high = wanted.most is not None and size > wanted.most
    return "out_of_range" if low or high else ""
