"""The door of file formats: what one is, and the table of their names (a format's name is its file ending)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from fourfold.core.registry import Table


@dataclass(frozen=True, slots=True)
class Record:
    """One document of a file. `line` is its first line (1-based). Fields may hold str, int, float, bool or list[str]."""

    text: str
    line: int
    fields: dict[str, Any]


@dataclass(frozen=True, slots=True)
class BadLine:
    """A place that could not be read: its line, a reason (a fixed word, to count by) and detail; never the text itself."""

    line: int
    reason: str
    detail: str = ""


class Format(Protocol):
    """A frozen dataclass: calling reads a file's bytes into records and bad lines, in order."""

    def __call__(self, data: bytes, /) -> Iterator[Record | BadLine]: ...


FORMATS = Table(
    "format",
    {
        "txt": "fourfold.data.formats.text:Text",
        "md": "fourfold.data.formats.markdown:Markdown",
        "csv": "fourfold.data.formats.delimited:Csv",
        "tsv": "fourfold.data.formats.delimited:Tsv",
        "jsonl": "fourfold.data.formats.jsonl:Jsonl",
        "parquet": "fourfold.data.formats.parquet:Parquet",
        "conll": "fourfold.data.formats.conll:Conll",
        "conllu": "fourfold.data.formats.conllu:Conllu",
    },
)

# Further endings of files, and the format that each is read with.
ENDINGS = {
    "text": "txt",
    "log": "txt",
    "markdown": "md",
    "tab": "tsv",
    "json": "jsonl",
    "ndjson": "jsonl",
    "bio": "conll",
    "iob": "conll",
}
