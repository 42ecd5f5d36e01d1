"""Agreement against published examples and numbers worked out by hand."""

from __future__ import annotations

import pytest

from fourfold.data.agreement import cohens_kappa, krippendorffs_alpha, measure, span_f1

# Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011), sections A, B and C
A = ("0100000010", "1110010000")
B = ("aabbdcccedda", "babbbccceddd")
C = ("123321412...", "1233224125.3", ".3332342251.", "12332441251.")


def units(people):
    return [[ratings[i] for ratings in people if ratings[i] != "."] for i in range(len(people[0]))]


@pytest.mark.parametrize(("people", "published"), [(A, 0.095), (B, 0.692), (C, 0.743)])
def test_alpha_is_that_of_krippendorffs_examples(people, published):
    assert krippendorffs_alpha(units(people)) == pytest.approx(published, abs=5e-4)


def test_alpha_by_hand():
    # pairs aa, ab, bb, bb: n = 8, of a 3 and of b 5; observed (2·2 - 2) / 1 = 2; by chance 64 - 9 - 25 = 30; 1 - 7 · 2 / 30
    assert krippendorffs_alpha(["aa", "ab", "bb", "bb"]) == pytest.approx(8 / 15)
    assert krippendorffs_alpha(["aa", "ab", "bb", "bb", "a", ""]) == pytest.approx(
        8 / 15
    )  # what one person rated alone is no pair


def test_alpha_says_nothing_where_there_is_nothing_to_say():
    assert krippendorffs_alpha([]) is None
    assert krippendorffs_alpha(["a", "b"]) is None
    assert krippendorffs_alpha(["aa", "aa"]) is None
    assert krippendorffs_alpha(["ab", "ba"]) == pytest.approx(-0.5)  # worse than chance: 1 - 3 · 4 / 8


@pytest.mark.parametrize(
    ("both_yes", "yes_no", "no_yes", "both_no", "published"),
    [(20, 5, 10, 15, 0.4), (45, 15, 25, 15, 0.1304), (25, 35, 5, 35, 0.2593)],
)
def test_kappa_is_that_of_the_textbook_tables(both_yes, yes_no, no_yes, both_no, published):
    pairs = [("y", "y")] * both_yes + [("y", "n")] * yes_no + [("n", "y")] * no_yes + [("n", "n")] * both_no
    assert cohens_kappa(pairs)[2] == pytest.approx(published, abs=5e-5)


def test_kappa_by_hand():
    # three labels: equal in 3 of 5; by chance (2·2 + 2·2 + 1·1) / 25 = 0.36; (0.6 - 0.36) / 0.64
    observed, expected, kappa = cohens_kappa([("a", "a"), ("a", "b"), ("b", "b"), ("b", "a"), ("c", "c")])
    assert (observed, expected) == (0.6, 0.36)
    assert kappa == pytest.approx(0.375)
    assert cohens_kappa([("a", "a")] * 3) == (1.0, 1.0, None)


def test_f1_of_spans_by_hand():
    left = {"d1": frozenset({(0, 2, "PER"), (5, 9, "LOC")}), "d2": frozenset({(1, 2, "PER")}), "d3": frozenset()}
    right = {"d1": frozenset({(0, 2, "PER")}), "d2": frozenset({(1, 2, "LOC")})}
    assert span_f1(left, right) == pytest.approx(2 * 1 / (3 + 2))  # d3 is of one alone
    assert span_f1({"d1": frozenset()}, {"d1": frozenset()}) is None


def test_all_figures_of_a_project():
    people = {
        "ann": {1: "a", 2: "a", 3: "b", 4: "c"},
        "bob": {1: "a", 2: "b", 3: "b"},
        "cat": {4: "c"},
    }
    found = measure(people, {}, documents=4, same=3)
    assert (found.documents, found.same) == (4, 3)
    # units aa, ab, bb, cc: n = 8; a 3, b 3, c 2; by chance 64 - 9 - 9 - 4 = 42; 1 - 7 · 2 / 42
    assert found.alpha == pytest.approx(2 / 3)
    # a against the rest: yy, yn, nn, nn as above; c against the rest: nn, nn, nn, yy agrees wholly
    assert found.by_label == {"a": pytest.approx(8 / 15), "b": pytest.approx(8 / 15), "c": pytest.approx(1.0)}
    assert [(p.a, p.b, p.units) for p in found.pairs] == [("ann", "bob", 3), ("ann", "cat", 1)]
    # ann a a b, bob a b b: observed 2/3, by chance (2·1 + 1·2) / 9
    assert found.pairs[0].kappa == pytest.approx((2 / 3 - 4 / 9) / (5 / 9))
    assert found.pairs[1].kappa is None
