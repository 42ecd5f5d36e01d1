"""Several homes on one database are nodes: each has a number, so that their fronts have different ones."""

from __future__ import annotations

import os
from pathlib import Path

import sqlalchemy as sa

from fourfold.core.errors import BadSpec
from fourfold.storage import schema
from fourfold.storage.database import Database

FRONTS = 64  # of a node; a front's number has 16 bits in a request's id, which makes 1,023 nodes


def number_of(home: Path, database: Database) -> int:
    """The home's number on its database, 0 for the first. Claimed once, and kept in the home's file `node`."""
    if database.engine.dialect.name == "sqlite":
        return 0
    file = home / "node"
    try:
        return int(file.read_text())
    except FileNotFoundError:
        pass
    with database.write() as connection:
        counter = schema.counter
        connection.execute(sa.text("select pg_advisory_xact_lock(44045)"))  # two homes may begin at once
        claimed = connection.execute(sa.select(counter.c.value).where(counter.c.name == "nodes")).scalar()
        if claimed is None:
            connection.execute(counter.insert(), {"name": "nodes", "value": 1})
        else:
            connection.execute(counter.update().where(counter.c.name == "nodes").values(value=claimed + 1))
    number = claimed or 0
    partial = file.with_name(f"node.{os.getpid()}")
    partial.write_text(str(number))
    partial.rename(file)  # a crash before it costs a number, never gives one twice
    return number


def fronts_of(number: int, count: int) -> range:
    """The numbers of a node's fronts. Raises BadSpec for more than it may have."""
    if count > FRONTS:
        raise BadSpec(f"fronts = {count} is more than {FRONTS}, which a node may have.", hint="Add a node instead.")
    return range(number * FRONTS + 1, number * FRONTS + 1 + count)
