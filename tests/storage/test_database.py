"""Which journal SQLite may use, and which schema a home has."""

from __future__ import annotations

import sqlite3

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from fourfold.core.errors import Conflict, NotReady
from fourfold.storage import schema
from fourfold.storage.database import HEAD, MIGRATIONS, Database, wal_is_safe
from fourfold.storage.ledger import Ledger


@pytest.mark.parametrize(
    ("version", "safe"),
    [
        ((3, 40, 1), False), ((3, 44, 5), False), ((3, 44, 6), True), ((3, 45, 0), False), ((3, 50, 6), False),
       ((3, 50, 7), True), ((3, 51, 0), False), ((3, 51, 2), False), ((3, 51, 3), True), ((3, 52, 0), True),
    ],
)  # fmt: skip
def test_wal_only_where_it_keeps_commits(version, safe):
    assert wal_is_safe(version) is safe


def test_the_journal_fits_this_sqlite(tmp_path):
    ledger = Ledger.open(tmp_path / "home")
    with ledger.database.read() as connection:
        journal = connection.exec_driver_sql("pragma journal_mode").scalar()
        synchronous = connection.exec_driver_sql("pragma synchronous").scalar()
    assert journal == ("wal" if wal_is_safe(sqlite3.sqlite_version_info) else "persist")
    assert synchronous == 2  # full
    ledger.close()


def test_the_migrations_make_the_schema(database_url):
    database = Database(database_url)
    database.prepare()
    with database.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), schema.metadata) == []
        assert connection.execute(sa.text("select version_num from alembic_version")).scalar() == HEAD
    newest = max(path.name for path in (MIGRATIONS / "versions").glob("0*.py"))
    assert newest.startswith(HEAD)
    database.close()


def test_a_home_of_a_newer_program_is_left_alone(tmp_path, database_url):
    Ledger.open(tmp_path / "home", url=database_url).close()
    database = Database(database_url)
    with database.write() as connection:
        connection.execute(sa.text("update alembic_version set version_num = '9999'"))
    database.close()
    with pytest.raises(Conflict, match="schema 9999, written by a newer Fourfold"):
        Ledger.open(tmp_path / "home", url=database_url)


def test_a_database_that_does_not_answer(tmp_path):
    pytest.importorskip("psycopg")
    with pytest.raises(NotReady, match="does not answer"):
        Ledger.open(tmp_path / "home", url="postgresql://nobody@127.0.0.1:9/none?connect_timeout=1")


def test_a_write_that_fails_changes_nothing(ledger):
    with pytest.raises(ZeroDivisionError), ledger.write() as connection:
        connection.execute(schema.counter.insert(), {"name": "x", "value": 1})
        raise ZeroDivisionError
    with ledger.database.read() as connection:
        assert "x" not in connection.execute(sa.select(schema.counter.c.name)).scalars().all()
