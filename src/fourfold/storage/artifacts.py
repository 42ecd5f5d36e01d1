"""Files of versions: cut into chunks, listed in a manifest whose digest is the content's identity, verified whenever read."""

from __future__ import annotations

import errno
import hashlib
import itertools
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import blake3
import sqlalchemy as sa

from fourfold.core.errors import BadInput, NotFound, StorageFull
from fourfold.core.fingerprint import digest_bytes, read_blocks
from fourfold.core.progress import Progress, silent
from fourfold.storage import cutting, refuse, schema, states
from fourfold.storage.blobs import Blobs

WRITERS = 4  # threads that write chunks: a disk syncs several files in the time of one
FEW = 3  # files that are not worth threads


@dataclass(frozen=True, slots=True)
class Chunk:
    """A stretch of a file, kept under its digest."""

    digest: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of a version. `path` is relative with forward slashes; `digest` is BLAKE3, `sha256` is for interchange."""

    path: str
    size_bytes: int
    digest: str
    sha256: str
    chunks: tuple[Chunk, ...]


@dataclass(frozen=True, slots=True)
class Manifest:
    """The files of a version in order of path."""

    files: tuple[StoredFile, ...]

    @property
    def digest(self) -> str:
        """64 hex digits over paths and file digests."""
        lines = "".join(f"{f.digest} {f.path}\n" for f in self.files)
        return blake3.blake3(lines.encode()).hexdigest()

    @property
    def size_bytes(self) -> int:
        return sum(f.size_bytes for f in self.files)


@contextmanager
def room_for(what: str) -> Iterator[None]:
    """Turn a full disk into StorageFull."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFull(
                f"No space left while writing {what}.", hint="Free disk space and run it again; nothing is half-made."
            ) from error
        raise


def store(folder: Path, blobs: Blobs, *, progress: Progress = silent) -> Manifest:
    """Put all files below `folder` into the store and return their manifest. Durable on return, visible to nobody yet.

    What the store has already is not written again, so a stopped publish goes on where it was. Raises BadInput for links,
    special files and pickles, StorageFull before the first byte if it will not fit.
    """
    with room_for(f"the files of {folder.name}"):
        found = [(path, path.stat().st_size) for path in refuse.files(folder)]
        _check_room(folder.name, found, blobs)
        counted = _Counted(progress, sum(size for _, size in found))
        if len(found) < FEW:
            return Manifest(tuple(_store_file(folder, path, size, blobs, counted) for path, size in found))
        with ThreadPoolExecutor(WRITERS) as pool:  # the disk syncs several files in the time of one
            stored = pool.map(lambda each: _store_file(folder, each[0], each[1], blobs, counted), found)
            return Manifest(tuple(stored))


class _Counted:
    """Tells how many bytes of all were stored, from any thread."""

    def __init__(self, progress: Progress, total: int) -> None:
        self.progress, self.total, self.done, self.lock = progress, total, 0, threading.Lock()

    def __call__(self, count: int) -> None:
        with self.lock:
            self.done += count
            self.progress(self.done, self.total, "bytes")


def _check_room(name: str, found: list[tuple[Path, int]], blobs: Blobs) -> None:
    """Raises StorageFull if the chunks that the store has not yet are more than it can take. Whole files are linked."""
    free = blobs.free_bytes()
    large = [(path, size) for path, size in found if not cutting.is_one_chunk(path, size)]
    if free is None or sum(size for _, size in large) < free:
        return
    new = {digest_bytes(piece): len(piece) for path, size in large for piece in cutting.pieces(path, size)}
    wanted = sum(size for digest, size in new.items() if not blobs.has(digest))
    if wanted >= free:
        raise StorageFull(
            f"{name} needs {wanted:,} bytes more, and {free:,} are free: nothing was written.",
            hint="Free disk space, or add a store: fourfold storage",
        )


def _store_file(folder: Path, path: Path, size: int, blobs: Blobs, counted: Callable[[int], None]) -> StoredFile:
    name = path.relative_to(folder).as_posix()
    if not cutting.is_one_chunk(path, size):
        return _store_cut(name, path, size, blobs, counted)
    sha256, whole = hashlib.sha256(), blake3.blake3()
    for block in read_blocks(path):
        sha256.update(block)
        whole.update(block)
    digest = whole.hexdigest()
    blobs.put_file(digest, path)
    counted(size)
    return StoredFile(name, size, digest, sha256.hexdigest(), (Chunk(digest, size),))


