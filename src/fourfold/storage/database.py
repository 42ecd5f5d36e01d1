"""One way into SQLite and PostgreSQL: how to connect, how to write, and which schema a home has."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event, exc

from fourfold.core.errors import BadInput, Conflict, NotReady, StorageFull
from fourfold.core.extras import need

HEAD = "0002"  # the newest migration; a test holds it against storage/migrations
BUSY_SECONDS = 120  # how long a writer waits for the others on SQLite
MIGRATIONS = Path(__file__).parent / "migrations"


def wal_is_safe(version: tuple[int, int, int] = sqlite3.sqlite_version_info) -> bool:
    """Whether this SQLite keeps commits in WAL mode: 3.7.0–3.51.2 can lose them, except 3.44.6+ and 3.50.7+ of their lines."""
    return version >= (3, 51, 3) or (3, 50, 7) <= version < (3, 51, 0) or (3, 44, 6) <= version < (3, 45, 0)


class Database:
    """A pool of connections. `read()` sees one moment; `write()` is the only way to change anything."""

    def __init__(self, url: str) -> None:
        if url.startswith("postgresql"):
            need("psycopg", extra="postgres", what="A ledger on PostgreSQL")
            url = url.replace("postgresql://", "postgresql+psycopg://", 1)
        self.engine = sa.create_engine(url, pool_size=8, max_overflow=24, pool_pre_ping=not url.startswith("sqlite"))
        if self.engine.dialect.name == "sqlite":
            event.listen(self.engine, "connect", _open_sqlite)
            event.listen(self.engine, "begin", _begin_sqlite)

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A transaction that changes nothing."""
        with translated(), self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A transaction: all of it or nothing. On SQLite it holds the write lock from its start (BEGIN IMMEDIATE), since a
        transaction that begins as a reader cannot always become a writer."""
        with translated(), self.engine.connect().execution_options(fourfold_write=True) as connection, connection.begin():
            yield connection

    def close(self) -> None:
        """Give all connections back."""
        self.engine.dispose()

    def facts(self) -> dict[str, str]:
        """What the database is: `server` with its version, `schema`; of SQLite `journal`, and `damage` if a look finds any."""
        found = {"schema": self._schema() or ""}
        with self.read() as connection:
            if connection.dialect.name != "sqlite":
                version = connection.exec_driver_sql("show server_version").scalar_one()
                return {"server": f"PostgreSQL {version}", **found}
            look = connection.exec_driver_sql("pragma quick_check(1)").scalar_one()
            journal = connection.exec_driver_sql("pragma journal_mode").scalar_one()
            found |= {"damage": look} if look != "ok" else {}
            return {"server": f"SQLite {sqlite3.sqlite_version}", "journal": journal, **found}

    def prepare(self) -> None:
        """Create or migrate the schema. Raises Conflict if a newer program wrote it."""
        found = self._schema()
        if found == HEAD:
            return
        if found is not None and found > HEAD:
            raise Conflict(
                f"This home has schema {found}, written by a newer Fourfold; this program knows schemas up to {HEAD}.",
                hint="Run: pip install --upgrade fourfold",
            )
        self._migrate()

    def _schema(self) -> str | None:
        with self.read() as connection:
            if not sa.inspect(connection).has_table("alembic_version"):
                return None
            return connection.execute(sa.text("select version_num from alembic_version")).scalar()

    def _migrate(self) -> None:
        from alembic import command  # 60 ms that an open home does not pay
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        with self.write() as connection:
            if connection.dialect.name == "postgresql":  # two programs may open a new home at once
                connection.execute(sa.text("select pg_advisory_xact_lock(44044)"))
            config.attributes["connection"] = connection
            command.upgrade(config, "head")


@contextmanager
def translated() -> Iterator[None]:
    """Turn the database driver's trouble into ours."""
    try:
        yield
    except exc.OperationalError as error:
        reason = str(error.orig).splitlines()[0]
        if "full" in reason or "No space" in reason:
            raise StorageFull(
                f"The ledger cannot be written: {reason}.", hint="Free disk space; nothing was changed."
            ) from error
        raise NotReady(f"The ledger's database does not answer: {reason}.", hint="Run: fourfold doctor") from error
    except exc.DatabaseError as error:
        if "not a database" in str(error.orig):
            raise BadInput(
                "ledger.sqlite is not a SQLite database.", hint="Restore a backup, or name another --home."
            ) from error
        raise


def _open_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # SQLAlchemy's begin event says BEGIN, not the driver
    connection.execute(f"pragma busy_timeout = {BUSY_SECONDS * 1000}")
    connection.execute(f"pragma journal_mode = {'wal' if wal_is_safe() else 'truncate'}")
    connection.execute("pragma synchronous = full")  # an acknowledged commit survives a power cut
    connection.execute("pragma foreign_keys = on")


def _begin_sqlite(connection: sa.Connection) -> None:
    write = connection.get_execution_options().get("fourfold_write")
    connection.exec_driver_sql("begin immediate" if write else "begin")
