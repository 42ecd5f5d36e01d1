"""Backup: the ledger of one moment, every chunk that it names, and the files of the home that answers depend on.

A place holds `chunks/` under their digests, which all its backups share, and one small record per backup, written last:
what has no record is no backup. So an interrupted one leaves the earlier ones as they were, and what it stored serves the next.
With a key file everything is sealed (encrypt.py), records too.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa
from msgspec import Struct

from fourfold import __version__
from fourfold.core.errors import BadInput, Conflict, Corrupt, NotFound
from fourfold.core.fingerprint import digest_bytes, read_blocks
from fourfold.core.ids import new_id
from fourfold.core.progress import Progress, silent
from fourfold.storage import audit, encrypt, guard, schema
from fourfold.storage.copying import snapshot
from fourfold.storage.database import HEAD, Database
from fourfold.storage.ledger import Ledger
from fourfold.storage.shelf import Shelf, open_shelf

PIECE_BYTES = 256 << 10  # the ledger is cut into these, so that the next backup stores those that changed
MARKER = "fourfold-backup.json"
FILES = ("requests/salt", "requests/open/*.log", "requests/closed/*.log")  # what answers need beside ledger and chunks
SETTINGS = "fourfold.toml"
LEASE_SECONDS = 86_400.0  # how long a backup on another machine may take before garbage collection stops waiting for it


class KeptFile(Struct, frozen=True):
    """A file of the home: its path there, its permissions, and its pieces."""

    path: str
    mode: int
    chunks: tuple[str, ...]


class Record(Struct, frozen=True):
    """A backup as its place describes it. `database` and `wanted` are pieces: a SQLite file, and the digests of all chunks."""

    id: str
    at: float
    program: str
    schema: str
    database: tuple[str, ...]
    files: tuple[KeptFile, ...]
    wanted: tuple[str, ...]
    chunks: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup as the ledger remembers it. `new_bytes` is what it added to its place; `verified_at` when its restore was last
    checked, and `problem` what that found."""

    id: str
    place: str
    at: float
    chunks: int
    size_bytes: int
    new_bytes: int
    key_id: str | None
    verified_at: float | None
    problem: str


class Place:
    """The chunks and records of a place, opened with its keys."""

    def __init__(self, place: str, keys: encrypt.Keys | None = None, *, shelf: Shelf | None = None) -> None:
        self.name = place
        self.keys = keys
        self.shelf = shelf or open_shelf(place)

    def check(self, *, begin: bool = False) -> None:
        """Raise NotFound if there are no backups here, Conflict if they are sealed and no keys were given, or the reverse."""
        try:
            found = msgspec.json.decode(self.shelf.get(MARKER))
        except NotFound:
            if not begin:
                raise NotFound(f"There are no backups in {self.name}.", hint="Run: fourfold backup TO") from None
            found = {"format": 1, "sealed": self.keys is not None}
            self.shelf.put(MARKER, msgspec.json.encode(found) + b"\n")
        except msgspec.DecodeError as error:
            raise Corrupt(f"{MARKER} in {self.name} is damaged.", hint="Write it anew: its content is in docs.") from error
        if not isinstance(found, dict) or found.get("format") != 1:
            raise Conflict(f"{self.name} holds backups of a newer Fourfold.", hint="Run: pip install --upgrade fourfold")
        if found.get("sealed") != (self.keys is not None):
            wanted = (
                "sealed: name their key file with --key-file" if found.get("sealed") else "not sealed: leave out --key-file"
            )
            raise Conflict(f"The backups in {self.name} are {wanted}.", hint="Or name another place.")

    def put(self, digest: str, data: bytes) -> int:
        """Keep a chunk; returns the bytes that it takes."""
        stored = data if self.keys is None else encrypt.seal(self.keys, digest, data)
        self.shelf.put(_name(digest), stored)
        return len(stored)

    def get(self, digest: str) -> bytes:
        """A chunk, verified. Raises NotFound or Corrupt."""
        return self._open(digest, self.shelf.get(_name(digest)))

    def known(self) -> set[str]:
        """The digests of the chunks that are there, by their names."""
        return {name.removeprefix("chunks/").replace("/", "") for name in self.shelf.names("chunks/")}

    def write(self, record: Record) -> None:
        """The step that makes a backup one."""
        body = msgspec.json.encode(record)
        digest = digest_bytes(body)
        sealed = body if self.keys is None else encrypt.seal(self.keys, digest, body)
        self.shelf.put(f"backups/{record.id}", digest.encode() + b"\n" + sealed)

    def ids(self) -> list[str]:
        """Ids of the backups, oldest first."""
        return sorted(name.removeprefix("backups/") for name in self.shelf.names("backups/"))

    def record(self, backup_id: str | None = None) -> Record:
        """A backup, the newest unless one is named. Raises NotFound or Corrupt."""
        self.check()
        ids = self.ids()
        if not ids or (backup_id is not None and backup_id not in ids):
            raise NotFound(f"There is no backup {backup_id or ''} in {self.name}; it has {', '.join(ids) or 'none'}.")
        which = backup_id or ids[-1]
        digest, _, body = self.shelf.get(f"backups/{which}").partition(b"\n")
        try:
            return msgspec.json.decode(self._open(digest.decode("ascii"), body), type=Record)
        except (UnicodeDecodeError, msgspec.DecodeError, Corrupt) as error:
            raise Corrupt(f"The record of {which} in {self.name} was changed.", hint="Restore an earlier one.") from error

    def join(self, pieces: Sequence[str]) -> Iterator[bytes]:
        """The bytes that were cut into pieces."""
        return (self.get(digest) for digest in pieces)

    def _open(self, digest: str, stored: bytes) -> bytes:
        data = stored if self.keys is None else encrypt.unseal(self.keys, digest, stored)
        if digest_bytes(data) != digest:
            raise Corrupt(f"Chunk {digest[:16]}… in {self.name} is not what was stored.")
        return data


