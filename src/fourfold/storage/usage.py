"""Where the bytes are: by name, by version, by store; how they grow, and when a store will be full."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from fourfold.storage import schema, store_rows
from fourfold.storage.database import Database
from fourfold.storage.store_rows import HOME, Store
from fourfold.storage.stores import Stores

DAY = 86_400.0
FAR_DAYS = 36_500.0
WINDOW_DAYS = 30.0  # growth is measured over this many days, or since the first version


@dataclass(frozen=True, slots=True)
class NameUse:
    """Bytes of a name's versions: as files, and of distinct chunks."""

    name: str
    kind: str
    versions: int
    size_bytes: int
    stored_bytes: int


@dataclass(frozen=True, slots=True)
class StoreUse:
    """A store with what it holds. `free_bytes` None: nobody can say. `full_at`: when it fills, if all goes on as it went; None:
    not within 100 years."""

    store: Store
    chunks: int
    stored_bytes: int
    free_bytes: int | None
    full_at: float | None


@dataclass(frozen=True, slots=True)
class Usage:
    """All of it. `largest`: (version, kind, bytes), the largest first."""

    names: tuple[NameUse, ...]
    largest: tuple[tuple[str, str, int], ...]
    stores: tuple[StoreUse, ...]
    bytes_per_day: float


def usage(database: Database, stores: Stores, *, now: float | None = None, largest: int = 20) -> Usage:
    """What the ledger says that is kept, and what the stores say that is free."""
    now = time.time() if now is None else now
    v = schema.version.c
    with database.read() as connection:
        per_day = _growth(connection, now)
        query = sa.select(v.name, v.number, v.kind, v.size_bytes).order_by(v.size_bytes.desc(), v.id).limit(largest)
        top = tuple((f"{row.name}@{row.number}", row.kind, row.size_bytes) for row in connection.execute(query))
        names = _names(connection)
        counted = [(store, *_held(connection, store)) for store in store_rows.all_stores(connection)]
    uses = []
    for store, chunks, size in counted:
        free = stores.opened[store.name].free_bytes() if store.name in stores.opened else None
        uses.append(StoreUse(store, chunks, size, free, None if free is None else _full_at(free, per_day, now)))
    return Usage(names, top, tuple(uses), per_day)


def _full_at(free: int, per_day: float, now: float) -> float | None:
    """When so many bytes are used up; None if that is further away than anybody looks: no calendar has the year 15000."""
    days = free / per_day if per_day > 0 else FAR_DAYS
    return now + days * DAY if days < FAR_DAYS else None


def _chunks_of(*columns: sa.ColumnElement[Any]) -> sa.Select[Any]:
    """Rows of versions with their chunks."""
    v, f, c = schema.version, schema.manifest_file, schema.file_chunk
    return sa.select(*columns).select_from(v).join(f, f.c.manifest == v.c.digest).join(c, c.c.file == f.c.digest)


def _names(connection: sa.Connection) -> tuple[NameUse, ...]:
    v, c = schema.version.c, schema.file_chunk.c
    distinct = _chunks_of(v.name, c.chunk, sa.func.max(c.size_bytes).label("size")).group_by(v.name, c.chunk).subquery()
    per_name = sa.select(distinct.c.name, sa.func.sum(distinct.c.size)).group_by(distinct.c.name)
    stored: dict[str, int] = {row[0]: row[1] for row in connection.execute(per_name)}
    query = sa.select(v.name, v.kind, sa.func.count(), sa.func.sum(v.size_bytes)).group_by(v.name, v.kind)
    found = [NameUse(row[0], row[1], row[2], int(row[3]), int(stored.get(row[0], 0))) for row in connection.execute(query)]
    return tuple(sorted(found, key=lambda use: (-use.stored_bytes, use.name)))


def _held(connection: sa.Connection, store: Store) -> tuple[int, int]:
    """Chunks and bytes that a store should hold by now."""
    c = schema.file_chunk.c
    chunks = sa.select(c.chunk, sa.func.max(c.size_bytes).label("size")).group_by(c.chunk)
    if store.name == HOME:
        chunks = chunks.where(c.chunk.not_in(sa.select(schema.moved_chunk.c.chunk)))
    if store.state == "copying":
        chunks = chunks.where(c.chunk <= store.copied_to)
    all_of_them = chunks.subquery()
    found = connection.execute(sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(all_of_them.c.size), 0))).one()
    return found[0], int(found[1])


def _growth(connection: sa.Connection, now: float) -> float:
    """Bytes of new chunks a day."""
    v, c = schema.version.c, schema.file_chunk.c
    born = _chunks_of(c.chunk, sa.func.max(c.size_bytes).label("size"), sa.func.min(v.created_at).label("born"))
    each = born.group_by(c.chunk).subquery()
    first = connection.execute(sa.select(sa.func.min(v.created_at))).scalar()
    if first is None:
        return 0.0
    days = min(WINDOW_DAYS, max(1.0, (now - first) / DAY))
    new = sa.select(sa.func.coalesce(sa.func.sum(each.c.size), 0)).where(each.c.born >= now - days * DAY)
    return float(connection.execute(new).scalar_one()) / days
