"""One way into SQLite and PostgreSQL: how to connect, how to write, and which schema a home has."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import event, exc

from fourfold.core.errors import BadInput, Conflict, Corrupt, NotReady, StorageFull
from fourfold.core.extras import need
from fourfold.storage.dsn import driver_url, is_postgres
from fourfold.storage.keeping import keep_before

HEAD = "0007"  # the newest migration; a test holds it against storage/migrations
BUSY_SECONDS = 120  # how long a writer waits for the others on SQLite
JOURNAL_BYTES = 64 << 20  # what a large transaction may leave of SQLite's journal
BATCH = 500  # parameters of one IN: SQLite allows 999 in its oldest builds
MIGRATIONS = Path(__file__).parent / "migrations"

# A server that is gone is noticed: when connecting, when idle, and when sent bytes are not acknowledged.
NOTICE = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
AWAY = ("57P01", "57P02", "57P03")  # the server shuts down, crashed, or is not up yet
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0  # seconds between tries
Made = TypeVar("Made")


class ConnectionLost(NotReady):
    """The database server went away. A transaction that was about to commit may have done so."""


def wal_is_safe(version: tuple[int, int, int] = sqlite3.sqlite_version_info) -> bool:
    """Whether this SQLite keeps commits in WAL mode: 3.7.0–3.51.2 can lose them, except 3.44.6+ and 3.50.7+ of their lines."""
    return version >= (3, 51, 3) or (3, 50, 7) <= version < (3, 51, 0) or (3, 44, 6) <= version < (3, 45, 0)


class Database:
    """A pool of connections. `read()` sees one moment; `write()` is the only way to change anything."""

    def __init__(self, url: str) -> None:
        if is_postgres(url):
            need("psycopg", extra="postgres", what="A ledger on PostgreSQL")
            url = driver_url(url)
        lite = url.startswith("sqlite")
        asked = dict(sa.make_url(url).query)
        notice = {} if lite else {key: value for key, value in NOTICE.items() if key not in asked}
        self.engine = sa.create_engine(url, pool_size=8, max_overflow=24, pool_pre_ping=not lite, connect_args=notice)
        self.patience_seconds = (
            0.0  # how long a transaction that has not begun, or can be repeated, waits for a server to return
        )
        self.fence: Callable[[sa.Connection], None] | None = None  # begins each write: raises if this process may not write
        if self.engine.dialect.name == "sqlite":
            event.listen(self.engine, "connect", _open_sqlite)
            event.listen(self.engine, "begin", _begin_sqlite)

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A transaction that changes nothing."""
        with translated(), self._begun(write=False) as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A transaction: all of it or nothing. On SQLite it holds the write lock from its start (BEGIN IMMEDIATE), since a
        transaction that begins as a reader cannot always become a writer."""
        with translated(), self._begun(write=True) as connection:
            if self.fence is not None:
                self.fence(connection)
            yield connection

    def repeat(
        self,
        change: Callable[[sa.Connection], Made],
        *,
        landed: Callable[[sa.Connection], Made | None] | None = None,
        write: bool = True,
    ) -> Made:
        """What `change` gives in a transaction of its own, done again while the server comes and goes (`patience_seconds`).

        A lost commit may have happened: `landed` looks, and gives what was made, or None. Without it `change` must be harmless
        when done twice.
        """
        waiting = self._pauses()
        lost = False
        while True:
            try:
                if lost and landed is not None:
                    with self.read() as connection:
                        found = landed(connection)
                    if found is not None:
                        return found
                with self.write() if write else self.read() as connection:
                    return change(connection)
            except ConnectionLost:
                lost = True
                if not next(waiting):
                    raise

    @contextmanager
    def _begun(self, *, write: bool) -> Iterator[sa.Connection]:
        """A connection in a transaction. Until it has begun nothing can be lost, so that this is tried again."""
        with ExitStack() as stack:
            yield self._begin(stack, write)

    def _begin(self, stack: ExitStack, write: bool) -> sa.Connection:
        waiting = self._pauses()
        while True:
            try:
                with translated(), ExitStack() as tried:
                    connection = tried.enter_context(self.engine.connect().execution_options(fourfold_write=write))
                    tried.enter_context(connection.begin())
                    stack.push(tried.pop_all().__exit__)
                    return connection
            except ConnectionLost:
                if not next(waiting):
                    raise

    def _pauses(self) -> Iterator[bool]:
        """Sleeps a little longer each time; False once patience is at its end."""
        until, pause = time.monotonic() + self.patience_seconds, FIRST_PAUSE
        while time.monotonic() + pause <= until:
            time.sleep(pause)
            yield True
            pause = min(pause * 2, LONGEST_PAUSE)
        while True:
            yield False

    def close(self) -> None:
        """Give all connections back."""
        self.engine.dispose()

    def empty_log(self) -> None:
        """Put what stands in SQLite's write-ahead log, if it has one, into the database, and empty it; begin another rollback
        journal, if that is what it has: no row that is gone stays there. Waits for readers and writers."""
        if self.engine.dialect.name == "sqlite":
            connection = self.engine.raw_connection()
            try:
                connection.cursor().execute("pragma wal_checkpoint(truncate)")
                self._drop_journal(connection.cursor())
            finally:
                connection.close()

    def _drop_journal(self, cursor: Any) -> None:
        """Delete the rollback journal; while somebody writes SQLite leaves it, and it is tried again."""
        (mode,) = cursor.execute("pragma journal_mode").fetchone()
        journal = Path(f"{self.engine.url.database}-journal")
        until = time.monotonic() + BUSY_SECONDS
        before = _inode(journal)
        while mode == "persist" and before is not None and _inode(journal) == before and time.monotonic() < until:
            cursor.execute("pragma journal_mode = delete").fetchone()
            cursor.execute("pragma journal_mode = persist").fetchone()
            if _inode(journal) == before:
                time.sleep(FIRST_PAUSE)

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

    def prepare(self, *, keep: Path | None = None) -> None:
        """Create or migrate the schema. Before a migration the database is copied into the folder `keep`, if there is one.

        Raises Conflict if a newer program wrote it.
        """
        found = self._schema()
        if found == HEAD:
            return
        if found is not None and found > HEAD:
            raise Conflict(
                f"This home has schema {found}, written by a newer Fourfold; this program knows schemas up to {HEAD}.",
                hint="Run: pip install --upgrade fourfold. A downgrade is a restore: to go back to this program, put back the "
                "copy that the upgrade left in backups/ of the home (docs/backup.md); what came after it is lost.",
            )
        self._migrate(keep)

    def _schema(self) -> str | None:
        with self.read() as connection:
            if not sa.inspect(connection).has_table("alembic_version"):
                return None
            return connection.execute(sa.text("select version_num from alembic_version")).scalar()

    def _migrate(self, keep: Path | None) -> None:
        from alembic import command  # 60 ms that an open home does not pay
        from alembic.config import Config
        from alembic.migration import MigrationContext

        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        with self.write() as connection:
            if connection.dialect.name == "postgresql":  # two programs may open a new home at once
                connection.execute(sa.text("select pg_advisory_xact_lock(44044)"))
            found = MigrationContext.configure(connection).get_current_revision()
            if found == HEAD:  # another program was first
                return
            if found is not None and keep is not None:
                keep_before(connection, keep, found)
            config.attributes["connection"] = connection
            command.upgrade(config, "head")


def batches(values: Iterable[str]) -> Iterator[list[str]]:
    """The values in lists that fit one statement."""
    rest = iter(values)
    while some := list(islice(rest, BATCH)):
        yield some


@contextmanager
def translated() -> Iterator[None]:
    """Turn the database driver's trouble into ours."""
    try:
        yield
    except exc.DBAPIError as error:
        if _is_away(error):
            reason = (str(error.orig).splitlines() or [type(error.orig).__name__])[0]
            raise ConnectionLost(f"The ledger's database does not answer: {reason}.", hint="Run: fourfold doctor") from error
        _translate(error)
        raise
    except exc.PendingRollbackError as error:  # the connection was lost under an earlier statement
        raise ConnectionLost("The ledger's database went away.", hint="Run: fourfold doctor") from error


