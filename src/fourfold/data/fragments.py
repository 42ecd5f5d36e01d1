"""Writing a dataset's folder: rows → typed Parquet fragments, and the logs of what was dropped and changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

FRAGMENT_ROWS = 50_000
FRAGMENT_BYTES = 64 << 20
LEADING = {  # columns that every dataset has, in this order
    "doc_id": pa.string(),
    "text": pa.string(),
    "source": pa.string(),
    "source_digest": pa.string(),
    "fetched_at": pa.timestamp("ms", tz="UTC"),
}
STRINGS = pa.list_(pa.field("element", pa.string()))  # as Parquet gives it back
TYPES: Mapping[type, pa.DataType] = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_(), list: STRINGS}
NAMES: Mapping[pa.DataType, str] = {
    pa.string(): "string",
    pa.int64(): "int",
    pa.float64(): "float",
    pa.bool_(): "bool",
    STRINGS: "list of strings",
}
DROPS = pa.schema(
    [
        ("source", pa.string()),  # path, relative to what was collected
        ("line", pa.int64()),  # None: the whole file
        ("doc_id", pa.string()),  # None: it never became a document
        ("step", pa.string()),
        ("reason", pa.string()),
        ("detail", pa.string()),
    ]
)
CHANGES = pa.schema([("doc_id", pa.string()), ("step", pa.string()), ("column", pa.string()), ("count", pa.int64())])


def fragment_path(folder: Path, number: int) -> Path:
    """Where a dataset's folder holds its fragment `number` (from 0)."""
    return folder / f"fragment-{number:05}.parquet"


def write_table(table: pa.Table, path: Path) -> None:
    """The table as one Parquet file."""
    pq.write_table(table, path, compression="zstd")


def columns_of(schema: pa.Schema) -> list[dict[str, str]]:
    """Name and type of each column, as they stand in a version's meta."""
    return [{"name": field.name, "type": NAMES.get(field.type, str(field.type))} for field in schema]


class FragmentWriter:
    """Rows as mappings → fragments of up to 50,000 rows or about 64 MiB, all of one schema.

    A column's type is that of its values: int and float together are float; other mixtures become strings, as `clashes` says.
    """

    def __init__(self, folder: Path, *, rows: int = FRAGMENT_ROWS, size_bytes: int = FRAGMENT_BYTES) -> None:
        self._folder, self._rows_limit, self._bytes_limit = folder, rows, size_bytes
        self._buffer: list[Mapping[str, Any]] = []
        self._size_bytes = 0
        self._kinds: dict[str, set[type]] = {}
        self._written = 0
        self.rows = 0

    def add(self, row: Mapping[str, Any], size_bytes: int) -> None:
        """One more row; `size_bytes` is about what it takes."""
        self._buffer.append(row)
        self._size_bytes += size_bytes
        self.rows += 1
        if len(self._buffer) >= self._rows_limit or self._size_bytes >= self._bytes_limit:
            self._flush()

    def close(self) -> pa.Schema:
        """Writes what is left, gives every fragment the schema of the whole, and returns that schema."""
        if self._buffer:
            self._flush()
        schema = pa.schema([*LEADING.items(), *((name, _type(kinds)) for name, kinds in self._kinds.items())])
        for number in range(self._written):
            path = fragment_path(self._folder, number)
            if pq.read_schema(path) != schema:
                write_table(_conform(pq.read_table(path), schema), path)
        return schema

    @property
    def clashes(self) -> dict[str, list[str]]:
        """Columns that became strings since their values are of several types."""
        clashing = {name: kinds for name, kinds in self._kinds.items() if len(kinds) > 1 and kinds != {int, float}}
        return {name: sorted(NAMES[TYPES[kind]] for kind in kinds) for name, kinds in clashing.items()}

    def _flush(self) -> None:
        rows, self._buffer, self._size_bytes = self._buffer, [], 0
        names = dict.fromkeys(name for row in rows for name in row if name not in LEADING)
        arrays = {name: pa.array([row[name] for row in rows], kind) for name, kind in LEADING.items()}
        for name in names:
            values = [row.get(name) for row in rows]
            kinds = {type(value) for value in values if value is not None}
            self._kinds.setdefault(name, set()).update(kinds)
            wanted = _type(kinds)
            arrays[name] = pa.array(_as_strings(values) if wanted == pa.string() and kinds != {str} else values, wanted)
        write_table(pa.table(arrays), fragment_path(self._folder, self._written))
        self._written += 1


