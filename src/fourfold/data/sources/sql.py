"""Rows of a database, through any driver that SQLAlchemy knows."""

from __future__ import annotations

import datetime
import decimal
import io
import itertools
import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa
from sqlalchemy import exc

from fourfold.core.errors import BadInput, BadSpec, MissingExtra, NotFound
from fourfold.core.fingerprint import digest_bytes
from fourfold.data.connections import Connection, State, note
from fourfold.data.sources import RawFile, Visit

EXTRAS = {"postgresql": "postgres", "mysql": "mysql", "mariadb": "mysql"}
READ_ONLY = {"postgresql": "SET TRANSACTION READ ONLY", "sqlite": "PRAGMA query_only = ON"}
SIMPLE = (str, bool, int, float, bytes, decimal.Decimal, datetime.date, datetime.time, datetime.timedelta)


class NoDatabase(BadInput):
    """A database that does not answer, or went away."""

    code = "no_database"


@dataclass(frozen=True, slots=True)
class Sql:
    """The rows of a `table`, or of a `query`, each a document, streamed in one read-only transaction.

    With `cursor`, a column that only grows, later runs read the rows beyond the greatest value so far, and keep those of
    before. The password comes from the environment or a file. Batches are kept as Parquet in the database's own types. Raises
    BadInput where the database cannot be asked, goes away, or has other columns than last time, unless `accept_changes`.
    """

    url: str  # such as postgresql://reader@db.example/shop, or sqlite:///shop.db; without a password
    table: str = ""  # or schema.table
    query: str = ""
    cursor: str = ""
    text: str | tuple[str, ...] = ()  # columns of the text; default: text, body, content, query, …
    label: str | None = None
    password_env: str = ""  # the environment variable that holds the password
    password_file: str = ""
    accept_changes: bool = False
    batch_rows: int = 10_000
    endings: dict[str, str] = field(default_factory=dict)
    splits: dict[str, Literal["train", "dev", "test"]] = field(default_factory=dict)
    max_file_bytes: int = 1 << 30

    def __post_init__(self) -> None:
        if bool(self.table) == bool(self.query.strip()):
            raise BadSpec("Set either table or query.", hint="For example table: tickets")
        if self.batch_rows < 1:
            raise BadSpec(f"batch_rows is at least 1, not {self.batch_rows}.")
        if self._address().password is not None:
            hint = "Name the environment variable that holds it: password_env: SHOP_PASSWORD"
            raise BadSpec("The url holds a password; it would be kept with the run.", hint=hint)

    @property
    def formats(self) -> Mapping[str, Mapping[str, Any]]:
        """How the batches are read."""
        return {"parquet": {"text": self.text, "label": self.label}}

    def __call__(self) -> Iterator[RawFile]:
        yield from self._batches(None, {})

    def visit(self, visit: Visit, /) -> Iterator[RawFile]:
        """The rows of before, where there is a cursor, and those that are new."""
        before = _memory(visit.previous.memory) if visit.previous is not None else {}
        if before and before.get("what") != self._what():
            before = {}  # another table: what was kept is not a part of it
        number = 0
        if self.cursor and before and visit.previous is not None:
            for path in sorted(visit.previous.raw.glob("rows-*.parquet")):
                number += 1
                fetched_at = path.stat().st_mtime
                yield RawFile(path.name, path.read_bytes(), fetched_at, fetched_at=before["fetched_at"].get(path.name))
        fetched = dict(before.get("fetched_at", {})) if number else {}
        state: dict[str, Any] = {"what": self._what()}
        state |= {"cursor": before.get("cursor"), "edge": before.get("edge")} if number else {}
        try:
            for file in self._batches(before if before else None, state, first=number + 1):
                fetched[file.path] = visit.now()
                yield file
        except NoDatabase as error:
            self._note(visit, "blocked", error.message, error.hint)
            raise
        self._note(visit, "ok", "", "")
        visit.memory.write_text(json.dumps({**state, "fetched_at": fetched}) + "\n", encoding="utf-8")

    def _note(self, visit: Visit, state: State, detail: str, next: str) -> None:
        account = self._address().render_as_string(hide_password=True)
        note(visit.connection, Connection("sql", account, state, visit.now(), visit.now(), detail=detail, next=next))

    def _what(self) -> str:
        return f"table {self.table}" if self.table else f"query {self.query}"

    def _address(self) -> sa.URL:
        try:
            return sa.make_url(self.url)
        except exc.ArgumentError as error:
            hint = "For example postgresql://reader@db.example/shop, mysql://…, sqlite:///shop.db"
            raise BadSpec("The url is none of a database.", hint=hint) from error

    def _engine(self) -> sa.Engine:
        address = self._address()
        name = address.get_backend_name()
        if name == "sqlite" and address.database not in (None, "", ":memory:") and not Path(str(address.database)).is_file():
            raise BadInput(f"There is no file {address.database}.", hint="Check the path in the url.")
        driver = {"postgresql": "postgresql+psycopg", "mysql": "mysql+pymysql", "mariadb": "mariadb+pymysql"}
        if "+" not in address.drivername:
            address = address.set(drivername=driver.get(name, address.drivername))
        try:
            return sa.create_engine(address.set(password=self._password()), poolclass=sa.NullPool)
        except ModuleNotFoundError as error:
            extra = EXTRAS.get(name)
            hint = f"Run: pip install 'fourfold[{extra}]'" if extra else f"Run: pip install {error.name}"
            raise MissingExtra(f"A database of kind {name} needs {error.name}.", hint=hint) from error
        except exc.NoSuchModuleError as error:
            raise BadSpec(
                f"SQLAlchemy knows no database {address.drivername!r}.", hint="Use postgresql, mysql or sqlite."
            ) from error

    def _password(self) -> str | None:
        if self.password_env:
            if self.password_env not in os.environ:
                raise NotFound(f"The environment has no {self.password_env}.", hint=f"Run: export {self.password_env}=…")
            return os.environ[self.password_env]
        if self.password_file:
            try:
                return Path(self.password_file).expanduser().read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                raise NotFound(
                    f"The password's file {self.password_file} cannot be read.", hint="Check password_file."
                ) from error
        return None

    def _batches(self, before: Mapping[str, Any] | None, state: dict[str, Any], *, first: int = 1) -> Iterator[RawFile]:
        engine = self._engine()
        rows = 0
        try:
            with engine.connect() as connection, ExitStack() as held:
                wanted = self._wanted(connection, state)
                names = list(
                    connection.execute(wanted.limit(0)).keys()
                )  # what is wrong with it is said before the stream begins
                self._same(before, names)
                streamed = connection.execution_options(stream_results=True, max_row_buffer=self.batch_rows)
                result = held.enter_context(closing(streamed.execute(wanted)))
                found = (row for batch in result.partitions(self.batch_rows) for row in batch)
                fresh, edge = self._fresh(found, state), _Edge(self.cursor, state)
                for number in itertools.count(first):
                    batch = list(itertools.islice(fresh, self.batch_rows))
                    if not batch:
                        break
                    rows += len(batch)
                    edge.note(batch)
                    yield RawFile(f"rows-{number:06}.parquet", to_bytes(to_table(names, batch)), 0.0)
                state |= {"columns": names, **edge.state()}
        except exc.DBAPIError as error:
            raise self._gone(error, rows) from error
        finally:
            engine.dispose()

    def _fresh(self, rows: Iterator[Any], state: Mapping[str, Any]) -> Iterator[Any]:
        """The rows that were not read before. Several may have the greatest value of last time, and some of them be new.

        One that changed there is no new one: as many unknown rows as known ones are missing are passed over.
        """
        known: Counter[str] = Counter(state.get("edge") or ())
        if not known:
            yield from rows
            return
        limit, unknown = _from_json(state["cursor"]), []
        beyond: Any = None
        for row in rows:
            if row._mapping[self.cursor] != limit:
                beyond = row
                break
            digest = _digest(row)
            if known[digest]:
                known[digest] -= 1
            else:
                unknown.append(row)
        yield from unknown[known.total() :]
        if beyond is not None:
            yield beyond
            yield from rows

    def _wanted(self, connection: sa.Connection, state: Mapping[str, Any]) -> sa.Select[Any]:
        kind = connection.dialect.name
        if kind in ("mysql", "mariadb"):
            connection.exec_driver_sql("SET SESSION TRANSACTION READ ONLY")
            connection.commit()
        elif kind in READ_ONLY:
            connection.exec_driver_sql(READ_ONLY[kind])
        parts = self.table.split(".", 1)
        inner = sa.text(self.query.strip().rstrip(";")).columns().subquery("asked") if self.query else None
        rows: Any = inner if inner is not None else sa.table(parts[-1], schema=parts[0] if len(parts) > 1 else None)
        wanted = sa.select(sa.text("*")).select_from(rows)
        if self.cursor:
            column: Any = sa.column(self.cursor)
            wanted = wanted.where(column.is_not(None)).order_by(column)
            if state.get("cursor") is not None:
                beyond = sa.bindparam("beyond", _from_json(state["cursor"]))
                wanted = wanted.where(column >= beyond if state.get("edge") else column > beyond)
        return wanted

    def _same(self, before: Mapping[str, Any] | None, names: Sequence[str]) -> None:
        known = before.get("columns") if before else None
        if known is None or self.accept_changes or list(known) == list(names):
            return
        new, gone = [n for n in names if n not in known], [n for n in known if n not in names]
        told = (
            "; ".join(f"{word}: {', '.join(them)}" for word, them in (("new", new), ("gone", gone)) if them) or "another order"
        )
        raise BadInput(
            f"The {self._what().partition(' ')[0]} has other columns than last time ({told}).",
            hint="If that is right, set accept_changes: true.",
        )

    def _gone(self, error: exc.DBAPIError, rows: int) -> NoDatabase:
        said = str(error.orig).strip().partition("\n")[0]
        secret = self._password()
        said = said.replace(secret, "***") if secret else said
        if rows or error.connection_invalidated:
            return NoDatabase(
                f"The database went away after {rows} rows ({said}). Nothing was made.", hint="Run the same command again."
            )
        return NoDatabase(
            f"The database does not answer this: {said}", hint="Check url, table, query and cursor, and the rights of its user."
        )


