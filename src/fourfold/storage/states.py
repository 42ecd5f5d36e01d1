"""What keeps files: versions that are not removed or erased, those under a legal hold, and all other rows with a manifest."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Sequence

import msgspec
import sqlalchemy as sa

from fourfold.core.errors import Conflict, Erased, NotFound
from fourfold.core.nouns import Route, Version
from fourfold.storage import audit, schema
from fourfold.storage.annotation_projects import refuse_if_annotated
from fourfold.storage.database import Database, batches


def keepers() -> sa.CompoundSelect:
    """A query of the digests of manifests whose files are kept. Rows of any table with a foreign key to a manifest keep it."""
    v, state, hold = schema.version.c, schema.version_state.c, schema.hold.c
    ended = sa.select(state.version_id).where(state.version_id == v.id).exists()
    held = sa.select(hold.version_id).where(hold.version_id == v.id).exists()
    erased = sa.select(state.version_id).where(state.version_id == v.id, state.state == "erased").exists()
    queries = [sa.select(v.digest).where(sa.or_(~ended, sa.and_(held, ~erased)))]
    for table in schema.metadata.sorted_tables:
        if table not in (schema.version, schema.manifest_file):
            queries += [sa.select(key.parent) for key in table.foreign_keys if key.column is schema.manifest.c.digest]
    return sa.union_all(*queries)


def live_chunks(connection: sa.Connection, chunks: Sequence[str], *, besides: Collection[str] = ()) -> set[str]:
    """Those of the chunks that kept manifests hold, other than the manifests `besides`."""
    f, c = schema.manifest_file.c, schema.file_chunk.c
    found: set[str] = set()
    for some in batches(chunks):
        query = sa.select(c.chunk).join(schema.manifest_file, f.digest == c.file).where(c.chunk.in_(some))
        if besides:
            query = query.where(f.manifest.not_in(list(besides)))
        found.update(connection.execute(query.where(f.manifest.in_(keepers())).distinct()).scalars())
    return found


def chunks_of(connection: sa.Connection, manifests: Sequence[str]) -> set[str]:
    """The chunks of manifests."""
    f, c = schema.manifest_file.c, schema.file_chunk.c
    found: set[str] = set()
    for some in batches(manifests):
        query = sa.select(c.chunk).join(schema.manifest_file, f.digest == c.file).where(f.manifest.in_(some))
        found.update(connection.execute(query).scalars())
    return found


def retire(connection: sa.Connection, *, only: Collection[str] | None = None, dry_run: bool = False) -> int:
    """Delete the lists of files that no row keeps, and the lists of chunks that no file has; returns how many manifests.

    `only` says which manifests are looked at. The caller holds the fence alone.
    """
    f, c, m = schema.manifest_file.c, schema.file_chunk.c, schema.manifest.c
    unkept = f.manifest.not_in(keepers())
    query = sa.select(f.manifest).where(unkept).distinct()
    if only is None:
        manifests = list(connection.execute(query).scalars())
    else:
        manifests = [d for some in batches(only) for d in connection.execute(query.where(f.manifest.in_(some))).scalars()]
    if not dry_run:
        for some in batches(manifests):
            files = list(connection.execute(sa.select(f.digest).where(f.manifest.in_(some)).distinct()).scalars())
            connection.execute(schema.manifest_file.delete().where(f.manifest.in_(some)))
            for part in batches(files):
                still = sa.select(f.digest).where(f.digest == c.file).exists()
                connection.execute(schema.file_chunk.delete().where(c.file.in_(part), ~still))
            named = sa.select(schema.version.c.digest).where(schema.version.c.digest == m.digest).exists()
            connection.execute(schema.manifest.delete().where(m.digest.in_(some), ~named))
    return len(manifests)


def receipt_of(source: sa.Connection | Database, digest: str) -> str | None:
    """The receipt under which a chunk or manifest was erased; None if it was not."""
    e = schema.erased.c
    query = sa.select(e.receipt).where(e.digest == digest)
    if isinstance(source, Database):
        with source.read() as connection:
            return connection.execute(query).scalar()
    return source.execute(query).scalar()


def is_erased(source: sa.Connection | Database, digest: str) -> bool:
    """Whether a chunk or manifest was erased: repair, replicas and caches leave it be."""
    return receipt_of(source, digest) is not None


def refuse_unreadable(connection: sa.Connection, digest: str) -> None:
    """Raise Erased with the receipt if a manifest's content was erased, NotFound if it was removed."""
    receipt = receipt_of(connection, digest)
    v, state = schema.version.c, schema.version_state.c
    first = connection.execute(sa.select(v.name, v.number).where(v.digest == digest).order_by(v.id)).first()
    what = f"{first.name}@{first.number}" if first else f"Content {digest[:16]}…"
    if receipt is not None:
        raise Erased(f"{what} is erased, receipt {receipt}.", hint="Nothing brings it back; versions made from it remain.")
    m = schema.manifest.c
    if connection.execute(sa.select(m.digest).where(m.digest == digest, m.digest.in_(keepers()))).first():
        return
    row = connection.execute(
        sa.select(state.actor, state.at).join(schema.version, v.id == state.version_id).where(v.digest == digest)
    ).first()
    if row is not None:
        raise NotFound(f"{what} was removed.", hint="Its run says how it was made: run it again.")


