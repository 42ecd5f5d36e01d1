"""Comparing two models: figures worked out by hand, chance held against an exact test, and what cannot be compared."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.compute.evaluation_fakes import ACTOR, keep, row

from fourfold.application.lifecycle import latest_report
from fourfold.compute.bootstrap import Bootstrap
from fourfold.compute.compare import Pair, compare, differences_of, paired
from fourfold.compute.evaluate import evaluate
from fourfold.compute.families import FAMILIES
from fourfold.compute.metrics import Measured
from fourfold.compute.train import train
from fourfold.core.errors import BadInput, BadSpec
from fourfold.core.nouns import Version
from fourfold.storage.ledger import Ledger

TRAIN = [row("doc_1", "train", "we brew coffee", "PRON VERB NOUN"), row("doc_2", "train", "we drink tea", "PRON VERB NOUN")]
OTHER = [row("doc_3", "train", "we brew coffee", "PRON NOUN NOUN"), row("doc_4", "train", "we", "PRON")]
# First, trained on TRAIN: all of doc_5 and doc_6 right. Second, trained on OTHER: brew is NOUN, and drink and tea are unseen,
# so each is the most frequent label, PRON or NOUN (two each; PRON was seen first): PRON at 0.5. 2 of 3 and 1 of 3 right.
DEV = [row("doc_5", "dev", "we brew coffee", "PRON VERB NOUN"), row("doc_6", "dev", "we drink tea", "PRON VERB NOUN")]


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    monkeypatch.setitem(FAMILIES.lines, "majority", "tests.compute.evaluation_fakes:Majority")  # type: ignore[arg-type]
    ledger = Ledger.open(tmp_path / "home")
    yield ledger
    ledger.close()


@pytest.fixture
def dataset(ledger: Ledger) -> Version:
    return keep(ledger, "tags", TRAIN + DEV)


@pytest.fixture
def models(ledger: Ledger, dataset: Version) -> tuple[Version, Version]:
    first = train(ledger, ACTOR, "words", dataset, "majority")
    return first, train(ledger, ACTOR, "words", keep(ledger, "other", OTHER), "majority")


def read(ledger: Ledger, report: Version) -> dict[str, Any]:
    return json.loads((ledger.materialise(report) / "report.json").read_text(encoding="utf-8"))


def test_differences_by_hand(ledger, models, dataset):
    report = compare(ledger, ACTOR, *models, dataset)
    assert (report.ref, report.kind, report.meta["documents"]) == ("words-compared@1", "report", 2)
    accuracy = report.meta["differences"]["accuracy"]
    assert (accuracy["first"], accuracy["second"]) == (1.0, pytest.approx(3 / 6))
    assert accuracy["difference"] == pytest.approx(-3 / 6)
    # Two documents, drawn twice: the difference is -1/3 (doc_5 twice), -2/3 (doc_6 twice) or -1/2; never 0.
    assert (accuracy["low"], accuracy["high"]) == (pytest.approx(-2 / 3), pytest.approx(-1 / 3))
    assert accuracy["p"] == pytest.approx(1 / 1000)
    held = read(ledger, report)
    assert held["right"] == {"both": 3, "first": 3, "second": 0, "neither": 0}
    assert held["apart"][0] == {
        "doc_id": "doc_5", "position": 1, "gold": "VERB", "first": "VERB", "second": "NOUN", "confidence": 1.0,
    }  # fmt: skip
    assert [(a["doc_id"], a["position"]) for a in held["apart"][1:]] == [("doc_6", 1), ("doc_6", 2)]
    assert held["slices"]["length"]["1–5"]["differences"]["accuracy"]["difference"] == pytest.approx(-3 / 6)
    assert report.meta["plots"] == ["differences.svg", "slices.svg"]


def test_the_verdict_names_the_better_one_in_either_order(ledger, models, dataset):
    first, second = models
    for pair in ((first, second), (second, first)):
        assert compare(ledger, ACTOR, *pair, dataset).meta["verdict"].startswith("words@1 is better: accuracy ")


def test_equal_models_differ_by_chance(ledger, models, dataset):
    again = train(ledger, ACTOR, "again", dataset, "majority")
    report = compare(ledger, ACTOR, models[0], again, dataset)
    assert report.meta["differences"]["accuracy"]["p"] == 1.0
    assert report.meta["verdict"].startswith("Chance may explain the difference between words@1 and again@1")
    assert read(ledger, report)["apart"] == []


def test_p_agrees_with_the_sign_test(ledger):
    # 40 documents of one word; the second model is right on 14 more than the first and wrong on 4: an exact two-sided sign
    # test gives P(|X - 9| >= 5), X ~ Binomial(18, 1/2) = 2 * 4048 / 262144 = 0.0309.
    first = np.array([[0, 1]] * 14 + [[1, 1]] * 26, float)
    second = np.array([[1, 1]] * 14 + [[0, 1]] * 4 + [[1, 1]] * 22, float)

    def accuracy(total: np.ndarray) -> dict[str, Any]:
        return {"accuracy": total[..., 0] / total[..., 1]}

    pair = Pair(tuple(map(str, range(40))), Measured(first, accuracy), Measured(second, accuracy))
    found = differences_of(Bootstrap(20_000), pair)["accuracy"]
    assert found.difference == pytest.approx(10 / 40)
    assert found.p is not None and 0.005 < found.p < 0.0309  # the bootstrap is less careful than the exact test, not by much
    assert found.low is not None and found.low > 0


def test_only_what_both_have_is_compared():
    def figures(total: np.ndarray) -> dict[str, Any]:
        return {"mean": total[..., 0]}

    mine = (("a", "b", "c"), Measured(np.array([[1.0], [2.0], [4.0]]), figures))
    yours = (("c", "a", "d"), Measured(np.array([[10.0], [20.0], [40.0]]), figures))
    (pair,) = paired([mine], [yours])
    assert pair.doc_ids == ("a", "c")
    assert (pair.first["mean"], pair.second["mean"]) == (5.0, 30.0)
    assert paired([mine], [(("x",), yours[1])]) == []


def test_a_comparison_judges_neither_model(ledger, models, dataset):
    report = evaluate(ledger, ACTOR, models[0], dataset)
    compare(ledger, ACTOR, *models, dataset)
    judged = latest_report(ledger, models[0])
    assert judged is not None and judged.ref == report.ref
    assert latest_report(ledger, models[1]) is None


def test_language_models_are_compared_by_perplexity(ledger):
    texts = [*[("train", "we brew coffee and tea"), ("train", "tea is hot")] * 20, ("dev", "we brew tea")]
    rows = [{"doc_id": f"doc_{i}", "text": text, "source": "a.txt#1", "split": split} for i, (split, text) in enumerate(texts)]
    dataset = keep(ledger, "texts", rows)
    fallback = {"discount_fallback": [0.5, 1.0, 1.5]}
    models = [train(ledger, ACTOR, f"order{n}", dataset, {"ngram": {"order": n, **fallback}}) for n in (2, 3)]
    report = compare(ledger, ACTOR, *models, dataset)
    d = report.meta["differences"]["perplexity"]
    assert d["difference"] == pytest.approx(d["second"] - d["first"])
    assert [a["doc_id"] for a in read(ledger, report)["apart"]] == ["doc_40"]


def test_what_cannot_be_compared_is_refused(ledger, models, dataset):
    first, second = models
    with pytest.raises(BadInput, match="words@1 cannot be compared with itself"):
        compare(ledger, ACTOR, first, first, dataset)
    with pytest.raises(BadInput, match="tags@1 is a dataset; compare needs a model"):
        compare(ledger, ACTOR, first, dataset, dataset)
    with pytest.raises(BadSpec, match=r"compare\.split is 'devv'\. Did you mean 'dev'\?"):
        compare(ledger, ACTOR, first, second, dataset, split="devv")
    assert [v for v in ledger.versions() if v.kind == "report"] == []
