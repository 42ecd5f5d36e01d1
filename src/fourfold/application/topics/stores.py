"""Stores: where the bytes are, and keeping them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fourfold.application.permissions import action
from fourfold.application.results import NameUse, StorageUse, StoreInfo, StoreKept, VersionUse
from fourfold.application.topics import Hand
from fourfold.core.errors import BadInput
from fourfold.storage import store_keeping, store_rows, usage
from fourfold.storage.encrypt import create_keys


class Stores(Hand):
    """Stores: where the bytes are, and keeping them."""

    @action("read")
    def storage(self) -> StorageUse:
        """Bytes of names, of the largest versions and of stores; growth, and when a store will be full."""
        ledger = self.ledger
        ledger.blobs.refresh(ledger.home, ledger.database)
        found = usage.usage(ledger.database, ledger.blobs)
        names = [NameUse(n.name, n.kind, n.versions, n.size_bytes, n.stored_bytes) for n in found.names]
        largest = [VersionUse(ref, kind, size) for ref, kind, size in found.largest]
        stores = [
            StoreInfo(
                u.store.name, u.store.kind, _where(u.store, ledger.home), bool(u.store.settings.get("key_file")), u.store.state,
                u.chunks, u.stored_bytes, u.free_bytes, u.full_at, u.store.scrubbed_at, (u.store.scrub or {}).get("lost", 0),
            )
            for u in found.stores
        ]  # fmt: skip
        return StorageUse(stores, names, largest, found.bytes_per_day, ledger.blobs.acknowledgements)

    @action("administer")
    def add_store(self, name: str, kind: str, *, settings: dict[str, Any], acknowledgements: int | None = None) -> StoreKept:
        """Add a store and copy to it all that there is; it takes what is published from the start.

        A store that is still being copied to goes on where it was. `key_file`, a file of the home's machine, is made if it is
        not there. `acknowledgements` sets how many stores must have a chunk before a publish counts.
        """
        ledger = self.ledger
        with ledger.database.read() as connection:
            known = {store.name: store for store in store_rows.all_stores(connection)}
        if name not in known or known[name].state == "active":
            if (key_file := settings.get("key_file")) and not Path(key_file).exists():
                create_keys(Path(key_file))
            if kind == "local" and Path(settings.get("folder") or ledger.home).absolute().is_relative_to(ledger.home):
                raise BadInput("A store of its own lies outside the home.", hint="Give it another: --set folder=…")
            with ledger.write() as connection:
                store = store_rows.insert(connection, self.actor.id, name, kind, settings)
                store_rows.open_blobs(store, ledger.home).has("0" * 64)  # it answers, or is not added
        ledger.blobs.refresh(ledger.home, ledger.database)
        kept = store_keeping.copy_to(ledger.database, ledger.blobs, name, progress=self.progress)
        if acknowledgements is not None:
            with ledger.write() as connection:
                store_rows.set_acknowledgements(connection, self.actor.id, acknowledgements)
        return _kept(name, kept)

    @action("administer")
    def move_to_store(self, name: str, *, older_than_days: float) -> StoreKept:
        """Leave the chunks of cold versions (older, without an alias) to a store, and free the home of them."""
        ledger = self.ledger
        ledger.blobs.refresh(ledger.home, ledger.database)
        kept = store_keeping.move(ledger.database, ledger.blobs, name, older_than_days=older_than_days, actor=self.actor.id)
        return _kept(name, kept)

    @action("administer")
    def remove_store(self, name: str) -> StoreKept:
        """Take a store out, once every chunk is right in another. What it holds stays there."""
        ledger = self.ledger
        ledger.blobs.refresh(ledger.home, ledger.database)
        kept = store_keeping.drain(ledger.database, ledger.blobs, name, actor=self.actor.id, progress=self.progress)
        ledger.blobs.refresh(ledger.home, ledger.database)
        return _kept(name, kept)

    @action("administer")
    def scrub_store(self, name: str, *, bytes_per_second: float = 0) -> StoreKept:
        """Read every chunk of a store, and repair what is wrong or missing from the others. 0: as fast as it goes."""
        ledger = self.ledger
        ledger.blobs.refresh(ledger.home, ledger.database)
        kept = store_keeping.scrub(
            ledger.database, ledger.blobs, name, bytes_per_second=bytes_per_second, progress=self.progress
        )
        return _kept(name, kept)


def _kept(name: str, kept: store_keeping.Kept) -> StoreKept:
    return StoreKept(name, kept.chunks, kept.size_bytes, kept.copied, kept.lost, list(kept.lost_chunks))


def _where(store: store_rows.Store, home: Path) -> str:
    return str(store.settings.get("url") or store.settings.get("folder") or home / "blobs")
