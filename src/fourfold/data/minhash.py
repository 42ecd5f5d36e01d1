"""MinHash of texts, and clusters of those that are alike."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from rensa import RMinHash  # type: ignore[attr-defined]
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from fourfold.data.units import batches, shingles, units

PERMUTATIONS, BANDS, BAND_ROWS = 128, 21, 6  # 1 - (1 - 0.8^6)^21 = 0.998 of the pairs that are 0.8 alike share a band
ERROR = 0.07  # two standard deviations of the estimate at 0.8: sqrt(0.8 × 0.2 / 128) = 0.035
SEED = 42
FACTOR = np.uint64(0x9E3779B97F4A7C15)
PAIRS = 10_000  # that are compared at once


def keys_of(texts: pa.ChunkedArray, words: int = 3, characters: int = 5) -> pa.Table:
    """`length` of each text in code points (-1 for a text without words), and its MinHash of 512 bytes, `sketch`."""
    sketches: list[np.ndarray] = []
    lengths: list[np.ndarray] = []
    for batch in batches(texts):
        found = units(batch)
        hashes, offsets = shingles(found, words, characters)
        lengths.append(np.where(found.counts > 0, found.characters, -1))
        sketches.append(_sketches(hashes, offsets))
    flat = np.concatenate(sketches) if sketches else np.zeros((0, PERMUTATIONS), np.uint32)
    sketch = pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(4 * PERMUTATIONS), len(flat), [None, pa.py_buffer(np.ascontiguousarray(flat).tobytes())]
    )
    length = pa.array(np.concatenate(lengths) if lengths else np.zeros(0, np.int64), pa.int64())
    return pa.table({"length": length, "sketch": sketch})


class Sketches:
    """The MinHashes of a column that `keys_of` made, where they lie: in memory, or in files that are mapped into it. A band
    at a time is held, and the rows that are compared.
    """

    def __init__(self, column: pa.ChunkedArray) -> None:
        self._chunks = [_chunk(chunk) for chunk in column.chunks]
        self._begins = np.cumsum([0, *map(len, self._chunks)])

    def __len__(self) -> int:
        return int(self._begins[-1])

    def band(self, number: int) -> np.ndarray:
        """One hash per row of the values of a band, of shape (rows,)."""
        columns = slice(number * BAND_ROWS, (number + 1) * BAND_ROWS)
        return np.concatenate([_hashed(chunk[:, columns]) for chunk in self._chunks] or [np.zeros(0, np.uint64)])

    def alike(self, a: np.ndarray, b: np.ndarray, least: float) -> np.ndarray:
        """Whether the share of equal values of each pair of rows is at least `least`."""
        parts = [
            (self._rows(a[i : i + PAIRS]) == self._rows(b[i : i + PAIRS])).mean(axis=1) >= least
            for i in range(0, len(a), PAIRS)
        ]
        return np.concatenate(parts) if parts else np.zeros(0, bool)

    def _rows(self, rows: np.ndarray) -> np.ndarray:
        found = np.empty((len(rows), PERMUTATIONS), np.uint32)
        which = np.searchsorted(self._begins, rows, "right") - 1
        for number in np.unique(which):
            here = which == number
            found[here] = self._chunks[number][rows[here] - self._begins[number]]
        return found


def clusters(sketches: Sketches, rows: np.ndarray, least: float) -> np.ndarray:
    """The cluster of each row, as a number; `rows` are those that take part, `least` the estimate from which a pair counts."""
    left, right = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for number in range(BANDS):
        band = sketches.band(number)[rows]
        order = np.argsort(band, kind="stable")  # equal rows stay in order
        band = band[order]
        begins = np.ones(len(order), bool)
        begins[1:] = band[1:] != band[:-1]
        first = order[np.flatnonzero(begins)[np.cumsum(begins) - 1]] if len(order) else order
        next_one = np.flatnonzero(~begins)  # each with the first of its group, and with its neighbour
        with_first, with_next = np.stack([first[next_one], order[next_one]]), np.stack([order[next_one - 1], order[next_one]])
        pairs = np.unique(np.concatenate([with_first, with_next], axis=1), axis=1)
        a, b = rows[pairs[0]], rows[pairs[1]]
        good = sketches.alike(a, b, least)
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


def _hashed(values: np.ndarray) -> np.ndarray:
    """A hash of each row; two rows with one hash are compared in full before they count."""
    found = np.zeros(len(values), np.uint64)
    for column in values.T:
        found = (found ^ column) * FACTOR
        found ^= found >> np.uint64(29)
    return found


def _sketches(hashes: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    rows = RMinHash.digest_matrix_from_flat_token_hashes(hashes, offsets.astype(np.uint64), PERMUTATIONS, SEED).to_rows()
    return np.array(rows, np.uint32).reshape(len(offsets) - 1, PERMUTATIONS)


def _chunk(chunk: pa.Array) -> np.ndarray:
    data = np.frombuffer(chunk.buffers()[1], np.uint32)
    return data[chunk.offset * PERMUTATIONS : (chunk.offset + len(chunk)) * PERMUTATIONS].reshape(-1, PERMUTATIONS)
