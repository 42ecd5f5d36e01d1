"""Power cuts under a whole process, SQLite's own files included: its changes of files are written down, then played back to any
point, where the power goes.

Durable are the content of a file since its last fsync and the names of a folder since its own. Of what came later each write,
truncation and name has reached the disk or not, which a seed decides for each; the last write is torn at a block. Changes that
pass by journal.c (mmap, sendfile, copy_file_range, ioctl) are not seen: what runs under it must not make them.
"""

from __future__ import annotations

import ctypes
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

SOURCE = Path(__file__).with_name("journal.c")
REPOSITORY = Path(__file__).resolve().parents[2]
BLOCK = 512
ROOT = 0  # the number of the folder above the home


@dataclass(frozen=True, slots=True)
class Change:
    """A record of journal.c. Files are known by their inode, folders by their path."""

    what: str
    inode: int
    offset: int
    data: bytes
    path: str
    other: str


def compiled(folder: Path) -> Path | None:
    """The library of journal.c; None where there is no compiler."""
    compiler = shutil.which("cc") or shutil.which("c++")
    if compiler is None or sys.platform != "linux":
        return None
    target = folder / "journal.so"
    subprocess.run([compiler, "-x", "c", "-shared", "-fPIC", "-O1", "-o", target, SOURCE], check=True)
    return target


def recorded(library: Path, home: Path, module: str, *arguments: str) -> list[Change]:
    """The changes below `home` of a process that runs `python -m module home arguments`."""
    journal = library.with_name("journal")
    journal.unlink(missing_ok=True)
    more = {"LD_PRELOAD": str(library), "JOURNAL": str(journal), "JOURNAL_ROOT": str(home)}
    command = [sys.executable, "-m", module, str(home), *arguments]
    done = subprocess.run(command, cwd=REPOSITORY, env={**os.environ, **more}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return list(_read(journal.read_bytes()))


def mark(line: str) -> None:
    """Write a line among the changes, in the process that runs under journal.c."""
    ctypes.CDLL(None).journal_mark(line.encode())


def _read(journal: bytes) -> Iterator[Change]:
    at = 0
    while at < len(journal):
        end = journal.index(b"\n", at)
        what, inode, offset, length, path, other = journal[at:end].decode().split("\t")
        at = end + 1 + int(length)
        yield Change(what, int(inode), int(offset), journal[end + 1 : at], path, other)


@dataclass(slots=True)
class File:
    """A file: what is durable, what happened to it since, and what a reader sees now."""

    durable: bytes = b""
    now: bytes = b""
    since: list[Change] = field(default_factory=list)


@dataclass(slots=True)
class Folder:
    """A folder: its durable names, and those that there are now."""

    durable: dict[str, int] = field(default_factory=dict)
    now: dict[str, int] = field(default_factory=dict)


class Machine:
    """The disk of a machine on which changes happen, and whose power can go after any of them."""

    def __init__(self, above: Path) -> None:
        self.above = str(above)
        self.things: dict[int, File | Folder] = {ROOT: Folder()}
        self.numbers: dict[int, int] = {}  # of an inode: the newest thing that had it
        self.marks: list[str] = []

    def do(self, change: Change) -> None:
        """Play a change back."""
        getattr(self, f"_{change.what}")(change)

    def _mark(self, change: Change) -> None:
        self.marks.append(change.data.decode())

    def _create(self, change: Change) -> None:
        self.numbers[change.inode] = self._new(change.path, File())

    def _mkdir(self, change: Change) -> None:
        self._new(change.path, Folder())

    def _new(self, path: str, thing: File | Folder) -> int:
        number = len(self.things)
        self.things[number] = thing
        folder, name = self._parent(path)
        folder.now[name] = number
        return number

    def _write(self, change: Change) -> None:
        file = self._file(change.inode)
        file.now = written(file.now, change)
        file.since.append(change)

    _truncate = _write

    def _sync(self, change: Change) -> None:
        thing = self._file(change.inode) if change.inode in self.numbers else self._at(change.path)
        if isinstance(thing, Folder):
            thing.durable = dict(thing.now)
        else:
            thing.durable, thing.since = thing.now, []

    def _unlink(self, change: Change) -> None:
        folder, name = self._parent(change.path)
        del folder.now[name]

    def _link(self, change: Change) -> None:
        (source, name), (target, other) = self._parent(change.path), self._parent(change.other)
        target.now[other] = source.now[name]

    def _rename(self, change: Change) -> None:
        (source, name), (target, other) = self._parent(change.path), self._parent(change.other)
        target.now[other] = source.now.pop(name)

    def _file(self, inode: int) -> File:
        thing = self.things[self.numbers[inode]]
        assert isinstance(thing, File)
        return thing

    def _at(self, path: str) -> File | Folder:
        thing = self.things[ROOT]
        for name in Path(path).relative_to(self.above).parts:
            assert isinstance(thing, Folder)
            thing = self.things[thing.now[name]]
        return thing

    def _parent(self, path: str) -> tuple[Folder, str]:
        folder = self._at(os.path.dirname(path))  # noqa: PTH120
        assert isinstance(folder, Folder)
        return folder, os.path.basename(path)  # noqa: PTH119

    def restart(self, target: Path, seed: int) -> None:
        """Write what may be on the disk when the power comes back; the home's own folder was there before."""
        chance = random.Random(seed)
        (home,) = self._root().now.values()
        contents: dict[int, bytes] = {}  # a file of several names has one content

        def write(number: int, path: Path) -> None:
            thing = self.things[number]
            if isinstance(thing, File):
                if number not in contents:
                    contents[number] = torn(thing, chance)
                path.write_bytes(contents[number])
                return
            path.mkdir()
            for name in sorted({*thing.now, *thing.durable}):
                now, then = thing.now.get(name), thing.durable.get(name)
                number_then = now if now == then else chance.choice([now, then])
                if number_then is not None:
                    write(number_then, path / name)

        write(home, target)

    def _root(self) -> Folder:
        root = self.things[ROOT]
        assert isinstance(root, Folder)
        return root


def written(content: bytes, change: Change) -> bytes:
    """Content after a write or a truncation; what is between is zeros."""
    if change.what == "truncate":
        return content[: change.offset].ljust(change.offset, b"\0")
    end = change.offset + len(change.data)
    return content[: change.offset].ljust(change.offset, b"\0") + change.data + content[end:]


def torn(file: File, chance: random.Random) -> bytes:
    """What may be on the disk of a file: all since the last sync, none of it, or some, of which the last is torn."""
    share = chance.choice([0.0, 0.5, 1.0])
    kept = [change for change in file.since if chance.random() < share]
    content = file.durable
    for change in kept[:-1]:
        content = written(content, change)
    if kept:
        last = kept[-1]
        if last.what == "write" and chance.random() < 0.5:
            cut = chance.randrange(len(last.data) // BLOCK + 1) * BLOCK
            rest = bytes(chance.randrange(256) for _ in range(min(BLOCK, len(last.data) - cut)))
            last = Change("write", last.inode, last.offset, last.data[:cut] + chance.choice([b"", rest]), last.path, "")
        content = written(content, last)
    return content
