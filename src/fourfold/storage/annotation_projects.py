"""Annotation projects: rows of what is asked about which documents, under which guideline; and how they end.

A project asks one question about the documents of one dataset version. `annotation_queue` hands them out and takes answers.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import msgspec
import sqlalchemy as sa

from fourfold.core.errors import BadInput, BadSpec, Conflict, Erased, NotFound, did_you_mean
from fourfold.storage import audit, schema
from fourfold.storage.database import batches
from fourfold.storage.versions import check_name

AnnotationState = Literal["open", "closed", "erased"]
Order = Literal["dataset", "least_confident", "diverse"]
MOST_REDUNDANCY = 100
LONGEST_LEASE = 30 * 86_400.0  # seconds
NO_SUGGESTION = {"suggestion_json": None, "suggested_by": None, "confidence": None}
Value = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Annotation:
    """An annotation project. `question` is a part's spec; `guideline` the number of the newest; `dataset` is `name@number`."""

    name: str
    dataset: str
    question: Mapping[str, Any]
    redundancy: int
    lease_seconds: float
    order: Order
    state: AnnotationState
    guideline: int
    created_at: float
    created_by: str
    version_id: str = ""


@dataclass(frozen=True, slots=True)
class Guideline:
    """What annotators are told to do, in one of its versions. `at` is in Unix seconds."""

    number: int
    text: str
    at: float
    actor: str


@dataclass(frozen=True, slots=True)
class AnnotationItem:
    """A document of a project: where the dataset holds it, how many people answered, and what a model suggests."""

    doc_id: str
    fragment: int
    row: int
    rank: float
    state: str
    answers: int
    suggestion: Value | None
    suggested_by: str | None
    confidence: float | None


@dataclass(frozen=True, slots=True)
class Counts:
    """How far a project is: items by state, items that have a suggestion, held items, and answers by person."""

    items: int
    open: int
    done: int
    adjudicated: int
    held: int
    suggested: int
    answers: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Suggestion:
    """What a model or an import says of a document; `confidence` in [0, 1], None if it says none."""

    doc_id: str
    value: Value
    by: str
    confidence: float | None


Place = tuple[str, int, int]  # doc_id, fragment, row


def create(
    connection: sa.Connection,
    actor: str,
    name: str,
    version_id: str,
    question: Mapping[str, Any],
    places: Sequence[Place],
    *,
    guideline: str,
    redundancy: int,
    lease_seconds: float,
    order: Order,
) -> Annotation:
    """A new project over documents in their order. Raises Conflict if the name is taken, BadInput for bounds."""
    check_name(name)
    if order not in get_args(Order):
        raise BadSpec(
            f"order is {order!r}.{did_you_mean(order, get_args(Order))}", hint=f"Known: {', '.join(get_args(Order))}."
        )
    if not 1 <= redundancy <= MOST_REDUNDANCY:
        raise BadInput(f"redundancy is {redundancy}; it must be between 1 and {MOST_REDUNDANCY}.")
    if not 1 <= lease_seconds <= LONGEST_LEASE:
        raise BadInput(f"lease_seconds is {lease_seconds:g}; it must be between 1 and {LONGEST_LEASE:.0f} (30 days).")
    a = schema.annotation
    if connection.execute(sa.select(a.c.name).where(a.c.name == name)).first():
        raise Conflict(f"There is an annotation project {name} already.", hint=f"Run: fourfold annotate show {name}")
    row = {
        "name": name, "version_id": version_id, "question_json": encode(question), "redundancy": redundancy,
        "lease_seconds": lease_seconds, "queue_order": order, "state": "open", "receipt": None, "created_at": time.time(),
        "created_by": actor,
    }  # fmt: skip
    connection.execute(a.insert(), row)
    _insert_guideline(connection, name, 1, guideline, actor)
    _insert_items(connection, name, places, first_rank=0)
    audit.record(connection, actor, "annotate", name, {"items": len(places), "redundancy": redundancy})
    return one(connection, name)