def back_up(
    ledger: Ledger, place: str, *, actor: str, keys: encrypt.Keys | None = None, keep: int = 0, progress: Progress = silent
) -> Backup:
    """Back a home up into a folder or bucket: only what is not there yet is written. `keep`: remove all but the newest so many.

    Raises Corrupt if the home itself is damaged: nothing wrong is backed up. Conflict if another backup is under way.
    """
    if keep < 0:
        raise BadInput(f"keep = {keep} is less than 0.", hint="0 keeps every backup.")
    target = Place(place, keys)
    work = ledger.home / "work" / new_id("bkp")
    with _alone(ledger.home), _spared(ledger, work.name):
        try:
            work.mkdir(parents=True)
            target.check(begin=True)
            made = _Writing(ledger, target, work, progress).write(work.name)
        finally:
            shutil.rmtree(work, ignore_errors=True)
        with ledger.write() as connection:
            connection.execute(schema.backup.insert(), msgspec.to_builtins(made))
            facts = {"place": place, "chunks": made.chunks, "new_bytes": made.new_bytes}
            audit.record(connection, actor, "backup", made.id, facts)
        if keep:
            prune(target, keep)
    return made


@dataclass(slots=True)
class _Writing:
    ledger: Ledger
    place: Place
    work: Path
    progress: Progress
    new_bytes: int = 0
    size_bytes: int = 0

    def write(self, backup_id: str) -> Backup:
        known = self._trusted()
        at = time.time()
        files = tuple(self._file(path, known) for path in self._files())  # before the ledger: it may seal a log meanwhile
        path = self.work / "ledger.sqlite"
        snapshot(self.ledger.database, path)
        wanted = wanted_chunks(path)
        database = self._pieces(read_blocks(path, PIECE_BYTES), known)
        path.unlink()
        for done, (digest, size) in enumerate(wanted.items()):
            self.progress(done, len(wanted), "chunks")
            self.size_bytes += size
            if digest not in known:
                self.new_bytes += self.place.put(digest, self.ledger.blobs.get(digest))
                known.add(digest)
        listed = self._pieces(_cut("".join(f"{digest}\n" for digest in wanted).encode()), known)
        record = Record(backup_id, at, __version__, HEAD, database, files, listed, len(wanted), self.size_bytes)
        self.place.write(record)
        key = self.place.keys.current if self.place.keys else None
        return Backup(backup_id, self.place.name, at, len(wanted), self.size_bytes, self.new_bytes, key, None, "")

    def _trusted(self) -> set[str]:
        """Chunks that need not be written: those that are there, each one read if a verification here has failed since."""
        known = self.place.known()
        newest = next((b for b in backups(self.ledger) if b.place == self.place.name), None)
        return {digest for digest in known if self._is_good(digest)} if newest is not None and newest.problem else known

    def _is_good(self, digest: str) -> bool:
        try:
            self.place.get(digest)
        except (Corrupt, NotFound):
            return False
        return True

    def _files(self) -> list[Path]:
        home = self.ledger.home
        found = [path for pattern in FILES for path in sorted(home.glob(pattern))]
        settings = home / SETTINGS
        return [*found, settings] if settings.is_file() else found

    def _file(self, path: Path, known: set[str]) -> KeptFile:
        home = self.ledger.home
        try:
            data = path.read_bytes() if path.name != SETTINGS else _without_database(path)
        except FileNotFoundError:  # a log that was closed meanwhile
            path = home / "requests" / "closed" / path.name
            data = path.read_bytes()
        mode = path.stat().st_mode & 0o777
        return KeptFile(path.relative_to(home).as_posix(), mode, self._pieces(_cut(data), known))

    def _pieces(self, pieces: Iterator[bytes], known: set[str]) -> tuple[str, ...]:
        digests = []
        for data in pieces:
            digest = digest_bytes(data)
            self.size_bytes += len(data)
            if digest not in known:
                self.new_bytes += self.place.put(digest, data)
                known.add(digest)
            digests.append(digest)
        return tuple(digests)


