"""The door of sources: what one is, and the table of their names."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from fourfold.core.progress import Progress, silent
from fourfold.core.registry import Table


@dataclass(frozen=True, slots=True)
class RawFile:
    """Bytes as they were found. `path` is relative, with forward slashes; where `data` is None, `reason` says why.

    `fields` become columns of each document of the file (its address, say), unless its format says them itself.
    """

    path: str
    data: bytes | None
    modified_at: float  # Unix seconds
    reason: str = ""
    detail: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)
    fetched_at: float | None = None  # Unix seconds; None: now


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


@dataclass(frozen=True, slots=True)
class Previous:
    """The newest version of the dataset that the same kind of source left."""

    raw: Path  # its raw files
    memory: Path  # what the source wrote to `Visit.memory` then; it may not be there


@dataclass(frozen=True, slots=True)
class Visit:
    """One collecting from a source that is asked in pieces.

    `state` is a folder that outlives a killed run, and is handed to the next run of the same name and settings: what lies
    there need not be fetched again. It goes when a version has been made. What is written to `memory` is kept in the version,
    for the visit after this. `connection` holds what is known of the account; see `data/connections.py`.
    """

    state: Path
    memory: Path
    previous: Previous | None = None
    connection: Path | None = None
    segments: Callable[[], Iterable[tuple[str, Callable[[], Path]]]] = tuple  # sealed request log: names, how to open each
    progress: Progress = silent
    now: Callable[[], float] = time.time


@runtime_checkable
class Incremental(Protocol):
    """A source that is visited instead of called: it remembers what it fetched, in a run and from run to run."""

    def visit(self, visit: Visit, /) -> Iterator[RawFile]: ...


def incremental(source: object) -> Incremental | None:
    """The source, if it is one that is visited."""
    return source if isinstance(source, Incremental) else None


SOURCES = Table(
    "source",
    {
        "files": "fourfold.data.sources.files:Files",
        "web": "fourfold.data.sources.web:Web",
        "feed": "fourfold.data.sources.feed:Feed",
        "wechat": "fourfold.data.sources.wechat:Wechat",
        "weibo": "fourfold.data.sources.weibo:Weibo",
        "dialogue": "fourfold.data.sources.dialogue:Dialogue",
        "requests": "fourfold.data.sources.requests:Requests",
        "export": "fourfold.data.sources.export:Export",
        "sql": "fourfold.data.sources.sql:Sql",
    },
)
