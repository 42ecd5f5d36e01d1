"""Counts by document and label, and the precision, recall and F1 that they make, over any leading axes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Figures = dict[str, NDArray[np.float64]]  # name → values: one per total that they were made of


def ratio(part: NDArray[Any], whole: NDArray[Any]) -> NDArray[np.float64]:
    """part / whole, NaN where the whole is 0."""
    return np.divide(part, whole, out=np.full(np.broadcast(part, whole).shape, np.nan), where=np.asarray(whole) != 0)


def sum_by(group: NDArray[np.int64], groups: int, values: NDArray[Any]) -> NDArray[np.float64]:
    """The sum of `values` in each of `groups` groups, (groups,)."""
    return np.bincount(group, weights=values, minlength=groups).astype(np.float64)


def count_labels(document: NDArray[np.int64], label: NDArray[np.int64], documents: int, labels: int) -> NDArray[np.float64]:
    """How often each label stands in each document, (documents, labels)."""
    return np.bincount(document * labels + label, minlength=documents * labels).reshape(documents, labels).astype(np.float64)


def scores(total: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    """Precision, recall, F1 and gold count per label, each (..., L), from totals (..., 3 L): right, predicted, gold.

    A label that is neither gold nor predicted has NaN for all three; one that only one side has, 0.
    """
    right, predicted, gold = np.split(total, 3, axis=-1)
    absent = (predicted + gold) == 0
    precision, recall = (np.where(absent, np.nan, np.nan_to_num(ratio(right, whole))) for whole in (predicted, gold))
    return precision, recall, ratio(2 * right, predicted + gold), gold


def per_label(total: NDArray[np.float64], names: tuple[str, ...], prefix: str = "") -> Figures:
    """`precision/NAME`, `recall/NAME` and `f1/NAME` for each of `names`."""
    return {
        f"{prefix}{kind}/{name}": values[..., index]
        for kind, values in zip(("precision", "recall", "f1"), scores(total))
        for index, name in enumerate(names)
    }


def averages(total: NDArray[np.float64]) -> Figures:
    """Macro, micro and weighted precision, recall and F1."""
    *values, gold = scores(total)
    right, predicted, _ = np.split(total, 3, axis=-1)
    micro = [t.sum(axis=-1, keepdims=True) for t in (right, predicted, gold)]
    micro_values = scores(np.concatenate(micro, axis=-1))
    figures: Figures = {}
    for kind, value, whole in zip(("precision", "recall", "f1"), values, micro_values):
        present = ~np.isnan(value)
        figures[f"macro_{kind}"] = ratio(np.nansum(value, axis=-1), present.sum(axis=-1))
        figures[f"micro_{kind}"] = whole[..., 0]
        figures[f"weighted_{kind}"] = ratio(np.nansum(value * gold, axis=-1), gold.sum(axis=-1))
    return figures
