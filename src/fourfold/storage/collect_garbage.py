"""Garbage collection: chunks that no row keeps go from the stores, in two phases with a grace period between them.

What is kept is read from SQL, never from a listing: a listing only says what might be deleted, so one that is stale, short or
wrong costs room and nothing else. A chunk is condemned first. It is deleted when the grace period is over, every lease that
was alive when it was condemned has ended, and SQL still knows no use for it. Any error ends the run; what it had done by then
is safe, and the next run goes on from there.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from fourfold.core.nouns import Actor
from fourfold.core.progress import Progress, silent
from fourfold.storage import audit, erase, guard, runs, schema, states
from fourfold.storage.database import batches
from fourfold.storage.ledger import Ledger

GRACE_SECONDS = 86_400.0
ONE_AT_A_TIME = threading.Lock()  # in this process: what it left behind, it can go on with
SHOWN = 100  # chunks that a report names


@dataclass(frozen=True, slots=True)
class Garbage:
    """A chunk that no row keeps, and what becomes of it: condemned, waiting or deleted, and why."""

    chunk: str
    size_bytes: int
    fate: str
    reason: str


@dataclass(slots=True)
class Sweep:
    """What a garbage collection found and did. Of a dry run: what one would do now. `chunks` names at most 100."""

    dry_run: bool
    listed: int = 0
    kept: int = 0
    condemned: int = 0
    revived: int = 0
    waiting: int = 0
    deleted: int = 0
    deleted_bytes: int = 0
    manifests_retired: int = 0
    caches_removed: int = 0
    chunks: list[Garbage] = field(default_factory=list)

    def add(self, chunk: str, size_bytes: int, fate: str, reason: str) -> None:
        """Name a chunk, as long as there is room."""
        if len(self.chunks) < SHOWN:
            self.chunks.append(Garbage(chunk, size_bytes, fate, reason))


def collect_garbage(
    ledger: Ledger,
    *,
    actor: Actor,
    grace_seconds: float = GRACE_SECONDS,
    dry_run: bool = False,
    now: float | None = None,
    progress: Progress = silent,
) -> Sweep:
    """Condemn what no row keeps, and delete what was condemned `grace_seconds` ago and is still not needed.

    Raises whatever a store or the database raises: a run that could not see everything deletes nothing more.
    """
    with ONE_AT_A_TIME:
        return _collect(ledger, actor, grace_seconds, dry_run, time.time() if now is None else now, progress)


def _collect(ledger: Ledger, actor: Actor, grace_seconds: float, dry_run: bool, moment: float, progress: Progress) -> Sweep:
    sweep = Sweep(dry_run)
    if not dry_run:
        erase.replay_register(ledger)
        _finish_deletions(ledger)
    ledger.blobs.refresh(ledger.home, ledger.database)
    listing = dict(ledger.blobs.digests())  # whole, before anything is decided: an error here ends the run
    sweep.listed = len(listing)
    with ledger.write() as connection:
        guard.fence(connection, alone=True)
        sweep.manifests_retired = states.retire(connection, dry_run=dry_run)
    for number, some in enumerate(batches(sorted(listing))):
        _condemn(ledger, some, listing, moment, sweep)
        progress(number * len(some), len(listing), "chunks")
    _delete(ledger, listing, moment, grace_seconds, sweep)
    if not dry_run:
        _retire_tombstones(ledger, moment)
        _clear_cache(ledger, sweep)
        with ledger.write() as connection:
            audit.record(connection, actor.id, "collect_garbage", "blobs", _figures(sweep))
    return sweep


def _condemn(ledger: Ledger, some: Sequence[str], listing: dict[str, int], moment: float, sweep: Sweep) -> None:
    c, e = schema.condemned.c, schema.erased.c
    with ledger.write() as connection:
        guard.fence(connection, alone=True)
        live = states.live_chunks(connection, some)
        rows = connection.execute(sa.select(c.chunk, c.state).where(c.chunk.in_(some))).all()
        known = {row.chunk: row.state for row in rows}
        erased = set(connection.execute(sa.select(e.digest).where(e.digest.in_(some))).scalars())
        revived = [chunk for chunk, state in known.items() if chunk in live and state == "condemned"]
        new = [chunk for chunk in some if chunk not in live and chunk not in known]
        sweep.kept += len(live)
        sweep.revived += len(revived)
        sweep.condemned += len(new)
        reasons = {chunk: "erased" if chunk in erased else "no version and no record keeps it" for chunk in new}
        for chunk in new:
            sweep.add(chunk, listing[chunk], "condemned", reasons[chunk])
        if sweep.dry_run:
            return
        if revived:
            connection.execute(schema.condemned.delete().where(c.chunk.in_(revived)))
        if new:
            now = guard.next_epoch(connection)
            row = {"state": "condemned", "epoch": now, "at": moment, "process": ""}
            connection.execute(schema.condemned.insert(), [{"chunk": x, "reason": reasons[x], **row} for x in new])


def _delete(ledger: Ledger, listing: dict[str, int], moment: float, grace_seconds: float, sweep: Sweep) -> None:
    c = schema.condemned.c
    with ledger.database.read() as connection:
        query = sa.select(c.chunk).where(c.state == "condemned").order_by(c.chunk)
        condemned = list(connection.execute(query).scalars())
    for some in batches(condemned):
        doomed = _doom(ledger, some, listing, moment, grace_seconds, sweep)
        if sweep.dry_run:
            continue
        for chunk in doomed:
            ledger.blobs.remove(chunk)
        _deleted(ledger, doomed)


def _doom(
    ledger: Ledger, some: list[str], listing: dict[str, int], moment: float, grace_seconds: float, sweep: Sweep
) -> list[str]:
    """Those of the condemned chunks whose hour has come, marked as being deleted by this process."""
    c = schema.condemned.c
    with ledger.write() as connection:
        guard.fence(connection, alone=True)
        alive = guard.living(connection, moment)
        horizon = min((lease.epoch for lease in alive), default=None)
        rows = connection.execute(sa.select(schema.condemned).where(c.chunk.in_(some), c.state == "condemned")).all()
        live = states.live_chunks(connection, [row.chunk for row in rows])
        doomed: list[str] = []
        for row in rows:
            why = _spared(row, live, horizon, moment - grace_seconds)
            if why is None:
                doomed.append(row.chunk)
                sweep.deleted += 1
                sweep.deleted_bytes += listing.get(row.chunk, 0)
                sweep.add(row.chunk, listing.get(row.chunk, 0), "deleted", row.reason)
            else:
                sweep.waiting += row.chunk not in live
                sweep.add(row.chunk, listing.get(row.chunk, 0), "waiting", why)
        if doomed and not sweep.dry_run:
            values = {"state": "deleting", "process": runs.this_process(), "epoch": guard.next_epoch(connection)}
            connection.execute(schema.condemned.update().where(c.chunk.in_(doomed)).values(values))
    return doomed


def _spared(row: sa.Row[Any], live: set[str], horizon: int | None, before: float) -> str | None:
    if row.chunk in live:
        return "it is in use again"
    if row.at > before and row.reason != "erased":
        return "its grace period is not over"
    if horizon is not None and row.epoch > horizon:
        return "a publish or backup that began before it was condemned is still running"
    return None


def _deleted(ledger: Ledger, chunks: Sequence[str]) -> None:
    if chunks:
        with ledger.write() as connection:
            guard.fence(connection, alone=True)
            guard.mark_deleted(connection, chunks)


def _finish_deletions(ledger: Ledger) -> None:
    """Go on with what a garbage collection that died was deleting. Its chunks become this process's own first."""
    c = schema.condemned.c
    with ledger.write() as connection:
        guard.fence(connection, alone=True)
        rows = connection.execute(sa.select(c.chunk, c.process).where(c.state == "deleting")).all()
        orphans = [row.chunk for row in rows if not runs.is_alive(row.process) or row.process == runs.this_process()]
        for some in batches(orphans):
            connection.execute(schema.condemned.update().where(c.chunk.in_(some)).values(process=runs.this_process()))
    for chunk in orphans:
        ledger.blobs.remove(chunk)
    _deleted(ledger, orphans)


