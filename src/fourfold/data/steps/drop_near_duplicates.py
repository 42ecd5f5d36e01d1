"""Drop documents that are nearly the same as another, found by MinHash."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from rensa import RMinHash  # type: ignore[attr-defined]
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from fourfold.core.errors import BadSpec
from fourfold.data.steps import mark
from fourfold.data.units import batches, shingles, units

PERMUTATIONS, BANDS, BAND_ROWS = 128, 21, 6  # 1 - (1 - 0.8^6)^21 = 0.998 of the pairs that are 0.8 alike share a band
ERROR = 0.07  # two standard deviations of the estimate at 0.8: sqrt(0.8 × 0.2 / 128) = 0.035
SEED = 42


@dataclass(frozen=True, slots=True)
class DropNearDuplicates:
    """Of documents that are alike one stays: the longest, of equally long ones the earliest. The others go under
    "near_duplicate", and the detail of each names the one that stays.

    Two are alike if the Jaccard index of their shingles is about `similarity` or more: runs of `words` words, in Chinese
    texts of `characters` characters. Pairs come from MinHash with 21 bands of 6 (Broder 1997; Leskovec et al.), and
    count once the estimate from all 128 values says so. What is alike to a document of a cluster belongs to the cluster.
    """

    similarity: float = 0.8
    words: int = 3
    characters: int = 5

    def __post_init__(self) -> None:
        if not 0.5 <= self.similarity <= 1:
            raise BadSpec(f"similarity is between 0.5 and 1, not {self.similarity}.")
        if not 1 <= self.words <= 20 or not 1 <= self.characters <= 20:
            raise BadSpec(f"words and characters are between 1 and 20, not {self.words} and {self.characters}.")

    def keys(self, table: pa.Table, /) -> pa.Table:
        """`doc_id`, the length of the text in code points, and its MinHash of 512 bytes (null for a text without words)."""
        sketches: list[np.ndarray] = []
        lengths: list[np.ndarray] = []
        for texts in batches(table["text"]):
            found = units(texts)
            hashes, offsets = shingles(found, self.words, self.characters)
            lengths.append(np.where(found.counts > 0, found.characters, -1))
            sketches.append(_sketches(hashes, offsets))
        flat = np.concatenate(sketches) if sketches else np.zeros((0, PERMUTATIONS), np.uint32)
        sketch = pa.FixedSizeBinaryArray.from_buffers(
            pa.binary(4 * PERMUTATIONS), len(flat), [None, pa.py_buffer(np.ascontiguousarray(flat).tobytes())]
        )
        length = pa.array(np.concatenate(lengths) if lengths else np.zeros(0, np.int64), pa.int64())
        return pa.table({"doc_id": table["doc_id"], "length": length, "sketch": sketch})

    def __call__(self, table: pa.Table, /) -> pa.Table:
        keys = table if "sketch" in table.column_names else self.keys(table)
        lengths = keys["length"].to_numpy()
        sketches = np.concatenate(
            [_matrix(chunk) for chunk in keys["sketch"].chunks] or [np.zeros((0, PERMUTATIONS), np.uint32)]
        )
        kept = best_of(clusters(sketches, np.flatnonzero(lengths >= 0), self.similarity - ERROR), lengths)
        return mark(keys, pa.array(kept != np.arange(len(kept))), "near_duplicate", keys["doc_id"].take(pa.array(kept)))


def clusters(sketches: np.ndarray, rows: np.ndarray, least: float) -> np.ndarray:
    """The cluster of each row, as a number; `rows` are those that take part, `least` the estimate from which a pair counts."""
    left, right = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for band in range(BANDS):
        part = np.ascontiguousarray(sketches[rows, band * BAND_ROWS : (band + 1) * BAND_ROWS])
        order = np.lexsort(part.T[::-1])  # stable: equal rows stay in order
        begins = np.ones(len(order), bool)
        begins[1:] = (part[order[1:]] != part[order[:-1]]).any(axis=1)
        first = order[np.flatnonzero(begins)[np.cumsum(begins) - 1]] if len(order) else order
        for a, b in ((first, order), (order[:-1], order[1:])):  # with the first of its group, and with its neighbour
            same = (part[a] == part[b]).all(axis=1) & (a != b)
            a, b = rows[a[same]], rows[b[same]]
            good = _alike(sketches, a, b, least)
            left.append(a[good])
            right.append(b[good])
    a, b = np.concatenate(left), np.concatenate(right)
    graph = coo_array((np.ones(len(a), np.int8), (a, b)), shape=(len(sketches), len(sketches)))
    return connected_components(graph, directed=False)[1]


def best_of(which: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """For each row the row of its cluster that stays: the longest, then the earliest."""
    order = np.lexsort((np.arange(len(which)), -lengths, which))
    begins = np.ones(len(order), bool)
    begins[1:] = which[order[1:]] != which[order[:-1]]
    best = np.zeros(int(which.max()) + 1 if len(which) else 0, np.int64)
    best[which[order[begins]]] = order[begins]
    return best[which]


def _alike(sketches: np.ndarray, a: np.ndarray, b: np.ndarray, least: float) -> np.ndarray:
    parts = [
        (sketches[a[i : i + 10_000]] == sketches[b[i : i + 10_000]]).mean(axis=1) >= least for i in range(0, len(a), 10_000)
    ]
    return np.concatenate(parts) if parts else np.zeros(0, bool)


def _sketches(hashes: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    rows = RMinHash.digest_matrix_from_flat_token_hashes(hashes, offsets.astype(np.uint64), PERMUTATIONS, SEED).to_rows()
    return np.array(rows, np.uint32).reshape(len(offsets) - 1, PERMUTATIONS)


def _matrix(chunk: pa.Array) -> np.ndarray:
    data = np.frombuffer(chunk.buffers()[1], np.uint32)
    return data[chunk.offset * PERMUTATIONS : (chunk.offset + len(chunk)) * PERMUTATIONS].reshape(-1, PERMUTATIONS)
