"""What policies for missing values share: types of values, what is known of a column, and what is known of a row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import blake3
import pyarrow as pa

from fourfold.core.errors import BadInput
from fourfold.data.fragments import STRINGS
from fourfold.data.words import words

BUCKETS = 1024  # of hashed words and values
MOST_WORDS = 200  # of a text
LONGEST_VALUE = 64  # characters of a field that counts as a value, not as a text


@dataclass(frozen=True, slots=True)
class Column:
    """A column in order of rows. `train`: which rows may be learnt from. `features`: what is known of each row beside it, as
    hashed words and values (policies that ask for it only).
    """

    name: str
    type: pa.DataType
    values: Sequence[Any]  # None where missing
    train: Sequence[bool]
    features: Sequence[Sequence[int]] = field(default_factory=list)

    def known(self) -> list[Any]:
        """The values that may be learnt from."""
        return [value for value, train in zip(self.values, self.train) if train and value is not None]


def as_type(value: Any, kind: pa.DataType) -> Any:
    """The value as a column of that type holds it: a number for an integer column is rounded. None if it does not fit."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if pa.types.is_integer(kind):
        return round(value) if is_number else None
    if pa.types.is_floating(kind):
        return float(value) if is_number else None
    for known_kind, wanted in (
        (pa.string(), str),
        (pa.bool_(), bool),
        (STRINGS, list),
    ):  # no mapping: list types hash by item name
        if kind == known_kind:
            return value if isinstance(value, wanted) else None
    return None


def known(column: Column) -> list[Any]:
    """The values that may be learnt from. Raises BadInput if there is none."""
    values = column.known()
    if not values:
        raise BadInput(
            f"Column {column.name!r} has no value in the split train: there is nothing to learn from.",
            hint="Fill it with a constant, or leave it out.",
        )
    return values


def number(column: Column) -> list[float]:
    """The numbers that may be learnt from. Raises BadInput for a column of another type."""
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        raise BadInput(
            f"Column {column.name!r} holds {column.type}, which has no mean and no median.",
            hint="Fill it with mode, constant, forward or model; or convert it to numbers first.",
        )
    return known(column)


def scalar(column: Column) -> Column:
    """The column. Raises BadInput if its values are lists."""
    if column.type == STRINGS:
        raise BadInput(f"Column {column.name!r} holds lists.", hint="Drop such rows, or fill them with a constant.")
    return column


def features_of(row: Mapping[str, Any], without: Iterable[str]) -> list[int]:
    """What is known of a row: hashes of the words of its text, and of each other field with its name."""
    left_out = {*without, "doc_id", "source", "source_digest", "fetched_at", "split", "text"}
    found = [f"text\t{word.casefold()}" for word in words(str(row.get("text") or "")[: 20 * MOST_WORDS])[:MOST_WORDS]]
    for name, value in sorted(row.items()):
        if name not in left_out and value is not None and not isinstance(value, list):
            text = str(value)
            found += [f"{name}\t{text}"] if len(text) <= LONGEST_VALUE else []
    return [_bucket(one) for one in found]


def _bucket(text: str) -> int:
    return int.from_bytes(blake3.blake3(text.encode("utf-8", "surrogatepass")).digest(4), "big") % BUCKETS


def is_missing(value: Any, blank: bool) -> bool:
    """Whether there is no value; with `blank`, a text of white space is none."""
    return value is None or (blank and isinstance(value, str) and not value.strip())


def present(values: Sequence[Any], blank: bool) -> list[Any]:
    """The values, None for each that is missing."""
    return [None if is_missing(value, blank) else value for value in values]
