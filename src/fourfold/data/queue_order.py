"""In which order documents are worth a person's time: those first of which a model is least sure, spread over what there is.

Least confidence is Lewis & Gale 1994. `diverse` walks through the least sure in stretches, and within a stretch takes next what
is least sure and least like everything that was taken before it (farthest first: Sener & Savarese 2018), so that the first
twenty are not twenty copies of one difficulty.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fourfold.data.units import units

DIMENSIONS = 512
STRETCH = 400
MOST_SPREAD = 10_000  # documents that are spread; those behind them follow as they are unsure
Floats = NDArray[np.float64]


def least_confident(confidences: Sequence[float | None]) -> list[int]:
    """Places by rising confidence; equal ones, and those without any at the end, as they stand."""
    return sorted(range(len(confidences)), key=lambda i: (confidences[i] is None, confidences[i] or 0.0))


def diverse(confidences: Sequence[float | None], texts: Sequence[str], taken: Sequence[str] = ()) -> list[int]:
    """Places by how unsure the model is times how far the text is from all that come before it; `taken` were there first."""
    order = least_confident(confidences)
    first, rest = order[:MOST_SPREAD], order[MOST_SPREAD:]
    vectors = vectors_of([*(texts[i] for i in first), *taken[:MOST_SPREAD]])
    mine, before = vectors[: len(first)], vectors[len(first) :]
    given = [confidences[i] for i in first]
    doubt = np.array([1.0 - (0.5 if c is None else c) for c in given])
    found: list[int] = []
    for start in range(0, len(first), STRETCH):
        stretch = np.arange(start, min(start + STRETCH, len(first)))
        found += _spread(stretch, mine, doubt, before)
        before = mine[stretch]
    return [first[i] for i in found] + rest


def vectors_of(texts: Sequence[str]) -> Floats:
    """Unit vectors of shape (texts, DIMENSIONS): hashed words (of Chinese: characters), of which rare ones weigh more."""
    found = units(list(texts))
    flat = found.rows() * DIMENSIONS + (found.hashes % np.uint64(DIMENSIONS)).astype(np.int64)
    counts = np.bincount(flat, minlength=len(texts) * DIMENSIONS).reshape(len(texts), DIMENSIONS).astype(np.float64)
    weight = np.log((1 + len(texts)) / (1 + (counts > 0).sum(axis=0))) + 1
    vectors = np.log1p(counts) * weight
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1)


def _spread(stretch: NDArray[np.int64], vectors: Floats, doubt: Floats, before: Floats) -> list[int]:
    mine, score = vectors[stretch], doubt[stretch] + 1e-9  # what is sure is still ordered by distance
    nearest = np.clip((mine @ before.T).max(axis=1), 0, 1) if len(before) else np.zeros(len(stretch))
    left = np.ones(len(stretch), np.bool_)
    found: list[int] = []
    while left.any():
        gain = np.where(left, score * (1 - nearest), -1.0)
        best = int(gain.argmax())  # of equal ones the least sure, which stands first
        left[best] = False
        found.append(int(stretch[best]))
        nearest = np.maximum(nearest, np.clip(mine @ mine[best], 0, 1))
    return found
