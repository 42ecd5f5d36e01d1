"""Calibration: from a model's confidence to the probability that it is right, by isotonic regression or one temperature."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fourfold.compute.metrics.calibration import ece
from fourfold.core.errors import BadInput

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Method = Literal["none", "temperature", "isotonic"]

TINY = 1e-6  # calibrated confidence stays this far from 0 and 1: no finite sample shows certainty


@dataclass(frozen=True, slots=True)
class Calibration:
    """A monotone map of confidence. `temperature` divides the log odds; `points` and `values` are the knots of an isotonic
    map, joined by straight lines. Plain JSON through msgspec.
    """

    method: Method = "none"
    temperature: float = 1.0
    points: tuple[float, ...] = ()
    values: tuple[float, ...] = ()

    def apply(self, confidence: Floats) -> Floats:
        """The calibrated confidence, in [0, 1]; in (0, 1) unless the method is `none`."""
        if self.method == "none":
            return np.clip(confidence, 0.0, 1.0)
        if self.method == "temperature":
            return np.clip(_sigmoid(_log_odds(confidence) / self.temperature), TINY, 1 - TINY)
        return np.clip(np.interp(confidence, self.points, self.values), TINY, 1 - TINY)


def fit_temperature(confidence: Floats, correct: Flags) -> Calibration:
    """The temperature of least log loss (Guo et al. 2017, for the confidence of the predicted label)."""
    _check(confidence, correct)
    from scipy.optimize import minimize_scalar  # 0.4 s that serving, which only applies, does not pay

    odds = _log_odds(confidence)

    def loss(log_temperature: float) -> float:
        signed = np.where(correct, odds, -odds) / np.exp(log_temperature)
        return float(np.logaddexp(0.0, -signed).mean())

    found = minimize_scalar(loss, bounds=(-3.0, 3.0), method="bounded")
    return Calibration("temperature", temperature=float(np.exp(found.x)))


def fit_isotonic(confidence: Floats, correct: Flags) -> Calibration:
    """The increasing map of least squares (pool adjacent violators), as straight lines between the means of its blocks.

    A block of n answers is never taken to be surer than 1 of n + 2 (Laplace's rule): three right answers are no certainty.
    """
    _check(confidence, correct)
    order = np.argsort(confidence, kind="stable")
    blocks: list[tuple[float, float, float]] = []  # sum of confidence, of right answers, and count
    points, index = np.unique(confidence[order], return_inverse=True)
    right, count = np.bincount(index, correct[order]), np.bincount(index)
    for block in zip((points * count).tolist(), right.tolist(), count.tolist()):
        blocks.append(block)
        while len(blocks) > 1 and blocks[-2][1] * blocks[-1][2] >= blocks[-1][1] * blocks[-2][2]:
            last = blocks.pop()
            blocks[-1] = tuple(a + b for a, b in zip(blocks[-1], last))  # type: ignore[assignment]
    bounded = [min(max(r / n, 1 / (n + 2)), (n + 1) / (n + 2)) for _, r, n in blocks]
    values = np.maximum.accumulate(bounded).tolist()
    return Calibration("isotonic", points=tuple(c / n for c, _, n in blocks), values=tuple(values))


FITS: dict[Method, Callable[[Floats, Flags], Calibration]] = {
    "none": lambda confidence, correct: Calibration(),
    "temperature": fit_temperature,
    "isotonic": fit_isotonic,
}


@dataclass(frozen=True, slots=True)
class Choice:
    """A calibration fitted on all data, and the expected calibration errors that led to it: of the raw confidence, and of each
    method on folds that it was not fitted on.
    """

    calibration: Calibration
    rows: int
    folds: int
    ece_before: float
    ece_after: float
    ece_by_method: dict[str, float]


def choose_calibration(
    confidence: Floats, correct: Flags, group: NDArray[np.int64], *, folds: int = 5, seed: int = 0
) -> Choice:
    """The method whose expected calibration error over held-out folds is least; groups (documents) are never divided."""
    _check(confidence, correct)
    names = np.unique(group)
    fold = np.random.default_rng(seed).permutation(len(names))[np.searchsorted(names, group)] % folds
    errors: dict[str, float] = {}
    for method, fit in FITS.items():
        held_out = np.empty(len(confidence))
        for k in range(folds):
            test = fold == k
            rest = ~test if (~test).any() else test
            held_out[test] = fit(confidence[rest], correct[rest]).apply(confidence[test])
        errors[method] = float(ece(held_out, correct))
    best: Method = min(FITS, key=lambda method: errors[method])
    return Choice(FITS[best](confidence, correct), len(confidence), folds, errors["none"], errors[best], errors)


def _check(confidence: Floats, correct: Flags) -> None:
    if len(confidence) == 0 or len(confidence) != len(correct):
        raise BadInput(
            f"Calibration needs answers, each with a confidence: {len(confidence)} confidences, {len(correct)} answers."
        )


def _log_odds(confidence: Floats) -> Floats:
    clipped = np.clip(confidence, 1e-12, 1 - 1e-12)
    return np.log(clipped) - np.log1p(-clipped)


def _sigmoid(x: Floats) -> Floats:
    return 0.5 * (1 + np.tanh(0.5 * x))
