"""A whole ledger from one database into another, of whichever kind, in one transaction, counted and compared."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import blake3
import msgspec
import sqlalchemy as sa

from fourfold.core.errors import Conflict, Corrupt
from fourfold.core.progress import Progress, silent
from fourfold.storage import schema
from fourfold.storage.database import Database, translated
from fourfold.storage.keeping import batches, keep_sqlite


@dataclass(frozen=True, slots=True)
class Copied:
    """A table: its rows, and a digest over them that does not depend on their order."""

    table: str
    rows: int
    digest: str


@contextmanager
def one_moment(database: Database, *, still: bool = False) -> Iterator[sa.Connection]:
    """A connection that sees one moment, however long it reads. `still`: and nobody writes meanwhile."""
    if database.engine.dialect.name == "sqlite":
        with database.write() if still else database.read() as connection:
            yield connection
        return
    opened = database.engine.connect().execution_options(isolation_level="REPEATABLE READ")
    with translated(), opened as connection, connection.begin():
        if still:
            names = ", ".join(f'"{table.name}"' for table in schema.metadata.sorted_tables)
            connection.execute(sa.text(f"lock table {names} in share mode"))
        yield connection


def copy_ledger(source: sa.Connection, target: sa.Connection, progress: Progress = silent) -> list[Copied]:
    """Every row of the newest schema. Raises Conflict unless `target` holds that schema and nothing else, Corrupt if what was
    written reads differently: then the caller's transaction must not commit."""
    _check_empty(target)
    copied = []
    for table in schema.metadata.sorted_tables:
        target.execute(table.delete())  # what the migrations put there
        total = 0
        for rows in batches(source, table):
            target.execute(table.insert(), rows)
            total += len(rows)
            progress(total, None, f"rows of {table.name}")
        _go_on_counting(target, table)
        before, after = _digest(source, table), _digest(target, table)
        if before != after:
            raise Corrupt(f"Table {table.name} reads differently in the new database: {before} is {after} there.")
        copied.append(before)
    return copied


def compare_ledgers(source: sa.Connection, target: sa.Connection) -> list[Copied] | None:
    """The tables, if the ledgers are equal row for row and hold anything at all."""
    tables = schema.metadata.sorted_tables
    there = [_digest(target, table) for table in tables]
    told = any(table.rows for table in there if table.table != "counter")
    return there if told and there == [_digest(source, table) for table in tables] else None


def snapshot(database: Database, path: Path) -> None:
    """The ledger of one moment as a SQLite file, synced by whoever keeps it. Writers wait on SQLite, not on PostgreSQL."""
    if database.engine.dialect.name == "sqlite":
        keep_sqlite(Path(database.engine.url.database or ""), path)
        return
    target = Database(f"sqlite:///{path}")
    try:
        target.prepare()
        with one_moment(database) as source, target.write() as connection:
            copy_ledger(source, connection)
    finally:
        target.close()


def _check_empty(target: sa.Connection) -> None:
    for table in schema.metadata.sorted_tables:
        if table.name != "counter" and target.execute(sa.select(sa.literal(1)).select_from(table).limit(1)).first():
            raise Conflict(
                f"The database is not empty: it has rows in {table.name}.",
                hint="Name a new, empty database; if an interrupted move left these rows, drop it and create it anew.",
            )


def _digest(connection: sa.Connection, table: sa.Table) -> Copied:
    rows, total = 0, 0
    for some in batches(connection, table):
        for row in some:
            text = msgspec.json.encode([row[column.name] for column in table.columns])
            total = (total + int.from_bytes(blake3.blake3(text).digest(), "big")) % (1 << 256)
        rows += len(some)
    return Copied(table.name, rows, f"{total:064x}")


def _go_on_counting(target: sa.Connection, table: sa.Table) -> None:
    """PostgreSQL gives ids from a sequence, which must begin after the rows that are there."""
    column = table.autoincrement_column
    if target.dialect.name == "postgresql" and column is not None:
        newest = target.execute(sa.select(sa.func.max(column))).scalar()
        if newest is not None:
            target.execute(sa.select(sa.func.setval(sa.func.pg_get_serial_sequence(table.name, column.name), newest)))
