"""The door of sources: what one is, and the table of their names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from fourfold.core.registry import Table


@dataclass(frozen=True, slots=True)
class RawFile:
    """Bytes as they were found. `path` is relative, with forward slashes; where `data` is None, `reason` says why."""

    path: str
    data: bytes | None
    modified_at: float  # Unix seconds
    reason: str = ""


class Source(Protocol):
    """A frozen dataclass: calling yields what the source holds, in a stable order.

    `formats` holds settings per format, `endings` further file endings and the names of their formats, `splits` patterns of
    paths and the split that documents of such files belong to, `max_file_bytes` how large a file may be, unpacked.
    """

    @property
    def formats(self) -> Mapping[str, Mapping[str, Any]]: ...
    @property
    def endings(self) -> Mapping[str, str]: ...
    @property
    def max_file_bytes(self) -> int: ...
    @property
    def splits(self) -> Mapping[str, str]: ...

    def __call__(self) -> Iterator[RawFile]: ...


SOURCES = Table("source", {"files": "fourfold.data.sources.files:Files"})
