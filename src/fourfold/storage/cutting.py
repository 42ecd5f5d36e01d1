"""Where a file is cut into chunks, so that what changes little shares most of them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
from fastcdc import fastcdc

WHOLE_BYTES = 64 << 20  # files up to this size are one chunk
TENSORS_BYTES = 16 << 20  # safetensors up to this size, too
CHUNK_BYTES = 16 << 20  # no chunk of a larger file is larger
AVERAGE_BYTES, LEAST_BYTES = 4 << 20, 1 << 20  # of content-defined chunks
OWN_BYTES = 256 << 10  # a tensor of this size has chunks of its own; smaller neighbours share one
HEADER_BYTES = 100 << 20  # what safetensors allows at most


def is_one_chunk(path: Path, size: int) -> bool:
    """Whether a file of that size is kept whole."""
    return size <= (TENSORS_BYTES if path.suffix == ".safetensors" else WHOLE_BYTES)


def pieces(path: Path, size: int) -> Iterator[bytes]:
    """The file's bytes in order, cut: safetensors at tensors, others where their content says. Holds a few chunks at a time."""
    with path.open("rb") as file:
        ends = _tensor_ends(file, size) if path.suffix == ".safetensors" else None
        file.seek(0)
        yield from _cut_by_content(file) if ends is None else _cut_at(file, ends)


def _cut_at(file: BinaryIO, ends: list[int]) -> Iterator[bytes]:
    for start, end in pairwise([0, *ends]):
        for at in range(start, end, CHUNK_BYTES):
            yield file.read(min(CHUNK_BYTES, end - at))


def _cut_by_content(file: BinaryIO) -> Iterator[bytes]:
    """FastCDC (Xia et al. 2016). A cut depends on no more than CHUNK_BYTES behind the one before it, so a window will do."""
    waiting = bytearray()
    while True:
        block = file.read(CHUNK_BYTES)
        waiting += block
        cuts = [
            (chunk.offset, chunk.offset + chunk.length)
            for chunk in fastcdc(waiting, LEAST_BYTES, AVERAGE_BYTES, CHUNK_BYTES)
            if not block or chunk.offset + CHUNK_BYTES <= len(waiting)
        ]
        for start, end in cuts:
            yield bytes(memoryview(waiting)[start:end])
        if not block:
            return
        del block, waiting[: cuts[-1][1] if cuts else 0]


def _tensor_ends(file: BinaryIO, size: int) -> list[int] | None:
    """Where the chunks of safetensors end: the header, each large tensor, each run of small ones. None for other files."""
    head = file.read(8)
    length = int.from_bytes(head, "little")
    if len(head) < 8 or length > min(HEADER_BYTES, size - 8):
        return None
    try:
        header: Any = msgspec.json.decode(file.read(length))
        spans = sorted(tuple(tensor["data_offsets"]) for name, tensor in header.items() if name != "__metadata__")
    except (msgspec.DecodeError, AttributeError, TypeError, KeyError, UnicodeDecodeError):
        return None
    ends = [8 + length]
    run = 0  # bytes of small tensors since the last end
    at = 0
    for span in spans:
        if len(span) != 2 or not all(isinstance(edge, int) for edge in span) or span[0] != at or span[1] < at:
            return None
        large = span[1] - at >= OWN_BYTES
        if run and (large or run + span[1] - at > OWN_BYTES):
            ends.append(8 + length + at)
            run = 0
        at = span[1]
        if large:
            ends.append(8 + length + at)
        else:
            run += span[1] - span[0]
    if 8 + length + at != size:
        return None
    return ends if ends[-1] == size else [*ends, size]
