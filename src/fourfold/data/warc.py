"""WARC 1.1 (ISO 28500): pages written to an archive, and read from one."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

from warcio.archiveiterator import ArchiveIterator
from warcio.exceptions import ArchiveLoadFailed
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from fourfold.core.errors import BadInput
from fourfold.data.fetching import KEPT_HEADERS, Fetched


def write_warc(path: Path, pages: Iterator[tuple[Fetched, bytes]]) -> int:
    """Write replies as response records, each packed by itself; how many there were."""
    count = 0
    with path.open("wb") as file:
        writer = WARCWriter(file, gzip=True)
        for found, body in pages:
            headers = [(name, value) for name, value in found.headers.items() if name in KEPT_HEADERS]
            headers.append(("content-length", str(len(body))))
            at = datetime.fromtimestamp(found.fetched_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            record = writer.create_warc_record(
                found.url,
                "response",
                payload=io.BytesIO(body),
                http_headers=StatusAndHeaders(f"{found.status or 200} OK", headers, protocol="HTTP/1.1"),
                warc_headers_dict={
                    "WARC-Date": at,
                    "WARC-Record-ID": f"<urn:uuid:{uuid5(NAMESPACE_URL, f'{found.url} {at} {count}')}>",
                },
            )
            writer.write_record(record)
            record.raw_stream.close()  # a temporary file of the library
            count += 1
    return count


def read_warc(path: Path, max_bytes: int) -> Iterator[tuple[Fetched, bytes | None]]:
    """Replies of an archive with status 200; the body is None where it is longer than `max_bytes`, unpacked.

    Raises BadInput for a file that is no WARC archive, or is damaged.
    """
    try:
        with path.open("rb") as file:
            for record in ArchiveIterator(file):
                if record.rec_type == "response" and record.http_headers and record.http_headers.get_statuscode() == "200":
                    yield _fetched(record, max_bytes)
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror or error}.", hint="Name a WARC file.") from error
    except (ArchiveLoadFailed, EOFError, ValueError) as error:
        raise BadInput(f"{path} is no WARC archive, or is damaged: {error}.", hint="Name a .warc or .warc.gz file.") from error


def _fetched(record: object, max_bytes: int) -> tuple[Fetched, bytes | None]:
    headers = {name: value for name in KEPT_HEADERS if (value := record.http_headers.get_header(name))}  # type: ignore[attr-defined]
    at = datetime.fromisoformat(record.rec_headers.get_header("WARC-Date").replace("Z", "+00:00")).timestamp()  # type: ignore[attr-defined]
    body = record.content_stream().read(max_bytes + 1)  # type: ignore[attr-defined]
    url = record.rec_headers.get_header("WARC-Target-URI")  # type: ignore[attr-defined]
    return Fetched(url.strip("<>"), 200, headers=headers, fetched_at=at), body if len(body) <= max_bytes else None