def one(connection: sa.Connection, name: str, *, lock: bool = False) -> Annotation:
    """The project of that name. `lock`: nobody else hands out, takes or changes anything of it until the transaction ends.

    Raises NotFound with the closest name.
    """
    a = schema.annotation
    if lock:
        connection.execute(sa.select(a.c.name).where(a.c.name == name).with_for_update())
    row = connection.execute(_select().where(a.c.name == name)).first()
    if row is None:
        known = list(connection.execute(sa.select(a.c.name).order_by(a.c.name)).scalars())
        raise NotFound(
            f"There is no annotation project {name!r}.{did_you_mean(name, known)}", hint="Run: fourfold annotate list"
        )
    return _from_row(row)


def open_one(connection: sa.Connection, name: str) -> Annotation:
    """The project of that name, locked. Raises Conflict if it is closed, Erased if its dataset was erased."""
    found = one(connection, name, lock=True)
    if found.state == "erased":
        receipt = connection.execute(sa.select(schema.annotation.c.receipt).where(schema.annotation.c.name == name)).scalar()
        raise Erased(f"{found.dataset}, which {name} annotated, is erased, and its labels with it: receipt {receipt}.")
    if found.state == "closed":
        raise Conflict(f"Annotation project {name} is closed.", hint=f"Run: fourfold annotate close {name} --reopen")
    return found


def all_annotations(connection: sa.Connection) -> list[Annotation]:
    """Every project, by name."""
    return [_from_row(row) for row in connection.execute(_select().order_by(schema.annotation.c.name))]


def counts(connection: sa.Connection, name: str, now: float) -> Counts:
    """How far a project is."""
    i, lease, answer = schema.annotation_item.c, schema.annotation_lease.c, schema.annotation_answer.c
    states = sa.select(i.state, sa.func.count()).where(i.annotation == name).group_by(i.state)
    by_state = {row[0]: row[1] for row in connection.execute(states)}
    held = connection.execute(
        sa.select(sa.func.count(lease.doc_id.distinct())).where(lease.annotation == name, lease.expires_at > now)
    ).scalar_one()
    suggested = connection.execute(
        sa.select(sa.func.count()).where(i.annotation == name, i.suggestion_json.is_not(None))
    ).scalar_one()
    people = sa.select(answer.annotator, sa.func.count(answer.doc_id.distinct())).where(
        answer.annotation == name, answer.role == "annotator"
    )
    by_person = connection.execute(people.group_by(answer.annotator).order_by(answer.annotator))
    answered = {row[0]: row[1] for row in by_person}
    of_states = {state: by_state.get(state, 0) for state in ("open", "done", "adjudicated")}
    return Counts(sum(by_state.values()), **of_states, held=held, suggested=suggested, answers=answered)


def count_open(connection: sa.Connection, name: str) -> int:
    """How many items still want answers."""
    i = schema.annotation_item.c
    return connection.execute(sa.select(sa.func.count()).where(i.annotation == name, i.state == "open")).scalar_one()


def set_state(connection: sa.Connection, actor: str, name: str, state: AnnotationState) -> Annotation:
    """Close a project, or open it again. Raises Erased."""
    if one(connection, name, lock=True).state == "erased":
        open_one(connection, name)
    connection.execute(schema.annotation.update().where(schema.annotation.c.name == name).values(state=state))
    if state == "closed":
        connection.execute(schema.annotation_lease.delete().where(schema.annotation_lease.c.annotation == name))
    audit.record(connection, actor, f"annotation_{state}", name)
    return one(connection, name)


# Guidelines


def write_guideline(connection: sa.Connection, actor: str, name: str, text: str) -> Guideline:
    """A new version of the guideline; a text equal to the newest makes none."""
    project = open_one(connection, name)
    newest = guidelines(connection, name)[-1]
    if newest.text == text:
        return newest
    _insert_guideline(connection, name, project.guideline + 1, text, actor)
    audit.record(connection, actor, "annotation_guideline", name, {"number": project.guideline + 1})
    return guidelines(connection, name)[-1]


def guidelines(connection: sa.Connection, name: str) -> list[Guideline]:
    """Every version of a project's guideline, oldest first."""
    g = schema.annotation_guideline.c
    query = sa.select(g.number, g.text, g.at, g.actor).where(g.annotation == name).order_by(g.number)
    return [Guideline(**row._mapping) for row in connection.execute(query)]


# Items


