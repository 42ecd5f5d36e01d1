"""Exports: of Label Studio (JSON), Prodigy (JSON Lines), and folders of the library `datasets` (Arrow, Parquet)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Literal

from fourfold.core.errors import BadSpec
from fourfold.data.sources import RawFile
from fourfold.data.walk import walk

SPLIT = re.compile(r"(?:^|[/_.-])(train|training|dev|valid|validation|val|test|eval)(?=$|[/_.-])")
NOT_DATA = frozenset({"dataset_info.json", "dataset_dict.json", "state.json", "dataset_infos.json"})
ENDINGS = {"json": "label_studio", "jsonl": "prodigy", "arrow": "huggingface", "parquet": "huggingface"}


@dataclass(frozen=True, slots=True)
class Export:
    """The files of an export under `path`, by their endings. The split is the one that a folder's or file's name says."""

    path: str = ""
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    formats: dict[str, dict[str, Any]] = field(default_factory=dict)
    endings: dict[str, str] = field(default_factory=lambda: dict(ENDINGS))
    splits: dict[str, Literal["train", "dev", "test"]] = field(default_factory=dict)
    max_file_bytes: int = 1 << 30

    def __post_init__(self) -> None:
        if not self.path:
            raise BadSpec("path is empty.", hint="Name the file or folder that was exported.")
        if self.max_file_bytes < 1:
            raise BadSpec(f"max_file_bytes is at least 1, not {self.max_file_bytes}.")

    def __call__(self) -> Iterator[RawFile]:
        for found in walk(self.path, self.include, self.exclude, self.max_file_bytes):
            name = PurePosixPath(found.path).name
            if name in NOT_DATA or name.startswith("cache-"):
                continue  # what the library says of itself
            said = SPLIT.findall(found.path.lower())
            yield RawFile(*found, fields={"split": said[-1]} if said else {})
