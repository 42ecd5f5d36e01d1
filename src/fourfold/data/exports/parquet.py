"""Parquet: one file with all columns."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fourfold.data.dataset import Dataset
from fourfold.data.exporting import write_parquet


@dataclass(frozen=True, slots=True)
class Parquet:
    """All columns with their types, packed by zstd; a row group per fragment."""

    @property
    def ending(self) -> str:
        """Of the file's name."""
        return "parquet"

    def __call__(self, dataset: Dataset, path: Path, /) -> dict[str, int]:
        write_parquet(path, (fragment.table() for fragment in dataset.fragments()))
        return {}