def _store_cut(name: str, path: Path, size: int, blobs: Blobs, counted: Callable[[int], None]) -> StoredFile:
    """Chunks are digested and written by several threads, the file's two digests by one each; few are in memory."""
    sha256, whole = hashlib.sha256(), blake3.blake3()
    known: set[str] = set()
    chunks: list[Chunk] = []

    def keep(piece: bytes) -> Chunk:
        digest = digest_bytes(piece)
        if digest not in known:
            blobs.put(digest, piece)
            known.add(digest)
        return Chunk(digest, len(piece))

    def first(waiting: deque[tuple[Future[Any], ...]]) -> None:
        chunk, *others = waiting.popleft()
        chunks.append(chunk.result())
        for other in others:
            other.result()
        counted(chunks[-1].size_bytes)

    with ThreadPoolExecutor(WRITERS) as writers, ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as two:
        waiting: deque[tuple[Future[Any], ...]] = deque()
        for piece in cutting.pieces(path, size):
            waiting.append((writers.submit(keep, piece), one.submit(sha256.update, piece), two.submit(whole.update, piece)))
            if len(waiting) > WRITERS:
                first(waiting)
        while waiting:
            first(waiting)
    return StoredFile(name, sum(c.size_bytes for c in chunks), whole.hexdigest(), sha256.hexdigest(), tuple(chunks))


def insert(connection: sa.Connection, manifest: Manifest) -> None:
    """Write a manifest's rows; nothing to do if equal content is there already."""
    m, f = schema.manifest.c, schema.manifest_file.c
    found = connection.execute(sa.select(m.digest).where(m.digest == manifest.digest)).first()
    if found and connection.execute(sa.select(f.path).where(f.manifest == manifest.digest)).first():
        return
    if not found:  # a removed version's row stays when garbage collection took the list of its files
        connection.execute(schema.manifest.insert(), {"digest": manifest.digest, "size_bytes": manifest.size_bytes})
    for file in manifest.files:
        connection.execute(
            schema.manifest_file.insert(),
            {
                "manifest": manifest.digest,
                "path": file.path,
                "size_bytes": file.size_bytes,
                "digest": file.digest,
                "sha256": file.sha256,
            },
        )
        known = connection.execute(sa.select(schema.file_chunk.c.file).where(schema.file_chunk.c.file == file.digest)).first()
        if not known:
            rows = [
                {"file": file.digest, "position": i, "chunk": c.digest, "size_bytes": c.size_bytes}
                for i, c in enumerate(file.chunks)
            ]
            connection.execute(schema.file_chunk.insert(), rows)


def read_manifest(connection: sa.Connection, digest: str) -> Manifest:
    """The manifest of that digest. Raises NotFound, Erased."""
    states.refuse_unreadable(connection, digest)
    if not connection.execute(sa.select(schema.manifest.c.digest).where(schema.manifest.c.digest == digest)).first():
        raise NotFound(f"There is no manifest {digest[:16]}….", hint="Run: fourfold versions")
    f, c = schema.manifest_file, schema.file_chunk
    rows = connection.execute(
        sa.select(f.c.path, f.c.size_bytes, f.c.digest, f.c.sha256, c.c.chunk, c.c.size_bytes.label("chunk_bytes"))
        .join(c, c.c.file == f.c.digest)
        .where(f.c.manifest == digest)
        .order_by(f.c.path, c.c.position)
    ).all()
    files: list[StoredFile] = []
    for _, group in itertools.groupby(rows, key=lambda row: row.path):
        same = list(group)
        chunks = tuple(Chunk(row.chunk, row.chunk_bytes) for row in same)
        files.append(StoredFile(same[0].path, same[0].size_bytes, same[0].digest, same[0].sha256, chunks))
    return Manifest(tuple(files))


def holders(connection: sa.Connection, digest: str) -> list[tuple[sa.Row[Any], StoredFile]]:
    """Rows of versions that hold a file whose digest begins so, each with the file (its chunks left out)."""
    f, v = schema.manifest_file.c, schema.version
    query = sa.select(v, f.path, f.size_bytes.label("bytes"), f.digest.label("file"), f.sha256).join(
        v, v.c.digest == f.manifest
    )
    rows = connection.execute(query.where(f.digest.startswith(digest)).order_by(v.c.id)).all()
    return [(row, StoredFile(row.path, row.bytes, row.file, row.sha256, ())) for row in rows]


def safe_path(path: str) -> PurePosixPath:
    """The path of a file inside a version. Raises BadInput if it would lead out of its folder."""
    pure = PurePosixPath(path)
    if pure.is_absolute() or not pure.parts or ".." in pure.parts or "\\" in path or "\0" in path:
        raise BadInput(f"{path!r} is no path inside a version.", hint="Paths are relative and do not go up.")
    return pure
