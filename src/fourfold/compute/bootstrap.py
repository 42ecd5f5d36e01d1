"""Confidence intervals by the bootstrap over documents (Efron & Tibshirani 1993, percentile intervals)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fourfold.compute.metrics import Measured

BLOCK_WEIGHTS = 4_000_000  # weights of one block of resamples: 32 MB, however many documents there are


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure over all documents and the bounds between which it lies at the stated level; None where undefined."""

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """Draw `resamples` times as many documents as there are, with replacement, and take the middle `level` of the figures.

    A figure that is undefined in a resample (a label that was not drawn) leaves that resample out of its own interval.
    """

    resamples: int = 1000
    level: float = 0.95
    seed: int = 0

    def __call__(self, measured: Measured, of: NDArray[np.bool_] | None = None, /) -> dict[str, Interval]:
        """An interval for each figure, over the documents `of` (booleans, (D,)) or all."""
        sums = measured.sums if of is None else measured.sums[of]
        whole = measured.of_total(sums.sum(axis=0))
        documents = len(sums)
        if documents == 0 or self.resamples == 0:
            return {name: Interval(finite(value), None, None) for name, value in whole.items()}
        random = np.random.default_rng(self.seed)
        totals = np.concatenate([weights @ sums for weights in self.weights(documents, random)])
        low, high = (1 - self.level) / 2, (1 + self.level) / 2
        return {
            name: Interval(finite(whole[name]), *bounds(values, low, high))
            for name, values in measured.of_total(totals).items()
        }

    def weights(self, documents: int, random: np.random.Generator):
        """How often each document was drawn, in blocks of shape (resamples of the block, documents)."""
        block = max(1, BLOCK_WEIGHTS // documents)
        for first in range(0, self.resamples, block):
            size = min(block, self.resamples - first)
            drawn = random.integers(0, documents, (size, documents)) + np.arange(size)[:, None] * documents
            yield np.bincount(drawn.ravel(), minlength=size * documents).reshape(size, documents).astype(np.float64)


def bounds(values: NDArray[np.float64], low: float, high: float) -> tuple[float | None, float | None]:
    """The two quantiles of those values that are numbers."""
    values = values[np.isfinite(values)]
    if len(values) == 0:
        return None, None
    first, last = np.quantile(values, (low, high))
    return float(first), float(last)


def finite(value: float | NDArray[np.float64]) -> float | None:
    """The value as a plain float, None if it is NaN or infinite (JSON has neither)."""
    number = float(value)
    return number if math.isfinite(number) else None
