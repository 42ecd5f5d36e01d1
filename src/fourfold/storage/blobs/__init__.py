"""The door of blob stores: what one is, and the table of their names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from fourfold.core.registry import Table


class Blobs(Protocol):
    """Immutable bytes under their own digest (64 hex digits of BLAKE3). What was put is durable when `put` returns."""

    def put(self, digest: str, data: bytes, /) -> None:
        """Keep bytes; those that are there already are looked at, and replaced if they are not what they should be."""
        ...

    def put_file(self, digest: str, path: Path, /) -> None:
        """Keep a whole file as one blob, without copying where that is possible; the file may become read-only."""
        ...

    def get(self, digest: str, /) -> bytes:
        """The bytes, verified. Raises NotFound or Corrupt."""
        ...

    def has(self, digest: str, /) -> bool:
        """Whether there is something under that digest; it is not looked at."""
        ...

    def link(self, digest: str, target: Path, /) -> bool:
        """Make `target` a file of the blob's bytes without copying them; False where that is not possible. Not verified."""
        ...

    def remove(self, digest: str, /) -> None:
        """Forget the bytes, durably; nothing to do if there are none."""
        ...

    def digests(self) -> Iterator[tuple[str, int]]:
        """Digest and size in bytes of what is there, as the store lists it: to examine it, never the truth about it."""
        ...

    def free_bytes(self) -> int | None:
        """How much more it can take; None where nobody can say."""
        ...

    def close(self) -> None: ...


BLOBS = Table(
    "blob store",
    {
        "local": "fourfold.storage.blobs.local:Local",
        "s3": "fourfold.storage.blobs.s3:S3",
    },
)
