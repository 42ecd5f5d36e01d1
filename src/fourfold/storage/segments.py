"""Sealed stretches of the request log: Parquet files that the ledger vouches for."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from fourfold.core.errors import Conflict, NotFound
from fourfold.storage import schema


@dataclass(frozen=True, slots=True)
class Segment:
    """A sealed segment of one front's log. Times are Unix seconds of its first and last request."""

    name: str
    front: int
    rows: int
    first_at: float
    last_at: float
    manifest: str


def insert(connection: sa.Connection, segment: Segment) -> None:
    """Add a segment; nothing to do if it was added before (a sealer that was killed runs again).

    Raises Conflict if another home added one of that name: its log must not be taken for sealed, and be deleted.
    """
    s = schema.segment.c
    found = connection.execute(sa.select(s.rows, s.first_at, s.last_at).where(s.name == segment.name)).first()
    if found is None:
        connection.execute(
            schema.segment.insert(),
            {
                "name": segment.name, "front": segment.front, "rows": segment.rows, "first_at": segment.first_at,
                "last_at": segment.last_at, "manifest": segment.manifest,
            },
        )  # fmt: skip
    elif tuple(found) != (segment.rows, segment.first_at, segment.last_at):
        raise Conflict(
            f"Another home sealed a request-log segment {segment.name} of other content: two homes have one number.",
            hint="If this home is a copy of another, stop it, delete its file `node`, and start it again.",
        )


def all_segments(connection: sa.Connection) -> list[Segment]:
    """Every sealed segment in order of time."""
    return [
        Segment(**row._mapping) for row in connection.execute(sa.select(schema.segment).order_by(schema.segment.c.first_at))
    ]


def one(connection: sa.Connection, name: str) -> Segment:
    """The segment of that name. Raises NotFound."""
    row = connection.execute(sa.select(schema.segment).where(schema.segment.c.name == name)).first()
    if row is None:
        raise NotFound(f"There is no sealed request-log segment {name!r}.")
    return Segment(**row._mapping)
