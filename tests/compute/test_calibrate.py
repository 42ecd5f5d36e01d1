"""Calibration: blocks worked out by hand, known temperatures found again, and the choice on held-out folds."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fourfold.compute.calibrate import Calibration, choose_calibration, fit_isotonic, fit_temperature
from fourfold.core.errors import BadInput


def overconfident(count: int, temperature: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Confidence whose log odds are `temperature` times too large, and answers drawn with the true probability."""
    random = np.random.default_rng(seed)
    odds = random.normal(2.0, 1.5, count)
    true = 1 / (1 + np.exp(-odds))
    return 1 / (1 + np.exp(-temperature * odds)), random.random(count) < true


def test_isotonic_pools_what_falls() -> None:
    # by hand: 0.2 → 0, then (0.4 → 1, 0.6 → 0) pooled to 0.5 at 0.5, then 0.8 → 1; one answer alone is bounded by 1/3 and 2/3
    fitted = fit_isotonic(np.array([0.6, 0.2, 0.8, 0.4]), np.array([False, False, True, True]))
    assert fitted.points == pytest.approx((0.2, 0.5, 0.8))
    assert fitted.values == pytest.approx((1 / 3, 1 / 2, 2 / 3))
    assert fitted.apply(np.array([0.5, 0.65, 0.1, 0.9])) == pytest.approx([1 / 2, 7 / 12, 1 / 3, 2 / 3])


def test_isotonic_stays_increasing_where_the_bounds_are_not() -> None:
    # by hand: ten answers right of ten at 0.5 (bound 11/12), one right at 0.9 (bound 2/3): equal shares are pooled, 12/13
    fitted = fit_isotonic(np.array([0.5] * 10 + [0.9]), np.ones(11, np.bool_))
    assert fitted.values == pytest.approx((12 / 13,))
    # nineteen of twenty right, then one of one: 0.95 and a bound of 2/3
    fitted = fit_isotonic(np.array([0.5] * 20 + [0.9]), np.array([False] + [True] * 20))
    assert fitted.values == pytest.approx((0.95, 0.95))


def test_isotonic_counts_equal_confidence_as_one_point() -> None:
    fitted = fit_isotonic(np.array([0.5, 0.5, 0.5, 0.9]), np.array([True, False, False, True]))
    assert fitted.points == pytest.approx((0.5, 0.9))
    assert fitted.values == pytest.approx((1 / 3, 2 / 3))


def test_temperature_is_found_again() -> None:
    confidence, correct = overconfident(40_000, 2.0)
    assert fit_temperature(confidence, correct).temperature == pytest.approx(2.0, rel=0.05)


def test_the_choice_is_better_on_folds_it_has_not_seen() -> None:
    confidence, correct = overconfident(20_000, 2.5)
    choice = choose_calibration(confidence, correct, np.arange(20_000) // 10)
    assert choice.ece_before > 0.04
    assert choice.ece_after < 0.01
    assert choice.ece_after == min(choice.ece_by_method.values())
    assert choice.calibration.method != "none"


def test_what_is_calibrated_already_stays() -> None:
    confidence = np.full(1000, 0.75)
    choice = choose_calibration(confidence, np.arange(1000) % 4 > 0, np.arange(1000) // 4)
    assert choice.ece_before == pytest.approx(0.0)
    assert choice.calibration == Calibration()


def test_one_group_is_enough_to_fit() -> None:
    choice = choose_calibration(np.array([0.5, 0.6]), np.array([True, False]), np.zeros(2, np.int64))
    assert choice.rows == 2


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60))
def test_every_map_is_increasing_and_inside(pairs: list[tuple[float, bool]]) -> None:
    confidence, correct = np.array([c for c, _ in pairs]), np.array([k for _, k in pairs])
    grid = np.linspace(0, 1, 51)
    for fit in (fit_isotonic, fit_temperature):
        mapped = fit(confidence, correct).apply(grid)
        assert (np.diff(mapped) >= -1e-12).all()
        assert ((mapped > 0) & (mapped < 1)).all()


def test_it_goes_through_json() -> None:
    fitted = fit_isotonic(np.array([0.1, 0.9]), np.array([False, True]))
    assert msgspec.json.decode(msgspec.json.encode(fitted), type=Calibration) == fitted


def test_nothing_to_fit_is_refused() -> None:
    with pytest.raises(BadInput, match="needs answers"):
        fit_isotonic(np.zeros(0), np.zeros(0, np.bool_))
