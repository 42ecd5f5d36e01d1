"""Parquet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fourfold.data.columns import pick_text, plain, simple, text_of, with_label
from fourfold.data.formats import BadLine, Record

BATCH_ROWS = 1000


@dataclass(frozen=True, slots=True)
class Parquet:
    """A row is a document; its number (from 1) is its line. Times become ISO 8601 strings, nested values JSON strings."""

    text: str | tuple[str, ...] = ()  # columns of the text, joined by newlines; default: text, body, content, query, …
    label: str | None = None  # column that becomes `label`

    def __call__(self, data: bytes, /) -> Iterator[Record | BadLine]:
        try:
            file = pq.ParquetFile(pa.BufferReader(data))
        except (pa.ArrowInvalid, OSError):
            yield BadLine(1, "not_parquet")
            return
        text = pick_text(file.schema_arrow.names, self.text, format_name="parquet")
        line = 0
        batches = file.iter_batches(batch_size=BATCH_ROWS)
        while True:
            try:
                rows = next(batches).to_pylist()
            except StopIteration:
                return
            except (pa.ArrowException, OSError, ValueError):
                yield BadLine(line + 1, "not_parquet", "the rest of the file is left out")
                return
            for row in rows:
                line += 1
                yield self._record(row, line, text)

    def _record(self, row: dict[str, Any], line: int, text: list[str]) -> Record | BadLine:
        body = text_of([row[name] for name in text])
        if not body:
            return BadLine(line, "no_text")
        fields = {name: plain(simple(value)) for name, value in row.items() if name not in text}
        return Record(body, line, with_label(fields, self.label))
