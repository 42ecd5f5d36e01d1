"""Where the finished parts of long work lie until all of it is done: taken up again after a kill."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fourfold.core.errors import FourfoldError

FOLDER = Path("cache", "cleaning")
STALE_SECONDS = 7 * 24 * 3600.0  # what nobody took up for so long is given up
LOCK = ".lock"


@contextmanager
def workspace(home: Path, recipe: str) -> Iterator[Path]:
    """A folder for the work of that recipe, with what an earlier process left in it when it was killed or stopped.

    It goes when the work is done, or failed of itself: an equal attempt would fail again. While another process does the same
    work, this one gets an empty folder of its own.
    """
    root = home / FOLDER
    root.mkdir(parents=True, exist_ok=True)
    _sweep(root)
    folder = root / recipe
    path = root / f"{recipe}{LOCK}"
    lock = _locked(path)
    beside = lock is None
    if beside:
        folder = Path(tempfile.mkdtemp(prefix="beside-", dir=root))
        path = root / f"{folder.name}{LOCK}"
        lock = _locked(path)
    assert lock is not None, "nobody else knows this name"
    done = False
    try:
        folder.mkdir(exist_ok=True)
        yield folder
        done = True
    except FourfoldError:
        done = True
        raise
    finally:
        if done or beside:
            shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):  # nothing was begun; else it waits for the next
            folder.rmdir()
        if not folder.exists():
            path.unlink(missing_ok=True)
        os.close(lock)


def give_up(home: Path) -> int:
    """Remove what killed work left behind, text of documents, so that nothing of an erased dataset lies there; returns how many
    folders. Work that goes on keeps its own."""
    gone = 0
    for folder in [path for path in (home / FOLDER).glob("*") if path.is_dir()]:
        path = folder.with_name(f"{folder.name}{LOCK}")
        lock = _locked(path)
        if lock is not None:
            shutil.rmtree(folder)  # an error here is one of the erasure
            path.unlink(missing_ok=True)
            os.close(lock)
            gone += 1
    return gone


def _locked(path: Path) -> int | None:
    """The descriptor of a lock that ends with this process; None if another holds it."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        try:
            if os.fstat(descriptor).st_ino == path.stat().st_ino:
                return descriptor
        except FileNotFoundError:
            pass
        os.close(descriptor)  # its holder removed it when it was done: this is the lock of nothing


def _sweep(root: Path) -> None:
    """Give up what lay for long, with its lock, and what a killed process had for itself alone."""
    for path in root.iterdir():
        try:
            old = path.stat().st_mtime < time.time() - STALE_SECONDS
        except FileNotFoundError:
            continue
        if old and path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        elif old:
            path.unlink(missing_ok=True)
