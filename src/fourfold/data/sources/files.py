"""Files of a folder, or one file."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from fourfold.core.errors import BadInput, BadSpec
from fourfold.data.globs import fits
from fourfold.data.sources import RawFile


@dataclass(frozen=True, slots=True)
class Files:
    """The files under `path`, in order of their relative paths. A pattern with a slash is matched against the whole relative
    path (`**` crosses folders), one without against the file's name.

    Hidden files, symbolic links that lead out of the folder or to a folder, pipes and devices, files that may not be read
    and files over `max_file_bytes` come as files without data, with the reason. Raises BadInput if nothing is at `path`.
    """

    path: str
    include: tuple[str, ...] = ()  # only these, if any
    exclude: tuple[str, ...] = ()
    formats: dict[str, dict[str, Any]] = field(default_factory=dict)  # settings per format: {csv: {text: [subject, body]}}
    endings: dict[str, str] = field(default_factory=dict)  # file endings of your own: {dat: csv}
    splits: dict[str, Literal["train", "dev", "test"]] = field(default_factory=dict)  # by pattern: {"*-dev.conllu": dev}
    max_file_bytes: int = 1 << 30  # also of what a .gz file holds

    def __post_init__(self) -> None:
        if not self.path:
            raise BadSpec("path is empty.", hint="Name a file or a folder.")
        if self.max_file_bytes < 1:
            raise BadSpec(f"max_file_bytes is at least 1, not {self.max_file_bytes}.")

    def __call__(self) -> Iterator[RawFile]:
        root = Path(self.path).expanduser()
        try:
            root = root.resolve(strict=True)
        except (OSError, RuntimeError) as error:  # RuntimeError: a link that leads to itself
            raise BadInput(f"There is no file or folder {self.path}.", hint="Check the path; it may be relative.") from error
        if root.is_file():
            yield self._read(root, root.name)
            return
        if not root.is_dir():
            raise BadInput(f"{self.path} is neither a file nor a folder.", hint="Name a file or a folder.")
        for relative, reason in sorted(_walk(root, root)):
            if self._wanted(relative):
                yield RawFile(relative, None, 0.0, reason) if reason else self._read(root / relative, relative)

    def _wanted(self, relative: str) -> bool:
        if any(fits(relative, pattern) for pattern in self.exclude):
            return False
        return not self.include or any(fits(relative, pattern) for pattern in self.include)

    def _read(self, path: Path, relative: str) -> RawFile:
        try:
            found = path.stat()
            if found.st_size > self.max_file_bytes:
                return RawFile(relative, None, found.st_mtime, "too_large")
            return RawFile(relative, path.read_bytes(), found.st_mtime)
        except OSError as error:
            return RawFile(relative, None, 0.0, _reason(error))


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
