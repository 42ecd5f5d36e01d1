"""The guard of a publish: a lease, held from before its first chunk until its transaction, which garbage collection heeds.

A lease is alive while its row is there. Only garbage collection takes away the row of a publisher that died or fell silent, and
the publisher's transaction sees that it is gone: no clock of the publisher's decides. Chunks that garbage collection deletes
leave a row in `condemned` until every lease that began before is gone, so a publisher that found a chunk in the store and
had it deleted afterwards sees that too, stores its files again and tries anew.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

import sqlalchemy as sa

from fourfold.core.errors import Busy, Erased
from fourfold.core.ids import new_id
from fourfold.storage import artifacts, runs, schema
from fourfold.storage.artifacts import Manifest
from fourfold.storage.blobs import Blobs
from fourfold.storage.database import Database, batches

LEASE_SECONDS = 600.0
ATTEMPTS = 5
WAIT_SECONDS = 30.0  # for a garbage collection that is deleting one of our chunks
PATIENCE_SECONDS = 0.02
FENCE = 44045  # PostgreSQL's advisory lock between publishers (shared) and garbage collection (alone)

Made = TypeVar("Made")


class Stale(Exception):
    """Raised inside a publish's transaction to undo it: its lease or some of its chunks are gone from under it."""


def fence(connection: sa.Connection, *, alone: bool = False) -> None:
    """Order this transaction against the others that move references or delete chunks. SQLite's write lock does so already."""
    if connection.dialect.name == "postgresql":
        lock = "pg_advisory_xact_lock" if alone else "pg_advisory_xact_lock_shared"
        connection.execute(sa.text(f"select {lock}({FENCE})"))


def epoch(connection: sa.Connection) -> int:
    """How often garbage collection has condemned or deleted: the order in which it and leases began."""
    c = schema.counter.c
    return connection.execute(sa.select(c.value).where(c.name == "garbage_epoch")).scalar_one()


def take(connection: sa.Connection, holder: str, *, seconds: float = LEASE_SECONDS) -> str:
    """Begin a lease in the caller's transaction; it counts once that is committed. Returns its id."""
    fence(connection)
    lease = new_id("lease")
    connection.execute(
        schema.lease.insert(),
        {
            "id": lease, "holder": holder, "process": runs.this_process(), "epoch": epoch(connection),
            "expires_at": time.time() + seconds,
        },
    )  # fmt: skip
    return lease


def release(connection: sa.Connection, holder: str) -> None:
    """End all leases of a holder."""
    connection.execute(schema.lease.delete().where(schema.lease.c.holder == holder))


def renew(database: Database, holder: str, *, seconds: float = LEASE_SECONDS) -> None:
    """Move the end of a holder's leases; one that was taken away stays so."""
    with database.write() as connection:
        end = schema.lease.update().where(schema.lease.c.holder == holder)
        connection.execute(end.values(expires_at=time.time() + seconds))


def living(connection: sa.Connection, now: float) -> list[sa.Row[Any]]:
    """Leases that are alive, after those that ended or whose process on this machine died were taken away."""
    rows = connection.execute(sa.select(schema.lease)).all()
    dead = [row.id for row in rows if row.expires_at < now or not runs.is_alive(row.process)]
    for some in batches(dead):
        connection.execute(schema.lease.delete().where(schema.lease.c.id.in_(some)))
    return [row for row in rows if row.id not in set(dead)]


def publish(
    database: Database,
    blobs: Blobs,
    folder: Path,
    holder: str,
    commit: Callable[[Manifest, Guard], Made],
) -> Made:
    """Store a folder's files under the holder's lease and `commit` their manifest; its transaction calls the guard.

    Where garbage collection was in between, the files are stored again. Raises Busy if it always is, Erased.
    """
    replaced: frozenset[tuple[str, int]] = frozenset()
    for _ in range(ATTEMPTS):
        _ensure(database, holder)
        manifest = artifacts.store(folder, cast(Blobs, Leased(blobs, database, holder)))
        try:
            return commit(manifest, Guard(holder, manifest, replaced))
        except Stale:
            replaced = _gone(database, manifest)
        except Erased:
            _remove_again(database, blobs, manifest)
            raise
    raise Busy("Garbage collection took away what was being stored, time and again.", hint="Run it again.")


