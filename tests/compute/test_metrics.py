"""Metrics: numbers worked out by hand, and comparison with plain loops written from the definitions."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fourfold.compute.metrics import METRICS, Labelled, Likelihoods, Segmented, Spans
from fourfold.compute.metrics.calibration import Brier, ExpectedCalibrationError, ece, reliability
from fourfold.compute.metrics.classification import F1, Accuracy, confusion
from fourfold.compute.metrics.language_model import Perplexity
from fourfold.compute.metrics.spans import SegmentationF1, SpanF1, WordTagF1, is_bio, spans_of

BIO = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")
IOBES = (*BIO, "E-PER", "S-PER", "E-LOC", "S-LOC")


def labelled(gold: list[str], predicted: list[str], confidence: list[float] | None = None) -> Labelled:
    """Documents as strings of labels with spaces between."""
    golds, guesses = [g.split() for g in gold], [p.split() for p in predicted]
    labels = tuple(sorted({label for line in (*golds, *guesses) for label in line}))
    bounds = np.cumsum([0, *(len(line) for line in golds)])
    ids = [np.array([labels.index(label) for line in lines for label in line], np.int64) for lines in (golds, guesses)]
    believed = np.array(confidence if confidence is not None else [0.5] * int(bounds[-1]))
    return Labelled(tuple(f"doc_{i}" for i in range(len(gold))), bounds, labels, ids[0], ids[1], believed)


# Six positions: gold a a a b b c, predicted a a b b c c.  a: 2 of 2 found, of 3 gold.  b: 1 of 2, of 2.  c: 1 of 2, of 1.
SIX = labelled(["a a a", "b b c"], ["a a b", "b c c"])


def test_accuracy_by_hand():
    assert Accuracy()(SIX)["accuracy"] == pytest.approx(4 / 6)


def test_precision_recall_and_f1_by_hand():
    figures = {name: float(value) for name, value in F1()(SIX).figures().items()}
    expected = {
        "precision/a": 1.0, "recall/a": 2 / 3, "f1/a": 4 / 5,
        "precision/b": 1 / 2, "recall/b": 1 / 2, "f1/b": 1 / 2,
        "precision/c": 1 / 2, "recall/c": 1.0, "f1/c": 2 / 3,
        "macro_precision": 2 / 3, "macro_recall": (2 / 3 + 1 / 2 + 1) / 3, "macro_f1": (4 / 5 + 1 / 2 + 2 / 3) / 3,
        "micro_precision": 4 / 6, "micro_recall": 4 / 6, "micro_f1": 4 / 6,
        "weighted_precision": (3 * 1 + 2 / 2 + 1 / 2) / 6, "weighted_recall": 4 / 6,
        "weighted_f1": (3 * 4 / 5 + 2 / 2 + 2 / 3) / 6,
    }  # fmt: skip
    assert figures == pytest.approx(expected)


def test_a_label_never_predicted_counts_as_zero_and_an_absent_one_not_at_all():
    predictions = labelled(["a a b"], ["a a a"])
    predictions = Labelled(
        predictions.doc_ids,
        predictions.bounds,
        ("a", "b", "ghost"),
        predictions.gold,
        predictions.predicted,
        predictions.confidence,
    )
    figures = F1()(predictions).figures()
    assert float(figures["precision/b"]) == 0
    assert float(figures["f1/b"]) == 0
    assert math.isnan(figures["f1/ghost"])
    assert float(figures["macro_f1"]) == pytest.approx((4 / 5 + 0) / 2)  # a: precision 2/3, recall 1


def test_confusion_has_gold_in_rows():
    assert confusion(SIX).tolist() == [[2, 1, 0], [0, 1, 1], [0, 0, 1]]


# Tjong Kim Sang & De Meulder's example counts: three gold spans, of which one is found whole.
def test_span_f1_by_hand():
    predictions = labelled(
        ["B-PER I-PER O B-LOC", "B-LOC O"],
        ["B-PER I-PER O B-PER", "O B-LOC"],
    )  # gold 3 spans, predicted 3, right 1 (the first)
    measured = SpanF1()(predictions)
    assert measured["span_precision"] == pytest.approx(1 / 3)
    assert measured["span_recall"] == pytest.approx(1 / 3)
    assert measured["span_f1"] == pytest.approx(1 / 3)
    assert measured["span_f1/PER"] == pytest.approx(2 / 3)  # 1 right, 2 predicted, 1 gold
    assert measured["span_f1/LOC"] == 0
    assert measured["span_macro_f1"] == pytest.approx(1 / 3)


def test_a_span_does_not_cross_documents():
    assert SpanF1()(labelled(["B-PER", "I-PER"], ["B-PER", "I-PER"]))["span_f1"] == 1
    spans, _ = spans_of(np.array([1, 2]), BIO, np.array([0, 1, 2]))
    assert (spans.start.tolist(), spans.end.tolist()) == ([0, 1], [1, 2])


def test_seqevals_own_example():
    # README of seqeval: y_true and y_pred below give F1 0.50.
    gold = ["O O O B-MISC I-MISC I-MISC O", "B-PER I-PER O"]
    predicted = ["O O B-MISC I-MISC I-MISC I-MISC O", "B-PER I-PER O"]
    measured = SpanF1()(labelled(gold, predicted))
    assert measured["span_f1"] == pytest.approx(0.50)
    assert measured["span_f1/MISC"] == 0
    assert measured["span_f1/PER"] == 1
    assert measured["span_macro_f1"] == pytest.approx(0.50)


def conlleval(labels: list[str]) -> list[tuple[str, int, int]]:
    """Spans by conlleval's startOfChunk and endOfChunk, one label after the other, as seqeval does."""
    found, begun, before, kind_before = [], 0, "O", ""
    for at, label in enumerate([*labels, "O"]):
        tag, _, kind = label.partition("-")
        ends = (
            before in ("E", "S") or (before in ("B", "I") and tag in ("B", "S", "O")) or (before != "O" and kind_before != kind)
        )
        starts = tag in ("B", "S") or (before in ("E", "S", "O") and tag in ("E", "I")) or (tag != "O" and kind_before != kind)
        if ends:
            found.append((kind_before, begun, at))
        if starts:
            begun = at
        before, kind_before = tag, kind
    return found