def items(connection: sa.Connection, name: str, doc_ids: Collection[str] | None = None) -> list[AnnotationItem]:
    """Items of a project in the order of its queue: all, or those of `doc_ids`."""
    i = schema.annotation_item
    query = sa.select(i).where(i.c.annotation == name).order_by(i.c.rank, i.c.fragment, i.c.row)
    if doc_ids is None:
        return [item_from_row(row) for row in connection.execute(query)]
    return [item_from_row(row) for some in batches(doc_ids) for row in connection.execute(query.where(i.c.doc_id.in_(some)))]


def item(connection: sa.Connection, name: str, doc_id: str) -> AnnotationItem:
    """The item of a document. Raises NotFound."""
    found = items(connection, name, [doc_id])
    if not found:
        raise NotFound(f"Annotation project {name} has no document {doc_id!r}.", hint=f"Run: fourfold annotate next {name}")
    return found[0]


def still_about(connection: sa.Connection, name: str, version_id: str) -> None:
    """Raise Conflict if the project went on with another version of its dataset meanwhile, or was closed."""
    if open_one(connection, name).version_id != version_id:
        raise Conflict(f"{name} went on with another version of its dataset meanwhile.", hint="Try again.")


def suggest(connection: sa.Connection, name: str, suggestions: Iterable[Suggestion], *, instead: bool = False) -> None:
    """Write what is suggested for documents, in place of what was suggested before; `instead`: also where nothing is now."""
    i = schema.annotation_item
    if instead:
        connection.execute(i.update().where(i.c.annotation == name).values(NO_SUGGESTION))
    update = (
        i.update()
        .where(i.c.annotation == name, i.c.doc_id == sa.bindparam("of"))
        .values(suggestion_json=sa.bindparam("suggestion"), suggested_by=sa.bindparam("by"), confidence=sa.bindparam("sure"))
    )
    rows = [{"of": s.doc_id, "suggestion": encode(s.value), "by": s.by, "sure": s.confidence} for s in suggestions]
    if rows:
        connection.execute(update, rows)


def rank(connection: sa.Connection, name: str, doc_ids: Sequence[str]) -> None:
    """Hand the documents out in this order."""
    i = schema.annotation_item
    update = i.update().where(i.c.annotation == name, i.c.doc_id == sa.bindparam("of")).values(rank=sa.bindparam("place"))
    if doc_ids:
        connection.execute(update, [{"of": doc_id, "place": place} for place, doc_id in enumerate(doc_ids)])


def move(
    connection: sa.Connection, actor: str, name: str, version_id: str, places: Sequence[Place], unfit: Collection[str]
) -> tuple[int, int, int]:
    """Go on with another version of the dataset: items that stay, that are new, and whose answers went.

    Answers of documents that it does not hold go with their items; those of `unfit` documents go, too, which are open again.
    """
    i, a = schema.annotation_item, schema.annotation
    known = {found.doc_id: found for found in items(connection, name)}
    wanted = {doc_id for doc_id, _, _ in places}
    gone = [doc_id for doc_id in known if doc_id not in wanted]
    answered = [doc_id for doc_id in (*gone, *unfit) if known[doc_id].answers or known[doc_id].state == "adjudicated"]
    _delete_answers(connection, [*gone, *unfit], name)
    for some in batches(gone):
        connection.execute(i.delete().where(i.c.annotation == name, i.c.doc_id.in_(some)))
    connection.execute(i.update().where(i.c.annotation == name).values(NO_SUGGESTION))  # of texts that may have changed
    for some in batches(unfit):
        connection.execute(i.update().where(i.c.annotation == name, i.c.doc_id.in_(some)).values(state="open", answers=0))
    placed = i.update().where(i.c.annotation == name, i.c.doc_id == sa.bindparam("of"))
    stay = [{"of": doc_id, "f": fragment, "r": row} for doc_id, fragment, row in places if doc_id in known]
    if stay:
        connection.execute(placed.values(fragment=sa.bindparam("f"), row=sa.bindparam("r")), stay)
    new = [place for place in places if place[0] not in known]
    _insert_items(connection, name, new, first_rank=len(known))
    connection.execute(a.update().where(a.c.name == name).values(version_id=version_id))
    audit.record(connection, actor, "annotation_move", name, {"gone": len(gone), "new": len(new), "answers_of": len(answered)})
    return len(stay), len(new), len(answered)


