"""fsck: reads everything that a home vouches for, and lists what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

import sqlalchemy as sa

from fourfold.core.errors import BadInput, Corrupt, FourfoldError
from fourfold.core.fingerprint import digest_bytes
from fourfold.core.progress import Progress, silent
from fourfold.storage import artifacts, audit, erase, schema, states
from fourfold.storage.ledger import Ledger


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong: in which thing, what, and what to do next."""

    check: str
    thing: str
    problem: str
    hint: str = ""


def fsck(ledger: Ledger, *, progress: Progress = silent) -> list[Finding]:
    """Findings on the database, the audit chain, every kept version's files and chunks, and erasures; empty if all is well."""
    ledger.blobs.refresh(ledger.home, ledger.database)
    checks: tuple[Callable[[Ledger], Iterator[Finding]], ...] = (_database, _rows, _audit, _paths, _erasures)
    found = [finding for check in checks for finding in check(ledger)]
    return found + list(_content(ledger, progress))


def _database(ledger: Ledger) -> Iterator[Finding]:
    with ledger.database.read() as connection:
        if connection.dialect.name != "sqlite":
            return  # PostgreSQL verifies pages itself where checksums are on; foreign keys are looked at by `_rows`
        for line in connection.exec_driver_sql("pragma integrity_check(20)").scalars():
            if line != "ok":
                yield Finding("database", "ledger.sqlite", str(line), "Restore a backup.")
        for row in connection.exec_driver_sql("pragma foreign_key_check"):
            yield Finding(
                "database", row[0], f"row {row[1]} points at a row of {row[2]} that is not there", "Restore a backup."
            )


def _rows(ledger: Ledger) -> Iterator[Finding]:
    """Rows that point at nothing, on any database; numbers that a name gave twice or never counted."""
    f, c, m = schema.manifest_file.c, schema.file_chunk.c, schema.manifest
    with ledger.database.read() as connection:
        for table in schema.metadata.sorted_tables:
            for key in table.foreign_keys:
                there = key.column.table.alias()
                lost = sa.select(sa.func.count()).select_from(table.outerjoin(there, there.c[key.column.name] == key.parent))
                lost = lost.where(key.parent.is_not(None), there.c[key.column.name].is_(None))
                if number := connection.execute(lost).scalar_one():
                    yield Finding("rows", table.name, f"{number} rows point at {key.target_fullname} that are not there")
        bare = sa.select(f.manifest, f.path).where(~sa.select(c.file).where(c.file == f.digest).exists())
        for row in connection.execute(bare):
            yield Finding("rows", f"{row.manifest[:16]}…", f"{row.path} has no chunks", "Restore a backup.")
        listed = sa.select(sa.func.coalesce(sa.func.sum(f.size_bytes), 0)).where(f.manifest == m.c.digest).scalar_subquery()
        wrong = sa.select(m.c.digest).where(m.c.digest.in_(states.keepers()), m.c.size_bytes != listed)
        for digest in connection.execute(wrong).scalars():
            yield Finding("rows", f"{digest[:16]}…", "its files are not all listed", "Restore a backup.")
        v, n = schema.version.c, schema.name
        high = sa.select(sa.func.max(v.number)).where(v.name == n.c.name).scalar_subquery()
        for name in connection.execute(sa.select(n.c.name).where(n.c.last_number < high)).scalars():
            yield Finding("rows", name, "it has a version above its last number")


def _audit(ledger: Ledger) -> Iterator[Finding]:
    try:
        audit.verify(ledger.database)
    except Corrupt as error:
        yield Finding("audit", "audit", error.message, "Compare with a backup: somebody changed the record.")


def _paths(ledger: Ledger) -> Iterator[Finding]:
    f = schema.manifest_file.c
    with ledger.database.read() as connection:
        for row in connection.execute(sa.select(f.manifest, f.path)):
            try:
                artifacts.safe_path(row.path)
            except BadInput as error:
                yield Finding("paths", f"{row.manifest[:16]}…", error.message, "Somebody wrote into the database by hand.")


def _erasures(ledger: Ledger) -> Iterator[Finding]:
    e = schema.erased.c
    with ledger.database.read() as connection:
        removed = {
            row.receipt: row.removed_at
            for row in connection.execute(sa.select(schema.erasure.c.receipt, schema.erasure.c.removed_at))
        }
        chunks = connection.execute(sa.select(e.digest, e.receipt).where(e.what == "chunk")).all()
    again = "Run: fourfold collect-garbage"
    for receipt in {r.receipt for r in erase.read_register(ledger.register)} - set(removed):
        yield Finding("erasure", receipt, "the register has this erasure and the database does not", again)
    for receipt, at in removed.items():
        if at is None:
            yield Finding("erasure", receipt, "it was not carried out to its end", again)
    for chunk, receipt in chunks:
        if ledger.blobs.has(chunk):
            yield Finding("erasure", f"{chunk[:16]}…", f"an erased chunk (receipt {receipt}) is in a store", again)


def _content(ledger: Ledger, progress: Progress) -> Iterator[Finding]:
    """Every chunk of every kept manifest, each read once and verified; then files of several chunks as wholes."""
    m, f, c = schema.manifest.c, schema.manifest_file.c, schema.file_chunk.c
    with ledger.database.read() as connection:
        manifests = list(
            connection.execute(sa.select(m.digest).where(m.digest.in_(states.keepers())).order_by(m.digest)).scalars()
        )
    total = len(manifests)
    seen: dict[str, str] = {}
    for done, digest in enumerate(manifests):
        progress(done, total, "versions")
        with ledger.database.read() as connection:
            query = sa.select(f.path, c.chunk, c.size_bytes).join(schema.file_chunk, c.file == f.digest)
            rows = connection.execute(query.where(f.manifest == digest).order_by(f.path, c.position)).all()
            manifest = None
            with suppress(FourfoldError):  # erased meanwhile: no finding
                manifest = artifacts.read_manifest(connection, digest)
        if manifest is None:
            continue
        if manifest.digest != digest:
            yield Finding("content", _named(ledger, digest), "its list of files was changed", "Restore a backup.")
        for row in rows:
            if row.chunk not in seen:
                seen[row.chunk] = _look(ledger, row.chunk, row.size_bytes)
            if seen[row.chunk]:
                yield Finding("content", f"{_named(ledger, digest)} {row.path}", seen[row.chunk], "Restore it from a backup.")
    progress(total, total, "versions")


def _look(ledger: Ledger, chunk: str, size_bytes: int) -> str:
    """What is wrong with a chunk; empty if nothing is."""
    try:
        data = ledger.blobs.get(chunk)
    except (FourfoldError, OSError) as error:
        return str(error)
    if len(data) != size_bytes or digest_bytes(data) != chunk:
        return f"Chunk {chunk[:16]}… is not what was stored."
    return ""


def _named(ledger: Ledger, digest: str) -> str:
    v = schema.version.c
    with ledger.database.read() as connection:
        row = connection.execute(sa.select(v.name, v.number).where(v.digest == digest).order_by(v.id)).first()
    return f"{digest[:16]}…" if row is None else f"{row.name}@{row.number}"
