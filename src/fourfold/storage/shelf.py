"""Where backups lie: a folder, or a bucket of an object store. Named bytes, durable when `put` returns."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from fourfold.core.errors import BadInput, NotFound, NotReady
from fourfold.core.extras import need
from fourfold.storage.artifacts import room_for
from fourfold.storage.blobs.local import sync_folder


class Shelf(Protocol):
    """Named bytes. Names are relative paths that the caller made up."""

    def put(self, name: str, data: bytes, /) -> None: ...

    def get(self, name: str, /) -> bytes: ...

    def names(self, prefix: str, /) -> Iterator[str]: ...

    def remove(self, name: str, /) -> None: ...


class FolderShelf:
    """A folder: on another disk than the home's, or it is no backup."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, name: str, data: bytes, /) -> None:
        """Keep or replace; a reader sees all of it or what was there before."""
        target = self.folder / name
        partial = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
        with room_for(f"the backup in {self.folder}"):
            _folders(target.parent, self.folder)
            try:
                with partial.open("xb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                partial.replace(target)
            finally:
                partial.unlink(missing_ok=True)
            sync_folder(target.parent)

    def get(self, name: str, /) -> bytes:
        """The bytes, not verified. Raises NotFound."""
        try:
            return (self.folder / name).read_bytes()
        except FileNotFoundError:
            raise NotFound(f"{name} is missing from the backup in {self.folder}.") from None

    def names(self, prefix: str, /) -> Iterator[str]:
        """What is there below a prefix that ends in `/`."""
        for path in (self.folder / prefix).rglob("*"):
            if not path.name.startswith(".") and path.is_file():
                yield path.relative_to(self.folder).as_posix()

    def remove(self, name: str, /) -> None:
        """Forget it; nothing to do if it is not there."""
        with suppress(FileNotFoundError):
            (self.folder / name).unlink()


class ObjectShelf:
    """A prefix of an object store, through obstore; credentials come from the environment (AWS_ACCESS_KEY_ID and its kin)."""

    def __init__(self, store: Any, place: str) -> None:
        self._obstore = need("obstore", extra="s3", what="A backup in an object store")
        self._store = store
        self._place = place

    def put(self, name: str, data: bytes, /) -> None:
        """Keep or replace; acknowledged by the store on return."""
        self._try(lambda: self._obstore.put(self._store, name, data))

    def get(self, name: str, /) -> bytes:
        """The bytes, not verified. Raises NotFound."""
        try:
            return bytes(self._try(lambda: self._obstore.get(self._store, name).bytes()))
        except FileNotFoundError:
            raise NotFound(f"{name} is missing from the backup in {self._place}.") from None

    def names(self, prefix: str, /) -> Iterator[str]:
        """What is there below a prefix."""
        for some in self._try(lambda: list(self._obstore.list(self._store, prefix=prefix.rstrip("/")))):
            yield from (found["path"] for found in some)

    def remove(self, name: str, /) -> None:
        """Forget it; nothing to do if it is not there."""
        with suppress(FileNotFoundError):
            self._try(lambda: self._obstore.delete(self._store, name))

    def _try(self, act: Any) -> Any:
        from obstore.exceptions import BaseError, NotFoundError

        try:
            return act()
        except (NotFoundError, FileNotFoundError) as error:
            raise FileNotFoundError(str(error)) from error
        except BaseError as error:
            reason = str(error).splitlines()[0]
            raise NotReady(
                f"{self._place} does not answer as it should: {reason}", hint="Run it again when it does."
            ) from error


def open_shelf(place: str) -> Shelf:
    """The shelf that a path or URL (`s3://bucket/prefix`) names. Raises BadInput for one that cannot be used."""
    if "://" not in place:
        folder = Path(place).expanduser().absolute()
        if folder.exists() and not folder.is_dir():
            raise BadInput(f"{folder} is no folder.", hint="Name a folder, or a URL such as s3://bucket/prefix.")
        return FolderShelf(folder)
    need("obstore", extra="s3", what="A backup in an object store")
    from obstore.exceptions import BaseError
    from obstore.store import from_url

    try:
        return ObjectShelf(from_url(place), place)
    except (BaseError, ValueError) as error:
        raise BadInput(f"{place} names no place for backups: {error}", hint="Write s3://bucket/prefix.") from error


def _folders(folder: Path, top: Path) -> None:
    """Make a folder and those above it, each one's name durable."""
    if folder.is_dir():
        return
    if folder != top:
        _folders(folder.parent, top)
        folder.mkdir(exist_ok=True)
        sync_folder(folder.parent)
    else:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