def _type(kinds: set[type]) -> pa.DataType:
    if len(kinds) == 1:
        return TYPES[next(iter(kinds))]
    return pa.float64() if kinds == {int, float} else pa.string()


def _as_strings(values: Sequence[Any]) -> list[str | None]:
    return [v if v is None or isinstance(v, str) else msgspec.json.encode(v).decode() for v in values]


def _conform(table: pa.Table, schema: pa.Schema) -> pa.Table:
    arrays = []
    for field in schema:
        if field.name not in table.column_names:
            arrays.append(pa.nulls(len(table), field.type))
        elif table[field.name].type == STRINGS and field.type == pa.string():
            arrays.append(pa.array(_as_strings(table[field.name].to_pylist()), pa.string()))
        else:
            arrays.append(pc.cast(table[field.name], field.type, safe=False))
    return pa.table(arrays, schema=schema)


class Log:
    """What a verb dropped and changed: ids, places and reasons, never text. Files: drops.parquet and changes.parquet."""

    def __init__(self) -> None:
        self._drops: dict[str, list[Any]] = {name: [] for name in DROPS.names}
        self._changes: list[pa.Table] = []
        self._read: list[pa.Table] = []
        self.reasons: Counter[str] = Counter()

    def drop(self, source: str, line: int | None, doc_id: str | None, step: str, reason: str, detail: str = "") -> None:
        """One document or line that goes no further."""
        for name, value in zip(DROPS.names, (source, line, doc_id, step, reason, detail or None)):
            self._drops[name].append(value)
        self.reasons[reason] += 1

    def change(self, step: str, column: str, doc_ids: pa.Array | pa.ChunkedArray, counts: Sequence[int] | None = None) -> None:
        """Documents of which a column changed; `counts` says at how many places in each (default 1)."""
        n = len(doc_ids)
        if n:
            ids = doc_ids.combine_chunks() if isinstance(doc_ids, pa.ChunkedArray) else doc_ids
            names = [pa.array([value] * n, pa.string()) for value in (step, column)]
            self._changes.append(pa.table([ids, *names, pa.array(counts or [1] * n, pa.int64())], schema=CHANGES))

    def read(self, folders: Sequence[Path]) -> None:
        """Add what other logs wrote into `folders`, in that order."""
        for folder in folders:
            drops = pq.read_table(folder / "drops.parquet").cast(DROPS)
            if len(drops):
                self._read.append(drops)
                self.reasons.update({one["values"]: one["counts"] for one in drops["reason"].value_counts().to_pylist()})
            changes = pq.read_table(folder / "changes.parquet").cast(CHANGES)
            if len(changes):
                self._changes.append(changes)

    def write(self, folder: Path, *, changes: bool = True) -> dict[str, Any]:
        """The figures for the version's meta: `drops` by reason and `changes` by step and column."""
        write_table(pa.concat_tables([*self._read, pa.table(self._drops, schema=DROPS)]), folder / "drops.parquet")
        figures: dict[str, Any] = {"drops": dict(sorted(self.reasons.items()))}
        if changes:
            table = pa.concat_tables(self._changes) if self._changes else CHANGES.empty_table()
            write_table(table, folder / "changes.parquet")
            counts: dict[str, dict[str, int]] = {}
            for row in table.group_by(["step", "column"], use_threads=False).aggregate([("count", "sum")]).to_pylist():
                counts.setdefault(row["step"], {})[row["column"]] = row["count_sum"]
            figures["changes"] = counts
        return figures


def place_of(source: str) -> tuple[str, int | None]:
    """Path and line of a document's `source`, `path#line`."""
    path, _, line = source.rpartition("#")
    return (path, int(line)) if path and line.isdigit() else (source, None)


def within(path: str, place: str) -> str:
    """The path of a file, or of what lies within it: `letters.zip!/2024/may.txt`."""
    return f"{path}!/{place}" if place else path


def raw_path(path: str) -> str:
    """The file that lies among the raw ones, of a path that `within` made."""
    return path.partition("!/")[0]
