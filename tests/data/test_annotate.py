"""Annotation from a dataset to a dataset: handing out, answering, deciding, publishing, moving."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fourfold.core.errors import BadInput, BadSpec, Conflict, Erased, NotFound
from fourfold.core.nouns import Actor, Version
from fourfold.data import annotate
from fourfold.data.annotated import publish
from fourfold.data.collect import collect
from fourfold.data.dataset import Dataset
from fourfold.data.decisions import Decision, decide
from fourfold.storage import annotation_projects as projects
from fourfold.storage import database
from fourfold.storage.annotation_projects import Suggestion
from fourfold.storage.annotation_queue import Answer
from fourfold.storage.erase import erase
from fourfold.storage.ledger import Ledger

ANN, BOB, CAT = (Actor(f"key_{name}", name, "annotator") for name in ("ann", "bob", "cat"))
OWNER = Actor("key_owner", "owner", "admin")
INTENT = {"classification": {"labels": ["refund", "delivery"], "show": ["channel"]}}
TEXTS = ("My parcel never arrived", "I want my money back", "Where is 王小明?", "refund please", "hello")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger.open(tmp_path / "home")
    yield opened
    opened.close()


@pytest.fixture
def tickets(ledger: Ledger, tmp_path: Path) -> Version:
    return gather(ledger, tmp_path / "in", TEXTS)


def gather(ledger: Ledger, folder: Path, texts, name="tickets") -> Version:
    folder.mkdir(exist_ok=True)
    lines = [json.dumps({"text": text, "channel": "mail", "label": "old"}) for text in texts]
    (folder / "t.jsonl").write_text("\n".join(lines))
    return collect(ledger, OWNER, name, {"files": {"path": str(folder)}})


def ids(ledger: Ledger, version: Version) -> list[str]:
    return Dataset(ledger.materialise(version)).table(["doc_id"])["doc_id"].to_pylist()


def say(ledger, who, doc_id, label, **more):
    return annotate.keep(ledger, who, "intents", doc_id, None if label is None else {"label": label}, **more)


def test_people_see_text_shown_columns_and_suggestions_and_nothing_else(ledger, tickets):
    project = annotate.start(ledger, OWNER, "intents", tickets, INTENT, guideline="Pick one.")
    assert (project.question, project.order) == (
        {"classification": {"labels": ["refund", "delivery"], "into": "label", "show": ["channel"]}},
        "diverse",
    )
    first = ids(ledger, tickets)[0]
    with ledger.write() as connection:
        projects.suggest(connection, "intents", [Suggestion(first, {"label": "delivery"}, "words@1", 0.75)])
    handed = annotate.hand_out(ledger, ANN, "intents", 2)
    assert [item.text for item in handed.items] == list(TEXTS[:2])
    assert handed.left == 5
    one = handed.items[0]
    assert (one.columns, one.suggestion, one.suggested_by, one.confidence) == (
        {"channel": "mail"}, {"label": "delivery"}, "words@1", 0.75,
    )  # fmt: skip
    assert one.guideline == 1
    assert [i.text for i in annotate.hand_out(ledger, BOB, "intents", 9).items] == list(TEXTS[2:])
    assert annotate.hand_out(ledger, CAT, "intents", 9).items == []


def test_what_is_decided_becomes_a_dataset_that_says_who_when_and_by_which_guideline(ledger, tickets):
    annotate.start(ledger, OWNER, "intents", tickets, INTENT, guideline="Pick one.", redundancy=2)
    doc = ids(ledger, tickets)
    model = make_model(ledger)
    with ledger.write() as connection:
        projects.suggest(
            connection,
            "intents",
            [Suggestion(doc[0], {"label": "delivery"}, model.ref, 0.6), Suggestion(doc[1], {}, "theirs", 1)],
        )
    for who in (ANN, BOB):
        say(ledger, who, doc[0], "delivery")
    say(ledger, ANN, doc[1], "refund")
    say(ledger, BOB, doc[1], "delivery")
    with ledger.write() as connection:
        projects.write_guideline(connection, OWNER.id, "intents", "Money is refund.")
    annotate.adjudicate(ledger, OWNER, "intents", doc[1], {"label": "refund"}, reason="it is about money")
    say(ledger, ANN, doc[2], None, comment="no idea")
    say(ledger, BOB, doc[2], "delivery")
    say(ledger, ANN, doc[3], "refund")
    version = publish(ledger, OWNER, "intents", "labelled")

    table = Dataset(ledger.materialise(version)).table()
    rows = table.to_pylist()
    assert [(r["doc_id"], r["label"], r["label_"], r["decided"], r["guideline"]) for r in rows] == [
        (doc[0], "delivery", "old", "agreed", 1),
        (doc[1], "refund", "old", "adjudicated", 2),
    ]
    assert [r["annotators"] for r in rows] == [["key_ann", "key_bob"], ["key_owner"]]
    assert all(r["annotated_at"] is not None and r["source"].startswith("t.jsonl#") for r in rows)
    assert version.meta["drops"] == {"disagreement": 1, "unfinished": 1, "unlabelled": 1}
    assert (version.meta["rows"], version.meta["rows_before"]) == (2, 5)
    about = version.meta["annotation"]
    assert (about["project"], about["dataset"], about["models"], about["guidelines"]) == (
        "intents",
        "tickets@1",
        ["m@1"],
        [1, 2],
    )
    assert about["annotators"] == ["key_ann", "key_bob", "key_owner"]
    assert about["decided"] == {"agreed": 1, "adjudicated": 1}
    # answered by two: delivery twice, refund and delivery (of the third one passed over): 1 - 3 · 2 / (16 - 9 - 1)
    assert about["alpha"] == pytest.approx(0.0)
    assert [v.ref for v in ledger.inputs(version)] == ["tickets@1", "m@1"]
    run = ledger.find_run(version.run_id)
    assert (run.verb, run.spec["annotation"], run.spec["guidelines"]) == ("annotate", "intents", [1, 2])

    folder = ledger.materialise(version)
    said = pq.read_table(folder / "annotations.parquet").to_pylist()
    assert {(a["doc_id"], a["annotator"], a["role"], json.loads(a["value"])["label"]) for a in said} == {
        (doc[0], "key_ann", "annotator", "delivery"),
        (doc[0], "key_bob", "annotator", "delivery"),
        (doc[1], "key_ann", "annotator", "refund"),
        (doc[1], "key_bob", "annotator", "delivery"),
        (doc[1], "key_owner", "adjudicator", "refund"),
    }
    assert [g["text"] for g in json.loads((folder / "guidelines.json").read_text())] == ["Pick one.", "Money is refund."]


def make_model(ledger, tasks=("rank",)):
    with ledger.run("train", kind="model", name="m", spec={}, actor=OWNER) as run:
        (run.folder / "weights").write_text("w")
        run.meta.update(tasks=list(tasks))
    return run.version


def test_a_majority_decides_where_it_is_asked_to_and_the_state_is_part_of_the_recipe(ledger, tickets):
    annotate.start(ledger, OWNER, "intents", tickets, INTENT, redundancy=3)
    doc = ids(ledger, tickets)
    for who, label in ((ANN, "refund"), (BOB, "refund"), (CAT, "delivery")):
        say(ledger, who, doc[0], label)
    with pytest.raises(BadInput, match="No document of intents is decided: 1 disagreement, 4 unlabelled"):
        publish(ledger, OWNER, "intents", "labelled")
    assert ledger.versions(name="labelled") == []
    first = publish(ledger, OWNER, "intents", "labelled", rule="majority")
    row = Dataset(ledger.materialise(first)).table().to_pylist()[0]
    assert (row["label"], row["decided"], row["annotators"]) == ("refund", "majority", ["key_ann", "key_bob"])
    again = publish(ledger, OWNER, "intents", "labelled", rule="majority")
    assert (again.digest, ledger.find_run(again.run_id).recipe) == (first.digest, ledger.find_run(first.run_id).recipe)
    say(ledger, CAT, doc[0], "refund")
    assert ledger.find_run(publish(ledger, OWNER, "intents", "labelled").run_id).recipe != ledger.find_run(first.run_id).recipe
    with pytest.raises(BadSpec, match="rule is 'most'"):
        publish(ledger, OWNER, "intents", "labelled", rule="most")  # type: ignore[arg-type]


def said(*labels):
    """Answers in order: a label, None for a document passed over, a tuple for an adjudication."""
    return [
        Answer("d", f"p{n}", "adjudicator" if isinstance(label, tuple) else "annotator", 1,
               {"label": label[0] if isinstance(label, tuple) else label} if label not in (None, (None,)) else None,
               "", 1, None, float(n), None)
        for n, label in enumerate(labels)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("answers", "redundancy", "rule", "label", "why"),
    [
        (said("a"), 1, "agreed", "a", "single"),
        (said("a", "a"), 2, "agreed", "a", "agreed"),
        (said("a"), 2, "agreed", None, "unfinished"),
        (said(), 1, "majority", None, "unfinished"),
        (said("a", "b"), 2, "agreed", None, "disagreement"),
        (said("a", "b"), 2, "majority", None, "disagreement"),
        (said("a", "b", "a"), 3, "agreed", None, "disagreement"),
        (said("a", "b", "a"), 3, "majority", "a", "majority"),
        (said("a", None), 2, "agreed", None, "disagreement"),
        (said("a", None, "a"), 3, "majority", "a", "majority"),
        (said(None, None), 2, "majority", None, "passed_over"),
        (said("a", "b", ("b",)), 2, "agreed", "b", "adjudicated"),
        (said("a", "a", (None,)), 2, "agreed", None, "excluded"),
        (said(("b",)), 3, "agreed", "b", "adjudicated"),
    ],
)
def test_what_counts_in_the_end(answers, redundancy, rule, label, why):
    value = None if label is None else {"label": label}
    assert decide(answers, redundancy, rule) == Decision(value, why)


def test_disagreements_are_for_the_adjudicator_and_agreement_counts_them(ledger, tickets):
    annotate.start(ledger, OWNER, "intents", tickets, INTENT, redundancy=2)
    doc = ids(ledger, tickets)
    for n, (ann, bob) in enumerate([("refund", "refund"), ("refund", "delivery"), (None, None), ("delivery", "delivery")]):
        say(ledger, ANN, doc[n], ann, comment="two languages")
        say(ledger, BOB, doc[n], bob, comment="two languages")
    say(ledger, ANN, doc[4], "refund")
    found = annotate.disagreements(ledger, "intents", 10)
    assert [(d.doc_id, d.why, len(d.answers), d.text) for d in found] == [
        (doc[1], "disagreement", 2, TEXTS[1]),
        (doc[2], "passed_over", 2, TEXTS[2]),
    ]
    assert len(annotate.disagreements(ledger, "intents", 1)) == 1
    agreed = annotate.agreement(ledger, "intents")
    assert (agreed.documents, agreed.same) == (3, 2)
    # rr, rd, dd: n = 6, 3 of each; observed 2; by chance 36 - 9 - 9; 1 - 5 · 2 / 18
    assert agreed.alpha == pytest.approx(4 / 9)
    (pair,) = agreed.pairs
    # equal in 2 of 3; by chance (2·1 + 1·2) / 9
    assert (pair.a, pair.b, pair.units, pair.kappa) == ("key_ann", "key_bob", 3, pytest.approx((2 / 3 - 4 / 9) / (5 / 9)))
    annotate.adjudicate(ledger, OWNER, "intents", doc[1], None, reason="about nothing")
    assert [d.doc_id for d in annotate.disagreements(ledger, "intents", 10)] == [doc[2]]


def test_spans_are_measured_and_published_as_tags(ledger, tickets):
    annotate.start(ledger, OWNER, "intents", tickets, {"spans": {"labels": ["PER"]}}, redundancy=2)
    doc = ids(ledger, tickets)
    name = {"spans": [{"start": 9, "end": 12, "label": "PER"}]}
    for who in (ANN, BOB):
        annotate.keep(ledger, who, "intents", doc[2], name)
    annotate.keep(ledger, ANN, "intents", doc[4], {"spans": []})
    annotate.keep(ledger, BOB, "intents", doc[4], {"spans": [{"start": 0, "end": 5, "label": "PER"}]})
    assert annotate.agreement(ledger, "intents").pairs[0].span_f1 == pytest.approx(2 * 1 / 3)
    version = publish(ledger, OWNER, "intents", "tagged")
    (row,) = Dataset(ledger.materialise(version)).table().to_pylist()
    assert row["tokens"] == ["Where", "is", "王", "小", "明", "?"]
    assert row["tags"] == ["O", "O", "B-PER", "I-PER", "I-PER", "O"]
    assert (row["label"], "label_" in row) == ("old", False)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label": "refnd"}, "Did you mean 'refund'"),
        ({}, "has the field 'label', not nothing"),
        (None, "passed over with a comment"),
    ],
)
def test_an_answer_that_is_none_leaves_nothing(ledger, tickets, change, message):
    annotate.start(ledger, OWNER, "intents", tickets, INTENT)
    doc = annotate.hand_out(ledger, ANN, "intents", 1).items[0].doc_id
    with pytest.raises(BadInput, match=message):
        annotate.keep(ledger, ANN, "intents", doc, change)
    assert annotate.hand_out(ledger, ANN, "intents", 1).items[0].doc_id == doc  # still theirs
    with pytest.raises(BadInput, match="The comment is no text"):
        annotate.keep(ledger, ANN, "intents", doc, {"label": "refund"}, comment="a\0b")
    for broken in ("d\0", "\ud800"):
        with pytest.raises(BadInput, match="The doc_id is no text"):
            annotate.keep(ledger, ANN, "intents", broken, {"label": "refund"})
    with pytest.raises(BadInput, match="A decision has a reason"):
        annotate.adjudicate(ledger, OWNER, "intents", doc, {"label": "refund"}, reason=" ")
    with pytest.raises(NotFound, match="has no document 'd9'"):
        annotate.keep(ledger, ANN, "intents", "d9", {"label": "refund"})


def test_a_project_that_makes_no_sense_is_not_made(ledger, tickets):
    for question, error, message in (
        ({"clasification": {}}, BadSpec, "there is no question 'clasification'. Did you mean 'classification'"),
        ({"classification": {"labels": ["a"], "lables": []}}, BadSpec, "has no setting 'lables'. Did you mean 'labels'"),
        ("preference", BadInput, "The dataset has no column 'answer_a'"),
        ({"text": {"show": ["chanel"]}}, BadInput, "no column 'chanel'.* Did you mean 'channel'"),
    ):
        with pytest.raises(error, match=message):
            annotate.start(ledger, OWNER, "intents", tickets, question)
    with pytest.raises(BadInput, match="m@1 is a model, not a dataset"):
        annotate.start(ledger, OWNER, "intents", make_model(ledger), INTENT)
    with pytest.raises(BadSpec, match=r"order is 'least'\. Did you mean 'least_confident'"):
        annotate.start(ledger, OWNER, "intents", tickets, INTENT, order="least")  # type: ignore[arg-type]
    with pytest.raises(NotFound, match="There is no annotation project 'intents'"):
        annotate.hand_out(ledger, ANN, "intents", 1)


def test_another_version_of_the_dataset_keeps_answers_and_lets_none_go_unasked(ledger, tickets, tmp_path):
    annotate.start(ledger, OWNER, "intents", tickets, {"spans": {"labels": ["PER"]}})
    doc = ids(ledger, tickets)
    annotate.keep(ledger, ANN, "intents", doc[2], {"spans": [{"start": 9, "end": 12, "label": "PER"}]})
    annotate.keep(ledger, ANN, "intents", doc[0], {"spans": []})
    more = gather(ledger, tmp_path / "in", [*TEXTS, "one more"])
    moved = annotate.move(ledger, OWNER, "intents", more)
    assert (moved.dataset, moved.kept, moved.new, moved.lost) == ("tickets@2", 5, 1, 0)
    assert len(annotate.hand_out(ledger, BOB, "intents", 9).items) == 4
    fewer = gather(ledger, tmp_path / "in", TEXTS[:2])
    with pytest.raises(Conflict, match=r"tickets@3 does not hold 1 of the 2 answered documents of intents, .* 0 do not fit"):
        annotate.move(ledger, OWNER, "intents", fewer)
    assert projects_dataset(ledger) == "tickets@2"
    assert annotate.move(ledger, OWNER, "intents", fewer, forget_missing=True).lost == 1
    assert projects_dataset(ledger) == "tickets@3"


def projects_dataset(ledger):
    with ledger.database.read() as connection:
        return projects.one(connection, "intents").dataset


def test_spans_that_do_not_fit_a_changed_text_are_not_kept(ledger, tickets):
    annotate.start(ledger, OWNER, "intents", tickets, {"spans": {"labels": ["PER"]}})
    doc = ids(ledger, tickets)
    annotate.keep(ledger, ANN, "intents", doc[4], {"spans": [{"start": 0, "end": 5, "label": "PER"}]})
    with ledger.run("clean", kind="dataset", name="shorter", spec={}, inputs=[tickets], actor=OWNER) as run:
        table = Dataset(ledger.materialise(tickets)).table()
        texts = pa.array([text[:3] for text in table["text"].to_pylist()])
        pq.write_table(table.set_column(table.column_names.index("text"), "text", texts), run.folder / "fragment-00000.parquet")
    with pytest.raises(Conflict, match="the answers of 1 do not fit its text"):
        annotate.move(ledger, OWNER, "intents", run.version)
    assert annotate.move(ledger, OWNER, "intents", run.version, forget_missing=True).lost == 1
    assert len(annotate.hand_out(ledger, ANN, "intents", 9).items) == 5


def test_an_erased_dataset_takes_its_labels_along_but_not_what_was_published(ledger, tickets):
    annotate.start(ledger, OWNER, "intents", tickets, INTENT)
    doc = ids(ledger, tickets)
    say(ledger, ANN, doc[0], "refund")
    published = publish(ledger, OWNER, "intents", "labelled")
    receipt = erase(ledger, ["tickets@1"], actor=OWNER.id, reason="request 17").receipt
    for act in (
        lambda: annotate.hand_out(ledger, ANN, "intents", 1),
        lambda: say(ledger, ANN, doc[1], "refund"),
        lambda: publish(ledger, OWNER, "intents", "labelled"),
    ):
        with pytest.raises(Erased, match=receipt):
            act()
    assert annotate.agreement(ledger, "intents").documents == 0
    assert ids(ledger, published) == [doc[0]]
    erase(ledger, [published.ref], actor=OWNER.id, reason="request 17")
    with pytest.raises(Erased):
        ledger.materialise(published)


@pytest.mark.parametrize("wal", [False, True])
def test_what_somebody_wrote_of_an_erased_text_is_nowhere_in_the_home(wal, tmp_path, monkeypatch):
    monkeypatch.setattr(database, "wal_is_safe", lambda: wal)
    ledger = Ledger.open(tmp_path / "home")
    tickets = gather(ledger, tmp_path / "in", TEXTS)
    annotate.start(ledger, OWNER, "notes", tickets, "text")
    doc = ids(ledger, tickets)
    secret = "somebody who wants to be forgotten"
    annotate.keep(ledger, ANN, "notes", doc[0], {"text": f"{secret} wrote this"}, comment=f"by {secret}")
    annotate.keep(ledger, ANN, "notes", doc[0], {"text": "another answer"})
    with ledger.write() as connection:
        projects.suggest(connection, "notes", [Suggestion(doc[1], {"text": f"{secret} again"}, "m@1", None)])

    def holding():
        return [path for path in ledger.home.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]

    assert ledger.home / ("ledger.sqlite-wal" if wal else "ledger.sqlite") in holding()
    erase(ledger, ["tickets@1"], actor=OWNER.id, reason="request 17")
    assert holding() == []
    ledger.close()
