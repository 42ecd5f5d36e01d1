"""Alpaca: a JSON array of instruction, input, output."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fourfold.data.dataset import Dataset
from fourfold.data.exporting import need_columns, rows_of, write_array


@dataclass(frozen=True, slots=True)
class Alpaca:
    """`{"instruction", "input", "output"}` of the columns of these names; `input` may be missing."""

    instruction: str = "instruction"
    input: str = "input"
    output: str = "output"

    @property
    def ending(self) -> str:
        """Of the file's name."""
        return "json"

    def __call__(self, dataset: Dataset, path: Path, /) -> dict[str, int]:
        need_columns(dataset, [self.instruction, self.output], "an instruction")
        return write_array(path, rows_of(dataset), self._item)

    def _item(self, row: dict[str, Any]) -> dict[str, Any] | str:
        instruction, output = row[self.instruction], row[self.output]
        if not instruction or not output:
            return "no_answer" if instruction else "no_question"
        return {"instruction": str(instruction), "input": str(row.get(self.input) or ""), "output": str(output)}
