"""Take out lines that a site repeats on many of its pages: menus, cookie notices, footers."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

import blake3
import numpy as np
import pyarrow as pa

from fourfold.core.errors import BadSpec
from fourfold.data.steps import mark

LINES = "boilerplate_lines"


@dataclass(frozen=True, slots=True)
class DropBoilerplate:
    """A line that stands in at least `min_documents` documents of a site, and in at least `min_share` of them, is taken out of
    each. A document of which nothing is left goes under "boilerplate".

    A site is the host of the column `url`, else the folder of the file that the document came from.
    """

    min_documents: int = 5
    min_share: float = 0.3

    def __post_init__(self) -> None:
        if self.min_documents < 2:
            raise BadSpec(f"min_documents is at least 2, not {self.min_documents}.")
        if not 0 < self.min_share <= 1:
            raise BadSpec(f"min_share is above 0 and at most 1, not {self.min_share}.")

    def keys(self, table: pa.Table, /) -> pa.Table:
        """The site, and a digest of 8 bytes of each line, of each row."""
        urls = table["url"].to_pylist() if "url" in table.column_names else [None] * len(table)
        sites = [_number(_site(url, source)) for url, source in zip(urls, table["source"].to_pylist())]
        lines = [[_number(line.strip()) for line in (text or "").split("\n")] for text in table["text"].to_pylist()]
        return pa.table({"site": pa.array(sites, pa.uint64()), LINES: pa.array(lines, pa.list_(pa.uint64()))})

    def __call__(self, table: pa.Table, /) -> pa.Table:
        keys = table if LINES in table.column_names else self.keys(table)
        sites, lists = keys["site"].to_numpy(), keys[LINES].combine_chunks()
        lines = lists.flatten().to_numpy()
        rows = np.repeat(np.arange(len(keys)), lists.value_lengths().to_numpy(zero_copy_only=False))
        seen = np.unique(_records(site=sites[rows], line=lines, row=rows.astype(np.uint64)))
        pairs, counts = np.unique(seen[["site", "line"]], return_counts=True)
        names, documents = np.unique(sites, return_counts=True)
        of_site = documents[np.searchsorted(names, pairs["site"])]
        often = pairs[(counts >= self.min_documents) & (counts >= self.min_share * of_site) & (pairs["line"] != EMPTY)]
        out = np.isin(_records(site=sites[rows], line=lines), often)
        marks = pa.ListArray.from_arrays(lists.offsets, pa.array(out))
        gone = [
            bool(len(row)) and any(row) and all(o or n == EMPTY for o, n in zip(row, line))
            for row, line in _pairs(marks, lists)
        ]
        return mark(pa.table({LINES: marks}), pa.array(gone, pa.bool_()), "boilerplate")

    def apply(self, table: pa.Table, marks: pa.Table) -> pa.Table:
        """The rows without the lines that were marked."""
        texts = [_without(text, out) for text, out in zip(table["text"].to_pylist(), marks[LINES].to_pylist())]
        return table.set_column(table.column_names.index("text"), "text", pa.array(texts, pa.string()))


def _records(**columns: np.ndarray) -> np.ndarray:
    """The columns side by side, to be sorted and compared as one."""
    found = np.zeros(len(columns["site"]), [(name, np.uint64) for name in columns])
    for name, values in columns.items():
        found[name] = values
    return found


def _without(text: str | None, out: list[bool]) -> str | None:
    if text is None or not any(out):
        return text
    return "\n".join(line for line, gone in zip(text.split("\n"), out) if not gone).strip()


def _pairs(marks: pa.ListArray, lines: pa.ListArray) -> zip:
    return zip(marks.to_pylist(), lines.to_pylist())


def _site(url: str | None, source: str) -> str:
    return (urlsplit(url).hostname or "") if url else source.rpartition("#")[0].rpartition("/")[0]


def _number(text: str) -> int:
    return int.from_bytes(blake3.blake3(text.encode("utf-8", "surrogatepass")).digest(8), "big")


EMPTY = _number("")
