"""A disk that fails or loses power: every call through which storage changes files, counted, refused at the k-th, or cut off.

It stands before `os` and `io.open`, which `pathlib` and `shutil` use as well, for paths below one folder. SQLite writes its
files itself, out of sight: they are taken as they are when the power goes, which is what a kill leaves. power.py sees them too.
"""

from __future__ import annotations

import io
import os
import random
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

TAKEN_AS_THEY_ARE = ("ledger.",)  # files of SQLite
BLOCK = 512


class PowerCut(BaseException):
    """The machine stops here: nothing that follows happens, no clean-up either."""


class Disk:
    """Calls `before(call, path)` ahead of each call that changes something below `root`.

    From several threads one call goes after the other, so that what is on the disk is known at each.
    """

    def __init__(self, root: Path, before: Callable[[str, Path], None]) -> None:
        self.root = root
        self.before = before
        self.after: Callable[[str, Path], None] = lambda call, path: None
        self.open_files: dict[int, Path] = {}
        self.one_at_a_time = threading.RLock()

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """As long as the block runs."""
        with pytest.MonkeyPatch.context() as patch:
            for name in ("link", "rename", "replace", "symlink"):
                patch.setattr(os, name, self._wrapped(name, getattr(os, name), 1))
            for name in ("mkdir", "unlink", "remove", "rmdir", "chmod", "truncate"):
                patch.setattr(os, name, self._wrapped(name, getattr(os, name), 0))
            for name in ("write", "fsync", "fdatasync", "ftruncate", "pwrite"):
                patch.setattr(os, name, self._wrapped(name, getattr(os, name), 0))
            patch.setattr(os, "open", self._opening(os.open))
            patch.setattr(os, "close", self._closing(os.close))
            patch.setattr(io, "open", self._file(io.open))
            yield

    def _below(self, thing: Any, folder_descriptor: int | None = None) -> Path | None:
        if isinstance(thing, int):
            return self.open_files.get(thing)
        path = Path(os.fsdecode(thing))
        if folder_descriptor in self.open_files:
            path = self.open_files[folder_descriptor] / path
        return path if path.is_relative_to(self.root) else None

    def _wrapped(self, call: str, real: Callable[..., Any], which: int) -> Callable[..., Any]:
        def wrapped(*arguments: Any, **named: Any) -> Any:
            path = self._below(arguments[which], named.get("dir_fd"))
            if path is None:
                return real(*arguments, **named)
            with self.one_at_a_time:
                self.before(call, path)
                result = real(*arguments, **named)
                self.after(call, path)
                return result

        return wrapped

    def _opening(self, real: Callable[..., int]) -> Callable[..., int]:
        def wrapped(path: Any, flags: int, mode: int = 0o777, **named: Any) -> int:
            below = self._below(path, named.get("dir_fd"))
            if below is None:
                return real(path, flags, mode, **named)
            with self.one_at_a_time:
                if flags & (os.O_CREAT | os.O_TRUNC):
                    self.before("create", below)
                descriptor = real(path, flags, mode, **named)
                self.open_files[descriptor] = below
                return descriptor

        return wrapped

    def _closing(self, real: Callable[[int], None]) -> Callable[[int], None]:
        def wrapped(descriptor: int) -> None:
            self.open_files.pop(descriptor, None)
            real(descriptor)

        return wrapped

    def _file(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(file: Any, mode: str = "r", *arguments: Any, **named: Any) -> Any:
            below = None if isinstance(file, int) else self._below(file)
            if below is None or not set(mode) & set("wxa+"):
                return real(file, mode, *arguments, **named)
            with self.one_at_a_time:
                self.before("create", below)
                opened = real(file, mode, *arguments, **named)
                self.open_files[opened.fileno()] = below
                return _Written(opened, below, self)

        return wrapped


class _Written:
    """An open file whose writes are counted."""

    def __init__(self, file: Any, path: Path, disk: Disk) -> None:
        self._file, self._path, self._disk = file, path, disk

    def write(self, data: Any) -> int:
        with self._disk.one_at_a_time:
            self._disk.before("write", self._path)
            return self._file.write(data)

    def close(self) -> None:
        if not self._file.closed:
            self._disk.open_files.pop(self._file.fileno(), None)
        self._file.close()

    def __enter__(self) -> _Written:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


class Failing:
    """Raises OSError(code) at the k-th call, and at every one after it if the disk is full for good."""

    def __init__(self, k: int, code: int, *, for_good: bool = False) -> None:
        self.k, self.code, self.for_good = k, code, for_good
        self.calls = 0
        self.struck = False

    def __call__(self, call: str, path: Path) -> None:
        """Counts; `chmod`, `unlink` and `rmdir` need no room."""
        if self.code == 28 and call in ("unlink", "remove", "rmdir", "chmod", "fsync"):
            return
        self.calls += 1
        if self.calls == self.k or (self.for_good and self.calls > self.k):
            self.struck = True
            raise OSError(self.code, os.strerror(self.code), str(path))


class Power:
    """Cuts the power at the k-th call, and says what is on the disk afterwards.

    Durable are: what was there at the start, the content of a file since its last fsync, the names of a folder since its own.
    Whatever else happened may have reached the disk or not, which `seed` decides for each; an unsynced file is torn at a block.
    """

    def __init__(self, root: Path, k: int) -> None:
        self.root, self.k = root, k
        self.calls = 0
        self.content: dict[int, bytes] = {}
        self.names: dict[int, dict[str, int]] = {}
        self.first: dict[int, bytes] = {}
        self.disk = Disk(root, self._before)
        self.disk.after = self._after
        for path in [root, *root.rglob("*")]:
            self._sync(path)

    def _before(self, call: str, path: Path) -> None:
        self.calls += 1
        if self.calls == self.k:
            self.after = self._image()
            self.disk.before = self._gone
            raise PowerCut

    def _gone(self, call: str, path: Path) -> None:
        raise PowerCut  # clean-up does not happen on a machine without power

    def _after(self, call: str, path: Path) -> None:
        if call in ("fsync", "fdatasync"):
            self._sync(path)

    def _sync(self, path: Path) -> None:
        found = path.lstat()
        if stat.S_ISDIR(found.st_mode):
            self.names[found.st_ino] = {entry.name: entry.inode() for entry in os.scandir(path)}
        elif stat.S_ISREG(found.st_mode):
            self.content[found.st_ino] = _bytes(path)

    def _image(self) -> dict[str, Any]:
        """What is there now, with content: the other end of what may be on the disk."""
        inodes: dict[int, Any] = {}

        def look(path: Path) -> int:
            found = path.lstat()
            if found.st_ino not in inodes:
                if path.is_dir():
                    inodes[found.st_ino] = None
                    inodes[found.st_ino] = {entry.name: look(Path(entry.path)) for entry in os.scandir(path)}
                else:
                    inodes[found.st_ino] = _bytes(path)
            return found.st_ino

        return {"root": look(self.root), "inodes": inodes}

    def restart(self, target: Path, seed: int) -> None:
        """Write what the disk has after the cut to `target`."""
        chance = random.Random(seed)
        inodes, root = self.after["inodes"], self.after["root"]

        def folder(inode: int, here: Path) -> None:
            here.mkdir()
            now = inodes[inode] if isinstance(inodes.get(inode), dict) else {}
            then = self.names.get(inode, {})
            for name in sorted({*now, *then}):
                wanted = self._which(name, now.get(name), then.get(name), chance)
                if wanted is not None:
                    thing(wanted, here / name)

        def thing(inode: int, path: Path) -> None:
            if isinstance(inodes.get(inode), dict) or inode in self.names:
                folder(inode, path)
                return
            path.write_bytes(self._content(inode, path.name, inodes, chance))

        folder(root, target)

    def _which(self, name: str, now: int | None, then: int | None, chance: random.Random) -> int | None:
        if now == then or name.startswith(TAKEN_AS_THEY_ARE):
            return now
        return chance.choice([now, then])

    def _content(self, inode: int, name: str, inodes: dict[int, Any], chance: random.Random) -> bytes:
        now = inodes.get(inode)
        then = self.content.get(inode)
        if name.startswith(TAKEN_AS_THEY_ARE) or now == then:
            return now if now is not None else b""
        if then is not None and (now is None or chance.random() < 0.5):
            return then
        whole = now or b""
        cut = chance.randrange(len(whole) // BLOCK + 1) * BLOCK
        torn = bytes(chance.randrange(256) for _ in range(min(BLOCK, len(whole) - cut)))
        return chance.choice([b"", whole[:cut], whole[:cut] + torn, whole])


def _bytes(path: Path) -> bytes:
    with open(os.open(path, os.O_RDONLY), "rb") as file:
        return file.read()
