"""Erasure: a state of versions and chunks with a receipt, and a register of receipts that outlives backups.

The register is a file of JSON lines, apart from blobs and backups, that is only ever appended to. A receipt is written there
first, durably; then its rows, in one transaction; then the bytes go from every store and cache. Whatever stops it in between,
`replay_register` goes on from the register: a restored backup calls it before anything opens.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import sqlalchemy as sa

from fourfold.core.errors import BadInput, Corrupt, Erased
from fourfold.core.ids import new_id
from fourfold.core.nouns import Version
from fourfold.storage import audit, guard, schema, states, versions
from fourfold.storage.annotation_projects import erase_labels_of
from fourfold.storage.blobs.local import sync_folder
from fourfold.storage.database import batches
from fourfold.storage.ledger import Ledger
from fourfold.storage.states import is_erased, receipt_of

__all__ = ["Receipt", "erase", "is_erased", "read_register", "receipt_of", "replay_register"]

FILE = "register.jsonl"
MARK = b'"whole"'  # a line behind each receipt that is whole on the disk


@dataclass(frozen=True, slots=True)
class Receipt:
    """What an erasure took: versions (`name@number`), manifests and chunks by digest. `at` is in Unix seconds."""

    receipt: str
    at: float
    actor: str
    reason: str
    versions: tuple[str, ...]
    version_ids: tuple[str, ...]
    manifests: tuple[str, ...]
    chunks: tuple[str, ...]
    shared_chunks: int = 0  # of these versions, kept because others hold them too


def erase(ledger: Ledger, refs: Sequence[str], *, actor: str, reason: str) -> Receipt:
    """Erase versions: their bytes go from every store and cache, and nothing brings them back.

    Versions of equal content and indexes of them go with them; chunks that other versions hold too stay. Raises NotFound,
    Conflict if one is held or deployed, Erased if nothing of them is left.
    """
    if not refs:
        raise BadInput("Name the versions that are to be erased.", hint="Run: fourfold versions")
    asked = [ledger.version(ref) for ref in refs]
    with ledger.write() as connection:
        guard.fence(connection, alone=True)
        receipt = _planned(connection, [*asked, *_indexes(connection, asked)], actor, reason)
        _append(ledger.register, receipt)  # first: from here on it is going to happen, even if this process dies
        _write_rows(connection, receipt)
    _remove(ledger, receipt)
    return receipt


def replay_register(ledger: Ledger) -> list[str]:
    """Do again what the register says and this home does not know, as after a restore; returns the receipts concerned.

    Raises Corrupt if a whole line of the register cannot be read.
    """
    done = []
    for receipt in read_register(ledger.register):
        with ledger.database.read() as connection:
            e = schema.erasure.c
            row = connection.execute(sa.select(e.removed_at).where(e.receipt == receipt.receipt)).first()
        if row is None:
            with ledger.write() as connection:
                guard.fence(connection, alone=True)
                _write_rows(connection, receipt)
        if row is None or row.removed_at is None:
            _remove(ledger, receipt)
            done.append(receipt.receipt)
    return done


def read_register(folder: Path) -> Iterator[Receipt]:
    """The receipts of a register, oldest first. What was torn at its end is no receipt: that erasure never began.

    A whole receipt is followed by a mark, so what cannot be read and has something readable behind it was damaged later.
    """
    path = folder / FILE
    if not path.exists():
        return
    lines = _lines(path)
    for number, line in enumerate(lines, 1):
        if not line or line == MARK:
            continue
        try:
            yield msgspec.json.decode(line, type=Receipt)
        except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
            raise Corrupt(
                f"Line {number} of the erasure register {path} cannot be read: {error}.",
                hint="Bring the register back from its own copy before anything is restored.",
            ) from error


def _lines(path: Path) -> list[bytes]:
    """The lines up to the last one that can be read; an interrupted write may have left anything behind it."""
    lines = path.read_bytes().split(b"\n")[:-1]
    while lines and not _readable(lines[-1]):
        lines.pop()
    return lines


def _readable(line: bytes) -> bool:
    try:
        return line == MARK or bool(msgspec.json.decode(line, type=Receipt))
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError):
        return False


def _planned(connection: sa.Connection, asked: Sequence[Version], actor: str, reason: str) -> Receipt:
    digests = list(dict.fromkeys(version.digest for version in asked))
    v = schema.version.c
    rows = connection.execute(sa.select(v.id, v.name, v.number, v.digest).where(v.digest.in_(digests)).order_by(v.id)).all()
    ids = [row.id for row in rows]
    states.refuse_if_held(connection, ids, "erased")
    states.refuse_if_deployed(connection, [f"{row.name}@{row.number}" for row in rows], "erased")
    known = receipt_of(connection, digests[0])
    if known is not None and all(is_erased(connection, digest) for digest in digests):
        raise Erased(f"{asked[0].ref} is erased, receipt {known}.", hint="There is nothing left to erase.")
    chunks = states.chunks_of(connection, digests)
    gone = sorted(chunks - states.live_chunks(connection, sorted(chunks), besides=digests))
    refs = tuple(f"{row.name}@{row.number}" for row in rows)
    return Receipt(
        new_id("era"), time.time(), actor, reason, refs, tuple(ids), tuple(digests), tuple(gone), len(chunks) - len(gone)
    )


def _indexes(connection: sa.Connection, asked: Sequence[Version]) -> list[Version]:
    """The indexes of what is erased: they hold its text."""
    v, e = schema.version.c, schema.edge.c
    equal = sa.select(v.id).where(v.digest.in_([version.digest for version in asked]))
    made_of = sa.select(e.version_id).where(e.input_id.in_(equal))
    erased = sa.select(schema.erased.c.digest)
    query = sa.select(schema.version).where(v.kind == "index", v.id.in_(made_of), v.digest.not_in(erased)).order_by(v.id)
    return [versions.from_row(row) for row in connection.execute(query)]


def _append(folder: Path, receipt: Receipt) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILE
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        whole = sum(len(line) + 1 for line in _lines(path))
        if whole < os.lseek(descriptor, 0, os.SEEK_END):  # what a crash left of an earlier line must not swallow this one
            os.ftruncate(descriptor, whole)
        os.write(descriptor, msgspec.json.encode(receipt) + b"\n")
        os.fsync(descriptor)
        os.write(descriptor, MARK + b"\n")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    sync_folder(folder)
    sync_folder(folder.parent)


def _write_rows(connection: sa.Connection, receipt: Receipt) -> None:
    erasure = {"receipt": receipt.receipt, "at": receipt.at, "actor": receipt.actor, "reason": receipt.reason}
    connection.execute(schema.erasure.insert(), erasure)
    e, v = schema.erased.c, schema.version.c
    for what, digests in (("manifest", receipt.manifests), ("chunk", receipt.chunks)):
        for some in batches(digests):
            known = set(connection.execute(sa.select(e.digest).where(e.digest.in_(some))).scalars())
            rows = [{"digest": d, "what": what, "receipt": receipt.receipt} for d in some if d not in known]
            if rows:
                connection.execute(schema.erased.insert(), rows)
    touched = {*receipt.manifests, *_holders(connection, receipt.chunks)}
    for some in batches(sorted(touched)):
        rows_of = connection.execute(sa.select(v.id, v.name, v.number).where(v.digest.in_(some))).all()
        ids = [row.id for row in rows_of]
        erase_labels_of(connection, ids, [f"{row.name}@{row.number}" for row in rows_of], receipt.receipt)
        states.write(connection, ids, "erased", receipt.actor, receipt.reason, receipt.receipt)
        known = set(connection.execute(sa.select(e.digest).where(e.digest.in_(some))).scalars())
        rows = [{"digest": d, "what": "manifest", "receipt": receipt.receipt} for d in some if d not in known]
        if rows:  # a restored backup holds versions that had gone before the erasure: without a chunk they are no more
            connection.execute(schema.erased.insert(), rows)
        held = schema.hold.delete().where(schema.hold.c.version_id.in_(ids))
        connection.execute(held)
    states.retire(connection, only=touched)
    detail = {"versions": list(receipt.versions), "chunks": len(receipt.chunks), "reason": receipt.reason}
    audit.record(connection, receipt.actor, "erase", receipt.receipt, detail)


def _holders(connection: sa.Connection, chunks: Sequence[str]) -> set[str]:
    f, c = schema.manifest_file.c, schema.file_chunk.c
    found: set[str] = set()
    for some in batches(chunks):
        query = sa.select(f.manifest).join(schema.file_chunk, c.file == f.digest).where(c.chunk.in_(some))
        found.update(connection.execute(query).scalars())
    return found


def _remove(ledger: Ledger, receipt: Receipt) -> None:
    ledger.database.empty_log()
    ledger.blobs.refresh(ledger.home, ledger.database)
    for chunk in receipt.chunks:
        ledger.blobs.remove(chunk)
    with ledger.database.read() as connection:
        e = schema.erased.c
        manifests = connection.execute(sa.select(e.digest).where(e.receipt == receipt.receipt, e.what == "manifest"))
        cached = list(manifests.scalars())
    for digest in cached:
        ledger.materialised.remove(digest)  # an error here is an error of the erasure: it is done when nothing is left
    with ledger.write() as connection:
        done = schema.erasure.update().where(schema.erasure.c.receipt == receipt.receipt)
        connection.execute(done.values(removed_at=time.time()))
