"""CSV (RFC 4180) in UTF-8."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from fourfold.core.errors import BadSpec
from fourfold.data.dataset import Dataset
from fourfold.data.exporting import rows_of

FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class Csv:
    """A header, then a row per document; lists as JSON. `guard` puts an apostrophe before texts that a spreadsheet would
    take for a formula.
    """

    delimiter: str = ","
    guard: bool = True

    def __post_init__(self) -> None:
        if len(self.delimiter) != 1:
            raise BadSpec(f"csv: the delimiter is one character, not {self.delimiter!r}.")

    @property
    def ending(self) -> str:
        """Of the file's name."""
        return "csv"

    def __call__(self, dataset: Dataset, path: Path, /) -> dict[str, int]:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, delimiter=self.delimiter)
            for number, row in enumerate(rows_of(dataset)):
                if number == 0:
                    writer.writerow(row)
                writer.writerow([self._cell(value) for value in row.values()])
        return {}

    def _cell(self, value: Any) -> Any:
        if isinstance(value, list):
            return msgspec.json.encode(value).decode()
        if isinstance(value, bool):
            return "true" if value else "false"
        return f"'{value}" if self.guard and isinstance(value, str) and value.startswith(FORMULA) else value
