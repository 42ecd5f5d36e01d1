"""Walking a folder: its files in order of their relative paths, and why each of the others is left out."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from fourfold.core.errors import BadInput
from fourfold.data.globs import fits


class Found(NamedTuple):
    """A file: its relative path, its bytes or None, when it was changed (Unix seconds), and why there are no bytes."""

    path: str
    data: bytes | None
    modified_at: float
    reason: str = ""


def walk(path: str, include: Sequence[str], exclude: Sequence[str], max_file_bytes: int) -> Iterator[Found]:
    """The files under `path`, or the one that it is. A pattern with a slash is matched against the whole relative path (`**`
    crosses folders), one without against the file's name.

    Hidden files, symbolic links that lead out of the folder or to a folder, pipes and devices, files that may not be read
    and files over `max_file_bytes` come as files without data, with the reason. Raises BadInput if nothing is at `path`.
    """
    root = Path(path).expanduser()
    try:
        root = root.resolve(strict=True)
    except (OSError, RuntimeError) as error:  # RuntimeError: a link that leads to itself
        raise BadInput(f"There is no file or folder {path}.", hint="Check the path; it may be relative.") from error
    if root.is_file():
        yield _read(root, root.name, max_file_bytes)
        return
    if not root.is_dir():
        raise BadInput(f"{path} is neither a file nor a folder.", hint="Name a file or a folder.")
    for relative, reason in sorted(_walk(root, root)):
        if _wanted(relative, include, exclude):
            yield Found(relative, None, 0.0, reason) if reason else _read(root / relative, relative, max_file_bytes)


def _wanted(relative: str, include: Sequence[str], exclude: Sequence[str]) -> bool:
    if any(fits(relative, pattern) for pattern in exclude):
        return False
    return not include or any(fits(relative, pattern) for pattern in include)


def _read(path: Path, relative: str, max_file_bytes: int) -> Found:
    try:
        found = path.stat()
        if found.st_size > max_file_bytes:
            return Found(relative, None, found.st_mtime, "too_large")
        return Found(relative, path.read_bytes(), found.st_mtime)
    except OSError as error:
        return Found(relative, None, 0.0, _reason(error))


def _walk(folder: Path, root: Path) -> Iterator[tuple[str, str]]:
    """Relative paths with the reason why each cannot be read, or "". A hidden folder comes as one path, not its files."""
    try:
        entries = list(os.scandir(folder))
    except OSError as error:
        yield _relative(folder, root), _reason(error)
        return
    for entry in entries:
        path = Path(entry.path)
        reason = _refusal(entry, path, root)
        if reason is None:
            yield from _walk(path, root)
        else:
            yield _relative(path, root), reason


def _refusal(entry: os.DirEntry[str], path: Path, root: Path) -> str | None:
    """ "" for a file to read, None for a folder to enter, else why it is neither."""
    if entry.name.startswith("."):
        return "hidden"
    try:
        entry.name.encode()
    except UnicodeEncodeError:
        return "bad_name"
    try:
        if entry.is_symlink():
            target = path.resolve(strict=True)
            if not target.is_relative_to(root):
                return "link_out"
            return "" if target.is_file() else "link_to_folder"
        if entry.is_dir(follow_symlinks=False):
            return None
        return "" if stat.S_ISREG(entry.stat(follow_symlinks=False).st_mode) else "not_a_file"
    except RuntimeError:
        return "broken_link"
    except OSError as error:
        return "broken_link" if entry.is_symlink() else _reason(error)


def _reason(error: OSError) -> str:
    return "not_permitted" if isinstance(error, PermissionError) else "unreadable"


def _relative(path: Path, root: Path) -> str:
    # Names that are no valid Unicode are listed with their wrong bytes spelt out.
    return path.relative_to(root).as_posix().encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
