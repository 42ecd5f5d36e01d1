"""Blobs in a folder: one read-only file each, under two digits of its digest."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path

from fourfold.core.errors import Corrupt, NotFound
from fourfold.core.fingerprint import digest_bytes, digest_file
from fourfold.storage.seal import Seal

READ_ONLY = 0o444
FICLONE = 0x40049409  # ioctl: share another file's blocks until one of the two is changed (btrfs, xfs, bcachefs)
ELSEWHERE = (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP)  # another device, or no (more) hard links here
FOLDER, REST = re.compile("[0-9a-f]{2}"), re.compile("[0-9a-f]{62}")


class Local:
    """A folder of blobs. Plain `os` calls: data and folder are synced before a name is visible, so a name means whole bytes."""

    def __init__(self, folder: Path, seal: Seal | None = None) -> None:
        self.folder = folder
        self.seal = seal
        folder.mkdir(parents=True, exist_ok=True)

    def put(self, digest: str, data: bytes, /) -> None:
        """Keep `data`; nothing to do if it is there, and whole."""
        target = self._path(digest)
        if self._is_whole(digest):
            return sync_folder(target.parent)  # its writer may not have come so far
        temporary = self._temporary()
        try:
            with temporary.open("xb") as file:
                file.write(data if self.seal is None else self.seal.close_up(digest, data))
                file.flush()
                os.fsync(file.fileno())
            temporary.chmod(READ_ONLY)
            self._name(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)

    def put_file(self, digest: str, path: Path, /) -> None:
        """Keep a whole file as one blob without copying where the file system allows; the file becomes read-only."""
        target = self._path(digest)
        if self.seal is not None:
            return self.put(digest, path.read_bytes())
        if self._is_whole(digest):
            return sync_folder(target.parent)
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        path.chmod(READ_ONLY)
        temporary = self._temporary()
        try:
            os.link(path, temporary)
            self._name(temporary, target)
        except OSError as error:
            if error.errno not in ELSEWHERE:
                raise
            self.put(digest, path.read_bytes())
        finally:
            temporary.unlink(missing_ok=True)

    def get(self, digest: str, /) -> bytes:
        """The bytes, verified. Raises NotFound or Corrupt."""
        try:
            data = self._path(digest).read_bytes()
        except FileNotFoundError:
            raise NotFound(f"Chunk {digest[:16]}… is missing from {self.folder}.", hint="Run: fourfold doctor") from None
        if self.seal is not None:
            data = self.seal.open(digest, data)
        if digest_bytes(data) != digest:
            raise Corrupt(f"Chunk {digest[:16]}… in {self.folder} is not what was stored.", hint="Run: fourfold doctor")
        return data

    def has(self, digest: str, /) -> bool:
        """Whether there is a file of that name; its bytes are not looked at."""
        return self._path(digest).exists()

    def link(self, digest: str, target: Path, /) -> bool:
        """Make `target` a copy that shares the blob's blocks, else a hard link to it; False where neither is possible.

        The reader verifies the bytes.
        """
        source = self._path(digest)
        try:
            return self.seal is None and (target.exists() or _cloned(source, target) or _linked(source, target))
        except OSError:
            return False

    def remove(self, digest: str, /) -> None:
        """Delete the file, durably; nothing to do if there is none."""
        path = self._path(digest)
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
            sync_folder(path.parent)

    def digests(self) -> Iterator[tuple[str, int]]:
        """Digest and size of every file that is named as a blob, in order of digest."""
        for folder in sorted(entry for entry in self.folder.iterdir() if FOLDER.fullmatch(entry.name)):
            for path in sorted(entry for entry in folder.iterdir() if REST.fullmatch(entry.name)):
                with contextlib.suppress(FileNotFoundError):  # removed meanwhile
                    yield folder.name + path.name, path.stat().st_size

    def free_bytes(self) -> int | None:
        """What the file system has left for this user."""
        found = os.statvfs(self.folder)
        return found.f_bavail * found.f_frsize

    def close(self) -> None:
        """Nothing is held open."""

    def _path(self, digest: str) -> Path:
        return self.folder / digest[:2] / digest[2:]

    def _is_whole(self, digest: str) -> bool:
        """Whether the right bytes are there: what was torn by a power cut or changed since is not kept, but written anew."""
        try:
            if self.seal is None:
                return digest_file(self._path(digest)) == digest
            raw = self._path(digest).read_bytes()
            return digest_bytes(self.seal.open(digest, raw)) == digest and self.seal.is_newest(raw)
        except (FileNotFoundError, Corrupt):
            return False

    def _temporary(self) -> Path:
        folder = self.folder / "tmp"
        folder.mkdir(exist_ok=True)
        return folder / secrets.token_hex(8)

    def _name(self, source: Path, target: Path) -> None:
        if not target.parent.is_dir():
            target.parent.mkdir(exist_ok=True)
            sync_folder(self.folder)
        source.replace(target)  # atomic: a reader sees the whole of the old bytes or of the new
        sync_folder(target.parent)


def _cloned(source: Path, target: Path) -> bool:
    """Whether the file system shares blocks between files."""
    with source.open("rb") as file, target.open("xb") as copy:
        try:
            fcntl.ioctl(copy.fileno(), FICLONE, file.fileno())
        except OSError:
            target.unlink()
            return False
    target.chmod(READ_ONLY)
    return True


def _linked(source: Path, target: Path) -> bool:
    os.link(source, target)
    return True


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
