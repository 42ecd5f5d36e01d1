"""Bootstrap intervals."""

from __future__ import annotations

import numpy as np
import pytest

from fourfold.compute import bootstrap
from fourfold.compute.bootstrap import Bootstrap, Interval
from fourfold.compute.counting import ratio
from fourfold.compute.metrics import Measured

RANDOM = np.random.default_rng(3)
RIGHT = RANDOM.binomial(20, 0.9, 400)


def share(sums: np.ndarray) -> Measured:
    return Measured(sums, lambda total: {"share": ratio(total[..., 0], total[..., 1])})


TWENTIES = share(np.column_stack([RIGHT, np.full(400, 20)]).astype(float))


def test_the_interval_is_that_of_the_normal_approximation():
    """400 documents of 20 independent positions: standard error of the mean of document shares."""
    interval = Bootstrap()(TWENTIES)["share"]
    error = RIGHT.std(ddof=1) / 20 / np.sqrt(400)
    assert interval.value == pytest.approx(RIGHT.sum() / 8000)
    assert interval.low == pytest.approx(interval.value - 1.96 * error, abs=0.15 * error)
    assert interval.high == pytest.approx(interval.value + 1.96 * error, abs=0.15 * error)


def test_equal_seeds_give_equal_intervals_and_other_seeds_other_ones():
    assert Bootstrap(seed=5)(TWENTIES) == Bootstrap(seed=5)(TWENTIES)
    assert Bootstrap(seed=5)(TWENTIES) != Bootstrap(seed=6)(TWENTIES)


def test_blocks_do_not_change_the_result(monkeypatch: pytest.MonkeyPatch):
    whole = Bootstrap(resamples=50)(TWENTIES)
    monkeypatch.setattr(bootstrap, "BLOCK_WEIGHTS", 7 * 400)
    assert Bootstrap(resamples=50)(TWENTIES) == whole


def test_each_resample_draws_as_many_documents_as_there_are():
    weights = np.concatenate(list(Bootstrap(resamples=30).weights(11, np.random.default_rng(0))))
    assert weights.shape == (30, 11)
    assert (weights.sum(axis=1) == 11).all()


def test_documents_are_drawn_whole():
    """Two documents, all right and all wrong: a resample is 0, 1/2 or 1, so the interval is as wide as can be."""
    interval = Bootstrap()(share(np.array([[100.0, 100], [0, 100]])))["share"]
    assert interval == Interval(0.5, 0.0, 1.0)


def test_a_slice_is_as_its_documents_alone():
    some = np.arange(400) < 40
    assert Bootstrap()(TWENTIES, some) == Bootstrap()(share(TWENTIES.sums[:40]))


def test_what_is_undefined_has_no_figures():
    assert Bootstrap()(share(np.zeros((5, 2))))["share"] == Interval(None, None, None)
    assert Bootstrap()(TWENTIES, np.zeros(400, bool))["share"] == Interval(None, None, None)


def test_a_resample_without_the_label_is_left_out_of_its_interval():
    rare = np.zeros((10, 2))
    rare[0] = 3, 4
    assert Bootstrap()(share(rare))["share"] == Interval(0.75, 0.75, 0.75)


def test_without_resamples_there_is_a_value_only():
    interval = Bootstrap(resamples=0)(TWENTIES)["share"]
    assert interval.value is not None
    assert (interval.low, interval.high) == (None, None)
