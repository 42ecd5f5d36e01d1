"""FineWeb's quality rules."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from fourfold.data.counted import lines_of
from fourfold.data.steps import mark

ENDS = tuple(".?!\"'”’。？！…；：」』）")


@dataclass(frozen=True, slots=True)
class FinewebQuality:
    """The rules that Penedo et al. 2024 (arXiv:2406.17557, section 3.6) add; a document goes under the first that it breaks.

    Chinese end marks end a line as well. `short_line_characters` counts a Chinese character as two.
    """

    min_line_ends: float = 0.12  # share of lines that end with an end mark
    max_repeated: float = 0.1  # share of characters in lines that stand earlier in the text
    max_short_lines: float = 0.67
    short_line_characters: int = 30

    def __call__(self, table: pa.Table, /) -> pa.Table:
        found = [self._broken(lines_of(text)) for text in table["text"].to_pylist()]
        for reason in ("fineweb_line_ends", "fineweb_short_lines", "fineweb_repeated"):
            table = mark(table, pa.array([one == reason for one in found], pa.bool_()), reason)
        return table

    def _broken(self, lines: list[str]) -> str | None:
        if not lines:
            return "fineweb_line_ends"
        if sum(line.rstrip().endswith(ENDS) for line in lines) < self.min_line_ends * len(lines):
            return "fineweb_line_ends"
        if sum(_width(line) <= self.short_line_characters for line in lines) > self.max_short_lines * len(lines):
            return "fineweb_short_lines"
        seen: set[str] = set()
        again = sum(len(line) for line in lines if line in seen or seen.add(line))
        return "fineweb_repeated" if again > self.max_repeated * sum(map(len, lines)) else None


def _width(line: str) -> int:
    return len(line) + (0 if line.isascii() else sum("\u3000" <= c <= "\u9fff" or c >= "\uff00" for c in line))
