"""Dialogues in files: chat messages, ShareGPT, alpaca."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from fourfold.core.errors import BadSpec
from fourfold.data.sources import RawFile
from fourfold.data.walk import walk


def endings() -> dict[str, str]:
    """JSON is taken for dialogues."""
    return {"json": "dialogue", "jsonl": "dialogue", "ndjson": "dialogue"}


@dataclass(frozen=True, slots=True)
class Dialogue:
    """The conversations of the files under `path`; what a record may look like is set with the format `dialogue`."""

    path: str = ""
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    formats: dict[str, dict[str, Any]] = field(default_factory=dict)
    endings: dict[str, str] = field(default_factory=endings)
    splits: dict[str, Literal["train", "dev", "test"]] = field(default_factory=dict)
    max_file_bytes: int = 1 << 30

    def __post_init__(self) -> None:
        if not self.path:
            raise BadSpec("path is empty.", hint="Name a file or a folder.")
        if self.max_file_bytes < 1:
            raise BadSpec(f"max_file_bytes is at least 1, not {self.max_file_bytes}.")

    def __call__(self) -> Iterator[RawFile]:
        for found in walk(self.path, self.include, self.exclude, self.max_file_bytes):
            yield RawFile(*found)
