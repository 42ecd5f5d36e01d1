"""Croissant (MLCommons): a data set with a description of its columns that machines read."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from fourfold.data.dataset import Dataset
from fourfold.data.exporting import archive, write_parquet

SCHEMA = "https://schema.org/"
KINDS = {"string": "sc:Text", "int64": "sc:Integer", "double": "sc:Float", "bool": "sc:Boolean"}
CONTEXT = {
    "@language": "en",
    "@vocab": SCHEMA,
    "sc": SCHEMA,
    "cr": "http://mlcommons.org/croissant/",
    "dct": "http://purl.org/dc/terms/",
    "conformsTo": "dct:conformsTo",
    "recordSet": "cr:recordSet",
    "field": "cr:field",
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "source": "cr:source",
    "fileObject": "cr:fileObject",
    "extract": "cr:extract",
    "column": "cr:column",
    "repeated": "cr:repeated",
}


@dataclass(frozen=True, slots=True)
class Croissant:
    """A zip archive: `croissant.json` (JSON-LD, version 1.0) beside `data.parquet`, with the file's SHA-256 and each
    column's type.
    """

    name: str = "dataset"
    description: str = ""
    licence: str = ""  # an address or SPDX name

    @property
    def ending(self) -> str:
        """Of the file's name."""
        return "zip"

    def __call__(self, dataset: Dataset, path: Path, /) -> dict[str, int]:
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            data = Path(folder) / "data.parquet"
            write_parquet(data, (fragment.table() for fragment in dataset.fragments()))
            card = msgspec.json.format(msgspec.json.encode(self.card(data)), indent=2)
            archive(path, {"croissant.json": card + b"\n", "data.parquet": data})
        return {}

    def card(self, data: Path) -> dict[str, Any]:
        """The description of a Parquet file."""
        with data.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        found = {
            "@context": CONTEXT,
            "@type": "sc:Dataset",
            "conformsTo": "http://mlcommons.org/croissant/1.0",
            "name": self.name,
            "description": self.description or f"The dataset {self.name}.",
            "distribution": [
                {
                    "@type": "cr:FileObject",
                    "@id": "data",
                    "name": "data",
                    "contentUrl": "data.parquet",
                    "encodingFormat": "application/x-parquet",
                    "sha256": digest,
                }
            ],
            "recordSet": [
                {"@type": "cr:RecordSet", "@id": "rows", "name": "rows", "field": [_field(f) for f in pq.read_schema(data)]}
            ],
        }
        return {**found, "license": self.licence} if self.licence else found


def _field(field: pa.Field) -> dict[str, Any]:
    listed = pa.types.is_list(field.type)
    kind = field.type.value_type if listed else field.type
    data_type = "sc:DateTime" if pa.types.is_timestamp(kind) else KINDS.get(str(kind), "sc:Text")
    found = {
        "@type": "cr:Field",
        "@id": f"rows/{field.name}",
        "name": field.name,
        "dataType": data_type,
        "source": {"fileObject": {"@id": "data"}, "extract": {"column": field.name}},
    }
    return {**found, "repeated": True} if listed else found
