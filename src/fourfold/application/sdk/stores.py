"""Stores: where the bytes are, and keeping them."""

from __future__ import annotations

from typing import Any

from fourfold.application.results import StorageUse, StoreKept
from fourfold.application.sdk import Line


class Stores(Line):
    """Stores: where the bytes are, and keeping them."""

    def storage(self) -> StorageUse:
        """Bytes of names, of the largest versions and of stores; growth, and when a store will be full."""
        return self._do("storage", {}, StorageUse)

    def add_store(self, name: str, kind: str, *, settings: dict[str, Any], acknowledgements: int | None = None) -> StoreKept:
        """Add a store and copy to it all that there is; it takes what is published from the start.

        A store that is still being copied to goes on where it was. `key_file`, a file of the home's machine, is made if it is
        not there. `acknowledgements` sets how many stores must have a chunk before a publish counts.
        """
        body = {"name": name, "kind": kind, "settings": settings, "acknowledgements": acknowledgements}
        return self._do("add_store", body, StoreKept)

    def move_to_store(self, name: str, *, older_than_days: float) -> StoreKept:
        """Leave the chunks of cold versions (older, without an alias) to a store, and free the home of them."""
        return self._do("move_to_store", {"name": name, "older_than_days": older_than_days}, StoreKept)

    def remove_store(self, name: str) -> StoreKept:
        """Take a store out, once every chunk is right in another. What it holds stays there."""
        return self._do("remove_store", {"name": name}, StoreKept)

    def scrub_store(self, name: str, *, bytes_per_second: float = 0) -> StoreKept:
        """Read every chunk of a store, and repair what is wrong or missing from the others. 0: as fast as it goes."""
        return self._do("scrub_store", {"name": name, "bytes_per_second": bytes_per_second}, StoreKept)
