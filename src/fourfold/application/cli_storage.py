"""Commands on storage: where the bytes are; stores added, moved to, removed, scrubbed."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

from fourfold.application.cli_common import DEFAULT, Common, emit, note, opened
from fourfold.application.results import StoreKept

storage = App(name="storage", help_format="plaintext")
Name = Annotated[str, Parameter(help="Name of the store.")]


@storage.command(name="list")
@storage.default
def usage(*, common: Common = DEFAULT) -> None:
    """Bytes per name, version and store, growth, and the date a store fills.

    Example: fourfold storage
    """
    with opened(common) as client:
        found = client.storage()

    def text() -> None:
        from fourfold.application.cli_print import line, size, table, when

        rows = [
            (s.name, s.kind, s.where, s.state, s.chunks, size(s.stored_bytes), _free(s.free_bytes),
             when(s.full_at), when(s.scrubbed_at), s.lost)
            for s in found.stores
        ]  # fmt: skip
        table(("store", "kind", "where", "state", "chunks", "stored", "free", "full", "scrubbed", "lost"), rows)
        names = [(n.name, n.kind, n.versions, size(n.size_bytes), size(n.stored_bytes)) for n in found.names]
        table(("name", "kind", "versions", "files", "stored"), names, empty="No version yet. Run: fourfold tour")
        table(("largest", "kind", "files"), [(v.version, v.kind, size(v.size_bytes)) for v in found.largest[:5]])
        line(f"Grows by {size(found.bytes_per_day)} a day; {found.acknowledgements} of {len(found.stores)} stores acknowledge.")

    emit(common, found, text)


@storage.command
def add(
    name: Name,
    /,
    *,
    kind: Annotated[str, Parameter(help="local or s3.")],
    set: Annotated[tuple[str, ...], Parameter(help="Its settings: key=value.", negative="")] = (),
    acknowledgements: Annotated[int | None, Parameter(help="Stores that must have a chunk before a publish counts.")] = None,
    common: Common = DEFAULT,
) -> None:
    """Add a store and copy to it all that there is; run it again to go on after a stop.

    Example: fourfold storage add archive --kind s3 --set url=s3://models --set endpoint=https://s3.example.com
    """
    from fourfold.application.cli_specs import settings

    with opened(common) as client:
        kept = client.add_store(name, kind, settings=settings(set), acknowledgements=acknowledgements)
    emit(common, kept, lambda: _told(kept, "copied"))


@storage.command
def move(
    name: Name,
    /,
    *,
    older_than_days: Annotated[float, Parameter(help="Age of versions that are cold, unless an alias points at them.")],
    common: Common = DEFAULT,
) -> None:
    """Leave cold versions to a store, and free the home of their chunks.

    Example: fourfold storage move archive --older-than-days 90
    """
    with opened(common) as client:
        kept = client.move_to_store(name, older_than_days=older_than_days)
    emit(common, kept, lambda: _told(kept, "copied"))


@storage.command
def remove(name: Name, /, *, common: Common = DEFAULT) -> None:
    """Take a store out once all that it holds is in another.

    Example: fourfold storage remove archive
    """
    with opened(common) as client:
        kept = client.remove_store(name)
    emit(common, kept, lambda: _told(kept, "copied back"))


@storage.command
def scrub(
    name: Annotated[str, Parameter(help="Name of the store.")] = "home",
    /,
    *,
    mib_per_second: Annotated[float, Parameter(help="How fast to read. 0: as fast as it goes.")] = 0,
    common: Common = DEFAULT,
) -> int:
    """Read every chunk of a store and repair what is wrong from the others.

    Example: fourfold storage scrub archive --mib-per-second 50
    """
    with opened(common) as client:
        kept = client.scrub_store(name, bytes_per_second=mib_per_second * (1 << 20))
    emit(common, kept, lambda: _told(kept, "repaired"))
    return 1 if kept.lost else 0


def _free(count: int | None) -> str:
    from fourfold.application.cli_print import size

    return "" if count is None else size(count)


def _told(kept: StoreKept, done: str) -> None:
    from fourfold.application.cli_print import line, size

    line(kept.store, f"{kept.chunks:,} chunks, {size(kept.size_bytes)}; {kept.copied:,} {done}")
    if kept.lost:
        note(
            f"{kept.lost:,} chunks are right in no store: {', '.join(d[:16] for d in kept.lost_chunks[:5])}. Restore a backup."
        )
