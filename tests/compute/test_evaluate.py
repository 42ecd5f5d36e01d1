"""Evaluation: figures worked out by hand for a tagger of majority labels, and real families on real data."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.compute.evaluation_fakes import ACTOR, keep, row

from fourfold.compute.compare import compare
from fourfold.compute.evaluate import evaluate
from fourfold.compute.families import FAMILIES
from fourfold.compute.train import train
from fourfold.core.errors import BadInput, BadSpec
from fourfold.core.nouns import Version
from fourfold.data.collect import collect
from fourfold.storage.ledger import Ledger

# The tagger learns: we PRON (1.0), brew VERB (0.75: three of four), coffee NOUN (1.0), and PRON for words that it has not seen
# (0.5): PRON and VERB are gold 3 times each, PRON first.
TRAIN = [
    row("doc_1", "train", "we brew coffee", "PRON VERB NOUN"),
    row("doc_2", "train", "we brew brew brew", "PRON VERB VERB NOUN"),
    row("doc_3", "train", "we", "PRON"),
]
# doc_4: 3 of 3 right. doc_5: brew wrong at 0.75. doc_6: tea wrong at 0.5, and INTJ is no label of the model.
DEV = [
    row("doc_4", "dev", "we brew coffee", "PRON VERB NOUN", "b.conllu#1"),
    row("doc_5", "dev", "brew", "NOUN", "b.conllu#4"),
    row("doc_6", "dev", "tea we 好", "NOUN PRON INTJ", "c/d.conllu#1"),
]


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
def model(ledger: Ledger, dataset: Version) -> Version:
    return train(ledger, ACTOR, "words", dataset, "majority")


def read(ledger: Ledger, report: Version) -> dict[str, Any]:
    return json.loads((ledger.materialise(report) / "report.json").read_text(encoding="utf-8"))


def test_figures_by_hand(ledger: Ledger, model: Version, dataset: Version):
    report = evaluate(ledger, ACTOR, model, dataset)
    assert (report.ref, report.kind) == ("words-report@1", "report")
    metrics = report.meta["metrics"]
    assert metrics["accuracy"] == pytest.approx(4 / 7)
    # PRON: right 2, predicted 4 (tea and 好, too), gold 2. VERB: 1, 2, 1. NOUN: 1, 1, 3. INTJ: 0, 0, 1.
    assert metrics["f1/PRON"] == pytest.approx(4 / 6)
    assert metrics["precision/VERB"] == pytest.approx(1 / 2)
    assert metrics["recall/NOUN"] == pytest.approx(1 / 3)
    assert metrics["f1/INTJ"] == 0
    assert metrics["macro_f1"] == pytest.approx((4 / 6 + 2 / 3 + 2 / 4 + 0) / 4)
    # Confidences 1 .75 1, .75, .5 1 .5; wrong are the second .75 and both .5: accuracy 1/2 and 0 in these two bins.
    assert metrics["ece"] == pytest.approx((2 * 0.25 + 2 * 0.5) / 7)
    assert metrics["brier"] == pytest.approx((0.25**2 + 0.75**2 + 2 * 0.5**2) / 7)
    assert metrics["segmentation_f1"] == 1  # words stand between spaces, here and there
    assert metrics["word_tag_f1"] == pytest.approx(4 / 7)
    assert "span_f1" not in metrics
    assert {key: report.meta[key] for key in ("model", "dataset", "split", "documents", "positions", "calibrated")} == {
        "model": "words@1", "dataset": "tags@1", "split": "dev", "documents": 3, "positions": 7, "calibrated": 1.0,
    }  # fmt: skip
    assert ledger.inputs(report) == [dataset, model] or ledger.inputs(report) == [model, dataset]
    assert ledger.find_run(report.run_id).metrics["accuracy"] == pytest.approx(4 / 7)


def test_the_report_holds_intervals_slices_and_counts(ledger: Ledger, model: Version, dataset: Version):
    report = read(ledger, evaluate(ledger, ACTOR, model, dataset))
    accuracy = report["metrics"]["accuracy"]
    assert accuracy["value"] == pytest.approx(4 / 7)
    assert 0 <= accuracy["low"] < 4 / 7 < accuracy["high"] <= 1
    assert {by: {value: part["documents"] for value, part in values.items()} for by, values in report["slices"].items()} == {
        "language": {"en": 3}, "length": {"1–5": 3}, "source": {"b.conllu": 2, "c/d.conllu": 1},
    }  # fmt: skip
    assert report["slices"]["source"]["b.conllu"]["metrics"]["accuracy"]["value"] == pytest.approx(3 / 4)
    assert report["confusion"] == {
        "labels": ["INTJ", "NOUN", "PRON", "VERB"], "counts": [[0, 0, 1, 0], [0, 1, 1, 1], [0, 0, 2, 0], [0, 0, 0, 1]],
    }  # fmt: skip
    assert report["labels"]["NOUN"] == {"gold": 3, "predicted": 1, "right": 1}
    assert report["settings"]["resamples"] == 1000
    assert sum(b["count"] for b in report["reliability"]) == 7


def test_unknown_labels_are_counted_and_wrong(ledger: Ledger, model: Version, dataset: Version):
    report = evaluate(ledger, ACTOR, model, dataset)
    assert report.meta["unknown_labels"] == {"INTJ": 1}
    assert read(ledger, report)["unknown_labels"] == {"INTJ": 1}


def test_worst_errors_are_ids_and_positions_surest_first(ledger: Ledger, model: Version, dataset: Version):
    report = read(ledger, evaluate(ledger, ACTOR, model, dataset, settings={"worst": 2}))
    assert report["errors"] == 3
    assert report["worst"] == [
        {"doc_id": "doc_5", "position": 0, "gold": "NOUN", "predicted": "VERB", "confidence": 0.75},
        {"doc_id": "doc_6", "position": 0, "gold": "NOUN", "predicted": "PRON", "confidence": 0.5},
    ]


def test_a_report_holds_no_text(ledger: Ledger, model: Version, dataset: Version):
    report = evaluate(ledger, ACTOR, model, dataset)
    folder = ledger.materialise(report)
    held = "".join(path.read_text(encoding="utf-8") for path in folder.iterdir()) + json.dumps(dict(report.meta))
    assert not [word for word in ("brew", "coffee", "tea ", "好") if word in held]


def test_files_of_a_report(ledger: Ledger, model: Version, dataset: Version):
    report = evaluate(ledger, ACTOR, model, dataset)
    drawn = ["confusion.svg", "f1.svg", "reliability.svg", "slices.svg"]
    assert report.meta["plots"] == drawn
    assert {path.name for path in ledger.materialise(report).iterdir()} == {*drawn, "report.json"}


def test_equal_evaluations_make_equal_reports(ledger: Ledger, model: Version, dataset: Version):
    one, two = (evaluate(ledger, ACTOR, model, dataset) for _ in range(2))
    assert one.digest == two.digest


def test_labels_that_the_model_does_not_know_at_all(ledger: Ledger, model: Version):
    other = keep(ledger, "other", [row("doc_9", "dev", "we brew", "WORD WORD2")])
    with pytest.raises(
        BadInput, match="knows none of the labels of column 'upos': the data has WORD, WORD2; the model gives NOUN"
    ):
        evaluate(ledger, ACTOR, model, other)
    assert ledger.versions(kind="report") == []


def test_rows_that_cannot_be_used_are_counted(ledger: Ledger, model: Version):
    rows = [
        row("doc_1", "dev", "we brew", "PRON VERB"),
        row("doc_2", "dev", "", ""),
        row("doc_3", "dev", "we brew", "PRON"),
        {**row("doc_4", "dev", "we brew", "PRON VERB"), "text": "weXbrew"},
        {**row("doc_5", "dev", "we", "PRON"), "tokens": None},
    ]
    report = evaluate(ledger, ACTOR, model, keep(ledger, "odd", rows))
    assert report.meta["documents"] == 2
    assert report.meta["skipped"] == {
        "no tokens or tags": 2,
        "tokens and tags differ in number": 1,
        "tokens do not follow each other in the text (left out end to end)": 1,
    }
    with pytest.raises(BadInput, match="No row has both 'tokens' and 'upos'"):
        evaluate(ledger, ACTOR, model, keep(ledger, "odd", rows[1:3]))


def test_spans_of_bio_labels(ledger: Ledger):
    rows = [
        row("doc_1", "train", "ann bo in rome", "B-PER I-PER O B-LOC", column="entity"),
        row("doc_2", "dev", "ann bo rome", "B-PER I-PER B-LOC", column="entity"),
        row("doc_3", "dev", "ann in bo", "B-PER O B-PER", column="entity"),
    ]
    dataset = keep(ledger, "names", rows)
    model = train(ledger, ACTOR, "ner", dataset, {"majority": {"tags": "entity"}})
    report = evaluate(ledger, ACTOR, model, dataset)
    # gold: ann bo, rome, ann, bo. predicted: the same, bo as I-PER after O begins a span: conlleval counts it as found.
    assert report.meta["metrics"]["span_f1"] == 1
    assert report.meta["metrics"]["accuracy"] == pytest.approx(5 / 6)
    assert "span_f1.svg" in report.meta["plots"]


@pytest.mark.parametrize(
    ("split", "expected"),
    [("train", "remembers"), ("all", "remembers"), ("dev", "was calibrated"), ("test", "")],
)
def test_figures_on_rows_that_the_model_has_seen_carry_a_note(ledger: Ledger, split: str, expected: str):
    dataset = keep(ledger, "tags", [*TRAIN, *DEV, {**DEV[0], "doc_id": "doc_7", "split": "test"}])
    model = train(ledger, ACTOR, "words", dataset, "majority")
    report = evaluate(ledger, ACTOR, model, dataset, split, settings={"resamples": 10}, final=split in ("test", "all"))
    notes = " ".join(report.meta["notes"])
    assert (expected in notes) if expected else notes == ""


def test_test_rows_are_kept_for_the_end_and_looks_are_counted(ledger: Ledger):
    dataset = keep(ledger, "tags", [*TRAIN, *DEV, {**DEV[0], "doc_id": "doc_7", "split": "test"}])
    first, second = (train(ledger, ACTOR, name, dataset, "majority") for name in ("words", "other"))
    for split in ("test", "all"):
        with pytest.raises(BadInput, match="The 1 test rows of tags@1 are kept for the end") as refused:
            evaluate(ledger, ACTOR, first, dataset, split)
        assert "--final" in refused.value.hint
    assert "looks" not in evaluate(ledger, ACTOR, first, dataset, "dev").meta
    looked = evaluate(ledger, ACTOR, first, dataset, "test", final=True)
    assert (looked.meta["looks"], looked.meta["notes"]) == (1, [])
    assert ledger.find_run(looked.run_id).spec["final"] is True
    again = evaluate(ledger, ACTOR, second, dataset, "test", final=True)
    assert again.meta["looks"] == 2
    assert again.meta["notes"] == [
        "The test rows of tags@1 were looked at once before, for words@1: choices made since then fit them."
    ]
    both = compare(ledger, ACTOR, first, second, dataset, "test", final=True)
    assert both.meta["looks"] == 3
    assert "looked at 2 times before, for words@1, other@1" in both.meta["notes"][-1]
    with pytest.raises(BadInput, match="kept for the end"):
        compare(ledger, ACTOR, first, second, dataset, "test")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"resample": 10}, r"evaluate has no setting 'resample'\. Did you mean 'resamples'\?"),
        ({"metrics": ["f1", "acuracy"]}, r"evaluate\.metrics\[1\]: there is no metric 'acuracy'\. Did you mean 'accuracy'\?"),
        ({"metrics": [{"ece": {"bin": 3}}]}, r"evaluate\.metrics\[0\]\.ece has no setting 'bin'"),
        ({"level": 95.0}, "level is a share between 0 and 1"),
        ({"batch": 0}, "batch at least 1"),
    ],
)
def test_a_wrong_setting_is_named_with_its_path(ledger: Ledger, model: Version, dataset: Version, settings: dict, message: str):
    with pytest.raises(BadSpec, match=message):
        evaluate(ledger, ACTOR, model, dataset, settings=settings)


def test_chosen_metrics_only(ledger: Ledger, model: Version, dataset: Version):
    report = evaluate(ledger, ACTOR, model, dataset, name="brief", settings={"metrics": ["accuracy", {"ece": {"bins": 2}}]})
    assert report.ref == "brief@1"
    assert set(report.meta["metrics"]) == {"accuracy", "ece"}
    assert ledger.find_run(report.run_id).spec["metrics"] == {"accuracy": {}, "ece": {"bins": 2}}


def test_an_empty_split_is_refused(ledger: Ledger, model: Version, dataset: Version):
    with pytest.raises(BadInput, match="tags@1 has no row in split 'test'"):
        evaluate(ledger, ACTOR, model, dataset, "test")


def test_kinds_are_checked(ledger: Ledger, model: Version, dataset: Version):
    with pytest.raises(BadInput, match="tags@1 is a dataset; evaluate needs a model"):
        evaluate(ledger, ACTOR, dataset, model)


def test_a_crf_on_the_companys_words_in_two_languages(ledger: Ledger, company: Path):
    dataset = collect(ledger, ACTOR, "desk-words", {"files": {"path": str(company / "tags")}})
    model = train(ledger, ACTOR, "desk-tagger", dataset, {"crf": {"max_iterations": 40}})
    report = evaluate(ledger, ACTOR, model, dataset, "test", final=True)
    metrics = report.meta["metrics"]
    assert metrics["accuracy"] > 0.75
    assert metrics["segmentation_f1"] > 0.8
    assert metrics["word_tag_f1"] < metrics["segmentation_f1"]
    assert metrics["ece"] < 0.2
    assert set(read(ledger, report)["slices"]["language"]) == {"zh", "en"}
    assert set(model.meta["languages"]) == {"zh", "en"}


def test_an_ngram_model_on_the_companys_words(ledger: Ledger, company: Path):
    dataset = collect(ledger, ACTOR, "desk-words", {"files": {"path": str(company / "tags")}})
    model = train(ledger, ACTOR, "desk-language", dataset, {"ngram": {"order": 3, "discount_fallback": [0.5, 1, 1.5]}})
    report = evaluate(ledger, ACTOR, model, dataset)
    metrics, whole = report.meta["metrics"], read(ledger, report)
    assert metrics["perplexity"] == pytest.approx(model.meta["training"]["dev_perplexity"])
    assert metrics["perplexity"] == pytest.approx(10 ** -(whole["log10_probability"] / whole["positions"]))
    assert metrics["oov_rate"] == pytest.approx(whole["unknown_tokens"] / whole["positions"])
    assert report.meta["plots"] == ["perplexity.svg", "slices.svg"]
    perplexities = [text["perplexity"] for text in whole["worst"]]
    assert perplexities == sorted(perplexities, reverse=True)
    assert set(whole["worst"][0]) == {"doc_id", "perplexity", "tokens", "unknown_tokens"}
