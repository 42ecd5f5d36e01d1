"""Archives: zip and tar. Files within them are read as if they lay beside them, within bounds."""

from __future__ import annotations

import io
import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from fourfold.core.errors import BadSpec
from fourfold.data.formats import BadLine, Member, Record

LEAST = 1 << 20  # bytes below which no ratio is too large: a page of zeros harms nobody
JUNK = ("__MACOSX/",)


@dataclass(frozen=True, slots=True)
class Zip:
    """The files of a zip archive. Counted and left out: `password`, `bomb` (a file that grows more than `max_ratio` times),
    `path_traversal`, `link`; what comes
    after `max_files` as `too_many_files`, after the source's `max_file_bytes` as `too_large`.
    """

    max_files: int = 100_000
    max_ratio: int = 200

    def __post_init__(self) -> None:
        _check(self.max_files, self.max_ratio)

    def __call__(self, data: bytes, /) -> Iterator[Record | BadLine | Member]:
        try:
            archive = zipfile.ZipFile(io.BytesIO(data))
        except (zipfile.BadZipFile, OSError, ValueError, RuntimeError):
            yield BadLine(1, "not_zip")
            return
        with archive:
            names: dict[str, int] = {}
            for number, item in enumerate(archive.infolist()):
                if item.is_dir() or item.filename.startswith(JUNK):
                    continue
                if number >= self.max_files:
                    yield BadLine(number + 1, "too_many_files", f"{len(archive.infolist())} files")
                    return
                yield self._member(archive, item, _unused(_name(item), names))

    def _member(self, archive: zipfile.ZipFile, item: zipfile.ZipInfo, name: str) -> Member:
        if reason := refusal(name):
            return Member(name, None, reason)
        if stat.S_ISLNK(item.external_attr >> 16):
            return Member(name, None, "link")
        if item.flag_bits & 1:
            return Member(name, None, "password")
        most = max(LEAST, self.max_ratio * item.compress_size)
        if item.file_size > most:
            return Member(name, None, "bomb")
        try:
            with archive.open(item) as file:
                found = file.read(most + 1)  # the size that it declares may be a lie
        except (zipfile.BadZipFile, OSError, EOFError, RuntimeError, zlib.error, lzma.LZMAError):
            return Member(name, None, "unreadable")
        return Member(name, None, "bomb") if len(found) > most else Member(name, found)


@dataclass(frozen=True, slots=True)
class Tar:
    """The files of a tar archive, also one packed by gzip, bzip2 or xz. Counted as those of a zip archive; `link` and
    `not_a_file` for what is neither file nor folder.
    """

    max_files: int = 100_000

    def __post_init__(self) -> None:
        _check(self.max_files, 1)

    def __call__(self, data: bytes, /) -> Iterator[Record | BadLine | Member]:
        try:
            archive = tarfile.TarFile(fileobj=io.BytesIO(data))
        except (tarfile.TarError, ValueError, OSError):
            yield BadLine(1, "not_tar")
            return
        number = 0
        names: dict[str, int] = {}
        with archive:
            while True:
                try:
                    item = archive.next()
                except (tarfile.TarError, ValueError, OSError):
                    yield BadLine(number + 1, "not_tar", "the rest of the archive is left out")
                    return
                if item is None:
                    return
                number += 1
                if number > self.max_files:
                    yield BadLine(number, "too_many_files")
                    return
                if not item.isdir():
                    yield _from_tar(archive, item, _unused(_utf8(item.name), names))


def refusal(name: str) -> str:
    """Why a name within an archive is refused: it leads out of it, or is no name."""
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or (path.parts and path.parts[0].endswith(":")):
        return "path_traversal"
    if any(part.startswith(".") for part in path.parts):
        return "hidden"
    return "" if name.strip() and "\x00" not in name else "bad_name"


def _from_tar(archive: tarfile.TarFile, item: tarfile.TarInfo, name: str) -> Member:
    if reason := refusal(name):
        return Member(name, None, reason)
    if item.issym() or item.islnk():
        return Member(name, None, "link")
    if not item.isfile() or item.issparse():
        return Member(name, None, "not_a_file")
    try:
        file = archive.extractfile(item)
        found = file.read() if file else None
    except (tarfile.TarError, OSError, ValueError):
        found = None
    if found is None or len(found) != item.size:
        return Member(name, None, "unreadable")
    return Member(name, found)


def _name(item: zipfile.ZipInfo) -> str:
    """The name; where it is not marked as UTF-8, as the system that packed it may have meant: UTF-8, else GB18030."""
    if item.flag_bits & 0x800 or item.filename.isascii():
        return _utf8(item.filename)
    try:
        raw = item.filename.encode("cp437")
    except UnicodeEncodeError:
        return _utf8(item.filename)
    for encoding in ("utf-8", "gb18030"):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    return item.filename


def _utf8(name: str) -> str:
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _unused(name: str, names: dict[str, int]) -> str:
    """The name; one that is there already gets a number: an archive may hold a name twice, or 100,000 times.

    `names` counts how often each was there, so that the search for a free number does not begin at 2 each time.
    """
    free = name
    while free in names:
        names[name] += 1
        path = PurePosixPath(name)
        free = str(path.with_name(f"{path.stem}~{names[name]}{path.suffix}"))
    names[free] = 1
    return free


def _check(max_files: int, max_ratio: int) -> None:
    if max_files < 1 or max_ratio < 1:
        raise BadSpec("max_files and max_ratio are at least 1.")
