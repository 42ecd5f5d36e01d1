"""A raw file → its records: which format reads it, in which encoding, unpacked if it is packed."""

from __future__ import annotations

import bz2
import dataclasses
import gzip
import io
import lzma
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from fourfold.core.errors import BadInput, BadSpec, FourfoldError, MissingExtra, did_you_mean
from fourfold.data.decode import encoding_of
from fourfold.data.formats import ENDINGS, FORMATS, BadLine, Format, Member, Record
from fourfold.data.globs import fits
from fourfold.data.sources import RawFile, Source

MAX_DEPTH = 5  # files within files within files
MAX_RATIO = 300  # beyond RATIO_FROM bytes: text packs ten to fifty times, zeros a thousand
RATIO_FROM = 64 << 20
STEP_BYTES = 1 << 20
PACKED = {".gz": "gzip", ".bz2": "bzip2", ".xz": "xz"}
UNPACKERS: Mapping[str, Callable[[io.BytesIO], Any]] = {"gzip": gzip.open, "bzip2": bz2.open, "xz": lzma.open}
SHORT = {".tgz": ".tar.gz", ".tbz": ".tar.bz2", ".tbz2": ".tar.bz2", ".txz": ".tar.xz"}


@dataclass(frozen=True, slots=True)
class Opened:
    """A file that some format reads. `encoding` is "" for formats that are not text; `split` is None where nothing says so."""

    format: str
    encoding: str
    split: str | None
    records: Iterator[Record | BadLine]


class Reader:
    """Opens raw files by their endings, with the settings of a source. Raises BadSpec at once if those do not fit."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._formats: dict[str, Format] = {
            name: FORMATS.build({name: dict(settings)}, path="source.formats") for name, settings in source.formats.items()
        }
        known = FORMATS.names()
        for ending, name in source.endings.items():
            if name not in known:
                raise BadSpec(
                    f"source.endings.{ending}: there is no format {name!r}.{did_you_mean(name, known)}",
                    hint=f"Known: {', '.join(known)}.",
                )
        self._endings: Mapping[str, str] = {
            **{name: name for name in known},
            **ENDINGS,
            **{ending.lower().lstrip("."): name for ending, name in source.endings.items()},
        }

    def settings(self, name: str) -> dict[str, Any]:
        """All settings that files of a format are read with."""
        return dataclasses.asdict(self._format(name))  # type: ignore[call-overload]

    def open(self, file: RawFile) -> Opened | str:
        """The file's records, or the reason why there are none. Records are read as they are asked for."""
        if file.data is None:
            return file.reason
        return self._open(file.path, file.data, _Budget(self._source.max_file_bytes), 0, url=str(file.fields.get("url", "")))

    def _open(
        self, path: str, data: bytes, budget: _Budget, depth: int, *, format: str = "", url: str = "", top: str = ""
    ) -> Opened | str:
        """`top` is the file that lies on disk, `path` the one within it, `budget` what may still be unpacked of it."""
        inner, packed = _parts(path)
        name = format or self._endings.get(inner.suffix.lstrip("."))
        if name is None:
            return "unknown_format"
        unpacked = budget.unpack(data, PACKED[packed]) if packed and not format else data
        if isinstance(unpacked, str):
            return unpacked
        part: Any = self._format(name)
        if url and hasattr(part, "url"):
            part = dataclasses.replace(part, url=url)
        encoding = ""
        if hasattr(part, "encoding"):
            encoding = part.encoding_of(unpacked) if hasattr(part, "encoding_of") else encoding_of(unpacked, part.encoding)
            part = dataclasses.replace(part, encoding=encoding)
        top = top or path
        return Opened(name, encoding, self._split(top), self._all(_told(part(unpacked), top), budget, depth, top))

    def _all(
        self, found: Iterator[Record | BadLine | Member], budget: _Budget, depth: int, top: str
    ) -> Iterator[Record | BadLine]:
        """The records, those of files within the file among them, with their places."""
        for item in found:
            if isinstance(item, Member):
                yield from self._inside(item, budget, depth + 1, top)
            else:
                yield item

    def _inside(self, member: Member, budget: _Budget, depth: int, top: str) -> Iterator[Record | BadLine]:
        opened: Opened | str
        if member.data is None:
            opened = member.reason
        elif depth > MAX_DEPTH:
            opened = "too_deep"
        elif not budget.take(len(member.data)):
            opened = "too_large"
        else:
            url = str(member.fields.get("url", ""))
            opened = self._open(member.path, member.data, budget, depth, format=member.format, url=url, top=top)
        if isinstance(opened, str):
            yield BadLine(1, opened, place=member.path)
            return
        nothing = True
        for item in opened.records:
            nothing = False
            place = f"{member.path}!{item.place}" if item.place else member.path
            if isinstance(item, Record):
                yield dataclasses.replace(item, fields={**member.fields, **item.fields}, place=place)
            else:
                yield dataclasses.replace(item, place=place)
        if nothing:
            yield BadLine(1, "empty_file", place=member.path)

    def _format(self, name: str) -> Format:
        if name not in self._formats:
            self._formats[name] = FORMATS.build(name)
        return self._formats[name]

    def _split(self, path: str) -> str | None:
        return next((split for pattern, split in self._source.splits.items() if fits(path, pattern)), None)


class _Budget:
    """How many bytes may still be unpacked of one file, whatever it holds and however deep."""

    def __init__(self, size_bytes: int) -> None:
        self._left = size_bytes

    def take(self, size_bytes: int) -> bool:
        """Whether so many are left; if so, they are taken."""
        if size_bytes > self._left:
            return False
        self._left -= size_bytes
        return True

    def unpack(self, data: bytes, kind: str) -> bytes | str:
        """The bytes that are packed, or why not: `too_large`, `bomb`, `bad_gzip`, `bad_bzip2`, `bad_xz`."""
        found = bytearray()
        try:
            with UNPACKERS[kind](io.BytesIO(data)) as file:
                while part := file.read(STEP_BYTES):  # never more: a small archive can hold terabytes of zeros
                    found += part
                    if len(found) > self._left:
                        return "too_large"
                    if len(found) > max(RATIO_FROM, MAX_RATIO * len(data)):
                        return "bomb"
        except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError):
            return f"bad_{kind}"
        self._left -= len(found)
        return bytes(found)


def _parts(path: str) -> tuple[PurePosixPath, str]:
    """The path without the ending of a packer, in small letters, and that ending."""
    found = PurePosixPath(path.lower())
    if found.suffix in SHORT:
        found = found.with_name(found.stem + SHORT[found.suffix])
    return (found.with_suffix(""), found.suffix) if found.suffix in PACKED else (found, "")


def _told(records: Iterator[Record | BadLine | Member], path: str) -> Iterator[Record | BadLine | Member]:
    """The records; expected trouble is told with the file it came from. A library that is missing costs the file only."""
    try:
        yield from records
    except MissingExtra as error:
        yield BadLine(1, "needs_extra", f"{error.message} {error.hint}")
    except FourfoldError as error:
        raise BadInput(f"{path}: {error.message}", hint=error.hint) from error
