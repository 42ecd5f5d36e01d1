"""WARC 1.1 (ISO 28500): each document as a page."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from fourfold.data.dataset import Dataset
from fourfold.data.exporting import rows_of
from fourfold.data.fetching import Fetched
from fourfold.data.warc import write_warc


@dataclass(frozen=True, slots=True)
class Warc:
    """Packed response records of plain text, under the column `url`, else a name below documents.invalid."""

    url: str = "url"

    @property
    def ending(self) -> str:
        """Of the file's name."""
        return "warc.gz"

    def __call__(self, dataset: Dataset, path: Path, /) -> dict[str, int]:
        write_warc(path, self._pages(dataset))
        return {}

    def _pages(self, dataset: Dataset) -> Iterator[tuple[Fetched, bytes]]:
        for row in rows_of(dataset):
            yield self._page(row), (row["text"] or "").encode()

    def _page(self, row: dict[str, Any]) -> Fetched:
        at = datetime.fromisoformat(row["fetched_at"]).timestamp() if row["fetched_at"] else 0.0
        url = row.get(self.url) or f"http://documents.invalid/{row['doc_id']}"  # RFC 2606: nobody has that host
        return Fetched(url, 200, headers={"content-type": "text/plain; charset=utf-8"}, fetched_at=at)