def _retire_tombstones(ledger: Ledger, moment: float) -> None:
    """Forget deletions that no living publisher can have missed: those that were over before its lease began."""
    c = schema.condemned.c
    with ledger.write() as connection:
        guard.fence(connection, alone=True)
        horizon = min((lease.epoch for lease in guard.living(connection, moment)), default=None)
        query = schema.condemned.delete().where(c.state == "deleted")
        connection.execute(query if horizon is None else query.where(c.epoch <= horizon))


def _clear_cache(ledger: Ledger, sweep: Sweep) -> None:
    """Remove cached folders of versions that are kept no more."""
    names = [path.name for path in ledger.materialised.folder.glob("*") if len(path.name) == 64]
    m = schema.manifest.c
    for some in batches(names):
        with ledger.database.read() as connection:
            kept = set(
                connection.execute(sa.select(m.digest).where(m.digest.in_(some), m.digest.in_(states.keepers()))).scalars()
            )
        for name in set(some) - kept:
            ledger.materialised.remove(name)
            sweep.caches_removed += 1


def _figures(sweep: Sweep) -> dict[str, Any]:
    names = ("listed", "kept", "condemned", "revived", "waiting", "deleted", "deleted_bytes", "manifests_retired")
    return {name: getattr(sweep, name) for name in names}
