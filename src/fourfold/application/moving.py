"""A whole home elsewhere: restored from a backup, or its ledger moved between SQLite and PostgreSQL."""

from __future__ import annotations

import os
import time
from contextlib import closing
from pathlib import Path

from msgspec import Struct

from fourfold.application.serving.home import Lock
from fourfold.core.config import read_settings
from fourfold.core.errors import BadSpec, Conflict, NotFound
from fourfold.core.progress import Progress
from fourfold.storage import encrypt, restore
from fourfold.storage.blobs.local import sync_folder
from fourfold.storage.copying import Copied, compare_ledgers, copy_ledger, one_moment
from fourfold.storage.database import Database
from fourfold.storage.dsn import hidden, is_postgres
from fourfold.storage.in_use import InUse

SQLITE = "sqlite"
LEDGER = "ledger.sqlite"
SETTINGS = "fourfold.toml"


class Moved(Struct):
    """A ledger that was moved: where from and to, and its tables with rows and digests, equal on both sides."""

    source: str
    target: str
    tables: list[Copied]
    kept: str  # what is left of the source


def restore_home(
    place: str, home: Path, backup_id: str | None, key_file: str | None, register: Path | None, progress: Progress
) -> restore.Restored:
    """A backup as a new home. Raises Conflict if the folder is not empty, Corrupt or NotFound if the backup is not whole."""
    keys = encrypt.read_keys(Path(key_file).expanduser()) if key_file else None
    return restore.restore(place, home, backup_id=backup_id, keys=keys, register=register, progress=progress)


def make_key_file(path: Path, *, rotate: bool) -> encrypt.Keys:
    """A new key file, or another key in one that is there."""
    return encrypt.rotate_keys(path) if rotate else encrypt.create_keys(path)


def move_ledger(home: Path, to: str, progress: Progress) -> Moved:
    """Copy the ledger of a home into another database, compare every table, and use that one from then on.

    One transaction there: interrupted, it leaves the home as it was, and can be run again. Raises Conflict if a server runs on
    the home or another process has it open, or if the database is not empty; Corrupt if a table reads differently there.
    """
    if not home.is_dir():
        raise NotFound(f"There is no home {home}.", hint="Name it with --home.")
    if "FOURFOLD_DATABASE" in os.environ:
        raise BadSpec("FOURFOLD_DATABASE says where the ledger is.", hint="Unset it: the move is written to fourfold.toml.")
    with (
        closing(Lock(home)),
        closing(InUse(home, alone=True)),
    ):  # nobody else has it open, and writes where nobody reads any more
        now = read_settings(home).database
        if to == SQLITE:
            return _to_sqlite(home, now, progress)
        return _to_postgres(home, now, to, progress)


def _to_postgres(home: Path, now: str, to: str, progress: Progress) -> Moved:
    if not is_postgres(to):
        raise BadSpec(f"{hidden(to)} names no ledger.", hint="Write postgresql://user@host/database, or sqlite.")
    if to == now:
        raise Conflict(f"The ledger of {home} is in {hidden(to)} already.")
    tables = _copy(now or f"sqlite:///{home / LEDGER}", to, home, progress)
    _remember(home, to)
    kept = hidden(now) if now else _set_aside(home)
    return Moved(hidden(now) if now else str(home / LEDGER), hidden(to), tables, kept)


def _to_sqlite(home: Path, now: str, progress: Progress) -> Moved:
    if not now:
        raise Conflict(f"The ledger of {home} is in SQLite already.")
    partial = home / f"{LEDGER}.moving"
    for left in home.glob(f"{partial.name}*"):  # of a move that was interrupted
        left.unlink()
    tables = _copy(now, f"sqlite:///{partial}", home, progress)
    if (home / LEDGER).exists():  # an earlier move ended before it could do this
        _set_aside(home)
    partial.rename(home / LEDGER)
    sync_folder(home)
    _remember(home, "")
    return Moved(hidden(now), str(home / LEDGER), tables, hidden(now))


def _copy(source_url: str, target_url: str, home: Path, progress: Progress) -> list[Copied]:
    """What was copied, or found there: an earlier move that ended before the home could be told left it."""
    with closing(Database(source_url)) as source, closing(Database(target_url)) as target:
        source.prepare(keep=home / "backups")
        target.prepare()
        with one_moment(source, still=True) as before, target.write() as after:
            return compare_ledgers(before, after) or copy_ledger(before, after, progress)


def _remember(home: Path, url: str) -> None:
    """Write the setting `database`, in one step."""
    path = home / SETTINGS
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    lines = [line for line in lines if line.partition("=")[0].strip() != "database"]
    if url:
        lines.insert(0, f'database = "{url}"')  # first: before any table of the file
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.touch(mode=0o600)
    with partial.open("w", encoding="utf-8") as file:
        file.write("".join(f"{line}\n" for line in lines))
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    sync_folder(home)


def _set_aside(home: Path) -> str:
    """The SQLite file under another name, so that nothing opens it by mistake."""
    stem = f"ledger-moved-{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}"
    kept, number = home / f"{stem}.sqlite", 1
    while kept.exists():
        number += 1
        kept = home / f"{stem}-{number}.sqlite"
    (home / LEDGER).rename(kept)
    sync_folder(home)
    return str(kept)
