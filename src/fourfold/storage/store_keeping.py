"""Work on stores that takes long and can be stopped and taken up again: copying to a new one, scrubbing, moving, draining."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import sqlalchemy as sa

from fourfold.core.errors import BadInput, Conflict, Corrupt, FourfoldError, NotFound
from fourfold.core.progress import Progress, silent
from fourfold.storage import audit, schema, store_rows
from fourfold.storage.blobs import Blobs
from fourfold.storage.database import Database
from fourfold.storage.store_rows import HOME
from fourfold.storage.stores import Stores


@dataclass(slots=True)
class Kept:
    """What keeping did: chunks looked at and their bytes, how many were copied or repaired, and which no store has right."""

    chunks: int = 0
    size_bytes: int = 0
    copied: int = 0
    lost: int = 0
    lost_chunks: tuple[str, ...] = ()  # the first hundred

    def lose(self, digest: str) -> None:
        self.lost += 1
        self.lost_chunks = (*self.lost_chunks, digest)[:100]


def copy_to(database: Database, stores: Stores, name: str, *, progress: Progress = silent) -> Kept:
    """Bring a store every chunk that it has not, behind the last that was noted; then it is `active`.

    Raises Corrupt, and the store stays `copying`, if some chunk is right in no store.
    """
    kept = Kept()
    target = _opened(stores, name)
    with database.read() as connection:
        after, total = store_rows.one(connection, name).copied_to, _count(connection)
    for batch in store_rows.every_chunk(database, after):
        for digest, size in batch:
            _bring(stores, target, digest, size, kept)
        progress(kept.chunks, total, "chunks")
        with database.write() as connection:
            store_rows.note(connection, name, copied_to=batch[-1][0])
    if kept.lost:
        with database.write() as connection:
            store_rows.note(connection, name, copied_to="")
        raise Corrupt(
            f"{kept.lost} chunks are right in no store, {kept.lost_chunks[0][:16]}… among them.", hint="Restore a backup."
        )
    with database.write() as connection:
        store_rows.note(connection, name, state="active", copied_to="")
    return kept


def _bring(stores: Stores, target: Blobs, digest: str, size: int, kept: Kept) -> None:
    kept.chunks += 1
    kept.size_bytes += size
    if stores.is_erased(digest) or target.has(digest):
        return
    try:
        target.put(digest, stores.get(digest))
        kept.copied += 1
    except (NotFound, Corrupt):
        kept.lose(digest)


def scrub(
    database: Database,
    stores: Stores,
    name: str,
    *,
    bytes_per_second: float = 0,
    progress: Progress = silent,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Kept:
    """Read every chunk of a store, repair those that are wrong or missing from the others, and note when. What an older key
    of the store's key file sealed is sealed with the newest: after a whole scrub the older keys open nothing there.

    Goes on where a stopped scrub came to. `bytes_per_second` 0: as fast as it goes.
    """
    kept = Kept()
    target = _opened(stores, name)
    with database.read() as connection:
        after, total = store_rows.one(connection, name).scrubbed_to, _count(connection)
    begun = clock()
    for batch in store_rows.every_chunk(database, after):
        for digest, size in batch:
            _examine(stores, target, name, digest, kept)
            kept.chunks += 1
            kept.size_bytes += size
            if bytes_per_second:
                sleep(max(0.0, begun + kept.size_bytes / bytes_per_second - clock()))
        progress(kept.chunks, total, "chunks")
        with database.write() as connection:
            store_rows.note(connection, name, scrubbed_to=batch[-1][0])
    with database.write() as connection:
        store_rows.scrubbed(connection, name, asdict(kept))
    return kept


def _examine(stores: Stores, target: Blobs, name: str, digest: str, kept: Kept) -> None:
    if stores.is_erased(digest):
        return
    try:
        data = target.get(digest)
        if getattr(target, "seal", None) is not None:
            target.put(digest, data)  # which is written anew unless the newest key sealed it
    except NotFound:
        if name == HOME and stores.is_moved(digest):
            return
    except Corrupt:
        pass
    else:
        return
    for other, blobs in stores.opened.items():
        if other != name:
            with contextlib.suppress(FourfoldError, OSError):
                target.put(digest, blobs.get(digest))
                kept.copied += 1
                return
    kept.lose(digest)


def move(
    database: Database, stores: Stores, name: str, *, older_than_days: float, actor: str, now: float | None = None
) -> Kept:
    """Leave the chunks of cold versions to a store alone: copied, read back from it, then removed from the home's own folder.

    Cold is a version that is older, has no alias, and whose chunks no warmer version, deployment or log has.
    """
    if name == HOME:
        raise BadInput("Versions are moved out of the home, to another store.", hint="Run: fourfold storage")
    kept = Kept()
    target, primary = _opened(stores, name), stores.opened[HOME]
    before = (time.time() if now is None else now) - older_than_days * 86_400
    with database.read() as connection:
        if store_rows.one(connection, name).state != "active":
            raise Conflict(f"Store {name} is still being copied to.", hint="Run: fourfold storage")
        cold = _cold_chunks(connection, before)
    for digest, size in cold:
        _bring(stores, target, digest, size, kept)
        if stores.is_erased(digest) or digest in kept.lost_chunks:
            continue
        target.get(digest)  # nothing is removed before it was read where it is to stay
        with database.write() as connection:
            if not store_rows.moved(connection, digest):
                connection.execute(schema.moved_chunk.insert(), {"chunk": digest, "store": name})
        primary.remove(digest)
    with database.write() as connection:
        audit.record(connection, actor, "move_to_store", name, {"chunks": kept.chunks, "size_bytes": kept.size_bytes})
    return kept


def _cold_chunks(connection: sa.Connection, before: float) -> list[tuple[str, int]]:
    v, f, c = schema.version.c, schema.manifest_file.c, schema.file_chunk.c
    aliased = sa.select(schema.alias.c.version_id)
    warm = sa.or_(v.created_at >= before, v.id.in_(aliased))
    kept = sa.select(v.digest).where(warm).union(sa.select(schema.segment.c.manifest))
    warm_chunks = sa.select(c.chunk).join(schema.manifest_file, f.digest == c.file).where(f.manifest.in_(kept))
    cold = sa.select(c.chunk, sa.func.max(c.size_bytes)).join(schema.manifest_file, f.digest == c.file)
    cold = cold.join(schema.version, v.digest == f.manifest).where(v.created_at < before, c.chunk.not_in(warm_chunks))
    cold = cold.where(c.chunk.not_in(sa.select(schema.moved_chunk.c.chunk))).group_by(c.chunk).order_by(c.chunk)
    return [(row[0], row[1]) for row in connection.execute(cold)]


def drain(database: Database, stores: Stores, name: str, *, actor: str, progress: Progress = silent) -> Kept:
    """Take a store out once every chunk is right in some other store. What it holds stays where it is, for its owner to delete.

    Raises BadInput for the home's own folder, Corrupt if a chunk is right nowhere.
    """
    if name == HOME:
        raise BadInput("The home's own folder is its primary store, and stays.", hint="Run: fourfold storage")
    kept = Kept()
    _opened(stores, name)
    others = Stores({k: v for k, v in stores.opened.items() if k != name}, is_erased=stores.is_erased)
    with database.read() as connection:
        total = _count(connection)
    for batch in store_rows.every_chunk(database):
        for digest, size in batch:
            kept.chunks += 1
            kept.size_bytes += size
            _save(stores, others, digest, kept)
        progress(kept.chunks, total, "chunks")
    if kept.lost:
        raise Corrupt(
            f"{kept.lost} chunks are right in no store, {kept.lost_chunks[0][:16]}… among them.", hint="Restore a backup."
        )
    with database.write() as connection:
        store_rows.remove(connection, actor, name)
    return kept


def _save(stores: Stores, others: Stores, digest: str, kept: Kept) -> None:
    if stores.is_erased(digest):
        return
    try:
        others.get(digest)
        return
    except (NotFound, Corrupt):
        pass
    try:
        others.put(digest, stores.get(digest))
        kept.copied += 1
    except (NotFound, Corrupt):
        kept.lose(digest)


def _opened(stores: Stores, name: str) -> Blobs:
    if name not in stores.opened:
        raise NotFound(f"There is no store {name!r}.", hint="Run: fourfold storage")
    return stores.opened[name]


def _count(connection: sa.Connection) -> int:
    return connection.execute(sa.select(sa.func.count(sa.distinct(schema.file_chunk.c.chunk)))).scalar_one()
