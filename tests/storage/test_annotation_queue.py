"""Annotation projects on both databases: items are handed out once, answers are kept, erasure takes them along."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from tests.storage.conftest import OWNER

from fourfold.core.errors import BadInput, Conflict, Erased, NotFound
from fourfold.storage import annotation_projects as projects
from fourfold.storage import annotation_queue as queue
from fourfold.storage import schema, states
from fourfold.storage.annotation_projects import Suggestion
from fourfold.storage.erase import erase, read_register, replay_register

LABELLER = """
import sys
from pathlib import Path
from fourfold.storage import annotation_queue as queue
from fourfold.storage.ledger import Ledger

ledger = Ledger.open(Path(sys.argv[1]), url=sys.argv[2])
while True:
    with ledger.write() as connection:
        held = queue.take(connection, "mood", sys.argv[3], 2)
    for each in held:
        with ledger.write() as connection:
            queue.answer(connection, "mood", sys.argv[3], each.item.doc_id, {"label": "yes"})
        print(each.item.doc_id, flush=True)  # acknowledged: from here on it may not be lost
"""
YES, NO = {"label": "yes"}, {"label": "no"}


@pytest.fixture
def project(ledger, publish):
    """`make(n, …)`: a project `mood` over n documents d0, d1 … of tickets@1."""

    def make(n, *, name="mood", redundancy=1, dataset=None):
        version = dataset or publish("tickets", f"texts of {name}", kind="dataset")
        with ledger.write() as connection:
            return projects.create(
                connection,
                "ann",
                name,
                version.id,
                {"classification": {"labels": ["yes", "no"]}},
                [(f"d{i}", 0, i) for i in range(n)],
                guideline="Read it twice.",
                redundancy=redundancy,
                lease_seconds=600.0,
                order="dataset",
            )

    return make


def take(ledger, who, limit=1, name="mood"):
    with ledger.write() as connection:
        return [held.item.doc_id for held in queue.take(connection, name, who, limit)]


def say(ledger, who, doc_id, value=YES, **more):
    with ledger.write() as connection:
        return queue.answer(connection, "mood", who, doc_id, value, **more)


def said(ledger, **more):
    with ledger.database.read() as connection:
        return queue.answers(connection, "mood", **more)


def let_leases_expire(ledger):
    with ledger.write() as connection:
        connection.execute(schema.annotation_lease.update().values(expires_at=1.0))


def test_two_people_get_different_items_and_each_gets_theirs_again(ledger, project):
    made = project(3)
    assert (made.dataset, made.state, made.guideline, made.redundancy) == ("tickets@1", "open", 1, 1)
    assert take(ledger, "ann", 2) == ["d0", "d1"]
    assert take(ledger, "bob", 2) == ["d2"]
    assert take(ledger, "ann", 2) == ["d0", "d1"]  # a page that is loaded again loses nothing
    assert take(ledger, "cat") == []
    with ledger.write() as connection:
        assert queue.give_back(connection, "mood", "ann", ["d1", "d2"]) == 1  # d2 is not hers
    assert take(ledger, "cat", 5) == ["d1"]


def test_redundancy_asks_each_item_of_so_many_different_people(ledger, project):
    project(2, redundancy=2)
    assert take(ledger, "ann", 2) == take(ledger, "bob", 2) == ["d0", "d1"]
    assert take(ledger, "cat", 2) == []
    say(ledger, "ann", "d0")
    assert take(ledger, "ann", 2) == ["d1"]  # never again what she answered
    with ledger.write() as connection:
        queue.give_back(connection, "mood", "bob")
    assert take(ledger, "cat", 2) == ["d0", "d1"]


def test_a_lease_that_expired_is_free_and_a_late_answer_counts_as_long_as_there_is_room(ledger, project):
    project(2)
    assert take(ledger, "ann", 2) == ["d0", "d1"]
    let_leases_expire(ledger)
    assert take(ledger, "bob") == ["d0"]
    with pytest.raises(Conflict, match="d0 of mood has room for 1, and somebody else holds it now"):
        say(ledger, "ann", "d0")
    assert say(ledger, "ann", "d1").revision == 1  # late, but nobody else has it
    say(ledger, "bob", "d0", NO)
    with pytest.raises(Conflict, match="others have answered it"):
        say(ledger, "ann", "d0")
    assert [(a.doc_id, a.annotator, a.value) for a in said(ledger)] == [("d0", "bob", NO), ("d1", "ann", YES)]


def test_an_answer_given_twice_is_one_and_a_new_one_keeps_the_old(ledger, project):
    project(1)
    take(ledger, "ann")
    first = say(ledger, "ann", "d0", YES, seconds=2.5)
    assert say(ledger, "ann", "d0", YES, seconds=9.0) == first  # the reply was lost, and it was sent again
    assert say(ledger, "ann", "d0", NO, comment="read again").revision == 2
    assert [(a.value, a.comment) for a in said(ledger)] == [(NO, "read again")]
    assert [(a.revision, a.value) for a in said(ledger, history=True)] == [(1, YES), (2, NO)]
    with ledger.database.read() as connection:
        found = projects.counts(connection, "mood", 0.0)
    assert (found.items, found.done, found.answers) == (1, 1, {"ann": 1})


def test_eight_people_at_once_share_the_items_without_one_twice(ledger, project):
    project(40)

    def work(who):
        mine = []
        while got := take(ledger, who, 3):
            for doc_id in got:
                say(ledger, who, doc_id)
                mine.append(doc_id)
        return mine

    with ThreadPoolExecutor(8) as pool:
        done = [doc_id for mine in pool.map(work, [f"p{n}" for n in range(8)]) for doc_id in mine]
    assert sorted(done) == sorted(f"d{i}" for i in range(40))
    assert len(said(ledger)) == 40


def test_of_three_people_at_once_exactly_two_get_each_item_when_two_are_asked_for(ledger, project):
    project(10, redundancy=2)
    with ThreadPoolExecutor(3) as pool:
        got = list(pool.map(lambda who: take(ledger, who, 10), ["ann", "bob", "cat"]))
    assert set(Counter(doc_id for mine in got for doc_id in mine).values()) == {2}


def test_guidelines_are_numbered_and_each_answer_names_the_one_it_followed(ledger, project):
    project(2)
    say(ledger, "ann", "d0")
    with ledger.write() as connection:
        assert projects.write_guideline(connection, "ann", "mood", "Read it three times.").number == 2
        assert projects.write_guideline(connection, "ann", "mood", "Read it three times.").number == 2  # nothing new
        assert [g.text for g in projects.guidelines(connection, "mood")] == ["Read it twice.", "Read it three times."]
    say(ledger, "ann", "d1")
    assert [a.guideline for a in said(ledger)] == [1, 2]
    assert say(ledger, "ann", "d1", NO, guideline=1).guideline == 1
    with pytest.raises(BadInput, match="mood has no guideline 7; the newest is 2"):
        say(ledger, "ann", "d1", guideline=7)


def test_an_adjudication_decides_and_is_not_answered_over(ledger, project):
    project(2, redundancy=2)
    take(ledger, "ann", 2)
    say(ledger, "ann", "d0", YES)
    say(ledger, "bob", "d0", NO)
    with ledger.write() as connection:
        queue.adjudicate(connection, "mood", "judge", "d0", NO, reason="rule 3")
        queue.adjudicate(connection, "mood", "chief", "d0", YES, reason="rule 4")
        queue.adjudicate(connection, "mood", "judge", "d1", None, reason="empty")
    with pytest.raises(Conflict, match="d0 of mood was decided by an adjudicator"):
        say(ledger, "ann", "d0", NO)
    decided = [a for a in said(ledger) if a.role == "adjudicator"]
    assert [(a.doc_id, a.annotator, a.value, a.revision) for a in decided] == [
        ("d0", "chief", YES, 2),
        ("d1", "judge", None, 1),
    ]
    assert take(ledger, "cat", 5) == []


def test_suggestions_and_ranks_order_the_queue_and_answers_name_whose_suggestion_was_in_sight(ledger, project):
    project(3)
    with ledger.write() as connection:
        projects.suggest(connection, "mood", [Suggestion("d2", YES, "words@1", 0.4), Suggestion("nobody", NO, "x", None)])
        projects.rank(connection, "mood", ["d2", "d0", "d1"])
        found = projects.items(connection, "mood")
    assert [(i.doc_id, i.suggestion, i.suggested_by, i.confidence) for i in found][:2] == [
        ("d2", YES, "words@1", 0.4),
        ("d0", None, None, None),
    ]
    assert take(ledger, "ann", 3) == ["d2", "d0", "d1"]
    assert say(ledger, "ann", "d2").suggested_by == "words@1"
    assert say(ledger, "ann", "d0").suggested_by is None


def test_what_is_closed_takes_nothing_until_it_is_opened_again(ledger, project):
    project(1)
    take(ledger, "ann")
    with ledger.write() as connection:
        assert projects.set_state(connection, "ann", "mood", "closed").state == "closed"
    with pytest.raises(Conflict, match="mood is closed"):
        say(ledger, "ann", "d0")
    with pytest.raises(Conflict, match="mood is closed"):
        take(ledger, "ann")
    with ledger.write() as connection:
        projects.set_state(connection, "ann", "mood", "open")
    assert take(ledger, "bob") == ["d0"]  # closing let go of what was held


def test_what_does_not_exist_and_what_makes_no_sense_is_refused(ledger, project):
    project(1)
    with pytest.raises(NotFound, match=r"There is no annotation project 'moo'\. Did you mean 'mood'"):
        take(ledger, "ann", name="moo")
    with pytest.raises(NotFound, match="mood has no document 'd9'"):
        say(ledger, "ann", "d9")
    for limit in (0, 101):
        with pytest.raises(BadInput, match=f"limit is {limit}"):
            take(ledger, "ann", limit)
    with pytest.raises(Conflict, match="There is an annotation project mood already"):
        project(1, dataset=ledger.version("tickets@1"))
    with pytest.raises(BadInput, match="redundancy is 0"):
        project(1, name="other", redundancy=0)


def test_another_version_of_the_dataset_keeps_the_answers_of_its_documents(ledger, project, publish):
    project(4)
    for doc_id in ("d0", "d1", "d2"):
        say(ledger, "ann", doc_id)
    newer = publish("tickets", "newer", kind="dataset")
    with ledger.write() as connection:
        moved = projects.move(connection, "ann", "mood", newer.id, [("d2", 0, 0), ("d0", 0, 1), ("d7", 1, 0)], ["d2"])
        assert moved == (2, 1, 2)  # d0 and d2 stay, d7 is new, the answers of d1 and of the unfit d2 went
        assert projects.one(connection, "mood").dataset == "tickets@2"
        assert [(i.doc_id, i.fragment, i.row, i.state) for i in projects.items(connection, "mood")] == [
            ("d0", 0, 1, "done"),
            ("d2", 0, 0, "open"),
            ("d7", 1, 0, "open"),
        ]
    assert [a.doc_id for a in said(ledger)] == ["d0"]


def test_erasing_the_dataset_takes_labels_and_suggestions_along_also_after_a_restore(ledger, project, publish):
    project(2)
    other = publish("letters", "letters", kind="dataset")
    project(1, name="other", dataset=other)
    words = publish("words", "a model", inputs=(ledger.version("tickets@1"),))
    with ledger.write() as connection:
        projects.suggest(connection, "other", [Suggestion("d0", YES, words.ref, 0.9)])
    say(ledger, "ann", "d0")
    take(ledger, "bob")
    receipt = erase(ledger, ["tickets@1", words.ref], actor=OWNER.id, reason="request 17").receipt

    def left():
        tables = (schema.annotation_item, schema.annotation_answer, schema.annotation_lease)
        with ledger.database.read() as connection:
            return [connection.execute(sa.select(t.c.doc_id).where(t.c.annotation == "mood")).all() for t in tables]

    assert left() == [[], [], []]
    with pytest.raises(Erased, match=f"tickets@1, which mood annotated, is erased, and its labels with it: receipt {receipt}"):
        take(ledger, "bob")
    with ledger.database.read() as connection:
        assert [i.suggestion for i in projects.items(connection, "other")] == [None]
    with ledger.write() as connection:  # as a backup from before the erasure would have it
        for table in (schema.erased, schema.version_state, schema.erasure):
            connection.execute(table.delete())
        connection.execute(schema.annotation.update().values(state="open"))
        row = {"annotation": "mood", "doc_id": "d0", "fragment": 0, "row": 0, "rank": 0.0, "state": "open", "answers": 0}
        connection.execute(schema.annotation_item.insert(), row)
    assert replay_register(ledger) == [receipt] == [r.receipt for r in read_register(ledger.register)]
    assert left() == [[], [], []]


def test_forgotten_documents_leave_every_project(ledger, project):
    project(2)
    project(2, name="other", dataset=ledger.version("tickets@1"))
    say(ledger, "ann", "d0")
    take(ledger, "bob", 2, name="other")
    with ledger.write() as connection:
        assert projects.forget(connection, ["d0", "d5"]) == 2
        assert [i.doc_id for name in ("mood", "other") for i in projects.items(connection, name)] == ["d1", "d1"]
    assert said(ledger, history=True) == []


def test_a_dataset_that_is_annotated_is_not_removed_until_the_project_is_closed(ledger, project):
    project(1)
    version = ledger.version("tickets@1")
    with pytest.raises(Conflict, match="tickets@1 is being annotated by mood"), ledger.write() as connection:
        states.remove(connection, version, OWNER.id, "unused")
    with ledger.write() as connection:
        projects.set_state(connection, "ann", "mood", "closed")
        states.remove(connection, version, OWNER.id, "unused")
        assert states.state_of(connection, version.id) == "removed"


def test_what_was_acknowledged_survives_the_kill_of_whoever_took_it(ledger, project, database_url):
    project(400)
    command = [sys.executable, "-c", LABELLER, str(ledger.home), database_url]
    acknowledged: set[str] = set()
    for who in ("ann", "bob"):
        with subprocess.Popen([*command, who], stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            acknowledged |= {child.stdout.readline().strip() for _ in range(10)}
            child.kill()
            acknowledged |= set(child.stdout.read().split())
    assert len(acknowledged) >= 20
    found = said(ledger)
    assert acknowledged <= {a.doc_id for a in found}
    assert len({a.doc_id for a in found}) == len(found)  # nobody was given what another had answered
    with ledger.database.read() as connection:
        states_of = {i.doc_id: (i.state, i.answers) for i in projects.items(connection, "mood")}
    assert {doc_id for doc_id, state in states_of.items() if state == ("done", 1)} == {a.doc_id for a in found}
    let_leases_expire(ledger)
    assert len(take(ledger, "cat", 100)) == min(100, 400 - len(found))  # what the dead held is free again