def wanted_chunks(path: Path) -> dict[str, int]:
    """The chunks that a ledger's SQLite file names, with their sizes: those of every manifest that was not erased."""
    database = Database(f"sqlite:///{path}")
    f, c = schema.manifest_file.c, schema.file_chunk.c
    query = sa.select(c.chunk, c.size_bytes).join(schema.manifest_file, f.digest == c.file).distinct().order_by(c.chunk)
    try:
        with database.read() as connection:
            gone = erased_chunks(connection)
            return {row.chunk: row.size_bytes for row in connection.execute(query) if row.chunk not in gone}
    finally:
        database.close()


def erased_chunks(connection: sa.Connection) -> set[str]:
    """Chunks that the ledger knows and no store has: the erased."""
    return set(connection.execute(sa.select(schema.erased.c.digest).where(schema.erased.c.what == "chunk")).scalars())


def prune(place: Place, keep: int) -> list[str]:
    """Remove all but the newest `keep` backups, records first, and the chunks that no other needs; returns the ids removed.

    Any error leaves chunks too many, never too few.
    """
    ids = place.ids()
    gone = ids[:-keep]
    if not gone:
        return []
    needed: set[str] = set()
    for kept in ids[-keep:]:
        record = place.record(kept)
        needed |= {*record.database, *record.wanted, *(digest for file in record.files for digest in file.chunks)}
        needed |= set(b"".join(place.join(record.wanted)).decode().split())
    for backup_id in gone:
        place.shelf.remove(f"backups/{backup_id}")
    for digest in place.known() - needed:
        place.shelf.remove(_name(digest))
    return gone


def backups(ledger: Ledger) -> list[Backup]:
    """What the ledger remembers of its backups, newest first."""
    with ledger.database.read() as connection:
        rows = connection.execute(sa.select(schema.backup).order_by(schema.backup.c.id.desc()))
        return [Backup(**row._mapping) for row in rows]


def verified(ledger: Ledger, backup_id: str, problem: str) -> None:
    """Remember what a verification found; an empty `problem`: nothing."""
    values: dict[str, Any] = {"problem": problem} if problem else {"problem": "", "verified_at": time.time()}
    with ledger.write() as connection:
        connection.execute(schema.backup.update().where(schema.backup.c.id == backup_id).values(values))


def newest_good_at(ledger: Ledger) -> float | None:
    """When the newest backup whose restore was checked and found good was made; None without one."""
    b = schema.backup.c
    with ledger.database.read() as connection:
        query = sa.select(sa.func.max(b.at)).where(b.verified_at.is_not(None), b.problem == "")
        return connection.execute(query).scalar()


def age_seconds(ledger: Ledger) -> float | None:
    """Age of the newest backup whose restore was checked and found good; None without one."""
    newest = newest_good_at(ledger)
    return None if newest is None else max(0.0, time.time() - newest)


def _name(digest: str) -> str:
    return f"chunks/{digest[:2]}/{digest[2:]}"


def _cut(data: bytes) -> Iterator[bytes]:
    return (data[at : at + PIECE_BYTES] for at in range(0, len(data), PIECE_BYTES))


def _without_database(path: Path) -> bytes:
    """The settings without the URL of the ledger's database: it may hold a password, and a restored home has its own."""
    lines = path.read_bytes().splitlines(keepends=True)
    return b"".join(line for line in lines if line.split(b"=")[0].strip() != b"database")


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """One backup of a home at a time; the kernel lets go of it when the process ends."""
    (home / "run").mkdir(exist_ok=True, mode=0o700)
    descriptor = os.open(home / "run" / "backup.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise Conflict("Another backup of this home is under way.", hint="Wait until it has ended.") from None
    finally:
        os.close(descriptor)


@contextmanager
def _spared(ledger: Ledger, holder: str) -> Iterator[None]:
    """Garbage collection removes nothing meanwhile."""
    with ledger.write() as connection:
        guard.take(connection, holder, seconds=LEASE_SECONDS)
    try:
        yield
    finally:
        with ledger.write() as connection:
            guard.release(connection, holder)
