"""A copy of a database as one SQLite file, of whatever schema: what is kept before a migration changes it."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from fourfold.core.errors import Corrupt
from fourfold.storage.blobs.local import sync_folder

BATCH_ROWS = 1000


def keep_before(connection: sa.Connection, folder: Path, revision: str) -> Path:
    """`folder`/ledger-REVISION-TIME.sqlite, whole and synced before its name is there; the caller's lock keeps writers out."""
    folder.mkdir(exist_ok=True, mode=0o700)
    name = f"ledger-{revision}-{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}.sqlite"
    partial, target = folder / f".{name}", folder / name
    for left in folder.glob(".ledger-*"):  # by a program that was killed
        left.unlink()
    if connection.dialect.name == "sqlite":
        keep_sqlite(Path(connection.engine.url.database or ""), partial)
    else:
        keep_any(connection, partial)
    partial.replace(target)
    sync_folder(folder)
    return target


def keep_sqlite(source: Path, target: Path) -> None:
    """A copy of a SQLite file of one moment, through SQLite's own backup, checked page by page."""
    with closing(sqlite3.connect(source, timeout=120)) as before, closing(sqlite3.connect(target)) as after:
        before.backup(after)
        found = after.execute("pragma integrity_check(1)").fetchone()[0]
    if found != "ok":
        raise Corrupt(f"{source.name} is damaged: {found}.", hint="Restore the newest backup: fourfold restore FROM --home NEW")


def keep_any(connection: sa.Connection, target: Path) -> None:
    """Every table of a database, of whatever schema, into a SQLite file: what is kept before a migration of PostgreSQL."""
    found = sa.MetaData()
    found.reflect(connection)
    engine = sa.create_engine(f"sqlite:///{target}")
    try:
        with engine.begin() as into:
            for table in found.sorted_tables:
                columns = [sa.Column(c.name, c.type, primary_key=c.primary_key, nullable=c.nullable) for c in table.columns]
                kept = sa.Table(table.name, sa.MetaData(), *columns)
                kept.create(into)
                for rows in batches(connection, table):
                    into.execute(kept.insert(), rows)
    finally:
        engine.dispose()


def batches(source: sa.Connection, table: sa.Table) -> Iterator[list[dict[str, Any]]]:
    with closing(source.execute(sa.select(table), execution_options={"yield_per": BATCH_ROWS})) as found:
        for rows in found.partitions(BATCH_ROWS):
            yield [dict(row._mapping) for row in rows]
