"""Tags of versions: a word and a value, set and taken away by recorded acts."""

from __future__ import annotations

import time
from dataclasses import dataclass

import sqlalchemy as sa

from fourfold.core.errors import BadInput, NotFound, did_you_mean
from fourfold.core.nouns import Version
from fourfold.storage import audit, schema
from fourfold.storage.versions import check_name

LONGEST = 200


@dataclass(frozen=True, slots=True)
class TagChange:
    """A tag that was set, or taken away (`value` None). `at` is in Unix seconds."""

    tag: str
    value: str | None
    at: float
    actor: str


def change(connection: sa.Connection, actor: str, version: Version, tag: str, value: str | None) -> dict[str, str]:
    """Set a tag, or take it away with None; returns those that the version has then. Raises BadInput, NotFound."""
    check_name(tag)
    if value is not None and (len(value) > LONGEST or "\0" in value):
        raise BadInput(f"The value of tag {tag} is no text of at most {LONGEST} characters.", hint="Keep long texts elsewhere.")
    t = schema.tag
    here = sa.and_(t.c.version_id == version.id, t.c.tag == tag)
    connection.execute(sa.select(schema.version.c.id).where(schema.version.c.id == version.id).with_for_update())
    before = of(connection, version)
    if value is None and tag not in before:
        raise NotFound(f"{version.ref} has no tag {tag!r}.{did_you_mean(tag, before)}")
    connection.execute(t.delete().where(here))
    if value is not None:
        connection.execute(t.insert(), {"version_id": version.id, "tag": tag, "value": value})
    row = {"version_id": version.id, "tag": tag, "value": value, "at": time.time(), "actor": actor}
    connection.execute(schema.tag_change.insert(), row)
    audit.record(connection, actor, "tag", version.ref, {"tag": tag, "set": value is not None})
    return of(connection, version)


def of(connection: sa.Connection, version: Version) -> dict[str, str]:
    """The tags of a version."""
    t = schema.tag.c
    rows = connection.execute(sa.select(t.tag, t.value).where(t.version_id == version.id).order_by(t.tag))
    return {row.tag: row.value for row in rows}


def history(connection: sa.Connection, version: Version) -> list[TagChange]:
    """Every change of a version's tags, oldest first."""
    c = schema.tag_change.c
    query = sa.select(c.tag, c.value, c.at, c.actor).where(c.version_id == version.id).order_by(c.id)
    return [TagChange(**row._mapping) for row in connection.execute(query)]
