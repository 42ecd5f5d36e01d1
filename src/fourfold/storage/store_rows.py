"""Rows of stores: which there are, where, and how far copying and scrubbing came."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec
import sqlalchemy as sa

from fourfold.core.errors import BadInput, BadSpec, Conflict, NotFound
from fourfold.storage import audit, schema
from fourfold.storage.blobs import BLOBS, Blobs
from fourfold.storage.encrypt import read_keys
from fourfold.storage.seal import Seal

HOME = "home"  # the folder `blobs/` of the home: the primary, always there
StoreState = Literal["copying", "active"]
SETTINGS = {"local": {"folder", "key_file"}, "s3": {"url", "endpoint", "region", "credentials", "timeout_seconds", "key_file"}}
ACKNOWLEDGEMENTS = "store_acknowledgements"  # its row in `counter`
BATCH = 256  # chunks between two notes of how far it came


@dataclass(frozen=True, slots=True)
class Store:
    """A store of a home. `copying`: it takes what is published, and what was before is being copied to it."""

    name: str
    kind: str
    settings: Mapping[str, Any]
    state: StoreState
    added_at: float
    copied_to: str = ""
    scrubbed_to: str = ""
    scrubbed_at: float | None = None
    scrub: Mapping[str, Any] | None = None


def all_stores(connection: sa.Connection) -> list[Store]:
    """The primary, then the others in the order in which they were added."""
    rows = connection.execute(sa.select(schema.store).order_by(schema.store.c.added_at, schema.store.c.name)).all()
    found = [_from_row(row) for row in rows]
    if not any(store.name == HOME for store in found):
        found.insert(0, Store(HOME, "local", {}, "active", 0.0))
    return found


def unchanged(connection: sa.Connection, names: list[str]) -> None:
    """Raises Conflict if a store was removed since these were opened: what was just put may lie in it alone."""
    gone = set(names) - {store.name for store in all_stores(connection)}
    if gone:
        raise Conflict(f"Store {', '.join(sorted(gone))} was removed during the publish.", hint="Run it again.")


def one(connection: sa.Connection, name: str) -> Store:
    """The store of that name. Raises NotFound."""
    found = next((store for store in all_stores(connection) if store.name == name), None)
    if found is None:
        raise NotFound(f"There is no store {name!r}.", hint="Run: fourfold storage")
    return found


def insert(connection: sa.Connection, actor: str, name: str, kind: str, settings: Mapping[str, Any]) -> Store:
    """Add a store, to be copied to. Raises BadSpec for settings that its kind has not, Conflict if the name is taken."""
    known = SETTINGS.get(kind, set())
    unknown = sorted(set(settings) - known)
    if kind not in SETTINGS or unknown:
        raise BadSpec(
            f"store {name}: there is no {'kind ' + repr(kind) if kind not in SETTINGS else 'setting ' + repr(unknown[0])}.",
            hint=f"Known: {', '.join(sorted(known or SETTINGS))}. Credentials come from the environment, never from here.",
        )
    _ensure_home(connection)
    if connection.execute(sa.select(schema.store.c.name).where(schema.store.c.name == name)).first():
        raise Conflict(f"There is a store {name!r} already.", hint="Run: fourfold storage")
    values = {"name": name, "kind": kind, "settings_json": _json(settings), "state": "copying"}
    connection.execute(schema.store.insert(), {**values, **_new()})
    audit.record(connection, actor, "add_store", name, {"kind": kind})
    return one(connection, name)


def remove(connection: sa.Connection, actor: str, name: str) -> None:
    """Take a store out. What was moved to it must have been copied back before."""
    connection.execute(schema.moved_chunk.delete().where(schema.moved_chunk.c.store == name))
    connection.execute(schema.store.delete().where(schema.store.c.name == name))
    audit.record(connection, actor, "remove_store", name, {})


def note(connection: sa.Connection, name: str, **values: Any) -> None:
    """Write columns of a store's row."""
    _ensure_home(connection)
    connection.execute(schema.store.update().where(schema.store.c.name == name).values(values))


def scrubbed(connection: sa.Connection, name: str, figures: Mapping[str, Any]) -> None:
    """A store was read from end to end just now."""
    note(connection, name, scrubbed_to="", scrubbed_at=time.time(), scrub_json=_json(figures))


def acknowledgements(connection: sa.Connection) -> int:
    """How many stores must have a chunk before it counts as put."""
    c = schema.counter.c
    return connection.execute(sa.select(c.value).where(c.name == ACKNOWLEDGEMENTS)).scalar() or 1


def set_acknowledgements(connection: sa.Connection, actor: str, wanted: int) -> None:
    """Raises BadInput if there are not that many stores."""
    if not 1 <= wanted <= len(all_stores(connection)):
        raise BadInput(f"{wanted} stores cannot acknowledge: there are {len(all_stores(connection))}.")
    connection.execute(schema.counter.delete().where(schema.counter.c.name == ACKNOWLEDGEMENTS))
    connection.execute(schema.counter.insert(), {"name": ACKNOWLEDGEMENTS, "value": wanted})
    audit.record(connection, actor, "set_acknowledgements", HOME, {"wanted": wanted})


def moved(connection: sa.Connection, chunk: str) -> bool:
    """Whether the primary need not have that chunk."""
    return (
        connection.execute(sa.select(schema.moved_chunk.c.chunk).where(schema.moved_chunk.c.chunk == chunk)).first() is not None
    )


def chunks(connection: sa.Connection, after: str, limit: int = BATCH) -> list[tuple[str, int]]:
    """Digests and sizes of the next chunks that manifests name, in order of digest."""
    c = schema.file_chunk.c
    query = sa.select(c.chunk, sa.func.max(c.size_bytes)).where(c.chunk > after).group_by(c.chunk).order_by(c.chunk)
    return [(row[0], row[1]) for row in connection.execute(query.limit(limit))]


def open_blobs(store: Store, home: Path) -> Blobs:
    """The open store of a row. Raises BadInput if its key file is missing."""
    settings = dict(store.settings)
    key_file = settings.pop("key_file", None)
    if key_file:
        settings["seal"] = Seal(read_keys(Path(key_file)))
    if store.kind == "local":
        settings["folder"] = Path(settings.get("folder") or home / "blobs")
    return BLOBS.resolve(store.kind)(**settings)


def _ensure_home(connection: sa.Connection) -> None:
    if not connection.execute(sa.select(schema.store.c.name).where(schema.store.c.name == HOME)).first():
        values = {"name": HOME, "kind": "local", "settings_json": "{}", "state": "active"}
        connection.execute(schema.store.insert(), {**values, **_new(), "added_at": 0.0})


def _new() -> dict[str, Any]:
    return {"added_at": time.time(), "copied_to": "", "scrubbed_to": "", "scrubbed_at": None, "scrub_json": "{}"}


def _from_row(row: sa.Row[Any]) -> Store:
    decode = msgspec.json.decode
    return Store(
        row.name, row.kind, decode(row.settings_json), row.state, row.added_at, row.copied_to, row.scrubbed_to,
        row.scrubbed_at, decode(row.scrub_json) or None,
    )  # fmt: skip


def _json(value: Any) -> str:
    return msgspec.json.encode(value, order="deterministic").decode()


def every_chunk(database: Any, after: str = "") -> Iterator[list[tuple[str, int]]]:
    """All chunks that manifests name behind `after`, a batch at a time, each read in a transaction of its own."""
    while True:
        with database.read() as connection:
            batch = chunks(connection, after)
        if not batch:
            return
        yield batch
        after = batch[-1][0]
