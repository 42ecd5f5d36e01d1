"""Pages of versions and runs that a condition finds, newest first."""

from __future__ import annotations

from fourfold.core.nouns import Kind, Run, Version
from fourfold.storage import runs, search, versions
from fourfold.storage.database import Database


def found_versions(
    database: Database, *, name: str | None, kind: Kind | None, where: str | None, limit: int, before: str | None
) -> list[Version]:
    """At most `limit` versions, newest first; `before` is the last id of the page before. Raises BadSpec."""
    with database.read() as connection:
        wanted = None if where is None else search.condition(connection, search.VERSIONS, where)
        return versions.page(connection, name=name, kind=kind, limit=limit, before=before, where=wanted)


def found_runs(
    database: Database,
    *,
    verb: str | None,
    name: str | None,
    state: str | None,
    where: str | None,
    limit: int,
    before: str | None,
) -> list[Run]:
    """At most `limit` runs, newest first; `before` is the last id of the page before. Raises BadSpec for a bad condition."""
    with database.read() as connection:
        wanted = None if where is None else search.condition(connection, search.RUNS, where)
        return runs.page(connection, verb=verb, name=name, state=state, limit=limit, before=before, where=wanted)
