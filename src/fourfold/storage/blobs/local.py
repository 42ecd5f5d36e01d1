"""Blobs in a folder: one read-only file each, under two digits of its digest."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from pathlib import Path

from fourfold.core.errors import Corrupt, NotFound
from fourfold.core.fingerprint import digest_bytes

READ_ONLY = 0o444


class Local:
    """A folder of blobs. Plain `os` calls: data and folder are synced before a name is visible, so a name means whole bytes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def put(self, digest: str, data: bytes, /) -> None:
        """Keep `data`; nothing to do if it is there."""
        target = self._path(digest)
        if target.exists():
            return
        temporary = self._temporary()
        try:
            with temporary.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.chmod(READ_ONLY)
            self._name(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)

    def put_file(self, digest: str, path: Path, /) -> None:
        """Keep a whole file as one blob without copying where the file system allows; the file becomes read-only."""
        target = self._path(digest)
        if target.exists():
            return
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        path.chmod(READ_ONLY)
        try:
            self._name(path, target)
        except OSError as error:
            if error.errno not in (errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP):  # another device, or no hard links here
                raise
            self.put(digest, path.read_bytes())

    def get(self, digest: str, /) -> bytes:
        """The bytes, verified. Raises NotFound or Corrupt."""
        try:
            data = self._path(digest).read_bytes()
        except FileNotFoundError:
            raise NotFound(f"Chunk {digest[:16]}… is missing from {self.folder}.", hint="Run: fourfold doctor") from None
        if digest_bytes(data) != digest:
            raise Corrupt(f"Chunk {digest[:16]}… in {self.folder} is not what was stored.", hint="Run: fourfold doctor")
        return data

    def link(self, digest: str, target: Path, /) -> bool:
        """Make `target` a hard link to the blob; False where that is not possible. The reader verifies the bytes."""
        try:
            os.link(self._path(digest), target)
        except FileExistsError:
            return True
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Nothing is held open."""

    def _path(self, digest: str) -> Path:
        return self.folder / digest[:2] / digest[2:]

    def _temporary(self) -> Path:
        folder = self.folder / "tmp"
        folder.mkdir(exist_ok=True)
        return folder / secrets.token_hex(8)

    def _name(self, source: Path, target: Path) -> None:
        target.parent.mkdir(exist_ok=True)
        with contextlib.suppress(FileExistsError):  # another publisher was first with the same bytes
            os.link(source, target)
        sync_folder(target.parent)
        sync_folder(self.folder)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
