"""Label Studio's tasks in and out: what is brought, what is left out and why, and that bringing it twice changes nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from fourfold.core.nouns import Actor
from fourfold.data import annotate
from fourfold.data.collect import collect
from fourfold.data.label_studio import export_tasks, import_tasks
from fourfold.storage import annotation_projects as projects
from fourfold.storage import annotation_queue as queue
from fourfold.storage.annotation_projects import Suggestion
from fourfold.storage.ledger import Ledger

ANN = Actor("key_ann", "ann", "annotator")
OWNER = Actor("key_owner", "owner", "admin")
TEXTS = ("😀 Anna is here", "Bob left", "nobody", "twice", "twice")
PEOPLE = {"spans": {"labels": ["PER"]}}


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger.open(tmp_path / "home")
    (tmp_path / "in").mkdir()
    lines = [json.dumps({"text": text, "n": n}) for n, text in enumerate(TEXTS)]
    (tmp_path / "in" / "t.jsonl").write_text("\n".join(lines))
    version = collect(opened, OWNER, "tickets", {"files": {"path": str(tmp_path / "in")}})
    annotate.start(opened, OWNER, "people", version, PEOPLE)
    yield opened
    opened.close()


def region(start, end, text, label="PER", kind="labels"):
    return {
        "from_name": "l",
        "to_name": "t",
        "type": kind,
        "value": {"start": start, "end": end, "text": text, "labels": [label]},
    }


def annotation(*regions, by=3, **more):
    return {"completed_by": by, "result": list(regions), "created_at": "2026-03-01T10:00:00.000000Z", "lead_time": 4.5, **more}


def task(text, *annotations, predictions=(), **data):
    return {"id": 7, "data": {"text": text, **data}, "annotations": list(annotations), "predictions": list(predictions)}


def answers(ledger):
    with ledger.database.read() as connection:
        return queue.answers(connection, "people")


def test_annotations_become_answers_with_who_when_and_how_long(ledger):
    done = import_tasks(
        ledger, OWNER, "people", [task(TEXTS[0], annotation(region(3, 7, "Anna"))), task(TEXTS[1], annotation())]
    )
    assert (done.tasks, done.answers, done.left_out) == (2, 2, {})
    by_value = {json.dumps(a.value): a for a in answers(ledger)}
    assert set(by_value) == {
        '{"spans": [{"end": 6, "label": "PER", "start": 2}]}',
        '{"spans": []}',
    }  # 😀 is two units of UTF-16
    one = by_value['{"spans": []}']
    assert (one.annotator, one.seconds, one.at) == ("label-studio:3", 4.5, 1772359200.0)  # 2026-03-01 10:00 UTC
    again = import_tasks(ledger, OWNER, "people", [task(TEXTS[1], annotation())])
    assert (again.answers, len(answers(ledger)), answers(ledger)[0].revision) == (1, 2, 1)


def test_cancelled_ones_pass_the_document_over_and_ground_truth_decides(ledger):
    tasks = [
        task(TEXTS[0], annotation(was_cancelled=True)),
        task(TEXTS[1], annotation(region(0, 3, "Bob"), ground_truth=True, by={"id": 9, "email": "a@example.com"})),
    ]
    done = import_tasks(ledger, OWNER, "people", tasks)
    assert (done.answers, done.decisions) == (1, 1)
    found = {a.role: a for a in answers(ledger)}
    assert (found["annotator"].value, found["annotator"].comment) == (None, "passed over in Label Studio")
    assert (found["adjudicator"].annotator, found["adjudicator"].value) == (
        "key_owner", {"spans": [{"start": 0, "end": 3, "label": "PER"}]},
    )  # fmt: skip
    import_tasks(ledger, OWNER, "people", tasks)
    assert {a.revision for a in answers(ledger)} == {1}


def test_the_surest_prediction_becomes_a_suggestion(ledger):
    predictions = [
        {"model_version": "old", "score": 0.4, "result": []},
        {"model_version": "new", "score": 0.8, "result": [region(0, 3, "Bob")]},
        {"model_version": "odd", "score": 17, "result": []},
    ]
    assert import_tasks(ledger, OWNER, "people", [task(TEXTS[1], predictions=predictions)]).suggestions == 1
    with ledger.database.read() as connection:
        (item,) = [i for i in projects.items(connection, "people") if i.suggestion is not None]
    assert (item.suggestion, item.suggested_by, item.confidence) == (
        {"spans": [{"start": 0, "end": 3, "label": "PER"}]}, "new", 0.8,
    )  # fmt: skip


def test_what_cannot_be_used_is_counted_and_the_rest_goes_on(ledger):
    tasks = [
        "no task",
        {"id": 1},
        task("unknown text", annotation()),
        task("twice", annotation()),  # two documents have this text
        task(TEXTS[1], annotation(region(0, 3, "Bob", "LOC"))),
        task(TEXTS[1], annotation(region(5, 8, "Bob"))),
        task(TEXTS[1], predictions=[{"result": [region(0, 3, "Bob", "LOC")]}]),
        task(TEXTS[1], annotation(region(0, 3, "Bob"), by=1), annotation(by=2)),
        task(TEXTS[2], annotation(region(0, 3, "x", kind="choices"))),  # regions of other controls are passed over
    ]
    done = import_tasks(ledger, OWNER, "people", tasks)  # type: ignore[arg-type]
    assert done.left_out == {"no task": 2, "no such document": 2, "no answer to this question": 3, "no room": 1}
    assert done.answers == 2
    assert done.faults[0] == "task 1 has no data"
    assert any("spans[0].label is 'LOC'" in fault for fault in done.faults)
    assert any("room for 1, and others have answered it" in fault for fault in done.faults)


def test_a_document_is_known_by_its_id_before_its_text(ledger):
    with ledger.database.read() as connection:
        doc_id = projects.items(connection, "people")[3].doc_id
    assert import_tasks(ledger, OWNER, "people", [task("twice", annotation(), doc_id=doc_id)]).answers == 1
    assert [a.doc_id for a in answers(ledger)] == [doc_id]


def test_an_export_comes_back_as_it_was(ledger, tmp_path):
    with ledger.database.read() as connection:
        items = projects.items(connection, "people")
    ids = [item.doc_id for item in items]
    annotate.keep(
        ledger, ANN, "people", ids[0], {"spans": [{"start": 2, "end": 6, "label": "PER"}]}, comment="sure", seconds=2.0
    )
    annotate.keep(ledger, ANN, "people", ids[2], None, comment="no idea")
    annotate.adjudicate(ledger, OWNER, "people", ids[1], {"spans": []}, reason="rule 1")
    with ledger.write() as connection:
        projects.suggest(connection, "people", [Suggestion(ids[3], {"spans": []}, "words@1", 0.5)])
    exported = export_tasks(ledger, "people")
    assert exported.config == (
        '<View><Labels name="answer" toName="text"><Label value="PER"/></Labels><Text name="text" value="$text"/></View>'
    )
    first = exported.tasks[0]
    assert first["data"] == {"text": TEXTS[0], "doc_id": ids[0]}
    assert first["annotations"][0]["result"][0] == {
        "from_name": "answer", "to_name": "text", "type": "labels", "id": "2-6",
        "value": {"start": 2, "end": 6, "text": "Anna", "labels": ["PER"]},
    }  # fmt: skip
    assert exported.tasks[3]["predictions"] == [{"model_version": "words@1", "score": 0.5, "result": []}]
    before = answers(ledger)
    other = Ledger.open(tmp_path / "other")
    version = collect(other, OWNER, "tickets", {"files": {"path": str(tmp_path / "in")}})
    annotate.start(other, OWNER, "people", version, PEOPLE)
    done = import_tasks(other, OWNER, "people", json.loads(json.dumps(exported.tasks)))
    assert (done.answers, done.decisions, done.suggestions, done.left_out) == (2, 1, 1, {})
    after = answers(other)
    assert [(a.doc_id, a.annotator, a.role, a.value, a.comment, a.seconds) for a in after] == [
        (a.doc_id, a.annotator, a.role, a.value, a.comment, a.seconds) for a in before
    ]
    assert [a.at for a in after if a.role == "annotator"] == pytest.approx([a.at for a in before if a.role == "annotator"])
    other.close()
