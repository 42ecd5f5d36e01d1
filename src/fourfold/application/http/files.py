"""Files as replies: whole, or from a byte on, so that a download that broke goes on (RFC 9110, section 14)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from litestar import Response
from litestar.response import File, Stream

from fourfold.application.http.problems import RangeNotSatisfiable

ONE_RANGE = re.compile(r"bytes=(\d+)-(\d*)")
PART_BYTES = 1 << 20


def file_reply(path: Path, wanted: str | None) -> Response[Any]:
    """The file, or the one range of bytes that `wanted` names; a range of another form is ignored, as the standard allows.

    Raises RangeNotSatisfiable if it begins behind the end. A file of a version never changes, so a range is always of the same.
    """
    found = ONE_RANGE.fullmatch(wanted.strip()) if wanted else None
    if found is None:
        return File(path, filename=path.name, headers={"accept-ranges": "bytes"})
    size = path.stat().st_size
    first = int(found[1])
    last = min(int(found[2] or size - 1), size - 1)
    if first >= size:
        raise RangeNotSatisfiable(f"{path.name} has {size:,} bytes; none from {first:,} on.", hint="Ask for it from the start.")
    if last < first:
        return File(path, filename=path.name, headers={"accept-ranges": "bytes"})
    headers = {
        "accept-ranges": "bytes",
        "content-range": f"bytes {first}-{last}/{size}",
        "content-length": str(last - first + 1),
    }
    return Stream(_part(path, first, last), status_code=206, headers=headers, media_type="application/octet-stream")


def _part(path: Path, first: int, last: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(first)
        left = last - first + 1
        while left and (part := file.read(min(PART_BYTES, left))):
            left -= len(part)
            yield part
