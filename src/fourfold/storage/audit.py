"""Who did what: rows written in the transaction of the act, then chained by hashes so that a change shows.

Writers insert rows without a place in the chain; `seal` gives them their places in batches. One sealer at a time holds the
chain's counter row, so the chain cannot fork and writers never wait for it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import closing
from typing import Any

import blake3
import msgspec
import sqlalchemy as sa

from fourfold.core.errors import Corrupt
from fourfold.storage import schema
from fourfold.storage.database import Database

START = "0" * 64
BATCH = 10_000


def record(connection: sa.Connection, actor: str, act: str, thing: str, detail: Mapping[str, Any] | None = None) -> None:
    """Add a row to the act's own transaction. `detail` holds ids and figures, never text of documents or people."""
    connection.execute(
        schema.audit.insert(),
        {"at": time.time(), "actor": actor, "act": act, "thing": thing, "detail_json": _json(detail or {})},
    )


def seal(database: Database) -> int:
    """Chain the rows that are not chained yet; returns how many."""
    c = schema.audit.c
    with database.read() as connection:
        if not connection.execute(sa.select(c.id).where(c.position.is_(None)).limit(1)).first():
            return 0
    with database.write() as connection:
        counter = schema.counter
        held = sa.select(counter.c.value).where(counter.c.name == "audit_head").with_for_update()
        position = connection.execute(held).scalar_one()
        head = connection.execute(sa.select(c.hash).where(c.position == position)).scalar() or START
        rows = connection.execute(sa.select(schema.audit).where(c.position.is_(None)).order_by(c.id).limit(BATCH)).all()
        for row in rows:
            position += 1
            head = _link(head, row)
            connection.execute(schema.audit.update().where(c.id == row.id).values(position=position, hash=head))
        connection.execute(counter.update().where(counter.c.name == "audit_head").values(value=position))
        return len(rows)


def verify(database: Database) -> tuple[int, str]:
    """Number of chained rows and the hash of the last. Raises Corrupt naming the first row that was changed or removed."""
    c = schema.audit.c
    query = sa.select(schema.audit).where(c.position.is_not(None)).order_by(c.position)
    with database.read() as connection:
        expected = connection.execute(
            sa.select(schema.counter.c.value).where(schema.counter.c.name == "audit_head")
        ).scalar_one()
        head, position = START, 0
        with closing(connection.execution_options(yield_per=1000).execute(query)) as rows:
            for row in rows:
                position += 1
                head = _link(head, row)
                if row.position != position or row.hash != head:
                    raise Corrupt(f"Audit row {row.id} at position {position} was changed, or one before it was removed.")
    if position != expected:
        raise Corrupt(f"The audit chain ends at {position}; it had {expected} rows.")
    return position, head


def _link(head: str, row: sa.Row[Any]) -> str:
    return blake3.blake3(_json([head, row.at, row.actor, row.act, row.thing, row.detail_json]).encode()).hexdigest()


def _json(value: Any) -> str:
    return msgspec.json.encode(value, order="deterministic").decode()
