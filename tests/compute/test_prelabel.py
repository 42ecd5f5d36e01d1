"""Pre-labelling: suggestions of real models, their confidence, calibration on what people said, and the order that follows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from fourfold.compute import prelabel as module
from fourfold.compute.prelabel import calibrated_on, order_of, prelabel
from fourfold.compute.train import train
from fourfold.core.errors import BadInput, Conflict
from fourfold.core.nouns import Actor
from fourfold.data import annotate
from fourfold.data.annotated import publish
from fourfold.data.collect import collect
from fourfold.data.dataset import Dataset
from fourfold.storage import annotation_projects as projects
from fourfold.storage.annotation_projects import AnnotationItem, Suggestion
from fourfold.storage.erase import erase
from fourfold.storage.ledger import Ledger

ANN = Actor("key_ann", "ann", "annotator")
OWNER = Actor("key_owner", "owner", "admin")
NAMES, PLACES = ("Anna", "Bob", "Mei", "Otto", "Zoe"), ("Berlin", "Paris", "Oslo", "Rome", "Lima")
TEXTS = [f"{who} lives in {where}" for who in NAMES for where in PLACES]
PEOPLE = {"spans": {"labels": ["PER", "LOC"]}}


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger.open(tmp_path / "home")
    yield opened
    opened.close()


def gather(ledger, folder, rows, name="letters"):
    folder.mkdir(exist_ok=True)
    (folder / "t.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    return collect(ledger, OWNER, name, {"files": {"path": str(folder)}})


def marked(text):
    who, where = text.split()[0], text.split()[-1]
    spans = [{"start": 0, "end": len(who), "label": "PER"}, {"start": len(text) - len(where), "end": len(text), "label": "LOC"}]
    return {"spans": spans}


def test_people_label_a_tagger_learns_it_suggests_and_the_result_names_it(ledger, tmp_path):
    version = gather(ledger, tmp_path / "in", [{"text": text} for text in TEXTS])
    annotate.start(ledger, OWNER, "people", version, PEOPLE)
    for item in annotate.hand_out(ledger, ANN, "people", 20).items:
        annotate.keep(ledger, ANN, "people", item.doc_id, marked(item.text))
    labelled = publish(ledger, OWNER, "people", "labelled")
    model = train(ledger, OWNER, "words", labelled, {"crf": {"tags": "tags", "max_iterations": 30}}, split="all")

    done = prelabel(ledger, OWNER, "people", model)
    assert (done.task, done.suggested, done.without, done.order) == ("tag", 25, {}, "diverse")
    assert done.agrees == 1.0  # on what it learnt
    rest = annotate.hand_out(ledger, ANN, "people", 20).items
    assert [item.suggestion for item in rest] == [marked(item.text) for item in rest]
    assert len(rest) == 5
    assert all(item.suggested_by == "words@1" and 0 < (item.confidence or 0) <= 1 for item in rest)
    with ledger.database.read() as connection:
        ranked = [(i.state, i.confidence) for i in projects.items(connection, "people")]
    assert [state for state, _ in ranked] == ["open"] * 5 + ["done"] * 20

    for item in rest:
        annotate.keep(ledger, ANN, "people", item.doc_id, item.suggestion)
    again = publish(ledger, OWNER, "people", "labelled")
    assert [v.ref for v in ledger.inputs(again)] == ["letters@1", "words@1"]
    assert again.meta["annotation"]["models"] == ["words@1"]
    assert Dataset(ledger.materialise(again)).table().num_rows == 25
    run = ledger.runs(verb="prelabel")[0]
    assert (run.inputs, run.metrics["suggested"], run.state) == (("letters@1", "words@1"), 25, "done")
    erase(ledger, ["words@1"], actor=OWNER.id, reason="request")
    with ledger.database.read() as connection:
        assert projects.counts(connection, "people", 0.0).suggested == 0


def test_a_language_model_prefers_the_text_that_it_knows(ledger, tmp_path):
    known = gather(ledger, tmp_path / "known", [{"text": text} for text in TEXTS * 4], "known")
    spec = {"ngram": {"order": 2, "discount_fallback": [0.5, 1.0, 1.5]}}
    model = train(ledger, OWNER, "phrases", known, spec, split="all")
    rows = [
        {"text": "Where does she live?", "answer_a": "Anna lives in Oslo", "answer_b": "live in she Oslo Anna"},
        {"text": "And he?", "answer_a": "Oslo Rome Lima", "answer_b": "Bob lives in Rome"},
        {"text": "", "answer_a": "x", "answer_b": "y"},
    ]
    version = gather(ledger, tmp_path / "pairs", rows, "pairs")
    annotate.start(ledger, OWNER, "better", version, "preference", order="least_confident")
    done = prelabel(ledger, OWNER, "better", model)
    assert (done.task, done.calibrated) == ("rank", False)
    by_text = {i.text: i for i in annotate.hand_out(ledger, ANN, "better", 9).items}
    assert by_text["Where does she live?"].suggestion == {"preferred": "a"}
    assert by_text["And he?"].suggestion == {"preferred": "b"}
    assert all(i.confidence is None or i.confidence >= 0.5 for i in by_text.values())
    intents = {"classification": {"labels": ["lives in Oslo", "xyz"]}}
    annotate.start(ledger, OWNER, "class", known, intents)
    assert prelabel(ledger, OWNER, "class", model).suggested == len(Dataset(ledger.materialise(known)).table())


def test_a_model_that_cannot_answer_the_question_is_refused_and_nothing_changes(ledger, tmp_path):
    version = gather(ledger, tmp_path / "in", [{"text": text} for text in TEXTS])
    spec = {"ngram": {"order": 2, "discount_fallback": [0.5, 1.0, 1.5]}}
    model = train(ledger, OWNER, "phrases", version, spec, split="all")
    annotate.start(ledger, OWNER, "people", version, PEOPLE)
    with pytest.raises(
        BadInput, match=r"phrases@1 cannot pre-label a question of spans: it serves .*score.*, and that takes tag"
    ):
        prelabel(ledger, OWNER, "people", model)
    with pytest.raises(BadInput, match="letters@1 is a dataset; annotate prelabel needs a model"):
        prelabel(ledger, OWNER, "people", version)
    with ledger.run("train", kind="model", name="crf", spec={}, actor=OWNER) as run:
        (run.folder / "weights").write_text("w")
        run.meta.update(tasks=["tag", "rank"])
    annotate.start(ledger, OWNER, "class", version, {"classification": {"labels": ["a"]}})
    with pytest.raises(BadInput, match="crf@1 cannot pre-label a question of classification: it serves tag, rank"):
        prelabel(ledger, OWNER, "class", run.version)  # a tagger ranks its own words alone
    with ledger.database.read() as connection:
        assert projects.counts(connection, "people", 0.0).suggested == 0
    assert ledger.runs(verb="prelabel") == []
    with ledger.write() as connection:
        projects.set_state(connection, "ann", "people", "closed")
    with pytest.raises(Conflict, match="people is closed"):
        prelabel(ledger, OWNER, "people", model)


def test_a_project_that_went_on_meanwhile_gets_no_suggestions_of_before(ledger, tmp_path, monkeypatch):
    version = gather(ledger, tmp_path / "in", [{"text": text} for text in TEXTS])
    newer = gather(ledger, tmp_path / "in", [{"text": text} for text in TEXTS[:5]])
    spec = {"ngram": {"order": 2, "discount_fallback": [0.5, 1.0, 1.5]}}
    model = train(ledger, OWNER, "phrases", version, spec, split="all")
    annotate.start(ledger, OWNER, "text", version, {"text": {"longest": 500}})

    def order(*args):
        annotate.move(ledger, OWNER, "text", newer)
        return order_of(*args)

    monkeypatch.setattr(module, "order_of", order)
    with pytest.raises(Conflict, match="text went on with another version of its dataset meanwhile"):
        prelabel(ledger, OWNER, "text", model)
    with ledger.database.read() as connection:
        assert projects.counts(connection, "text", 0.0).suggested == 0
    assert ledger.runs(verb="prelabel")[0].state == "failed"


def test_confidence_is_calibrated_on_what_people_said():
    draw = np.random.default_rng(1)
    right = draw.random(400) < 0.6  # it says 0.9, and is right in 6 of 10
    found = [Suggestion(f"d{i}", {}, "m@1", 0.9) for i in range(410)] + [Suggestion("none", {}, "m@1", None)]
    agreed = {f"d{i}": bool(right[i]) for i in range(400)}
    calibrated, errors = calibrated_on(found, agreed)
    assert errors["ece_before"] == pytest.approx(0.9 - right.mean(), abs=1e-9)
    assert errors["ece_after"] < 0.05 < errors["ece_before"]
    assert calibrated[405].confidence == pytest.approx(right.mean(), abs=0.02)
    assert calibrated[-1].confidence is None
    assert calibrated_on(found, {f"d{i}": True for i in range(49)}) == (found, {})  # too few


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("dataset", ["d0", "d1", "d2", "d4", "d3"]),
        ("least_confident", ["d2", "d1", "d0", "d4", "d3"]),
        ("diverse", ["d1", "d4", "d0", "d2", "d3"]),  # d2 is least sure, but d3, which says the same, was answered already
    ],
)
def test_open_documents_come_by_the_order_and_answered_ones_last(order, expected):
    texts = ["one two", "three four", "five six", "five six", "seven"]
    items = [AnnotationItem(f"d{i}", 0, i, 0.0, "done" if i == 3 else "open", 0, None, None, None) for i in range(5)]
    found = [Suggestion(f"d{i}", {}, "m@1", sure) for i, sure in enumerate([0.9, 0.5, 0.3, 0.1])]
    rows = {f"d{i}": {"text": text} for i, text in enumerate(texts)}
    assert order_of(order, items, found, rows) == expected
