"""Restore: a backup into a new home, all of it or nothing; and the proof that it can be done."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from fourfold.core.config import read_settings
from fourfold.core.errors import Conflict, Corrupt, FourfoldError
from fourfold.core.ids import new_id
from fourfold.core.progress import Progress, silent
from fourfold.storage import backup, encrypt, erase, runs, schema
from fourfold.storage.artifacts import room_for, safe_path
from fourfold.storage.backup import Place, Record
from fourfold.storage.blobs.local import Local, sync_folder
from fourfold.storage.fsck import fsck
from fourfold.storage.ledger import Ledger


@dataclass(frozen=True, slots=True)
class Restored:
    """A backup that became a home. `ended_runs` were under way when it was made, and are marked as failed."""

    backup: str
    at: float
    home: str
    versions: int
    chunks: int
    size_bytes: int
    ended_runs: int


def restore(
    place: str,
    home: Path,
    *,
    backup_id: str | None = None,
    keys: encrypt.Keys | None = None,
    register: Path | None = None,
    progress: Progress = silent,
) -> Restored:
    """A backup, the newest unless one is named, as the home folder `home`, which appears in one step when all of it is there.

    What the erasure register in the folder `register` names is erased in it first; without one, that of the home's settings.

    Raises Conflict if the folder is not empty; NotFound or Corrupt, naming what, if anything is missing or wrong.
    """
    if home.exists() and (not home.is_dir() or any(home.iterdir())):
        raise Conflict(f"{home} is not empty: a backup is restored into a new home.", hint="Name another with --home.")
    source = Place(place, keys)
    record = source.record(backup_id)
    home.parent.mkdir(parents=True, exist_ok=True)
    partial = home.with_name(f".{home.name}.{new_id('restore')}")
    try:
        with room_for(f"the restored home {home}"):
            partial.mkdir(mode=0o700)
            restored = _fill(source, record, partial, home, register, progress)
            partial.rename(home)  # over an empty folder, or over none
            sync_folder(home.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return restored


def verify(ledger: Ledger, place: str, *, backup_id: str | None = None, keys: encrypt.Keys | None = None) -> Restored:
    """Restore a backup into a scratch home and examine every part of it; the ledger remembers what came of it.

    Raises Corrupt or NotFound with what is wrong; the next backup to that place writes anew whatever is damaged there.
    """
    scratch = ledger.home / "work" / new_id("verify")
    which = backup_id
    try:
        which = which or Place(place, keys).record().id
        restored = restore(place, scratch, backup_id=which, keys=keys, register=ledger.register)
    except FourfoldError as error:
        which = which or next((b.id for b in backup.backups(ledger) if b.place == place), "")
        backup.verified(ledger, which, error.message)
        raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    backup.verified(ledger, which, "")
    return restored


def _fill(source: Place, record: Record, folder: Path, home: Path, register: Path | None, progress: Progress) -> Restored:
    with (folder / "ledger.sqlite").open("wb") as file:
        for piece in source.join(record.database):
            file.write(piece)
    _check_database(folder / "ledger.sqlite", record)
    blobs = Local(folder / "blobs")
    wanted = backup.wanted_chunks(folder / "ledger.sqlite") if record.chunks else {}
    for done, digest in enumerate(_listed(source, record)):
        progress(done, record.chunks, "chunks")
        wanted.pop(digest, None)
        blobs.put(digest, source.get(digest))
    if wanted:
        raise Corrupt(
            f"The backup {record.id} lacks {len(wanted)} chunks that its ledger names.", hint="Restore an earlier one."
        )
    for kept in record.files:
        path = folder / safe_path(kept.path)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.write_bytes(b"".join(source.join(kept.chunks)))
        path.chmod(kept.mode)
    _leave_stores(folder / "ledger.sqlite")
    ledger = Ledger.open(folder, url=f"sqlite:///{folder / 'ledger.sqlite'}")  # whatever the environment says
    kept_apart = register or read_settings(folder).erasure_register
    ledger.register = Path(kept_apart).expanduser() if kept_apart else ledger.register
    try:
        erase.replay_register(ledger)  # before anything opens: nothing that was erased since comes back
        return _settle(ledger, record, home)
    finally:
        ledger.close()


def _check_database(path: Path, record: Record) -> None:
    with closing(sqlite3.connect(path)) as connection:
        try:
            found = connection.execute("pragma integrity_check(1)").fetchone()[0]
        except sqlite3.DatabaseError as error:
            found = str(error)
    if found != "ok":
        raise Corrupt(f"The ledger of backup {record.id} is damaged: {found}.", hint="Restore an earlier one.")


def _leave_stores(path: Path) -> None:
    """The stores and leases are the other home's: this one has all of its chunks in `blobs/`."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        there = {row[0] for row in connection.execute("select name from sqlite_master where type = 'table'")}
        for table in ("moved_chunk", "store", "lease"):
            if table in there:
                connection.execute(f"delete from {table}")


def _listed(source: Place, record: Record) -> Iterator[str]:
    yield from b"".join(source.join(record.wanted)).decode().split()


def _settle(ledger: Ledger, record: Record, home: Path) -> Restored:
    """What was under way when the backup was made is not under way here; a log whose segment the ledger has is none."""
    with ledger.write() as connection:
        running = connection.execute(sa.select(schema.run.c.id).where(schema.run.c.state == "running")).scalars().all()
        for run_id in running:
            runs.close(
                connection, run_id, error="It was under way when the backup was made that this home is from.", figures={}
            )
        versions = connection.execute(sa.select(sa.func.count()).select_from(schema.version)).scalar_one()
        for segment in connection.execute(sa.select(schema.segment.c.name)).scalars():
            for state in ("open", "closed"):
                (ledger.home / "requests" / state / f"{segment}.log").unlink(missing_ok=True)
    ledger.verify_audit()
    for finding in fsck(ledger):
        raise Corrupt(f"The restored home is not whole: {finding.thing}: {finding.problem}.", hint="Restore an earlier one.")
    return Restored(record.id, record.at, str(home), versions, record.chunks, record.size_bytes, len(running))
