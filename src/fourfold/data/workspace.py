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
    if lock is None:
        folder = Path(tempfile.mkdtemp(prefix="beside-", dir=root))
    done = False
    try:
        folder.mkdir(exist_ok=True)
        yield folder
        done = True
    except FourfoldError:
        done = True
        raise
    finally:
        if done or lock is None:
            shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):  # nothing was begun; else it waits for the next
            folder.rmdir()
        if lock is not None:
            if not folder.exists():
                path.unlink(missing_ok=True)
            os.close(lock)


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
