"""Preference pairs: prompt, chosen, rejected."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fourfold.data.dataset import Dataset
from fourfold.data.exporting import need_columns, rows_of, write_lines


@dataclass(frozen=True, slots=True)
class Preference:
    """`{"prompt", "chosen", "rejected"}` per line, of the columns of these names."""

    prompt: str = "prompt"
    chosen: str = "chosen"
    rejected: str = "rejected"

    @property
    def ending(self) -> str:
        """Of the file's name."""
        return "jsonl"

    def __call__(self, dataset: Dataset, path: Path, /) -> dict[str, int]:
        need_columns(dataset, [self.prompt, self.chosen, self.rejected], "a preference")
        return write_lines(path, rows_of(dataset), self._line)

    def _line(self, row: dict[str, Any]) -> dict[str, Any] | str:
        values = [row[name] for name in (self.prompt, self.chosen, self.rejected)]
        if not all(values):
            return "no_pair"
        return dict(zip(("prompt", "chosen", "rejected"), map(str, values)))