# Erasure


def forget(connection: sa.Connection, doc_ids: Collection[str]) -> int:
    """Take every trace of documents out of all projects: items, leases, answers; returns how many items went."""
    i = schema.annotation_item
    _delete_answers(connection, doc_ids)
    return sum(connection.execute(i.delete().where(i.c.doc_id.in_(some))).rowcount for some in batches(doc_ids))


def erase_labels_of(connection: sa.Connection, version_ids: Collection[str], refs: Collection[str], receipt: str) -> int:
    """What goes with erased versions: all items and answers of projects that annotate one of them, and the suggestions that one
    of them made elsewhere; returns how many projects ended."""
    a, i = schema.annotation, schema.annotation_item
    ended = 0
    for some in batches(version_ids):
        for name in connection.execute(sa.select(a.c.name).where(a.c.version_id.in_(some))).scalars().all():
            for t in (schema.annotation_lease, schema.annotation_answer, i):
                connection.execute(t.delete().where(t.c.annotation == name))
            connection.execute(a.update().where(a.c.name == name).values(state="erased", receipt=receipt))
            ended += 1
    for some in batches(refs):
        connection.execute(i.update().where(i.c.suggested_by.in_(some)).values(NO_SUGGESTION))
    return ended


def refuse_if_annotated(connection: sa.Connection, version_id: str, ref: str) -> None:
    """Raise Conflict if a project that is open asks about the version."""
    a = schema.annotation.c
    name = connection.execute(sa.select(a.name).where(a.version_id == version_id, a.state == "open")).scalar()
    if name is not None:
        raise Conflict(f"{ref} is being annotated by {name}.", hint=f"Run: fourfold annotate close {name}")


def _delete_answers(connection: sa.Connection, doc_ids: Collection[str], name: str | None = None) -> None:
    for some in batches(doc_ids):
        for t in (schema.annotation_lease, schema.annotation_answer):
            here = t.c.doc_id.in_(some) if name is None else sa.and_(t.c.annotation == name, t.c.doc_id.in_(some))
            connection.execute(t.delete().where(here))


# Rows


def _insert_items(connection: sa.Connection, name: str, places: Sequence[Place], *, first_rank: int) -> None:
    rows = [
        {"annotation": name, "doc_id": doc_id, "fragment": fragment, "row": row, "rank": first_rank + n, "state": "open",
         "answers": 0}
        for n, (doc_id, fragment, row) in enumerate(places)
    ]  # fmt: skip
    if rows:
        connection.execute(schema.annotation_item.insert(), rows)


def _insert_guideline(connection: sa.Connection, name: str, number: int, text: str, actor: str) -> None:
    row = {"annotation": name, "number": number, "text": text, "at": time.time(), "actor": actor}
    connection.execute(schema.annotation_guideline.insert(), row)


def _select() -> sa.Select[Any]:
    a, v, g = schema.annotation, schema.version.c, schema.annotation_guideline.c
    newest = sa.select(sa.func.max(g.number)).where(g.annotation == a.c.name).scalar_subquery()
    return sa.select(a, v.name.label("of"), v.number, newest.label("guideline")).join(schema.version, v.id == a.c.version_id)


def _from_row(row: sa.Row[Any]) -> Annotation:
    return Annotation(
        row.name, f"{row.of}@{row.number}", msgspec.json.decode(row.question_json), row.redundancy, row.lease_seconds,
        row.queue_order, row.state, row.guideline, row.created_at, row.created_by, row.version_id,
    )  # fmt: skip


def item_from_row(row: sa.Row[Any]) -> AnnotationItem:
    """The item of a row."""
    suggestion = None if row.suggestion_json is None else msgspec.json.decode(row.suggestion_json)
    return AnnotationItem(
        row.doc_id, row.fragment, row.row, row.rank, row.state, row.answers, suggestion, row.suggested_by, row.confidence
    )


def encode(value: Any) -> str:
    """A value as JSON of which equal values have equal texts."""
    return msgspec.json.encode(value, order="deterministic").decode()
