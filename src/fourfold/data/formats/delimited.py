"""Comma- and tab-separated values, as messy as spreadsheets and exports leave them."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from fourfold.core.errors import BadSpec
from fourfold.data.columns import pick_text, text_of, with_label
from fourfold.data.decode import AUTO, Lines, check_encoding, lines_of
from fourfold.data.formats import BadLine, Record

FIELD_CHARACTERS = 1 << 28  # csv's own limit of 131,072 would refuse long texts
DELIMITERS = ",;\t|"
TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
FieldType = Literal["str", "int", "float", "bool"]


@dataclass(frozen=True, slots=True)
class Csv:
    """Rows under a header. Fields are strings unless `types` says otherwise: a phone number read as a number loses its zeros.

    A row of the wrong length and a value of the wrong type are bad lines. A quote that is still open `max_record_lines` lines
    later, or whose row then has the wrong length, spoils its own line only: reading goes on with the next.
    """

    text: str | tuple[str, ...] = ()  # columns of the text, joined by newlines; default: text, body, content, query, …
    label: str | None = None  # column that becomes `label`
    types: dict[str, FieldType] = field(default_factory=dict)
    delimiter: str = AUTO  # or one character; auto: the most frequent of , ; tab | in the header
    encoding: str = AUTO
    max_record_lines: int = 200

    def __post_init__(self) -> None:
        _check(self.encoding, self.delimiter, self.max_record_lines)

    def __call__(self, data: bytes, /) -> Iterator[Record | BadLine]:
        return _records(self, "csv", lines_of(data, self.encoding))


@dataclass(frozen=True, slots=True)
class Tsv:
    """As csv, with tabs. `quotes: false` takes quote marks as plain characters, as most tools that write TSV mean them."""

    text: str | tuple[str, ...] = ()
    label: str | None = None
    types: dict[str, FieldType] = field(default_factory=dict)
    quotes: bool = True
    encoding: str = AUTO
    max_record_lines: int = 200

    def __post_init__(self) -> None:
        _check(self.encoding, "\t", self.max_record_lines)

    def __call__(self, data: bytes, /) -> Iterator[Record | BadLine]:
        return _records(self, "tsv", lines_of(data, self.encoding))


def _check(encoding: str, delimiter: str, max_record_lines: int) -> None:
    check_encoding(encoding)
    if delimiter != AUTO and (len(delimiter) != 1 or delimiter in '"\r\n'):
        raise BadSpec(f"delimiter is one character or auto, not {delimiter!r}.")
    if max_record_lines < 1:
        raise BadSpec(f"max_record_lines is at least 1, not {max_record_lines}.")


@dataclass(frozen=True, slots=True)
class _Row:
    """A parsed row and the lines [start, end) it came from; `values` is None where a quote stays open."""

    start: int
    end: int
    values: list[str] | None


def _records(part: Csv | Tsv, name: str, lines: Lines) -> Iterator[Record | BadLine]:
    start = next((i for i, line in enumerate(lines.lines) if line.strip()), None)
    if start is None:
        return
    delimiter = "\t" if isinstance(part, Tsv) else part.delimiter
    if delimiter == AUTO:
        delimiter = max(DELIMITERS, key=lambda d: _unquoted(lines.lines[start]).count(d))
    quoting = csv.QUOTE_MINIMAL if not isinstance(part, Tsv) or part.quotes else csv.QUOTE_NONE
    rows = _Rows(lines.lines, delimiter, quoting, part.max_record_lines)
    header = rows.read(start)
    if header.values is None or lines.spoilt(start, header.end):
        yield BadLine(start + 1, "bad_header")
        return
    names = _names(header.values)
    text = pick_text(names, part.text, format_name=name)
    at = header.end
    while at < len(lines.lines):
        row = rows.read(at, width=len(names))
        at = row.end
        if row.values is None:
            yield BadLine(row.start + 1, "unclosed_quote")
        elif lines.spoilt(row.start, row.end):
            yield BadLine(row.start + 1, "invalid_bytes")
        elif row.values and (len(row.values) > 1 or row.values[0].strip()):
            yield _record(part, names, text, row)


def _record(part: Csv | Tsv, names: list[str], text: list[str], row: _Row) -> Record | BadLine:
    line, values = row.start + 1, row.values or []
    if len(values) != len(names):
        return BadLine(line, "wrong_length", f"{len(values)} fields, the header has {len(names)}")
    if not any(value.strip() for value in values):
        return BadLine(line, "empty")
    by_name: dict[str, Any] = dict(zip(names, values))
    body = text_of([by_name[column] for column in text])
    if not body:
        return BadLine(line, "no_text")
    fields: dict[str, Any] = {column: value if value != "" else None for column, value in by_name.items() if column not in text}
    for column, kind in part.types.items():
        if fields.get(column) is not None:
            try:
                fields[column] = _typed(fields[column].strip(), kind)
            except (ValueError, KeyError):
                return BadLine(line, "wrong_type", f"{column} is not {kind}")
    return Record(body, line, with_label(fields, part.label))


def _typed(value: str, kind: FieldType) -> Any:
    if kind == "bool":
        return TRUTH[value.lower()]
    return {"int": int, "float": float, "str": str}[kind](value)


def _names(header: list[str]) -> list[str]:
    """Column names: none is empty, none occurs twice."""
    names: list[str] = []
    for i, raw in enumerate(header, start=1):
        name = base = raw.strip() or f"column_{i}"
        n = 2
        while name in names:
            name, n = f"{base}_{n}", n + 1
        names.append(name)
    return names


def _unquoted(line: str) -> str:
    return "".join(line.split('"')[::2])


class _Rows:
    """Reads one row at a time, from any line on. One csv reader keeps going for as long as nothing is wrong."""

    def __init__(self, lines: list[str], delimiter: str, quoting: int, max_lines: int) -> None:
        csv.field_size_limit(max(csv.field_size_limit(), FIELD_CHARACTERS))
        self._lines, self._max_lines = lines, max_lines
        self._options: dict[str, Any] = {"delimiter": delimiter, "quoting": quoting}
        self._reader: Iterator[list[str]] | None = None
        self._at = self._stop = 0  # the next line to hand to the reader; where a row that began here must have ended

    def read(self, start: int, width: int | None = None) -> _Row:
        """The row that begins at line `start`. `width`: fields of the header, to tell a stray quote from a long field."""
        if self._reader is None:
            self._reader = self._open(start, strict=True)
        self._stop = min(start + self._max_lines, len(self._lines))
        try:
            values = next(self._reader)
        except csv.Error as error:
            values = None if "end of data" in str(error) else self._lenient(start)
        end = self._at
        if values is not None and width is not None:
            values = _trim(values, width)
            if end > start + 1 and len(values) != width:
                values = None  # an open quote took other rows in, until the next quote closed it
        if values is None:
            end, self._reader = start + 1, None
        return _Row(start, end, values)

    def _lenient(self, start: int) -> list[str] | None:
        """The row with text after a closing quote taken as it stands; None if a quote stays open."""
        values = next(self._open(start, strict=False))
        self._reader = None
        return values if self._at <= self._stop else None

    def _open(self, start: int, *, strict: bool) -> Iterator[list[str]]:
        self._at = start
        return csv.reader(self._feed(), strict=strict, **self._options)

    def _feed(self) -> Iterator[str]:
        while self._at < self._stop:
            self._at += 1
            yield self._lines[self._at - 1] + "\n"
        self._at += 1  # asked for more than there may be: a quote is open


def _trim(values: list[str], width: int) -> list[str]:
    """The values without empty ones beyond the header's width: a trailing delimiter loses nothing."""
    return values[:width] if len(values) > width and not any(values[width:]) else values
