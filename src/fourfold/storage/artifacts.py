"""Files of versions: cut into chunks, listed in a manifest whose digest is the content's identity, verified whenever read."""

from __future__ import annotations

import errno
import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import blake3
import sqlalchemy as sa

from fourfold.core.errors import BadInput, Corrupt, NotFound, StorageFull
from fourfold.core.fingerprint import digest_file, read_blocks
from fourfold.core.ids import new_id
from fourfold.storage import schema
from fourfold.storage.blobs import Blobs
from fourfold.storage.database import Database

WHOLE_BYTES = 64 << 20  # files up to this size are one chunk
CHUNK_BYTES = 16 << 20  # larger ones are cut into these
PICKLES = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
PICKLE_ENDINGS = (".pkl", ".pickle", ".joblib", ".pt", ".pth", ".ckpt")


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


def store(folder: Path, blobs: Blobs) -> Manifest:
    """Put all files below `folder` into the store and return their manifest. Durable on return, visible to nobody yet.

    Raises BadInput for links, special files and pickles.
    """
    with room_for(f"the files of {folder.name}"):
        return Manifest(tuple(_store_file(folder, path, blobs) for path in _files(folder)))


def _files(folder: Path) -> list[Path]:
    found: list[Path] = []
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise BadInput(
                f"{path.name} is a link or special file: a version holds plain files only.", hint="Replace it by its content."
            )
        if path.is_file():
            _refuse_pickle(path)
            found.append(path)
    return found


def _refuse_pickle(path: Path) -> None:
    with path.open("rb") as file:
        head = file.read(2)
    if path.suffix in PICKLE_ENDINGS or head in PICKLES:
        raise BadInput(
            f"{path.name} is a pickle: loading one runs whatever code is inside it.",
            hint="Save weights as safetensors and arrays as .npy instead.",
        )


def _store_file(folder: Path, path: Path, blobs: Blobs) -> StoredFile:
    size = path.stat().st_size
    sha256 = hashlib.sha256()
    whole = blake3.blake3()
    chunks: list[Chunk] = []
    for block in read_blocks(path, CHUNK_BYTES):
        sha256.update(block)
        whole.update(block)
        if size > WHOLE_BYTES:
            chunk = Chunk(blake3.blake3(block).hexdigest(), len(block))
            blobs.put(chunk.digest, block)
            chunks.append(chunk)
    digest = whole.hexdigest()
    if size <= WHOLE_BYTES:
        blobs.put_file(digest, path)
        chunks.append(Chunk(digest, size))
    return StoredFile(path.relative_to(folder).as_posix(), size, digest, sha256.hexdigest(), tuple(chunks))


def insert(connection: sa.Connection, manifest: Manifest) -> None:
    """Write a manifest's rows; nothing to do if equal content is there already."""
    found = connection.execute(sa.select(schema.manifest.c.digest).where(schema.manifest.c.digest == manifest.digest)).first()
    if found:
        return
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
    """The manifest of that digest. Raises NotFound."""
    if not connection.execute(sa.select(schema.manifest.c.digest).where(schema.manifest.c.digest == digest)).first():
        raise NotFound(f"There is no manifest {digest[:16]}….", hint="Run: fourfold versions")
    f, c = schema.manifest_file, schema.file_chunk
    rows = connection.execute(
        sa.select(f.c.path, f.c.size_bytes, f.c.digest, f.c.sha256, c.c.chunk, c.c.size_bytes.label("chunk_bytes"))
        .join(c, c.c.file == f.c.digest)
        .where(f.c.manifest == digest)
        .order_by(f.c.path, c.c.position)
    ).all()
    files: dict[str, StoredFile] = {}
    for row in rows:
        earlier = files[row.path].chunks if row.path in files else ()
        chunks = (*earlier, Chunk(row.chunk, row.chunk_bytes))
        files[row.path] = StoredFile(row.path, row.size_bytes, row.digest, row.sha256, chunks)
    return Manifest(tuple(files.values()))


def holders(connection: sa.Connection, digest: str) -> list[tuple[sa.Row[Any], StoredFile]]:
    """Rows of versions that hold a file whose digest begins so, each with the file (its chunks left out)."""
    f, v = schema.manifest_file.c, schema.version
    query = sa.select(v, f.path, f.size_bytes.label("bytes"), f.digest.label("file"), f.sha256).join(
        v, v.c.digest == f.manifest
    )
    rows = connection.execute(query.where(f.digest.startswith(digest)).order_by(v.c.id)).all()
    return [(row, StoredFile(row.path, row.bytes, row.file, row.sha256, ())) for row in rows]


class Materialised:
    """Folders under `home/cache` that hold the files of versions, read-only, made on demand and verified on each opening."""

    def __init__(self, folder: Path, database: Database, blobs: Blobs) -> None:
        self.folder = folder
        self.database = database
        self.blobs = blobs
        self.verified: set[str] = set()

    def open(self, digest: str) -> Path:
        """The folder of a manifest. Each file's digest is checked (once per process); a wrong one is made anew from the store.

        Raises NotFound or Corrupt if the store cannot give the right bytes.
        """
        target = self.folder / digest
        if digest in self.verified and target.is_dir():
            return target
        with self.database.read() as connection:
            manifest = read_manifest(connection, digest)
        if not (target.is_dir() and all(_is_whole(target / f.path, f) for f in manifest.files)):
            self._make(manifest, target)
        self.verified.add(digest)
        return target

    def _make(self, manifest: Manifest, target: Path) -> None:
        temporary = self.folder / new_id("tmp")
        temporary.mkdir(parents=True)
        try:
            with room_for("the cache of versions"):
                for file in manifest.files:
                    self._write(temporary, file)
            if target.exists():
                shutil.move(target, self.folder / new_id("old"))
            temporary.rename(target)  # atomic: a reader sees all files or none
        except OSError:
            if not target.is_dir():  # else another process was first
                raise
        finally:
            for leftover in [temporary, *self.folder.glob("old_*")]:
                shutil.rmtree(leftover, ignore_errors=True)

    def _write(self, folder: Path, file: StoredFile) -> None:
        path = folder / safe_path(file.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        if len(file.chunks) == 1 and self.blobs.link(file.chunks[0].digest, path):
            if not _is_whole(path, file):
                raise Corrupt(f"{file.path} is not what was stored.", hint="Run: fourfold doctor")
            return
        with path.open("xb") as out:
            for chunk in file.chunks:
                out.write(self.blobs.get(chunk.digest))
        path.chmod(0o444)


def safe_path(path: str) -> PurePosixPath:
    """The path of a file inside a version. Raises BadInput if it would lead out of its folder."""
    pure = PurePosixPath(path)
    if pure.is_absolute() or not pure.parts or ".." in pure.parts or "\\" in path or "\0" in path:
        raise BadInput(f"{path!r} is no path inside a version.", hint="Paths are relative and do not go up.")
    return pure


def _is_whole(path: Path, file: StoredFile) -> bool:
    try:
        return path.lstat().st_size == file.size_bytes and digest_file(path) == file.digest
    except FileNotFoundError:
        return False