class _Edge:
    """The greatest value of the cursor so far, and the rows that have it: next time some more may."""

    def __init__(self, cursor: str, state: Mapping[str, Any]) -> None:
        self._cursor, self._value = cursor, state.get("cursor")
        self._digests: list[str] = list(state.get("edge") or ())
        self._rows: list[Any] = []

    def note(self, batch: Sequence[Any]) -> None:
        """Rows in order of the cursor."""
        if not self._cursor:
            return
        last = batch[-1]._mapping[self._cursor]
        if _to_json(last) != self._value:
            self._value, self._digests, self._rows = _to_json(last), [], []
        self._rows += [row for row in batch if row._mapping[self._cursor] == last]

    def state(self) -> dict[str, Any]:
        """What the next visit must know."""
        return {"cursor": self._value, "edge": [*self._digests, *map(_digest, self._rows)]}


def to_table(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> pa.Table:
    """Rows as a table in the types that the driver gave: dates, times, decimals, booleans; JSON as a JSON string."""
    columns = {}
    for i, name in enumerate(names):
        values = [_value(row[i]) for row in rows]
        try:
            columns[name] = pa.array(values)
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):  # SQLite's columns may hold anything
            columns[name] = pa.array([None if value is None else str(value) for value in values])
    return pa.table(columns)


def to_bytes(table: pa.Table) -> bytes:
    """The table as a Parquet file."""
    out = io.BytesIO()
    pq.write_table(table, out, compression="zstd")
    return out.getvalue()


def _value(value: Any) -> Any:
    if value is None or isinstance(value, SIMPLE):
        return value.replace("\x00", "") if isinstance(value, str) else value
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)


def _digest(row: Sequence[Any]) -> str:
    return digest_bytes(repr([_value(value) for value in row]).encode("utf-8", "replace"))[:32]


def _memory(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def _to_json(value: Any) -> Any:
    if isinstance(value, datetime.datetime):
        return {"time": value.isoformat()}
    if isinstance(value, datetime.date):
        return {"date": value.isoformat()}
    return {"decimal": str(value)} if isinstance(value, decimal.Decimal) else value


def _from_json(value: Any) -> Any:
    if isinstance(value, dict):
        ((kind, text),) = value.items()
        makers = {"time": datetime.datetime.fromisoformat, "date": datetime.date.fromisoformat, "decimal": decimal.Decimal}
        return makers[kind](text)
    return value
