"""Accuracy, and precision, recall and F1 per label and on average."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from fourfold.compute.counting import averages, count_labels, per_label, ratio, sum_by
from fourfold.compute.metrics import Labelled, Measured


@dataclass(frozen=True, slots=True)
class Accuracy:
    """`accuracy`: the share of positions whose predicted label is the gold one."""

    reads: ClassVar[type] = Labelled

    def __call__(self, predictions: Labelled, /) -> Measured:
        right = sum_by(predictions.document, len(predictions.doc_ids), predictions.correct)
        return Measured(
            np.column_stack([right, np.diff(predictions.bounds)]),
            lambda total: {"accuracy": ratio(total[..., 0], total[..., 1])},
        )


@dataclass(frozen=True, slots=True)
class F1:
    """`precision/LABEL`, `recall/LABEL`, `f1/LABEL`, and their `macro_`, `micro_` and `weighted_` averages.

    Macro averages over the labels that occur in the gold or the predicted labels; weighted, by how often a label is gold. A
    label that is never predicted has precision 0. With one label per position the micro averages all equal accuracy.
    """

    reads: ClassVar[type] = Labelled

    def __call__(self, predictions: Labelled, /) -> Measured:
        names, documents = predictions.labels, len(predictions.doc_ids)
        right = predictions.correct
        counts = [
            count_labels(predictions.document[right], predictions.gold[right], documents, len(names)),
            count_labels(predictions.document, predictions.predicted, documents, len(names)),
            count_labels(predictions.document, predictions.gold, documents, len(names)),
        ]
        return Measured(
            np.concatenate(counts, axis=1),
            lambda total: {**per_label(total, names), **averages(total)},
        )


def confusion(predictions: Labelled) -> NDArray[np.int64]:
    """How often gold label g was predicted as p, (L, L) with gold in rows."""
    size = len(predictions.labels)
    return np.bincount(predictions.gold * size + predictions.predicted, minlength=size * size).reshape(size, size)
