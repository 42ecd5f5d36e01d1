"""The order in which documents are worth asking about."""

from __future__ import annotations

import numpy as np
import pytest

from fourfold.data.queue_order import diverse, least_confident, vectors_of


def test_least_confident_first_and_those_of_whom_nothing_is_known_last():
    assert least_confident([0.9, None, 0.2, 0.5, 0.2]) == [2, 4, 3, 0, 1]


def test_texts_without_a_common_word_are_at_right_angles_and_equal_ones_the_same():
    vectors = vectors_of(["kettle leaks", "refund money", "leaks kettle", "", "退款退款"])
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 1, 1, 0, 1])
    assert vectors[0] @ vectors[1] == pytest.approx(0, abs=1e-9)
    assert vectors[0] @ vectors[2] == pytest.approx(1)


def test_diverse_takes_one_of_each_kind_before_a_second_of_any():
    texts = ["kettle leaks", "kettle leaks", "refund money", "refund money", "parcel lost"]
    unsure = [0.30, 0.31, 0.40, 0.41, 0.50]
    assert least_confident(unsure) == [0, 1, 2, 3, 4]
    assert diverse(unsure, texts)[:3] == [0, 2, 4]
    assert sorted(diverse(unsure, texts)) == [0, 1, 2, 3, 4]


def test_diverse_keeps_away_from_what_was_labelled_already():
    texts = ["kettle leaks", "refund money"]
    assert diverse([0.30, 0.31], texts, ["kettle leaks"])[0] == 1
    assert diverse([0.30, 0.31], texts)[0] == 0


def test_diverse_prefers_the_least_sure_among_texts_that_are_equally_far():
    assert diverse([0.9, 0.2, 0.5], ["one", "two", "three"]) == [1, 2, 0]


def test_of_many_texts_every_one_comes_once():
    texts = [f"text number {n % 50} of {n}" for n in range(1000)]
    order = diverse([(n * 37 % 1000) / 1000 for n in range(1000)], texts)
    assert sorted(order) == list(range(1000))
    assert diverse([], []) == []
