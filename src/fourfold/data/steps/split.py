"""Divide a dataset into train, dev and test, without near-duplicates on two sides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import blake3
import numpy as np
import pyarrow as pa

from fourfold.core.errors import BadInput, BadSpec, GateRefused, did_you_mean
from fourfold.data.dataset import SPLITS
from fourfold.data.minhash import ERROR, Sketches, clusters, keys_of
from fourfold.data.steps import mark, told

HASH, GROUP = "split hash", "split group"


@dataclass(frozen=True, slots=True)
class Split:
    """Writes the column `split` by the hash of `doc_id` and `seed`: a document is where it was, whatever is added. With
    `stratify`, a column, each of its values is divided by the same shares.

    Documents that are nearly the same must not stand on two sides: a model would be tested on what it was trained on.
    `leaks`: such clusters are "move"d to one side (that of their member with the lowest hash), "refuse"d, only "count"ed, or
    not looked for ("ignore"). `similarity` as in drop_near_duplicates.
    """

    shares: tuple[float, float, float] = (0.8, 0.1, 0.1)  # of train, dev and test
    stratify: str = ""
    seed: int = 0
    leaks: Literal["move", "refuse", "count", "ignore"] = "move"
    similarity: float = 0.8

    def __post_init__(self) -> None:
        if min(self.shares) < 0 or self.shares[0] <= 0 or abs(sum(self.shares) - 1) > 1e-6:
            raise BadSpec(f"split: shares are three that sum to 1, train above 0, not {list(self.shares)}.")
        if not 0.5 <= self.similarity <= 1:
            raise BadSpec(f"split: similarity is between 0.5 and 1, not {self.similarity}.")

    def keys(self, table: pa.Table, /) -> pa.Table:
        """A hash of each document, its group, and the MinHash of its text."""
        prefix = f"split {self.seed} "
        digests = (blake3.blake3((prefix + doc_id).encode()).digest(8) for doc_id in table["doc_id"].to_pylist())
        hashes = pa.array([int.from_bytes(digest, "big") for digest in digests], pa.uint64())
        keys = pa.table({HASH: hashes, GROUP: _groups(table, self.stratify)})
        if self.leaks == "ignore":
            return keys
        near = keys_of(table["text"])
        return keys.append_column("length", near["length"]).append_column("sketch", near["sketch"])

    def __call__(self, table: pa.Table, /) -> pa.Table:
        keys = table if HASH in table.column_names else self.keys(table)
        hashes = keys[HASH].to_numpy()
        groups = np.unique(np.array(keys[GROUP].to_pylist(), dtype=object).astype(str), return_inverse=True)[1]
        sides = self._by_group(hashes, groups) if self.stratify else self._sides(hashes.astype(np.float64) / 2.0**64)
        found: dict[str, Any] = {}
        if self.leaks != "ignore":
            lengths = keys["length"].to_numpy()
            which = clusters(Sketches(keys["sketch"]), np.flatnonzero(lengths >= 0), self.similarity - ERROR)
            sides, found = self._without_leaks(sides, which, hashes)
        rows = {name: int((sides == i).sum()) for i, name in enumerate(SPLITS)}
        marks = pa.table({"split": pa.array(np.array(SPLITS, dtype=object)[sides], pa.string())})
        return told(mark(marks, pa.array(np.zeros(len(marks), bool)), ""), figures={"rows": rows, **found})

    def apply(self, table: pa.Table, marks: pa.Table, /) -> pa.Table:
        """The rows with their split."""
        if "split" in table.column_names:
            return table.set_column(table.column_names.index("split"), "split", marks["split"])
        return table.append_column("split", marks["split"])

    def _sides(self, places: np.ndarray) -> np.ndarray:
        """0, 1 or 2 for each place in [0, 1)."""
        return np.searchsorted(np.cumsum(self.shares)[:2], places, "right")

    def _by_group(self, hashes: np.ndarray, groups: np.ndarray) -> np.ndarray:
        """Within each group the rows in order of their hashes are cut by the shares."""
        order = np.lexsort((hashes, groups))
        sizes = np.bincount(groups)
        begins = np.repeat(np.cumsum(sizes) - sizes, sizes)
        places = (np.arange(len(order)) - begins + 0.5) / np.repeat(sizes, sizes)
        sides = np.empty(len(order), np.int64)
        sides[order] = self._sides(places)
        return sides

    def _without_leaks(self, sides: np.ndarray, which: np.ndarray, hashes: np.ndarray) -> tuple[np.ndarray, dict[str, Any]]:
        """The sides, and figures of clusters that stood on several."""
        count = int(which.max()) + 1 if len(which) else 0
        low, high = np.full(count, len(SPLITS)), np.full(count, -1)
        np.minimum.at(low, which, sides)
        np.maximum.at(high, which, sides)
        crossing = low < high
        found = {"leaking_clusters": int(crossing.sum()), "leaking_rows": int(crossing[which].sum()), "moved": 0}
        if self.leaks == "refuse" and crossing.any():
            raise GateRefused(
                f"{found['leaking_clusters']} clusters of near-duplicates ({found['leaking_rows']} documents) stand on several "
                "sides of the split.",
                hint="Drop near-duplicates first (drop_near_duplicates), or set leaks to move.",
            )
        if self.leaks != "move" or not crossing.any():
            return sides, found
        order = np.lexsort((hashes, which))
        first = np.ones(len(order), bool)
        first[1:] = which[order[1:]] != which[order[:-1]]
        of_cluster = np.zeros(count, np.int64)
        of_cluster[which[order[first]]] = sides[order[first]]
        moved = np.where(crossing[which], of_cluster[which], sides)
        return moved, {**found, "moved": int((moved != sides).sum())}


def _groups(table: pa.Table, column: str) -> pa.Array:
    if not column:
        return pa.array([""] * len(table), pa.string())
    if column not in table.column_names:
        raise BadInput(
            f"The dataset has no column {column!r} to stratify by.{did_you_mean(column, table.column_names)}",
            hint=f"Columns: {', '.join(table.column_names)}.",
        )
    return pa.array([str(value) for value in table[column].to_pylist()], pa.string())
