"""WARC (ISO 28500): pages as a crawler kept them."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from warcio.archiveiterator import ArchiveIterator
from warcio.exceptions import ArchiveLoadFailed

from fourfold.data.formats import BadLine, Member, Record

FORMATS = {
    "text/html": "html",
    "application/xhtml+xml": "html",
    "text/plain": "txt",
    "text/markdown": "md",
    "application/pdf": "pdf",
    "text/csv": "csv",
    "application/json": "jsonl",
}


@dataclass(frozen=True, slots=True)
class Warc:
    """Each response or resource as a file that is read as its content type says, its address as place. Fields: `url`,
    `crawled_at`. Counted: answers other than 2xx as `http_404` and so on, other types as `unknown_format`, `not_warc`.
    """

    max_record_bytes: int = 64 << 20

    def __call__(self, data: bytes, /) -> Iterator[Record | BadLine | Member]:
        records = ArchiveIterator(io.BytesIO(data), no_record_parse=False)
        number = 0
        while True:
            try:
                record = next(records)
                number += 1
                if record.rec_type in ("response", "resource"):
                    yield self._member(record)
            except StopIteration:
                break
            except (ArchiveLoadFailed, OSError, EOFError, ValueError, AttributeError):
                yield BadLine(number + 1, "not_warc", "the rest of the archive is left out")
                return
        if not number:
            yield BadLine(1, "not_warc")

    def _member(self, record: Any) -> Member:
        url = record.rec_headers.get_header("WARC-Target-URI") or record.rec_headers.get_header("WARC-Record-ID") or ""
        status = record.http_headers.get_statuscode() if record.http_headers else "200"
        if not status.startswith("2"):
            return Member(url, None, f"http_{status}")
        headers = record.http_headers or record.rec_headers
        kind = (headers.get_header("Content-Type") or "").partition(";")[0].strip().lower()
        name = FORMATS.get(kind)
        if name is None:
            return Member(url, None, "unknown_format")
        content = record.content_stream().read(self.max_record_bytes + 1)
        if len(content) > self.max_record_bytes:
            return Member(url, None, "too_large")
        fields = {"url": url, "crawled_at": record.rec_headers.get_header("WARC-Date")}
        return Member(url, content, "", {key: value for key, value in fields.items() if value}, name)