@dataclass(frozen=True, slots=True)
class Guard:
    """Called in the transaction that makes a manifest visible: nothing of it was erased, its lease lives, its chunks are there.

    A condemned chunk that nobody deletes yet is revived. `replaced` are deletions (chunk, epoch) after which the chunk was
    stored again. Raises Erased; Stale if the files must be stored again.
    """

    holder: str
    manifest: Manifest
    replaced: frozenset[tuple[str, int]] = frozenset()

    def __call__(self, connection: sa.Connection, /) -> None:
        fence(connection)
        chunks = chunks_of(self.manifest)
        for some in batches([self.manifest.digest, *chunks]):
            found = connection.execute(sa.select(schema.erased).where(schema.erased.c.digest.in_(some))).first()
            if found is not None:
                raise Erased(
                    f"These files hold content that was erased (receipt {found.receipt}): it is not stored again.",
                    hint="Leave out what was erased, and publish the rest.",
                )
        if connection.execute(sa.select(schema.lease.c.id).where(schema.lease.c.holder == self.holder)).first() is None:
            raise Stale("the lease was taken away")
        c = schema.condemned.c
        for some in batches(chunks):
            rows = connection.execute(sa.select(c.chunk, c.state, c.epoch).where(c.chunk.in_(some))).all()
            if any(row.state != "condemned" and (row.chunk, row.epoch) not in self.replaced for row in rows):
                raise Stale("chunks were deleted")
            if rows:
                connection.execute(schema.condemned.delete().where(c.chunk.in_([row.chunk for row in rows])))


def chunks_of(manifest: Manifest) -> list[str]:
    """The digests of a manifest's chunks, each once."""
    return list(dict.fromkeys(chunk.digest for file in manifest.files for chunk in file.chunks))


def _ensure(database: Database, holder: str) -> None:
    """A lease with time left: the one that the run began with, or another."""
    c = schema.lease.c
    with database.read() as connection:
        ends = connection.execute(sa.select(sa.func.max(c.expires_at)).where(c.holder == holder)).scalar()
    if ends is not None and ends > time.time() + LEASE_SECONDS / 2:
        return
    with database.write() as connection:
        take(connection, holder)


def _gone(database: Database, manifest: Manifest) -> frozenset[tuple[str, int]]:
    """The deletions (chunk, epoch) of a manifest's chunks, once nobody is deleting any of them: from here on they can be stored
    again. Their rows stay until that is committed, since other publishers may still have to see them."""
    c = schema.condemned.c
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        with database.write() as connection:
            fence(connection, alone=True)
            rows = [
                row
                for some in batches(chunks_of(manifest))
                for row in connection.execute(sa.select(schema.condemned).where(c.chunk.in_(some), c.state != "condemned"))
            ]
            busy = [row for row in rows if row.state == "deleting" and runs.is_alive(row.process)]
            left = [row.chunk for row in rows if row.state == "deleting" and not runs.is_alive(row.process)]
            if left:
                mark_deleted(connection, left)
        if not busy and not left:
            return frozenset((row.chunk, row.epoch) for row in rows)
        if time.monotonic() > deadline:
            raise Busy("Garbage collection is deleting chunks of these files.", hint="Run it again when it ended.")
        time.sleep(PATIENCE_SECONDS)


def next_epoch(connection: sa.Connection) -> int:
    """Count one more act of garbage collection."""
    c = schema.counter
    more = c.update().where(c.c.name == "garbage_epoch").values(value=c.c.value + 1).returning(c.c.value)
    return connection.execute(more).scalar_one()


def mark_deleted(connection: sa.Connection, chunks: Sequence[str]) -> None:
    """Nobody deletes these any more: whoever stores them from now on will have them."""
    c = schema.condemned.c
    now = next_epoch(connection)
    for some in batches(chunks):
        connection.execute(schema.condemned.update().where(c.chunk.in_(some)).values(state="deleted", epoch=now))


def _remove_again(database: Database, blobs: Blobs, manifest: Manifest) -> None:
    e = schema.erased.c
    with database.read() as connection:
        again = [
            digest
            for some in batches(chunks_of(manifest))
            for digest in connection.execute(sa.select(e.digest).where(e.digest.in_(some))).scalars()
        ]
    for digest in again:
        blobs.remove(digest)


class Leased:
    """A store that renews the lease of the publish which writes to it."""

    def __init__(self, blobs: Blobs, database: Database, holder: str) -> None:
        self.blobs = blobs
        self.database = database
        self.holder = holder
        self.renewed = time.monotonic()

    def put(self, digest: str, data: bytes, /) -> None:
        """Keep `data`."""
        self._renew()
        self.blobs.put(digest, data)

    def put_file(self, digest: str, path: Path, /) -> None:
        """Keep a whole file."""
        self._renew()
        self.blobs.put_file(digest, path)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.blobs, name)

    def _renew(self) -> None:
        if time.monotonic() - self.renewed > LEASE_SECONDS / 4:
            renew(self.database, self.holder)
            self.renewed = time.monotonic()
