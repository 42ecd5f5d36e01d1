"""Precision, recall and F1 of spans: entities in BIO form, and words found in raw text.

A span counts as found only if start, end and label are all right (Tjong Kim Sang & De Meulder 2003).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from fourfold.compute.counting import Figures, averages, count_labels, per_label
from fourfold.compute.metrics import Labelled, Measured, Segmented, Spans

OUTSIDE = "O"
PREFIXES = "BIES"  # begin, inside, end, single


def is_bio(labels: Sequence[str]) -> bool:
    """Whether labels are in BIO form (or IOBES): `O`, or one of B- I- E- S- and a type, and not `O` alone."""
    return any(name != OUTSIDE for name in labels) and all(
        name == OUTSIDE or (name[:1] in PREFIXES and name[1:2] == "-" and len(name) > 2) for name in labels
    )


def spans_of(label: NDArray[np.int64], labels: Sequence[str], bounds: NDArray[np.int64]) -> tuple[Spans, tuple[str, ...]]:
    """The spans that BIO (or IOBES) labels spell, as conlleval and seqeval's default mode read them, and their types' names.

    A span begins at B- or S-, and also at I- or E- where none of its type is open; it ends before the next beginning, O or
    the document's end. Start and end are positions among all N. `labels` must be in BIO form.
    """
    types = sorted({name[2:] for name in labels if name != OUTSIDE})
    prefix = np.array([ord(name[0]) for name in labels])[label]
    kind = np.array([-1 if name == OUTSIDE else types.index(name[2:]) for name in labels])[label]
    inside = kind >= 0
    begins = inside & ((prefix == ord("B")) | (prefix == ord("S")))
    begins[1:] |= inside[1:] & ((kind[1:] != kind[:-1]) | (prefix[:-1] == ord("E")) | (prefix[:-1] == ord("S")))
    first = bounds[:-1][np.diff(bounds) > 0]
    begins[first] = inside[first]
    start = np.flatnonzero(begins)
    inside_end = np.flatnonzero(inside & np.append(begins[1:] | ~inside[1:], True))  # last position of each span
    document = np.searchsorted(bounds, start, side="right") - 1
    return Spans(document, start, inside_end + 1, kind[start]), tuple(types)


def found(gold: Spans, predicted: Spans) -> NDArray[np.bool_]:
    """Which predicted spans are among the gold ones: same document, start, end and label."""
    keys = np.concatenate([_rows(gold), _rows(predicted)])
    _, identity = np.unique(keys, axis=0, return_inverse=True)
    return np.isin(identity[len(gold.start) :], identity[: len(gold.start)])


def _rows(spans: Spans) -> NDArray[np.int64]:
    return np.column_stack([spans.document, spans.start, spans.end, spans.label])


def _measured(gold: Spans, predicted: Spans, documents: int, names: tuple[str, ...], prefix: str, detail: bool) -> Measured:
    """Counts of right, predicted and gold spans per document and label; figures `PREFIX_precision` and so on."""
    right = found(gold, predicted)
    sums = [
        count_labels(predicted.document[right], predicted.label[right], documents, len(names)),
        count_labels(predicted.document, predicted.label, documents, len(names)),
        count_labels(gold.document, gold.label, documents, len(names)),
    ]

    def of_total(total: NDArray[np.float64]) -> Figures:
        mean = averages(total)
        figures = {f"{prefix}_{kind}": mean[f"micro_{kind}"] for kind in ("precision", "recall", "f1")}
        if not detail:
            return figures
        return {**figures, f"{prefix}_macro_f1": mean["macro_f1"], **per_label(total, names, f"{prefix}_")}

    return Measured(np.concatenate(sums, axis=1), of_total)


@dataclass(frozen=True, slots=True)
class SpanF1:
    """`span_precision`, `span_recall`, `span_f1` over all entities, `span_macro_f1` over types, and each per type.

    For labels in BIO or IOBES form, by the rules of conlleval and seqeval (default mode); others have no such figures. Spans
    never cross documents.
    """

    reads: ClassVar[type] = Labelled

    def __call__(self, predictions: Labelled, /) -> Measured:
        if not is_bio(predictions.labels):
            return Measured(np.zeros((len(predictions.doc_ids), 0)), lambda total: {})
        gold, types = spans_of(predictions.gold, predictions.labels, predictions.bounds)
        predicted, _ = spans_of(predictions.predicted, predictions.labels, predictions.bounds)
        return _measured(gold, predicted, len(predictions.doc_ids), types, "span", detail=True)


@dataclass(frozen=True, slots=True)
class SegmentationF1:
    """`segmentation_precision`, `_recall`, `_f1`: words whose both borders are right, as the SIGHAN bakeoffs count them."""

    reads: ClassVar[type] = Segmented

    def __call__(self, predictions: Segmented, /) -> Measured:
        gold, predicted = (
            Spans(s.document, s.start, s.end, np.zeros_like(s.label)) for s in (predictions.gold, predictions.predicted)
        )
        return _measured(gold, predicted, len(predictions.doc_ids), ("word",), "segmentation", detail=False)


@dataclass(frozen=True, slots=True)
class WordTagF1:
    """`word_tag_precision`, `_recall`, `_f1`: words whose borders and label are right, from raw text to labels."""

    reads: ClassVar[type] = Segmented

    def __call__(self, predictions: Segmented, /) -> Measured:
        documents = len(predictions.doc_ids)
        return _measured(predictions.gold, predictions.predicted, documents, predictions.labels, "word_tag", detail=False)
