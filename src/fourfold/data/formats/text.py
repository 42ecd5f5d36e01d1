"""Plain text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from fourfold.data.decode import AUTO, Lines, check_encoding, lines_of
from fourfold.data.formats import BadLine, Record

WHOLE_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Text:
    """A text file as one document, or one per paragraph (between blank lines) or line.

    "auto": a file of up to 64 KiB is a letter or an article, so one document; a larger one is a corpus, so one document per
    paragraph where blank lines separate them, else per line.
    """

    unit: Literal["auto", "document", "paragraph", "line"] = "auto"
    encoding: str = AUTO  # or a name that Python knows: utf-8, gb18030, …

    def __post_init__(self) -> None:
        check_encoding(self.encoding)

    def __call__(self, data: bytes, /) -> Iterator[Record | BadLine]:
        lines = lines_of(data, self.encoding)
        for i in sorted(lines.broken):
            yield BadLine(i + 1, "invalid_bytes")
        for start, end in self._blocks(lines, len(data)):
            kept = [lines.lines[i] for i in range(start, end) if i not in lines.broken]
            text = "\n".join(kept).strip()
            if text:
                yield Record(text, start + 1, {})

    def _blocks(self, lines: Lines, size_bytes: int) -> Iterator[tuple[int, int]]:
        """Half-open ranges of lines, one per document."""
        blank = [not line.strip() for line in lines.lines]
        unit = self.unit
        if unit == "auto":
            unit = "document" if size_bytes <= WHOLE_BYTES else "paragraph" if any(blank) else "line"
        if unit == "document":
            first = next((i for i, is_blank in enumerate(blank) if not is_blank), 0)
            yield first, len(blank)
        elif unit == "line":
            yield from ((i, i + 1) for i, is_blank in enumerate(blank) if not is_blank)
        else:
            start = 0
            for i, is_blank in enumerate([*blank, True]):
                if is_blank:
                    yield start, i
                    start = i + 1
