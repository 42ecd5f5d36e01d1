"""The door of file formats: what one is, and the table of their names (a format's name is its file ending)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from fourfold.core.registry import Table


@dataclass(frozen=True, slots=True)
class Record:
    """One document of a file. `line` is its first line (1-based). Fields may hold str, int, float, bool or list[str].

    `place` is the path within the file, for files that hold files.
    """

    text: str
    line: int
    fields: dict[str, Any]
    place: str = ""


@dataclass(frozen=True, slots=True)
class BadLine:
    """A place that could not be read: its line, a reason (a fixed word, to count by) and detail; never the text itself."""

    line: int
    reason: str
    detail: str = ""
    place: str = ""


@dataclass(frozen=True, slots=True)
class Member:
    """A file within a file, to be read by the format of its ending, or by `format`. Where `data` is None, `reason` says why.

    `fields` go to each of its documents.
    """

    path: str
    data: bytes | None
    reason: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)
    format: str = ""


class Format(Protocol):
    """A frozen dataclass: calling reads a file's bytes into records, bad lines and files within it, in order."""

    def __call__(self, data: bytes, /) -> Iterator[Record | BadLine | Member]: ...


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
        "html": "fourfold.data.formats.html:Html",
        "feed": "fourfold.data.formats.feed:Feed",
        "wechat": "fourfold.data.formats.wechat:Wechat",
        "weibo": "fourfold.data.formats.weibo:Weibo",
        "dialogue": "fourfold.data.formats.dialogue:Dialogue",
        "label_studio": "fourfold.data.formats.label_studio:LabelStudio",
        "prodigy": "fourfold.data.formats.prodigy:Prodigy",
        "huggingface": "fourfold.data.formats.huggingface:HuggingFace",
        "pdf": "fourfold.data.formats.pdf:Pdf",
        "docx": "fourfold.data.formats.docx:Docx",
        "xlsx": "fourfold.data.formats.xlsx:Xlsx",
        "pptx": "fourfold.data.formats.pptx:Pptx",
        "epub": "fourfold.data.formats.epub:Epub",
        "eml": "fourfold.data.formats.mail:Eml",
        "mbox": "fourfold.data.formats.mail:Mbox",
        "zip": "fourfold.data.formats.archives:Zip",
        "tar": "fourfold.data.formats.archives:Tar",
        "warc": "fourfold.data.formats.warc:Warc",
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
    "htm": "html",
    "xhtml": "html",
    "xlsm": "xlsx",
    "arrow": "huggingface",
    "rss": "feed",
    "atom": "feed",
    "mht": "eml",
    "mhtml": "eml",
}
