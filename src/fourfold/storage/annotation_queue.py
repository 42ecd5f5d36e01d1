"""The queue of an annotation project: items handed out under leases, and the answers that come back.

Handing out and taking lock the project's row, so that no two people are given an item that has room for one. A lease that has
expired is free again; an answer that comes late is taken as long as its item has room. Answers are only ever added: whoever
answers again adds a revision.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
import sqlalchemy as sa

from fourfold.core.errors import BadInput, Conflict
from fourfold.storage import annotation_projects as projects
from fourfold.storage import audit, schema
from fourfold.storage.annotation_projects import Annotation, AnnotationItem, Value, encode, item_from_row
from fourfold.storage.leases import clock

AnswerRole = Literal["annotator", "adjudicator"]
MOST_HELD = 100  # items that one person holds at once


@dataclass(frozen=True, slots=True)
class Answer:
    """What somebody said of a document. `value` None: passed over, or left out by an adjudicator. `at` is in Unix seconds."""

    doc_id: str
    annotator: str
    role: AnswerRole
    revision: int
    value: Value | None
    comment: str
    guideline: int
    suggested_by: str | None
    at: float
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Held:
    """An item in somebody's hands until a time (Unix seconds)."""

    item: AnnotationItem
    until: float


def take(connection: sa.Connection, name: str, annotator: str, limit: int) -> list[Held]:
    """Up to `limit` items for a person: those that they hold already, then the next that have room. Each is theirs for the
    project's `lease_seconds` from now."""
    if not 1 <= limit <= MOST_HELD:
        raise BadInput(f"limit is {limit}; it must be between 1 and {MOST_HELD}.")
    project = projects.open_one(connection, name)
    now = clock(connection)
    lease = schema.annotation_lease
    connection.execute(lease.delete().where(lease.c.annotation == name, lease.c.expires_at <= now))
    held = _held(connection, name, annotator, limit)
    new = _free(connection, project, annotator, limit - len(held)) if len(held) < limit else []
    until = now + project.lease_seconds
    mine = sa.and_(lease.c.annotation == name, lease.c.annotator == annotator)
    for found in held:
        connection.execute(lease.update().where(mine, lease.c.doc_id == found.doc_id).values(expires_at=until))
    if new:
        rows = [{"annotation": name, "doc_id": i.doc_id, "annotator": annotator, "expires_at": until} for i in new]
        connection.execute(lease.insert(), rows)
    return [Held(item, until) for item in (*held, *new)]


def give_back(connection: sa.Connection, name: str, annotator: str, doc_ids: Sequence[str] | None = None) -> int:
    """Let go of items that a person holds (None: of all), so that others get them; returns how many."""
    projects.one(connection, name, lock=True)
    lease = schema.annotation_lease
    here = sa.and_(lease.c.annotation == name, lease.c.annotator == annotator)
    if doc_ids is not None:
        here = sa.and_(here, lease.c.doc_id.in_(list(doc_ids)))
    return connection.execute(lease.delete().where(here)).rowcount


def answer(
    connection: sa.Connection,
    name: str,
    annotator: str,
    doc_id: str,
    value: Value | None,
    *,
    comment: str = "",
    guideline: int | None = None,
    seconds: float | None = None,
    at: float | None = None,
) -> Answer:
    """Keep what a person says of a document; saying the same again changes nothing, saying something else adds a revision.

    Raises Conflict if the item was adjudicated, or if others have it by now.
    """
    project = projects.open_one(connection, name)
    item = projects.item(connection, name, doc_id)
    if item.state == "adjudicated":
        raise Conflict(f"{doc_id} of {name} was decided by an adjudicator.", hint="Take the next item.")
    number = _guideline(connection, project, guideline)
    before = next((a for a in answers(connection, name, [doc_id]) if (a.annotator, a.role) == (annotator, "annotator")), None)
    if before is not None and (before.value, before.comment, before.guideline) == (value, comment, number):
        return before
    if before is None:
        _check_room(connection, project, item, annotator)
    revision = 1 if before is None else before.revision + 1
    row = Answer(
        doc_id, annotator, "annotator", revision, value, comment, number, item.suggested_by, at or clock(connection), seconds
    )
    _insert(connection, name, row)
    lease, i = schema.annotation_lease.c, schema.annotation_item
    connection.execute(
        schema.annotation_lease.delete().where(lease.annotation == name, lease.doc_id == doc_id, lease.annotator == annotator)
    )
    if before is None:
        state = "done" if item.answers + 1 >= project.redundancy else "open"
        here = sa.and_(i.c.annotation == name, i.c.doc_id == doc_id)
        connection.execute(i.update().where(here).values(answers=item.answers + 1, state=state))
    return row


def adjudicate(
    connection: sa.Connection, name: str, adjudicator: str, doc_id: str, value: Value | None, *, reason: str
) -> Answer:
    """Decide a document over whatever was answered; None leaves it out. A later decision counts over an earlier one."""
    project = projects.open_one(connection, name)
    item = projects.item(connection, name, doc_id)
    before = [a for a in answers(connection, name, [doc_id]) if a.role == "adjudicator"]
    revision = 1 + max((a.revision for a in before), default=0)
    row = Answer(
        doc_id,
        adjudicator,
        "adjudicator",
        revision,
        value,
        reason,
        project.guideline,
        item.suggested_by,
        clock(connection),
        None,
    )
    _insert(connection, name, row)
    lease, i = schema.annotation_lease.c, schema.annotation_item
    connection.execute(schema.annotation_lease.delete().where(lease.annotation == name, lease.doc_id == doc_id))
    here = sa.and_(i.c.annotation == name, i.c.doc_id == doc_id)
    connection.execute(i.update().where(here).values(state="adjudicated"))
    audit.record(connection, adjudicator, "adjudicate", name, {"doc_id": doc_id, "left_out": value is None})
    return row


