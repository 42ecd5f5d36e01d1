"""Exports of Label Studio (JSON and JSON-MIN)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fourfold.data.decode import AUTO, check_encoding
from fourfold.data.exported import label_studio
from fourfold.data.formats import BadLine, Record
from fourfold.data.json_lines import Bad, values_of


@dataclass(frozen=True, slots=True)
class LabelStudio:
    """A task as one document. Fields: its data, `label` (one choice, or several), `spans` (JSON: start, end, label), other
    controls by their names, `annotators`; where there are several, whether they `agreed`, and all their `annotations` (JSON).
    """

    encoding: str = AUTO

    def __post_init__(self) -> None:
        check_encoding(self.encoding)

    def __call__(self, data: bytes, /) -> Iterator[Record | BadLine]:
        for line, value in values_of(data, self.encoding):
            if isinstance(value, Bad):
                yield BadLine(*value)
                continue
            found = label_studio(value)
            yield BadLine(line, found) if isinstance(found, str) else Record(found[0], line, found[1])
