"""Files of versions into a folder of one's own: verified, with progress, and taken up again where they stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from fourfold.application.results import FileEntry
from fourfold.core.errors import Conflict, Corrupt
from fourfold.core.fingerprint import digest_file
from fourfold.core.progress import Progress
from fourfold.storage.artifacts import room_for

Source = Callable[[int], Iterator[bytes]]  # the bytes of a file from an offset on

PART = ".part"
READ_BYTES = 1 << 20


def download(source: Source, entry: FileEntry, target: Path, progress: Progress) -> None:
    """Bring a file to `target`. What was fetched before is in `target.part`, and is not fetched again.

    Raises Conflict if another file is there, Corrupt if what arrived is not what was stored (it is removed then).
    """
    if target.exists():
        if target.is_file() and target.stat().st_size == entry.size_bytes and digest_file(target) == entry.digest:
            progress(entry.size_bytes, entry.size_bytes, "bytes")
            return
        raise Conflict(f"{target} is there already, and is another file.", hint="Move it away, or name another folder.")
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + PART)
    have = part.stat().st_size if part.is_file() else 0
    if have > entry.size_bytes:
        part.unlink()
        have = 0
    with room_for(str(target)), part.open("ab") as file:
        for some in source(have) if have < entry.size_bytes else ():
            file.write(some)
            have += len(some)
            progress(have, entry.size_bytes, "bytes")
            if have > entry.size_bytes:
                break  # whatever it is, it is not the file
    if digest_file(part) != entry.digest:
        part.unlink()
        raise Corrupt(f"{entry.path} did not arrive as it was stored.", hint="Try again; then run: fourfold doctor")
    part.replace(target)


def of_file(path: Path) -> Source:
    """A file of this machine as a source."""

    def read(offset: int) -> Iterator[bytes]:
        with path.open("rb") as file:
            file.seek(offset)
            while some := file.read(READ_BYTES):
                yield some

    return read
