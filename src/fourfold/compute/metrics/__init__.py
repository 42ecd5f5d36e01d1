"""The door of metrics: what one is, what it reads, and the table of their names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from fourfold.compute.counting import Figures
from fourfold.core.registry import Table


@dataclass(frozen=True)
class Labelled:
    """A gold and a predicted label for each position of N, in D documents: a sentence of words is one document.

    `gold` and `predicted` are indexes into `labels`; document d holds the positions bounds[d]:bounds[d + 1]; `confidence` is
    the model's probability, in [0, 1], that its label is right.
    """

    doc_ids: tuple[str, ...]
    bounds: NDArray[np.int64]  # (D + 1,)
    labels: tuple[str, ...]
    gold: NDArray[np.int64]  # (N,)
    predicted: NDArray[np.int64]  # (N,)
    confidence: NDArray[np.float64]  # (N,)

    @cached_property
    def correct(self) -> NDArray[np.bool_]:
        """Where the predicted label is the gold one, (N,)."""
        return self.gold == self.predicted

    @cached_property
    def document(self) -> NDArray[np.int64]:
        """The document of each position, (N,)."""
        return np.repeat(np.arange(len(self.doc_ids)), np.diff(self.bounds))


@dataclass(frozen=True)
class Spans:
    """Labelled stretches [start, end), sorted by document and start; units of start and end are the reader's own."""

    document: NDArray[np.int64]
    start: NDArray[np.int64]
    end: NDArray[np.int64]
    label: NDArray[np.int64]


@dataclass(frozen=True)
class Segmented:
    """Words that a model found in raw texts, beside the gold ones; offsets are code points of the text."""

    doc_ids: tuple[str, ...]
    labels: tuple[str, ...]
    gold: Spans
    predicted: Spans


@dataclass(frozen=True)
class Likelihoods:
    """What a language model gave to D texts: sums per text. Each sentence's end `</s>` counts as a token."""

    doc_ids: tuple[str, ...]
    log10: NDArray[np.float64]  # (D,) log10 probability of the text
    tokens: NDArray[np.int64]  # (D,) at least 1
    unknown: NDArray[np.int64]  # (D,) tokens that are out of vocabulary
    log10_unknown: NDArray[np.float64]  # (D,) their part of log10
    characters: NDArray[np.int64]  # (D,)


Predictions = Labelled | Segmented | Likelihoods


@dataclass(frozen=True, slots=True)
class Measured:
    """What a metric makes of predictions: sums per document, and the figures that follow from their total.

    `sums` has shape (D, K); `of_total` takes totals of shape (..., K) and gives figures of shape (...), NaN where undefined.
    So a slice is a sum over some documents, and a bootstrap resample one over documents drawn with replacement.
    """

    sums: NDArray[np.float64]
    of_total: Callable[[NDArray[np.float64]], Figures]

    def figures(self) -> Figures:
        """The figures over all documents."""
        return self.of_total(self.sums.sum(axis=0))

    def __getitem__(self, name: str) -> float:
        """One figure over all documents."""
        return float(self.figures()[name])


class Metric(Protocol):
    """A frozen dataclass: fields are settings, `reads` is the kind of predictions it takes, calling measures them."""

    reads: ClassVar[type[Any]]

    def __call__(self, predictions: Any, /) -> Measured: ...


METRICS = Table(
    "metric",
    {
        "accuracy": "fourfold.compute.metrics.classification:Accuracy",
        "f1": "fourfold.compute.metrics.classification:F1",
        "span_f1": "fourfold.compute.metrics.spans:SpanF1",
        "segmentation_f1": "fourfold.compute.metrics.spans:SegmentationF1",
        "word_tag_f1": "fourfold.compute.metrics.spans:WordTagF1",
        "ece": "fourfold.compute.metrics.calibration:ExpectedCalibrationError",
        "brier": "fourfold.compute.metrics.calibration:Brier",
        "perplexity": "fourfold.compute.metrics.language_model:Perplexity",
    },
)
