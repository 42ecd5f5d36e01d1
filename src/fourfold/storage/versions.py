"""Rows of versions and aliases: numbering, finding, moving."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import Any

import msgspec
import sqlalchemy as sa

from fourfold.core.errors import BadInput, Conflict, NotFound, did_you_mean
from fourfold.core.nouns import Kind, Version
from fourfold.storage import audit, facts, schema, words

NAME = re.compile(r"[^\W_][\w.\-]{0,99}", re.UNICODE)  # letters of any script, digits, . _ -
HEX = re.compile(r"[0-9a-f]{12,64}")


@dataclass(frozen=True, slots=True)
class AliasMove:
    """A recorded move of an alias. Versions are `name@number`; `from_version` is None for the first."""

    name: str
    alias: str
    from_version: str | None
    to_version: str
    at: float
    actor: str
    reason: str


def check_name(name: str) -> str:
    """The name itself. Raises BadInput if it cannot be one."""
    if not NAME.fullmatch(name):
        raise BadInput(
            f"{name!r} is no name.", hint="Use letters, digits, '.', '_' and '-', at most 100, starting with a letter or digit."
        )
    return name


def check_alias(alias: str) -> str:
    """The alias itself. Raises BadInput if it cannot be one."""
    if check_name(alias).isdecimal():
        raise BadInput(f"{alias!r} cannot be an alias: numbers are versions.", hint="Use a word, such as production.")
    return alias


def next_number(connection: sa.Connection, name: str, kind: Kind) -> int:
    """The next free number of a name; numbers have no gaps, since the row stays locked until the publisher commits.

    Raises Conflict if the name belongs to another kind.
    """
    t = schema.name
    number = connection.execute(
        t.update().where(t.c.name == name).values(last_number=t.c.last_number + 1).returning(t.c.last_number, t.c.kind)
    ).first()
    if number is None:
        from_nothing = {"name": name, "kind": kind, "last_number": 0}
        if connection.dialect.name == "postgresql":
            from sqlalchemy.dialects import postgresql  # with two drivers, which SQLite does not need

            connection.execute(postgresql.insert(t).values(from_nothing).on_conflict_do_nothing())  # a race is fine
        else:
            connection.execute(t.insert(), from_nothing)
        return next_number(connection, name, kind)
    if number.kind != kind:
        raise Conflict(
            f"{name} is a {number.kind}: a {kind} needs a name of its own.", hint=f"Choose another name than {name!r}."
        )
    return number.last_number


def insert(connection: sa.Connection, version: Version, inputs: tuple[Version, ...]) -> None:
    """Write a version's row and its edges to what it was made from."""
    connection.execute(
        schema.version.insert(),
        {
            "id": version.id, "name": version.name, "number": version.number, "kind": version.kind, "digest": version.digest,
            "run_id": version.run_id, "output": "main", "created_at": version.created_at, "size_bytes": version.size_bytes,
            "meta_json": msgspec.json.encode(version.meta).decode(),
        },
    )  # fmt: skip
    edges = [{"version_id": version.id, "input_id": i} for i in dict.fromkeys(v.id for v in inputs)]
    if edges:
        connection.execute(schema.edge.insert(), edges)
    facts.of_version(connection, version, inputs)
    words.write(connection, version.id, [version.name, *words.texts(version.meta)])


def from_row(row: sa.Row[Any]) -> Version:
    """The noun of a row that begins with the columns of `version`."""
    columns: list[Any] = list(row)  # by name it takes twice as long
    id_, name, number, kind, digest, run_id, _, created_at, size_bytes, meta = columns[:10]
    return Version(id_, name, number, kind, digest, run_id, created_at, size_bytes, msgspec.json.decode(meta))


def find(connection: sa.Connection, ref: str) -> Version:
    """The version that is meant by `name@3`, `name@alias`, `name` (the newest), an id, or a digest (12 digits or more).

    Raises NotFound with the closest name.
    """
    v = schema.version.c
    name, at, which = ref.rpartition("@") if "@" in ref else (ref, "", "")
    query = sa.select(schema.version)
    if at and which.isdecimal():
        query = query.where(v.name == name, v.number == int(which))
    elif at:
        a = schema.alias.c
        query = query.join(schema.alias, a.version_id == v.id).where(a.name == name, a.alias == which)
    elif ref.startswith("ver_"):
        query = query.where(v.id == ref)
    else:
        query = query.where(v.name == ref).order_by(v.number.desc())
    row = connection.execute(query.limit(1)).first()
    if row is None and HEX.fullmatch(ref):
        row = connection.execute(
            sa.select(schema.version).where(v.digest.startswith(ref)).order_by(v.id.desc()).limit(1)
        ).first()
    if row is None:
        raise _not_found(connection, ref, name)
    return from_row(row)


