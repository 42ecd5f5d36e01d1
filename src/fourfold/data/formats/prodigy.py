"""Exports of Prodigy (JSON Lines)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fourfold.data.decode import AUTO, check_encoding
from fourfold.data.exported import prodigy
from fourfold.data.formats import BadLine, Record
from fourfold.data.json_lines import Bad, values_of


@dataclass(frozen=True, slots=True)
class Prodigy:
    """A task as one document. Fields: `label`, `spans` (JSON: start, end, label), `tokens`, `answer`, `meta_…`. Tasks of other
    `answers` are counted as `rejected` or `ignored`.
    """

    answers: tuple[str, ...] = ("accept",)
    encoding: str = AUTO

    def __post_init__(self) -> None:
        check_encoding(self.encoding)

    def __call__(self, data: bytes, /) -> Iterator[Record | BadLine]:
        for line, value in values_of(data, self.encoding):
            if isinstance(value, Bad):
                yield BadLine(*value)
                continue
            found = prodigy(value, self.answers)
            yield BadLine(line, found) if isinstance(found, str) else Record(found[0], line, found[1])
