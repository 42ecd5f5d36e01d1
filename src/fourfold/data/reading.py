"""A raw file → its records: which format reads it, in which encoding, unpacked if it is packed."""

from __future__ import annotations

import dataclasses
import gzip
import io
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from fourfold.core.errors import BadInput, BadSpec, FourfoldError, did_you_mean
from fourfold.data.decode import encoding_of
from fourfold.data.formats import ENDINGS, FORMATS, BadLine, Format, Record
from fourfold.data.globs import fits
from fourfold.data.sources import RawFile, Source

PACKED = ".gz"


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
        path = PurePosixPath(file.path.lower())
        packed = path.suffix == PACKED
        name = self._endings.get((path.with_suffix("") if packed else path).suffix.lstrip("."))
        if name is None:
            return "unknown_format"
        data = self._unpacked(file.data) if packed else file.data
        if isinstance(data, str):
            return data
        part = self._format(name)
        encoding = ""
        if hasattr(part, "encoding"):
            encoding = encoding_of(data, part.encoding)  # type: ignore[attr-defined]
            part = dataclasses.replace(part, encoding=encoding)  # type: ignore[type-var]
        return Opened(name, encoding, self._split(file.path), _told(part(data), file.path))

    def _format(self, name: str) -> Format:
        if name not in self._formats:
            self._formats[name] = FORMATS.build(name)
        return self._formats[name]

    def _split(self, path: str) -> str | None:
        return next((split for pattern, split in self._source.splits.items() if fits(path, pattern)), None)

    def _unpacked(self, data: bytes) -> bytes | str:
        most = self._source.max_file_bytes
        try:
            with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
                unpacked = file.read(most + 1)  # never more: a small archive can hold terabytes of zeros
        except (OSError, EOFError, zlib.error):
            return "bad_gzip"
        return "too_large" if len(unpacked) > most else unpacked


def _told(records: Iterator[Record | BadLine], path: str) -> Iterator[Record | BadLine]:
    """The records; expected trouble is told with the file it came from."""
    try:
        yield from records
    except FourfoldError as error:
        raise BadInput(f"{path}: {error.message}", hint=error.hint) from error
