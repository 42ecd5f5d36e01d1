"""Whether confidence can be believed: expected calibration error, Brier score, reliability bins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from fourfold.compute.counting import Figures, ratio, sum_by
from fourfold.compute.metrics import Labelled, Measured

BINS = 15


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Positions whose confidence is in (low, high]: how many, their mean confidence, and the share that is right.

    The first bin also holds confidence 0. The means are None in an empty bin.
    """

    low: float
    high: float
    count: int
    confidence: float | None
    accuracy: float | None


@dataclass(frozen=True, slots=True)
class ExpectedCalibrationError:
    """`ece`: the mean gap between confidence and accuracy over `bins` equal-width bins, each weighed by its size.

    Guo et al. 2017, "On Calibration of Modern Neural Networks", eq. 3; the confidence is that of the predicted label.
    """

    bins: int = BINS
    reads: ClassVar[type] = Labelled

    def __call__(self, predictions: Labelled, /) -> Measured:
        documents = len(predictions.doc_ids)
        cell = predictions.document * self.bins + bin_of(predictions.confidence, self.bins)
        sums = [
            sum_by(cell, documents * self.bins, values).reshape(documents, self.bins)
            for values in (predictions.correct, predictions.confidence, np.ones(len(cell)))
        ]

        def of_total(total: NDArray[np.float64]) -> Figures:
            right, confidence, count = np.split(total, 3, axis=-1)
            return {"ece": ratio(np.abs(right - confidence).sum(axis=-1), count.sum(axis=-1))}

        return Measured(np.concatenate(sums, axis=1), of_total)


@dataclass(frozen=True, slots=True)
class Brier:
    """`brier`: the mean squared gap between the predicted label's confidence and 1 where it is right, else 0 (Brier 1950)."""

    reads: ClassVar[type] = Labelled

    def __call__(self, predictions: Labelled, /) -> Measured:
        gap = (predictions.confidence - predictions.correct) ** 2
        sums = [sum_by(predictions.document, len(predictions.doc_ids), gap), np.diff(predictions.bounds)]
        return Measured(np.column_stack(sums), lambda total: {"brier": ratio(total[..., 0], total[..., 1])})


def bin_of(confidence: NDArray[np.float64], bins: int) -> NDArray[np.int64]:
    """The bin of each confidence: bin m holds (m / bins, (m + 1) / bins], the first one also 0."""
    return np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)


def reliability(confidence: NDArray[np.float64], correct: NDArray[np.bool_], bins: int = BINS) -> list[ReliabilityBin]:
    """The bins of a reliability diagram, from low confidence to high."""
    index = bin_of(confidence, bins)
    counts, right, believed = (sum_by(index, bins, v).tolist() for v in (np.ones(len(index)), correct, confidence))
    return [
        ReliabilityBin(m / bins, (m + 1) / bins, int(n), believed[m] / n if n else None, right[m] / n if n else None)
        for m, n in enumerate(counts)
    ]


def ece(confidence: NDArray[np.float64], correct: NDArray[np.bool_], bins: int = BINS) -> float:
    """The expected calibration error of confidences, all positions counted alike; NaN if there is none."""
    gap = np.asarray(correct, np.float64) - confidence
    total = np.abs(sum_by(bin_of(confidence, bins), bins, gap)).sum()
    return float(total / len(gap)) if len(gap) else float("nan")
