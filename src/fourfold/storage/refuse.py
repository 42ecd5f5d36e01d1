"""What a version may not hold: links, special files, and pickles in any wrapping."""

from __future__ import annotations

import ast
import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from fourfold.core.errors import BadInput

PICKLE_ENDINGS = (".pkl", ".pickle", ".joblib", ".pt", ".pth", ".ckpt", ".dill")
PROTOCOLS = tuple(b"\x80" + bytes([n]) for n in range(2, 6))
NUMPY = b"\x93NUMPY"
ZIP = b"PK\x03\x04"
INDEX_ENDINGS = (".fast", ".fieldnorm", ".idx", ".pos", ".store", ".term")
INDEX_END = (1337).to_bytes(4, "little")  # how tantivy ends each file of a search index, whose numbers may begin like a pickle
LOOK_BYTES = 1 << 16  # of a member: more than any header of .npy that describes plain numbers


def files(folder: Path) -> list[Path]:
    """All files below `folder` in order. Raises BadInput for links, special files and pickles."""
    found: list[Path] = []
    for path in sorted(folder.rglob("*")):
        mode = path.lstat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise BadInput(
                f"{path.name} is a link or special file: a version holds plain files only.", hint="Replace it by its content."
            )
        if stat.S_ISREG(mode):
            refuse_pickle(path)
            found.append(path)
    return found


def refuse_pickle(path: Path) -> None:
    """Raises BadInput if the file is a pickle, or a zip or array file with one in it. Nothing is unpickled to find out."""
    with path.open("rb") as file:
        reason = next(_reasons(path.name, file), None)
    if reason:
        raise BadInput(
            f"{path.name} {reason}: loading one runs whatever code is inside it.",
            hint="Save weights as safetensors: safetensors.torch.save_file(model.state_dict(), …); arrays of numbers as .npy.",
        )


def _reasons(name: str, file: BinaryIO) -> Iterator[str]:
    head = file.read(6)
    if head.startswith(ZIP):
        yield from _in_zip(file)
    if name.lower().endswith(PICKLE_ENDINGS) or (head.startswith(PROTOCOLS) and not _is_of_an_index(name, file)):
        yield "is a pickle"
    if head == NUMPY and _holds_objects(file):
        yield "holds Python objects, which is a pickle"


def _is_of_an_index(name: str, file: BinaryIO) -> bool:
    """Whether it is named and ends as tantivy's files do, which nothing ever unpickles. The file stays where it stands."""
    if not name.endswith(INDEX_ENDINGS):
        return False
    place = file.tell()
    file.seek(-min(4, file.seek(0, io.SEEK_END)), io.SEEK_END)
    end = file.read(4)
    file.seek(place)
    return end == INDEX_END


def _in_zip(file: BinaryIO) -> Iterator[str]:
    file.seek(0)
    try:
        with zipfile.ZipFile(file) as archive:
            for member in archive.infolist():
                if member.filename.lower().endswith((".pkl", ".pickle")):
                    yield f"holds the pickle {member.filename}"
                if member.flag_bits & 1:
                    continue  # encrypted: nobody here can open it either
                with archive.open(member) as inner:
                    start = io.BytesIO(inner.read(LOOK_BYTES))
                head = start.read(6)
                if head.startswith(PROTOCOLS) or (head == NUMPY and _holds_objects(start)):
                    yield f"holds the pickle {member.filename}"
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError):
        return  # no zip after all, or one that no reader opens


def _holds_objects(file: BinaryIO) -> bool:
    """Whether the .npy at whose version the file stands describes objects."""
    form = "<H" if file.read(2)[:1] == b"\x01" else "<I"
    size = file.read(struct.calcsize(form))
    if len(size) < struct.calcsize(form):
        return False
    try:
        described = ast.literal_eval(file.read(min(struct.unpack(form, size)[0], LOOK_BYTES)).decode("latin-1").strip())
        return _is_object(described["descr"])
    except (ValueError, SyntaxError, TypeError, KeyError, RecursionError, MemoryError):
        return False  # what cannot be read here is not read by numpy


def _is_object(described: Any) -> bool:
    """Whether a dtype as .npy describes it is of objects, or has a field that is."""
    if isinstance(described, list):
        return any(len(field) > 1 and _is_object(field[1]) for field in described)
    if isinstance(described, tuple):
        return bool(described) and _is_object(described[0])
    return isinstance(described, str) and described.lstrip("|<>=").startswith("O")
