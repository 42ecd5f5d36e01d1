"""Files of a folder, or one file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from fourfold.core.errors import BadSpec
from fourfold.data.sources import RawFile
from fourfold.data.walk import walk


@dataclass(frozen=True, slots=True)
class Files:
    """The files under `path`, in order of their relative paths. A pattern with a slash is matched against the whole relative
    path (`**` crosses folders), one without against the file's name.

    Hidden files, symbolic links that lead out of the folder or to a folder, pipes and devices, files that may not be read
    and files over `max_file_bytes` come as files without data, with the reason. Raises BadInput if nothing is at `path`.
    """

    path: str
    include: tuple[str, ...] = ()  # only these, if any
    exclude: tuple[str, ...] = ()
    formats: dict[str, dict[str, Any]] = field(default_factory=dict)  # settings per format: {csv: {text: [subject, body]}}
    endings: dict[str, str] = field(default_factory=dict)  # file endings of your own: {dat: csv}
    splits: dict[str, Literal["train", "dev", "test"]] = field(default_factory=dict)  # by pattern: {"*-dev.conllu": dev}
    max_file_bytes: int = 1 << 30  # also of what a .gz file holds

    def __post_init__(self) -> None:
        if not self.path:
            raise BadSpec("path is empty.", hint="Name a file or a folder.")
        if self.max_file_bytes < 1:
            raise BadSpec(f"max_file_bytes is at least 1, not {self.max_file_bytes}.")

    def __call__(self) -> Iterator[RawFile]:
        for found in walk(self.path, self.include, self.exclude, self.max_file_bytes):
            yield RawFile(*found)
