"""Digests of specs and bytes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import blake3
import msgspec

READ_BYTES = 1 << 20


def fingerprint(spec: Any) -> str:
    """32 hex digits of BLAKE3 over canonical JSON: equal specs, whatever the order of their keys, have equal digests."""
    return digest_bytes(msgspec.json.encode(spec, order="deterministic"))[:32]


def digest_bytes(data: bytes) -> str:
    """64 hex digits of BLAKE3."""
    return blake3.blake3(data).hexdigest()


def digest_file(path: Path) -> str:
    """64 hex digits of BLAKE3 over a file's bytes, read in blocks."""
    hasher = blake3.blake3()
    for block in read_blocks(path):
        hasher.update(block)
    return hasher.hexdigest()


def read_blocks(path: Path, size_bytes: int = READ_BYTES) -> Iterator[bytes]:
    """The file's bytes in blocks of at most `size_bytes`."""
    with path.open("rb") as file:
        while block := file.read(size_bytes):
            yield block
