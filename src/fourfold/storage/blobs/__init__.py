"""The door of blob stores: what one is, and the table of their names."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from fourfold.core.registry import Table


class Blobs(Protocol):
    """Immutable bytes under their own digest (64 hex digits of BLAKE3). What was put is durable when `put` returns."""

    def put(self, digest: str, data: bytes, /) -> None: ...

    def put_file(self, digest: str, path: Path, /) -> None: ...

    def get(self, digest: str, /) -> bytes: ...

    def link(self, digest: str, target: Path, /) -> bool: ...

    def close(self) -> None: ...


BLOBS = Table("blob store", {"local": "fourfold.storage.blobs.local:Local"})
