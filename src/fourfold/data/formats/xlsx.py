"""Excel workbooks."""

from __future__ import annotations

import datetime
import io
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from fourfold.core.errors import BadInput
from fourfold.core.extras import need
from fourfold.data.columns import pick_text, plain, text_of, with_label
from fourfold.data.formats import BadLine, Record
from fourfold.data.office import trouble_of


@dataclass(frozen=True, slots=True)
class Xlsx:
    """A row of a sheet is a document, its number the line, the sheet's name its place. The first row with a value names the
    columns; a sheet without a column of text is counted as `no_text_column`. Dates become ISO 8601, formulas their last value.
    """

    text: str | tuple[str, ...] = ()  # columns of the text, joined by newlines; default: text, body, content, query, …
    label: str | None = None  # column that becomes `label`
    sheets: tuple[str, ...] = ()  # only these, if any

    def __call__(self, data: bytes, /) -> Iterator[Record | BadLine]:
        openpyxl: Any = need("openpyxl", extra="documents", what="Reading workbooks")
        if trouble := trouble_of(data, "xlsx"):
            yield BadLine(1, trouble)
            return
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # what it does not know of styles and validations is no text
                book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True)
                sheets = [
                    (sheet.title, list(sheet.iter_rows(values_only=True))) for sheet in book.worksheets if self._wanted(sheet)
                ]
        except (KeyError, ValueError, TypeError, AttributeError, SyntaxError, zipfile.BadZipFile) as error:
            yield BadLine(1, "not_xlsx", type(error).__name__)
            return
        for title, rows in sheets:
            yield from self._sheet(title, rows)

    def _wanted(self, sheet: Any) -> bool:
        return not self.sheets or sheet.title in self.sheets

    def _sheet(self, title: str, rows: Sequence[Sequence[Any]]) -> Iterator[Record | BadLine]:
        first = next((i for i, row in enumerate(rows) if any(value is not None for value in row)), None)
        if first is None:
            return
        names = _names(rows[first])
        try:
            text = pick_text([name for name in names if name], self.text, format_name="xlsx")
        except BadInput:
            if self.text and self.sheets:
                raise
            yield BadLine(first + 1, "no_text_column", place=title)
            return
        for number, row in enumerate(rows[first + 1 :], first + 2):
            values = {name: _simple(value) for name, value in zip(names, row) if name}
            if not any(value is not None for value in values.values()):
                continue
            body = text_of([values.get(name) for name in text])
            if not body:
                yield BadLine(number, "no_text", place=title)
                continue
            fields = {name: plain(value) for name, value in values.items() if name not in text}
            yield Record(body, number, with_label(fields, self.label), place=title)


def _names(row: Sequence[Any]) -> list[str]:
    names: list[str] = []
    for value in row:
        name = base = "" if value is None else " ".join(str(value).split())
        n = 2
        while name and name in names:
            name, n = f"{base}_{n}", n + 1
        names.append(name)
    return names


def _simple(value: Any) -> Any:
    if isinstance(value, datetime.datetime):
        return value.date().isoformat() if value.time() == datetime.time() else value.isoformat()
    if isinstance(value, datetime.date | datetime.time | datetime.timedelta):
        return str(value)
    if isinstance(value, str):
        return value.replace("\x00", "").replace("_x000D_", "").strip() or None
    return value
