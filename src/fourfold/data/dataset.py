"""A dataset version's folder: Parquet fragments, raw files, and the log of what was dropped."""

# pyarrow.compute makes its functions when it is imported; pyright cannot see them.
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import blake3
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fourfold.core.errors import BadInput, did_you_mean
from fourfold.core.fingerprint import digest_file

PROVENANCE = ("doc_id", "source", "source_digest", "fetched_at")
SPLITS = ("train", "dev", "test")


@dataclass(frozen=True, slots=True)
class Fragment:
    """A part of a dataset that is counted, cached and subtracted as one. `key` is the digest of its file and split."""

    key: str
    path: Path
    split: str | None

    def table(self, columns: Sequence[str] | None = None) -> pa.Table:
        """The fragment's rows (of its split). Raises BadInput if a column is missing."""
        names = pq.read_schema(self.path).names
        for column in columns or ():
            if column not in names:
                raise BadInput(
                    f"The dataset has no column {column!r}.{did_you_mean(column, names)}",
                    hint=f"Name another column, or collect data that has it. Columns: {', '.join(names)}.",
                )
        wanted = None if columns is None else sorted({*columns, *({"split"} & set(names)), "doc_id"}, key=names.index)
        table = pq.read_table(self.path, columns=wanted)
        if self.split is not None:
            table = table.filter(pc.equal(splits(table), self.split))
        return table if columns is None else table.select(list(columns))


@dataclass(frozen=True, slots=True)
class Dataset:
    """A materialised dataset version, or one split of it."""

    folder: Path
    split: str | None = None

    def fragments(self) -> Iterator[Fragment]:
        """The fragments in order of name."""
        for path in sorted(self.folder.glob("fragment-*.parquet")):
            yield Fragment(f"{digest_file(path)[:32]}-{self.split or 'all'}", path, self.split)

    def table(self, columns: Sequence[str] | None = None) -> pa.Table:
        """All rows as one table, fragments in order."""
        tables = [f.table(columns) for f in self.fragments()]
        if not tables:
            raise BadInput(f"The dataset in {self.folder.name} holds no fragment.", hint="Run: fourfold collect")
        return pa.concat_tables(tables, promote_options="default")

    def of(self, split: str | None) -> Dataset:
        """The same dataset seen through one split."""
        return Dataset(self.folder, split)


def splits(table: pa.Table) -> pa.Array | pa.ChunkedArray:
    """train, dev or test for each row: the column `split` where it says so, else by the hash of `doc_id` (80/10/10).

    A document is in the same split in every version and on every machine.
    """
    if "split" not in table.column_names:
        return pa.array([split_of(doc_id) for doc_id in table["doc_id"].to_pylist()], pa.string())
    if not table["split"].null_count:
        return table["split"]
    pairs = zip(table["split"].to_pylist(), table["doc_id"].to_pylist())
    return pa.array([said or split_of(doc_id) for said, doc_id in pairs], pa.string())


def split_of(doc_id: str) -> str:
    """The split that a document belongs to, by BLAKE3 of its id."""
    share = int.from_bytes(blake3.blake3(doc_id.encode()).digest(4), "big") / 2**32
    return "train" if share < 0.8 else "dev" if share < 0.9 else "test"
