"""The door of exporters: what one is, and the table of their names."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from fourfold.core.registry import Table
from fourfold.data.dataset import Dataset


class Exporter(Protocol):
    """A frozen dataclass: calling writes a dataset (or one split of it) into one file that others read, and gives how many
    documents could not be written, by reason. `ending`: of the file's name.
    """

    @property
    def ending(self) -> str: ...
    def __call__(self, dataset: Dataset, path: Path, /) -> dict[str, int]: ...


EXPORTERS = Table(
    "exporter",
    {
        "jsonl": "fourfold.data.exports.jsonl:Jsonl",
        "parquet": "fourfold.data.exports.parquet:Parquet",
        "csv": "fourfold.data.exports.csv:Csv",
        "conll": "fourfold.data.exports.conll:Conll",
        "conllu": "fourfold.data.exports.conllu:Conllu",
        "label_studio": "fourfold.data.exports.label_studio:LabelStudio",
        "prodigy": "fourfold.data.exports.prodigy:Prodigy",
        "chat": "fourfold.data.exports.chat:Chat",
        "sharegpt": "fourfold.data.exports.sharegpt:ShareGpt",
        "alpaca": "fourfold.data.exports.alpaca:Alpaca",
        "preference": "fourfold.data.exports.preference:Preference",
        "warc": "fourfold.data.exports.warc:Warc",
        "croissant": "fourfold.data.exports.croissant:Croissant",
        "hugging_face": "fourfold.data.exports.hugging_face:HuggingFace",
    },
)
