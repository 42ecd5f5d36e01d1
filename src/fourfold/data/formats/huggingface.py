"""Tables as the library `datasets` of Hugging Face writes them: Arrow, as a stream or a file, or Parquet."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fourfold.data.columns import pick_text, plain, simple, text_of, with_label
from fourfold.data.formats import BadLine, Record

BATCH_ROWS = 1_000


@dataclass(frozen=True, slots=True)
class HuggingFace:
    """A row is a document; its number (from 1) is its line. Numbers of a ClassLabel become the names that the file holds."""

    text: str | tuple[str, ...] = ()  # columns of the text; default: text, body, content, query, …
    label: str | None = None  # column that becomes `label`

    def __call__(self, data: bytes, /) -> Iterator[Record | BadLine]:
        line, text, names = 0, None, {}
        try:
            for batch in _batches(data):
                if text is None:
                    text = pick_text(batch.schema.names, self.text, format_name="huggingface")
                    names = class_names(batch.schema)
                for start in range(0, batch.num_rows, BATCH_ROWS):
                    for row in batch.slice(start, BATCH_ROWS).to_pylist():
                        line += 1
                        yield self._record(row, line, text, names)
        except (pa.ArrowException, OSError, ValueError) as error:
            yield BadLine(line + 1, "not_huggingface", f"{type(error).__name__}; the rest of the file is left out")

    def _record(self, row: dict[str, Any], line: int, text: list[str], names: Mapping[str, list[str]]) -> Record | BadLine:
        for name, known in names.items():
            row[name] = _named(row[name], known)
        body = text_of([row[name] for name in text])
        if not body:
            return BadLine(line, "no_text")
        return Record(body, line, with_label({n: plain(simple(v)) for n, v in row.items() if n not in text}, self.label))


def _batches(data: bytes) -> Iterator[pa.RecordBatch]:
    buffer = pa.BufferReader(data)
    if data[:4] == b"PAR1":
        yield from pq.ParquetFile(buffer).iter_batches(batch_size=BATCH_ROWS)
    elif data[:6] == b"ARROW1":
        with pa.ipc.open_file(buffer) as file:
            yield from (file.get_batch(n) for n in range(file.num_record_batches))
    else:
        with pa.ipc.open_stream(buffer) as stream:
            yield from stream


def class_names(schema: pa.Schema) -> dict[str, list[str]]:
    """The names of each ClassLabel column, from what the library keeps in the schema."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
    except (KeyError, ValueError, TypeError):
        return {}
    found = {}
    for column in schema.names:
        feature = features.get(column)
        inner = feature.get("feature", feature) if isinstance(feature, dict) else feature
        if isinstance(inner, dict) and inner.get("_type") == "ClassLabel" and isinstance(inner.get("names"), list):
            found[column] = [str(name) for name in inner["names"]]
    return found


def _named(value: Any, names: list[str]) -> Any:
    if isinstance(value, list):
        return [_named(one, names) for one in value]
    return names[value] if isinstance(value, int) and 0 <= value < len(names) else None if value == -1 else value
