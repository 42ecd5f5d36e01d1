"""The cache of versions: folders that hold the files of manifests, made on demand, verified on each opening, kept to a size."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from fourfold.core.errors import Corrupt
from fourfold.core.fingerprint import digest_bytes, digest_file
from fourfold.core.ids import new_id
from fourfold.core.progress import Progress, silent
from fourfold.storage import states
from fourfold.storage.artifacts import Manifest, StoredFile, read_manifest, room_for, safe_path
from fourfold.storage.blobs import Blobs
from fourfold.storage.database import Database


class Materialised:
    """Folders under `home/cache` that hold the files of versions, read-only.

    While a process has a version open, it holds a shared lock on it; what nobody holds goes, the longest unused first, when
    all together are larger than `limit_bytes` (0: no limit). Files that share their blocks with the store count nothing.
    """

    def __init__(self, folder: Path, database: Database, blobs: Blobs, limit_bytes: int = 0) -> None:
        self.folder = folder
        self.database = database
        self.blobs = blobs
        self.limit_bytes = limit_bytes
        self.verified: set[str] = set()
        self.held: dict[str, int] = {}  # manifest → descriptor of its locked file

    def open(self, digest: str, *, progress: Progress = silent) -> Path:
        """The folder of a manifest. Each file's digest is checked (once per process); a wrong one is made anew from the store.

        Goes on where a process that was stopped came to. Raises NotFound or Corrupt if the store cannot give the right bytes.
        """
        target = self.folder / digest
        with self.database.read() as connection:
            states.refuse_unreadable(connection, digest)  # also what another process or home still has in its cache
            if digest in self.verified and target.is_dir():
                return target
            manifest = read_manifest(connection, digest)
        self._hold(digest)
        if not (target.is_dir() and all(is_whole(target / f.path, f) for f in manifest.files)):
            self._make(manifest, target, progress)
        os.utime(target)  # last use, as eviction sees it
        self.verified.add(digest)
        return target

    def close(self) -> None:
        """Let go of every version."""
        while self.held:
            os.close(self.held.popitem()[1])
        self.verified.clear()

    def remove(self, digest: str) -> None:
        """Delete the folder of a manifest, what was begun of it, and search indexes made from it, whoever has them open: it is
        erased, or was removed."""
        self.verified.discard(digest)
        for folder in (self.folder / digest, self.folder / f"part_{digest}", *self.folder.parent.glob(f"search/{digest}-*")):
            if folder.exists():
                shutil.rmtree(folder)

    def evict(self) -> list[str]:
        """Remove what nobody holds, the longest unused first, until the rest is within the limit; returns the manifests."""
        folders = sorted(
            (f for f in self.folder.iterdir() if f.is_dir() and len(f.name) == 64), key=lambda f: f.stat().st_mtime
        )
        sizes = {folder: _own_bytes(folder) for folder in folders}
        total, gone = sum(sizes.values()), []
        for folder in folders:
            if total <= self.limit_bytes:
                break
            if folder.name not in self.held and self._remove(folder):
                total -= sizes[folder]
                gone.append(folder.name)
        return gone

    def _remove(self, folder: Path) -> bool:
        with _locked(_lock_of(folder), fcntl.LOCK_EX | fcntl.LOCK_NB) as mine:
            if mine:
                away = self.folder / new_id("old")
                folder.rename(away)  # atomic: nobody finds half of it
                shutil.rmtree(away, ignore_errors=True)
            return mine

    def _hold(self, digest: str) -> None:
        if digest not in self.held:
            self.folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(_lock_of(self.folder / digest), os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            self.held[digest] = descriptor

    def _make(self, manifest: Manifest, target: Path, progress: Progress) -> None:
        partial = self.folder / f"part_{target.name}"
        with _locked(self.folder / f"{partial.name}.lock", fcntl.LOCK_EX):  # one process makes it, the others find it made
            if target.is_dir() and all(is_whole(target / f.path, f) for f in manifest.files):
                return
            partial.mkdir(exist_ok=True)
            done = 0
            with room_for("the cache of versions"):
                for file in manifest.files:
                    for count in self._write(partial, file):
                        done += count
                        progress(done, manifest.size_bytes, "bytes")
            old = self.folder / new_id("old")
            if target.exists():
                target.rename(old)
            partial.rename(target)  # atomic: a reader sees all files or none
            shutil.rmtree(old, ignore_errors=True)
        if self.limit_bytes:
            self.evict()

    def _write(self, folder: Path, file: StoredFile) -> Iterator[int]:
        """Make one file; yields bytes as they come."""
        path = folder / safe_path(file.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        if is_whole(path, file) or self._linked(path, file):
            yield file.size_bytes
            return
        with path.open("r+b" if path.exists() else "w+b") as out:
            begun = _right_chunks(out, file)
            for chunk in file.chunks[:begun]:
                yield out.seek(chunk.size_bytes, os.SEEK_CUR) and chunk.size_bytes
            out.truncate()
            for chunk in file.chunks[begun:]:
                out.write(self.blobs.get(chunk.digest))
                yield chunk.size_bytes
        path.chmod(0o444)

    def _linked(self, path: Path, file: StoredFile) -> bool:
        if len(file.chunks) != 1:
            return False
        path.unlink(missing_ok=True)
        if self.blobs.link(file.chunks[0].digest, path):
            if is_whole(path, file):
                return True
            path.unlink()
        return False


def is_whole(path: Path, file: StoredFile) -> bool:
    """Whether the file of that name is the stored one."""
    try:
        return path.lstat().st_size == file.size_bytes and digest_file(path) == file.digest
    except FileNotFoundError:
        return False


def check(path: Path, file: StoredFile) -> None:
    """Raises Corrupt if the file is not the stored one."""
    if not is_whole(path, file):
        raise Corrupt(f"{file.path} is not what was stored.", hint="Run: fourfold doctor")


def _right_chunks(out: object, file: StoredFile) -> int:
    """How many chunks the file begins with; it is left at its start."""
    right = 0
    for chunk in file.chunks:
        data = out.read(chunk.size_bytes)  # type: ignore[attr-defined]
        if len(data) != chunk.size_bytes or digest_bytes(data) != chunk.digest:
            break
        right += 1
    out.seek(0)  # type: ignore[attr-defined]
    return right


def _own_bytes(folder: Path) -> int:
    """Bytes of a folder's files that no other name shares."""
    found = [path.lstat() for path in folder.rglob("*") if path.is_file()]
    return sum(each.st_size for each in found if each.st_nlink == 1)


def _lock_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")


@contextlib.contextmanager
def _locked(path: Path, how: int) -> Iterator[bool]:
    """Hold a lock on a file; False if it is another's and was not to be waited for."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, how)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)
