"""The documents of an index, found by row number: one Arrow file per fragment, packed in small batches that are read alone."""

# pyarrow.compute makes its functions when it is imported; pyright cannot see them.
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import bisect
import re
import shutil
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fourfold.core.errors import BadInput, did_you_mean
from fourfold.data.dataset import Fragment
from fourfold.data.fragments import STRINGS

FOLDER = "documents"
BATCH_ROWS = 128
LEFT_OUT = ("source_digest", "split")
FILTER = re.compile(r"\s*(?P<name>[^=!<>]+?)\s*(?P<sign><=|>=|!=|=|<|>)\s*(?P<value>.*?)\s*", re.DOTALL)
COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "=": pc.equal, "!=": pc.not_equal, "<": pc.less, "<=": pc.less_equal, ">": pc.greater, ">=": pc.greater_equal,
}  # fmt: skip


def shelve(fragments: Sequence[Fragment], folder: Path, before: Path | None) -> None:
    """Write the documents of each fragment, or take over what `before` has of it."""
    (folder / FOLDER).mkdir(parents=True)
    for fragment in fragments:
        target = folder / FOLDER / f"{fragment.key}.arrow"
        old = before / FOLDER / target.name if before else None
        if old is not None and old.exists():
            shutil.copyfile(old, target)
            continue
        table = fragment.table()
        table = table.select([name for name in table.column_names if name not in LEFT_OUT])
        options = pa.ipc.IpcWriteOptions(compression="lz4")
        with pa.OSFile(str(target), "wb") as file, pa.ipc.new_file(file, table.schema, options=options) as out:
            out.write_table(table.combine_chunks(), max_chunksize=BATCH_ROWS)


class Shelf:
    """The documents of an index, open."""

    def __init__(self, folder: Path, keys: Sequence[str]) -> None:
        self._paths = [folder / FOLDER / f"{key}.arrow" for key in keys]
        self._files = [pa.memory_map(str(path)) for path in self._paths]
        self._readers = [pa.ipc.open_file(file) for file in self._files]
        self._ends: list[tuple[int, int]] = []  # fragment, row at which it begins
        begun = 0
        for n, reader in enumerate(self._readers):
            self._ends.append((begun, n))
            begun += _rows(reader)
        self.rows = begun

    @property
    def schema(self) -> pa.Schema:
        """The columns that documents have here."""
        return self._readers[0].schema

    def rows_at(self, rows: Sequence[int]) -> list[dict[str, Any]]:
        """The documents of these rows, in this order."""
        return [self._row(row) for row in rows]

    def allowed(self, filters: Sequence[str]) -> np.ndarray | None:
        """Which rows meet every filter, such as `language=zh` or `price>=10`; None: all. A row without the value meets none.

        Raises BadInput for one that cannot be read, or a column that is not there.
        """
        found = None
        for one in filters:
            mask = self._meets(one)
            found = mask if found is None else found & mask
        return found

    def close(self) -> None:
        """Let go of the files."""
        for file in self._files:
            file.close()

    def _row(self, row: int) -> dict[str, Any]:
        begun, n = self._ends[bisect.bisect_right(self._ends, (row, len(self._ends))) - 1]
        batch, place = divmod(row - begun, BATCH_ROWS)
        return self._readers[n].get_batch(batch).slice(place, 1).to_pylist()[0]

    def _meets(self, text: str) -> np.ndarray:
        match = FILTER.fullmatch(text)
        if match is None:
            raise BadInput(f"The filter {text!r} says nothing of a column.", hint="Such as: language=zh, price>=10")
        names = self.schema.names
        if match["name"] not in names:
            raise BadInput(
                f"The index has no column {match['name']!r}.{did_you_mean(match['name'], names)}",
                hint=f"Columns: {', '.join(names)}.",
            )
        column = names.index(match["name"])
        options = pa.ipc.IpcReadOptions(included_fields=[column])
        masks = [
            _compared(pa.ipc.open_file(file, options=options).read_all().column(0), match["sign"], match["value"], text)
            for file in self._files
        ]
        return np.concatenate(masks)


def _rows(reader: Any) -> int:
    if not reader.num_record_batches:
        return 0
    return (reader.num_record_batches - 1) * BATCH_ROWS + reader.get_batch(reader.num_record_batches - 1).num_rows


def _compared(column: pa.ChunkedArray, sign: str, value: str, text: str) -> np.ndarray:
    if column.type == STRINGS:
        if sign not in ("=", "!="):
            raise BadInput(f"The filter {text!r} compares a list.", hint="Lists take = and !=: whether the value is in them.")
        has = np.array([value in (items or ()) for items in column.to_pylist()], bool)
        return has if sign == "=" else ~has
    try:
        mask = COMPARE[sign](column, pa.scalar(_value(value, column.type), column.type))
    except (ValueError, OverflowError, pa.ArrowInvalid) as error:
        raise BadInput(
            f"The filter {text!r} compares {column.type} with {value!r}.", hint="Give a value of that type."
        ) from error
    return pc.fill_null(mask, False).to_numpy().astype(bool)


def _value(value: str, kind: pa.DataType) -> Any:
    if pa.types.is_boolean(kind):
        if value.lower() not in ("true", "false"):
            raise ValueError(value)
        return value.lower() == "true"
    if pa.types.is_timestamp(kind):
        moment = datetime.fromisoformat(value)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if pa.types.is_integer(kind):
        return int(value)
    if pa.types.is_floating(kind):
        return float(value)
    return value