@given(st.lists(st.lists(st.sampled_from(IOBES), max_size=12), min_size=1, max_size=5))
def test_spans_are_those_of_conlleval(documents: list[list[str]]):
    label = np.array([IOBES.index(name) for document in documents for name in document], np.int64)
    bounds = np.cumsum([0, *map(len, documents)])
    spans, types = spans_of(label, IOBES, bounds)
    found = [(int(d), types[k], int(s - bounds[d]), int(e - bounds[d])) for d, k, s, e in
             zip(spans.document, spans.label, spans.start, spans.end)]  # fmt: skip
    assert found == [(d, *span) for d, document in enumerate(documents) for span in conlleval(document)]


@pytest.mark.parametrize(
    ("labels", "answer"),
    [
        (BIO, True), (IOBES, True), (("B-LOC",), True), (("O",), False), (("NOUN", "VERB"), False), (("O", "X"), False),
        (("B-", "O"), False), (("INTJ", "I-PER"), False), ((), False),
    ],
)  # fmt: skip
def test_which_label_sets_are_bio(labels: tuple[str, ...], answer: bool):
    assert is_bio(labels) is answer


def words(rows: list[tuple[int, int, int, int]]) -> Spans:
    """Spans of rows (document, start, end, label)."""
    return Spans(*np.array(rows, np.int64).reshape(-1, 4).T)


def test_segmentation_and_word_tag_f1_by_hand():
    # 今天|天气|怎么样 against 今天|天气|怎么|样, with one wrong label among the two right words.
    gold = words([(0, 0, 2, 0), (0, 2, 4, 0), (0, 4, 7, 1)])
    predicted = words([(0, 0, 2, 0), (0, 2, 4, 1), (0, 4, 6, 1), (0, 6, 7, 1)])
    segmented = Segmented(("doc_0",), ("NOUN", "VERB"), gold, predicted)
    measured = SegmentationF1()(segmented)
    assert measured["segmentation_precision"] == pytest.approx(2 / 4)
    assert measured["segmentation_recall"] == pytest.approx(2 / 3)
    assert measured["segmentation_f1"] == pytest.approx(4 / 7)
    assert WordTagF1()(segmented)["word_tag_f1"] == pytest.approx(2 / 7)


