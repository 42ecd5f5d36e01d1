"""A value predicted from the rest of the row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from fourfold.core.errors import BadSpec
from fourfold.data.fitting import BUCKETS, Column, as_type, known, scalar

MOST_CLASSES = 200
DIGITS = 6  # significant ones that are kept of each weight


@dataclass(frozen=True, slots=True)
class Model:
    """A value predicted from the row's words and other fields, as a small model has learnt from the rows of the split train
    that have one: ridge regression for numbers (kept within those seen), naive Bayes for texts and yes or no.

    What it learnt is numbers per hashed word (1,024 of them), kept in the version; it holds no text.
    """

    smoothing: float = 1.0  # of naive Bayes; of the regression, the penalty

    def __post_init__(self) -> None:
        if self.smoothing <= 0:
            raise BadSpec(f"smoothing is above 0, not {self.smoothing}.")

    @property
    def reads_row(self) -> bool:
        """It looks at the rest of the row."""
        return True

    def fit(self, column: Column, /) -> Any:
        """The weights. Raises BadInput if no value is known."""
        values = known(scalar(column))
        rows = [i for i, (value, train) in enumerate(zip(column.values, column.train)) if train and value is not None]
        features = [column.features[i] for i in rows]
        if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
            return self._regression(np.array(values, np.float64), features)
        return self._bayes(values, features)

    def fill(self, column: Column, fitted: Any, /) -> list[Any]:
        """The values, and a predicted one for each that is missing."""
        missing = [i for i, value in enumerate(column.values) if value is None]
        features = [column.features[i] for i in missing]
        guesses = _numbers(fitted, features) if "weights" in fitted else _classes(fitted, features)
        filled = list(column.values)
        for i, guess in zip(missing, guesses):
            filled[i] = as_type(guess, column.type)
        return filled

    def _regression(self, values: np.ndarray, features: Sequence[Sequence[int]]) -> dict[str, Any]:
        """Ridge regression with a bias: (XᵀX + λI)w = Xᵀ(y − ȳ). X is made in parts: it would not fit memory as a whole."""
        mean = float(values.mean())
        gram, moment = np.eye(BUCKETS) * self.smoothing, np.zeros(BUCKETS)
        for start in range(0, len(features), 1000):
            x = matrix(features[start : start + 1000])
            gram += x.T @ x
            moment += x.T @ (values[start : start + 1000] - mean)
        weights = np.linalg.solve(gram, moment)
        bounds = [float(values.min()), float(values.max())]
        return {"weights": _short(weights), "mean": mean, "bounds": bounds}

    def _bayes(self, values: Sequence[Any], features: Sequence[Sequence[int]]) -> dict[str, Any]:
        classes = [value for value, _ in Counter(values).most_common(MOST_CLASSES)]
        counts = np.full((len(classes), BUCKETS), self.smoothing)
        number = {value: i for i, value in enumerate(classes)}
        seen = np.zeros(len(classes))
        for value, one in zip(values, features):
            if value in number:
                seen[number[value]] += 1
                np.add.at(counts[number[value]], np.asarray(one, np.int64), 1.0)
        likely = np.log(counts / counts.sum(axis=1, keepdims=True))
        return {"classes": classes, "prior": _short(np.log(seen / seen.sum())), "likely": [_short(row) for row in likely]}


def matrix(features: Sequence[Sequence[int]]) -> np.ndarray:
    """Rows of shape (len, BUCKETS): each row's hashed features, of length 1."""
    x = np.zeros((len(features), BUCKETS))
    for row, one in zip(x, features):
        np.add.at(row, np.asarray(one, np.int64), 1.0)
        norm = np.linalg.norm(row)
        row /= norm or 1.0
    return x


def _numbers(fitted: Any, features: Sequence[Sequence[int]]) -> list[float]:
    low, high = fitted["bounds"]
    return [] if not features else np.clip(matrix(features) @ np.array(fitted["weights"]) + fitted["mean"], low, high).tolist()


def _classes(fitted: Any, features: Sequence[Sequence[int]]) -> list[Any]:
    prior, likely = np.array(fitted["prior"]), np.array(fitted["likely"])
    return [fitted["classes"][int(np.argmax(prior + likely[:, np.asarray(one, np.int64)].sum(axis=1)))] for one in features]


def _short(values: np.ndarray) -> list[float]:
    return [float(f"{value:.{DIGITS}g}") for value in values.tolist()]