def answers(
    connection: sa.Connection, name: str, doc_ids: Sequence[str] | None = None, *, history: bool = False
) -> list[Answer]:
    """What counts of each person, by document and time: one query, so that it is the state of one moment.

    `history`: every revision. Of adjudications only the last counts, whoever made it.
    """
    t = schema.annotation_answer
    query = sa.select(t).where(t.c.annotation == name).order_by(t.c.doc_id, t.c.at, t.c.role, t.c.annotator, t.c.revision)
    if doc_ids is not None:
        query = query.where(t.c.doc_id.in_(list(doc_ids)))
    found = [_from_row(row) for row in connection.execute(query)]
    if history:
        return found
    newest: dict[tuple[str, str], Answer] = {}
    for each in found:
        key = (each.doc_id, each.annotator if each.role == "annotator" else "\0")
        if key not in newest or newest[key].revision < each.revision:
            newest[key] = each
    return [each for each in found if newest[each.doc_id, each.annotator if each.role == "annotator" else "\0"] is each]


def _held(connection: sa.Connection, name: str, annotator: str, limit: int) -> list[AnnotationItem]:
    i, lease = schema.annotation_item, schema.annotation_lease.c
    both = sa.and_(lease.annotation == i.c.annotation, lease.doc_id == i.c.doc_id)
    query = sa.select(i).join(schema.annotation_lease, both).where(lease.annotation == name, lease.annotator == annotator)
    return [item_from_row(row) for row in connection.execute(query.order_by(i.c.rank, i.c.fragment, i.c.row).limit(limit))]


def _free(connection: sa.Connection, project: Annotation, annotator: str, limit: int) -> list[AnnotationItem]:
    """The next items with room that the person neither holds nor answered."""
    i, lease, a = schema.annotation_item, schema.annotation_lease, schema.annotation_answer
    of_item = sa.and_(lease.c.annotation == i.c.annotation, lease.c.doc_id == i.c.doc_id)
    holders = sa.select(sa.func.count()).select_from(lease).where(of_item).correlate(i).scalar_subquery()
    mine = sa.select(lease.c.doc_id).where(of_item, lease.c.annotator == annotator).correlate(i).exists()
    said = (
        sa.select(a.c.doc_id)
        .where(a.c.annotation == i.c.annotation, a.c.doc_id == i.c.doc_id, a.c.annotator == annotator, a.c.role == "annotator")
        .correlate(i)
        .exists()
    )
    query = sa.select(i).where(
        i.c.annotation == project.name, i.c.state == "open", i.c.answers + holders < project.redundancy, ~mine, ~said
    )
    return [item_from_row(row) for row in connection.execute(query.order_by(i.c.rank, i.c.fragment, i.c.row).limit(limit))]


def _check_room(connection: sa.Connection, project: Annotation, item: AnnotationItem, annotator: str) -> None:
    """Raise Conflict unless the person holds the item, or it has room for one more."""
    lease, now = schema.annotation_lease.c, clock(connection)
    query = sa.select(lease.annotator).where(
        lease.annotation == project.name, lease.doc_id == item.doc_id, lease.expires_at > now
    )
    holders = set(connection.execute(query).scalars())
    if annotator in holders or item.answers + len(holders) < project.redundancy:
        return
    why = "others have answered it" if item.answers >= project.redundancy else "somebody else holds it now"
    raise Conflict(
        f"{item.doc_id} of {project.name} has room for {project.redundancy}, and {why}: this answer was not kept.",
        hint=f"An item is yours for {project.lease_seconds:g} s after it was handed out. Take the next.",
    )


def _guideline(connection: sa.Connection, project: Annotation, number: int | None) -> int:
    if number is not None and not 1 <= number <= project.guideline:
        raise BadInput(
            f"{project.name} has no guideline {number}; the newest is {project.guideline}.",
            hint=f"Run: fourfold annotate show {project.name}",
        )
    return number or project.guideline


def _insert(connection: sa.Connection, name: str, row: Answer) -> None:
    value = None if row.value is None else encode(row.value)
    connection.execute(
        schema.annotation_answer.insert(),
        {
            "annotation": name, "doc_id": row.doc_id, "role": row.role, "annotator": row.annotator, "revision": row.revision,
            "value_json": value, "comment": row.comment, "guideline": row.guideline, "suggested_by": row.suggested_by,
            "at": row.at, "seconds": row.seconds,
        },
    )  # fmt: skip


def _from_row(row: sa.Row[Any]) -> Answer:
    value = None if row.value_json is None else msgspec.json.decode(row.value_json)
    return Answer(
        row.doc_id,
        row.annotator,
        row.role,
        row.revision,
        value,
        row.comment,
        row.guideline,
        row.suggested_by,
        row.at,
        row.seconds,
    )
