"""Traditional Chinese characters to simplified ones."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import pyarrow as pa

from fourfold.data.columns import map_json, text_columns
from fourfold.data.fragments import STRINGS
from fourfold.data.words import CJK


@dataclass(frozen=True, slots=True)
class Simplify:
    """Traditional characters become simplified, by OpenCC's tables of phrases and characters: 乾淨 becomes 干净, 乾隆 stays."""

    columns: tuple[str, ...] = ()  # none: all text

    def __call__(self, table: pa.Table, /) -> pa.Table:
        for name in text_columns(table.schema, self.columns):
            values = table[name].to_pylist()
            if table.schema.field(name).type == STRINGS:
                values = [None if items is None else [_simple(item) for item in items] for items in values]
            elif name == "text":
                values = [_simple(value) for value in values]
            else:
                values = [None if value is None else map_json(value, _simple_text) for value in values]
            column = table.column_names.index(name)
            table = table.set_column(column, name, pa.array(values, table.schema.field(name).type))
        return table


def _simple(value: str | None) -> str | None:
    return None if value is None else _simple_text(value)


def _simple_text(value: str) -> str:
    return _converter().convert(value) if CJK.search(value) else value


@cache
def _converter() -> Any:
    import opencc  # reads its tables when made: what a pipeline without this step does not pay

    return opencc.OpenCC("t2s")