def _is_away(error: exc.DBAPIError) -> bool:
    state = getattr(error.orig, "sqlstate", "sqlite")
    if state == "sqlite":
        return False
    return error.connection_invalidated or state in AWAY or (state is None and isinstance(error, exc.OperationalError))


def _translate(error: exc.DBAPIError) -> None:
    """Raise our error for a driver's, where there is one."""
    if isinstance(error, exc.OperationalError):
        reason = str(error.orig).splitlines()[0]
        if "full" in reason or "No space" in reason:
            raise StorageFull(
                f"The ledger cannot be written: {reason}.", hint="Free disk space; nothing was changed."
            ) from error
        raise NotReady(f"The ledger's database does not answer: {reason}.", hint="Run: fourfold doctor") from error
    if isinstance(error, exc.DatabaseError) and "not a database" in str(error.orig):
        raise BadInput("ledger.sqlite is not a SQLite database.", hint="Restore a backup, or name another --home.") from error
    if isinstance(error, exc.DatabaseError) and "malformed" in str(error.orig):
        raise Corrupt("ledger.sqlite is damaged.", hint="Restore a backup: fourfold restore FROM --home NEW") from error


def _open_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # SQLAlchemy's begin event says BEGIN, not the driver
    connection.execute(f"pragma busy_timeout = {BUSY_SECONDS * 1000}")
    # persist: a journal that keeps its blocks is synced without the file system's own journal, which busy disks make slow
    connection.execute(f"pragma journal_mode = {'wal' if wal_is_safe() else 'persist'}")
    connection.execute(f"pragma journal_size_limit = {JOURNAL_BYTES}")
    connection.execute("pragma synchronous = full")  # an acknowledged commit survives a power cut
    connection.execute("pragma foreign_keys = on")
    connection.execute("pragma secure_delete = on")  # what people said of an erased text is overwritten in the file, too


def _inode(path: Path) -> int | None:
    """Which file a path is now."""
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return None


def _begin_sqlite(connection: sa.Connection) -> None:
    write = connection.get_execution_options().get("fourfold_write")
    connection.exec_driver_sql("begin immediate" if write else "begin")