def _not_found(connection: sa.Connection, ref: str, name: str) -> NotFound:
    last = connection.execute(sa.select(schema.name.c.last_number).where(schema.name.c.name == name)).scalar()
    if last is not None:
        a = schema.alias.c
        aliases = connection.execute(sa.select(a.alias).where(a.name == name)).scalars().all()
        known = f"{name} has numbers 1 to {last}" + (f" and aliases {', '.join(aliases)}." if aliases else ".")
        return NotFound(f"There is no version {ref!r}: {known}", hint=f"Run: fourfold versions {name}")
    names = connection.execute(sa.select(schema.name.c.name)).scalars().all()
    return NotFound(f"There is no version {ref!r}.{did_you_mean(name, names)}", hint="Run: fourfold versions")


def page(
    connection: sa.Connection,
    *,
    name: str | None,
    kind: Kind | None,
    limit: int,
    before: str | None,
    where: sa.ColumnElement[bool] | None = None,
) -> list[Version]:
    """Versions, newest first; `before` is the id of the last one of the page before."""
    v = schema.version.c
    query = sa.select(schema.version).limit(limit)
    if where is not None:
        query = query.where(where)
    if kind is not None:
        query = query.where(v.kind == kind)
    if name is None:
        query = query.order_by(v.id.desc())
        query = query if before is None else query.where(v.id < before)
    else:  # by number: its index gives the newest without sorting all versions of the name
        query = query.where(v.name == name).order_by(v.number.desc())
        if before is not None:
            last = sa.select(v.number).where(v.id == before).scalar_subquery()
            query = query.where(v.number < last)
    return [from_row(row) for row in connection.execute(query)]


def move_alias(connection: sa.Connection, actor: str, version: Version, alias: str, reason: str) -> AliasMove:
    """Point `version.name@alias` at a version, with history and audit row."""
    check_alias(alias)
    a = schema.alias.c
    here = sa.and_(a.name == version.name, a.alias == alias)
    held = connection.execute(sa.select(a.version_id).where(here).with_for_update()).scalar()
    before = None if held is None else find(connection, held).ref
    if held is None:
        connection.execute(schema.alias.insert(), {"name": version.name, "alias": alias, "version_id": version.id})
    else:
        connection.execute(schema.alias.update().where(here).values(version_id=version.id))
    move = AliasMove(version.name, alias, before, version.ref, time.time(), actor, reason)
    connection.execute(schema.alias_move.insert(), msgspec.to_builtins(move))
    audit.record(
        connection, actor, "move_alias", f"{version.name}@{alias}", {"from": before, "to": version.ref, "reason": reason}
    )
    return move


def alias_moves(connection: sa.Connection, name: str, alias: str | None = None) -> list[AliasMove]:
    """History of the aliases of a name, oldest first."""
    m = schema.alias_move.c
    query = (
        sa.select(m.name, m.alias, m.from_version, m.to_version, m.at, m.actor, m.reason).where(m.name == name).order_by(m.id)
    )
    if alias is not None:
        query = query.where(m.alias == alias)
    return [AliasMove(**row._mapping) for row in connection.execute(query)]


def aliases(connection: sa.Connection, name: str | None = None) -> dict[str, str]:
    """`name@alias` → `name@number`, of one name or of all."""
    v, a = schema.version.c, schema.alias.c
    query = sa.select(a.name, a.alias, v.number).join(schema.version, v.id == a.version_id).order_by(a.name, a.alias)
    if name is not None:
        query = query.where(a.name == name)
    return {f"{row.name}@{row.alias}": f"{row.name}@{row.number}" for row in connection.execute(query)}


def made_by_run(connection: sa.Connection, run_id: str) -> tuple[Version | None]:
    """(version,) that a run left, or (None,)."""
    row = connection.execute(sa.select(schema.version).where(schema.version.c.run_id == run_id)).first()
    return (None if row is None else from_row(row),)