def state_of(connection: sa.Connection, version_id: str) -> str:
    """`kept`, `removed` or `erased`."""
    s = schema.version_state.c
    found = set(connection.execute(sa.select(s.state).where(s.version_id == version_id)).scalars())
    return "erased" if "erased" in found else "removed" if found else "kept"


def ended(connection: sa.Connection, ids: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Of those that are not kept: `removed` or `erased`, and the receipt (empty where there is none)."""
    s = schema.version_state.c
    found: dict[str, tuple[str, str]] = {}
    for some in batches(ids):
        query = sa.select(s.version_id, s.state, s.receipt).where(s.version_id.in_(some)).order_by(s.state.desc())
        found |= {row.version_id: (row.state, row.receipt or "") for row in connection.execute(query)}  # erased comes last
    return found


def remove(connection: sa.Connection, version: Version, actor: str, reason: str) -> None:
    """Give up a version's files; its row, number and run stay. Garbage collection takes the files after its grace period.

    Raises Conflict if an alias, a deployment, a legal hold, an annotation project or a version made from it needs it.
    """
    if state_of(connection, version.id) != "kept":
        return
    refuse_if_held(connection, [version.id], "removed")
    a, e, s = schema.alias.c, schema.edge.c, schema.version_state.c
    alias = connection.execute(sa.select(a.alias).where(a.version_id == version.id)).scalar()
    if alias is not None:
        raise Conflict(f"{version.ref} is {version.name}@{alias}.", hint="Move the alias to another version first.")
    refuse_if_deployed(connection, [version.ref], "removed")
    refuse_if_annotated(connection, version.id, version.ref)
    v = schema.version.c
    ended = sa.select(s.version_id).where(s.version_id == v.id).exists()
    made = sa.select(v.name, v.number).join(schema.edge, e.version_id == v.id).where(e.input_id == version.id, ~ended)
    row = connection.execute(made.limit(1)).first()
    if row is not None:
        raise Conflict(f"{row.name}@{row.number} was made from {version.ref}.", hint="Remove what was made from it first.")
    write(connection, [version.id], "removed", actor, reason)
    audit.record(connection, actor, "remove", version.ref, {"reason": reason})


def write(
    connection: sa.Connection, ids: Iterable[str], state: str, actor: str, reason: str, receipt: str | None = None
) -> None:
    """Add a state row to each version that has none of that state."""
    s = schema.version_state.c
    for some in batches(list(ids)):
        known = set(connection.execute(sa.select(s.version_id).where(s.version_id.in_(some), s.state == state)).scalars())
        rows = [
            {"version_id": i, "state": state, "at": time.time(), "actor": actor, "reason": reason, "receipt": receipt}
            for i in some
            if i not in known
        ]
        if rows:
            connection.execute(schema.version_state.insert(), rows)


def hold(connection: sa.Connection, version: Version, actor: str, reason: str) -> None:
    """Put a version under legal hold: it can be neither removed nor erased until it is released."""
    h = schema.hold.c
    if state_of(connection, version.id) == "erased":
        refuse_unreadable(connection, version.digest)
    if not connection.execute(sa.select(h.version_id).where(h.version_id == version.id)).first():
        row = {"version_id": version.id, "at": time.time(), "actor": actor, "reason": reason}
        connection.execute(schema.hold.insert(), row)
    audit.record(connection, actor, "hold", version.ref, {"reason": reason})


def release_hold(connection: sa.Connection, version: Version, actor: str, reason: str) -> None:
    """End a legal hold; nothing to do if there is none."""
    connection.execute(schema.hold.delete().where(schema.hold.c.version_id == version.id))
    audit.record(connection, actor, "release_hold", version.ref, {"reason": reason})


def is_held(connection: sa.Connection, version_id: str) -> bool:
    """Whether a version is under legal hold."""
    h = schema.hold.c
    return connection.execute(sa.select(h.version_id).where(h.version_id == version_id)).first() is not None


def refuse_if_held(connection: sa.Connection, ids: Sequence[str], what: str) -> None:
    """Raise Conflict if one of the versions is under legal hold."""
    h, v = schema.hold.c, schema.version.c
    for some in batches(ids):
        query = sa.select(v.name, v.number).join(schema.hold, h.version_id == v.id).where(v.id.in_(some))
        row = connection.execute(query).first()
        if row is not None:
            raise Conflict(f"{row.name}@{row.number} is under legal hold: it cannot be {what}.", hint="Release the hold first.")


def refuse_if_deployed(connection: sa.Connection, refs: Collection[str], what: str) -> None:
    """Raise Conflict if a deployment that is not retired routes to one of the versions."""
    d = schema.deployment.c
    for row in connection.execute(sa.select(d.name, d.routes_json).where(d.state != "retired")):
        for route in msgspec.json.decode(row.routes_json, type=list[Route]):
            if route.version in refs:
                raise Conflict(
                    f"{route.version} is served by deployment {row.name}: it cannot be {what}.",
                    hint=f"Run: fourfold deploy {row.name} with another version, or retire it.",
                )
