"""JSON Lines: a document per line, with all its columns."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fourfold.data.dataset import Dataset
from fourfold.data.exporting import rows_of, write_lines


@dataclass(frozen=True, slots=True)
class Jsonl:
    """An object per document; columns without a value are left out."""

    @property
    def ending(self) -> str:
        """Of the file's name."""
        return "jsonl"

    def __call__(self, dataset: Dataset, path: Path, /) -> dict[str, int]:
        return write_lines(path, rows_of(dataset), lambda row: {k: v for k, v in row.items() if v is not None})
