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


def matrix_of(sketches: pa.ChunkedArray) -> np.ndarray:
    """The MinHashes of a column that `keys_of` made, of shape (rows, PERMUTATIONS)."""
    return np.concatenate([_chunk(chunk) for chunk in sketches.chunks] or [np.zeros((0, PERMUTATIONS), np.uint32)])


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


def _chunk(chunk: pa.Array) -> np.ndarray:
    data = np.frombuffer(chunk.buffers()[1], np.uint32)
    return data[chunk.offset * PERMUTATIONS : (chunk.offset + len(chunk)) * PERMUTATIONS].reshape(-1, PERMUTATIONS)