def test_equal_offsets_in_other_documents_are_no_match():
    segmented = Segmented(("a", "b"), ("X",), words([(0, 0, 2, 0)]), words([(1, 0, 2, 0)]))
    assert SegmentationF1()(segmented)["segmentation_f1"] == 0


# Confidence .95 .95 .85 .3 in ten bins; right: yes no yes no.
FOUR = labelled(["a a a a"], ["a b a b"], [0.95, 0.95, 0.85, 0.3])


def test_expected_calibration_error_by_hand():
    # Bin (.9, 1]: 2 positions, confidence .95, accuracy .5; (.8, .9]: gap .15; (.2, .3]: gap .3.
    expected = (2 * 0.45 + 0.15 + 0.3) / 4
    assert ExpectedCalibrationError(bins=10)(FOUR)["ece"] == pytest.approx(expected)
    assert ece(FOUR.confidence, FOUR.correct, bins=10) == pytest.approx(expected)


def test_brier_by_hand():
    assert Brier()(FOUR)["brier"] == pytest.approx((0.05**2 + 0.95**2 + 0.15**2 + 0.3**2) / 4)


def test_reliability_bins_are_open_below_and_closed_above():
    bins = reliability(np.array([0.0, 0.5, 0.5000001, 1.0]), np.array([False, True, False, True]), bins=2)
    assert [b.count for b in bins] == [2, 2]
    assert bins[0].confidence == pytest.approx(0.25)
    assert (bins[0].accuracy, bins[1].accuracy) == (0.5, 0.5)
    empty = reliability(np.array([0.9]), np.array([True]), bins=2)[0]
    assert (empty.count, empty.confidence, empty.accuracy) == (0, None, None)


def test_ece_of_nothing_is_undefined():
    assert math.isnan(ece(np.array([]), np.array([], bool)))


def test_ece_is_that_of_a_plain_loop():
    dice = random.Random(7)
    confidence = [dice.random() for _ in range(500)]
    correct = [dice.random() < c**2 for c in confidence]
    total = 0.0
    for m in range(15):
        inside = [i for i, c in enumerate(confidence) if m / 15 < c <= (m + 1) / 15]
        if inside:
            gap = sum(correct[i] for i in inside) / len(inside) - sum(confidence[i] for i in inside) / len(inside)
            total += len(inside) / 500 * abs(gap)
    assert ece(np.array(confidence), np.array(correct)) == pytest.approx(total)


def test_perplexity_by_hand():
    # Two texts of log10 -4 over 3 tokens and -2 over 3: together -6 over 6, so 10 per token; 1 of 6 tokens is unknown, at -2.
    texts = Likelihoods(
        ("a", "b"), np.array([-4.0, -2.0]), np.array([3, 3]), np.array([1, 0]), np.array([-2.0, 0.0]), np.array([10, 10])
    )
    measured = Perplexity()(texts)
    assert measured["perplexity"] == pytest.approx(10)
    assert measured["perplexity_known"] == pytest.approx(10 ** (4 / 5))
    assert measured["log10_per_token"] == pytest.approx(-1)
    assert measured["oov_rate"] == pytest.approx(1 / 6)
    assert measured["bits_per_character"] == pytest.approx(6 * math.log2(10) / 20)


def test_figures_over_no_positions_are_undefined():
    nothing = labelled([""], [""])
    nothing = Labelled(nothing.doc_ids, nothing.bounds, ("a",), nothing.gold, nothing.predicted, nothing.confidence)
    assert math.isnan(Accuracy()(nothing)["accuracy"])
    assert math.isnan(F1()(nothing)["macro_f1"])


def test_every_metric_says_what_it_reads():
    kinds = {name: METRICS.build(name).reads for name in METRICS.names()}
    assert kinds == {
        "accuracy": Labelled, "f1": Labelled, "span_f1": Labelled, "ece": Labelled, "brier": Labelled,
        "segmentation_f1": Segmented, "word_tag_f1": Segmented, "perplexity": Likelihoods,
    }  # fmt: skip
