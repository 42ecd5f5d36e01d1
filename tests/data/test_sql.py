"""The source `sql` on real servers: SQLite, PostgreSQL and MariaDB."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from fourfold.core.errors import BadInput, BadSpec, NotFound
from fourfold.core.nouns import Actor
from fourfold.data.collect import collect, collect_into
from fourfold.data.connections import connections_folder, known
from fourfold.data.dataset import Dataset
from fourfold.data.sources.sql import Sql, to_table
from fourfold.storage.ledger import Ledger

ACTOR = Actor("key_1", "Tessa", "admin")
EMOJI = "龘𠮷🧧"
SCHEMA = (
    "create table tickets (id integer primary key, body text, price decimal(10,2), opened date, "
    "at timestamp null, urgent boolean)"
)
ROW = "insert into tickets values ({}, {}, 12.50, '2025-03-01', '2025-03-01 10:00:00', {})"


@pytest.fixture(params=["sqlite", "postgresql", "mysql"])
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database with three tickets."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'shop.db'}"
    else:
        url = request.getfixturevalue("postgres_url" if request.param == "postgresql" else "mysql_url")
    for i, text in enumerate(["水壶漏水", f"包裹{EMOJI}", "退款"], 1):
        run(url, *([SCHEMA] if i == 1 else []), ROW.format(i, f"'{text}'", "true" if i == 2 else "false"))
    return url


def run(url: str, *statements: str) -> None:
    url = url.replace("postgresql://", "postgresql+psycopg://").replace("mysql://", "mysql+pymysql://")
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    engine.dispose()


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    found = Ledger.open(tmp_path / "home")
    yield found
    found.close()


def rows(folder: Path) -> list[dict[str, Any]]:
    return Dataset(folder).table().to_pylist()


def test_a_table_with_its_types(shop: str, tmp_path: Path) -> None:
    meta = collect_into(tmp_path, Sql(shop, "tickets", batch_rows=2))
    found = rows(tmp_path)
    assert [row["text"] for row in found] == ["水壶漏水", f"包裹{EMOJI}", "退款"]
    assert (found[0]["id"], found[0]["opened"], found[0]["source"]) == (1, "2025-03-01", "rows-000001.parquet#1")
    assert [bool(row["urgent"]) for row in found] == [False, True, False]
    assert meta["files"] == 2  # streamed in batches
    kept = pq.read_schema(tmp_path / "raw" / "rows-000001.parquet")
    if not shop.startswith("sqlite"):  # which has neither dates nor decimals of its own
        assert str(kept.field("opened").type) == "date32[day]"
        assert str(kept.field("price").type).startswith("decimal128")
        assert str(kept.field("at").type).startswith("timestamp")
        assert found[0]["price"] == "12.50"


def test_new_rows_only_and_those_of_before(shop: str, ledger: Ledger) -> None:
    spec = {"sql": {"url": shop, "query": "select id, body from tickets where id < 100;", "cursor": "id"}}
    first = collect(ledger, ACTOR, "tickets", spec)
    run(shop, ROW.format(4, "'新的'", "true"), "update tickets set body = 'changed' where id = 1")
    second = collect(ledger, ACTOR, "tickets", spec)
    old, new = rows(ledger.materialise(first)), rows(ledger.materialise(second))
    assert [row["text"] for row in new] == ["水壶漏水", f"包裹{EMOJI}", "退款", "新的"]  # row 1 was not asked for again
    assert [row["doc_id"] for row in new[:3]] == [row["doc_id"] for row in old]
    assert new[0]["fetched_at"] < new[3]["fetched_at"]
    assert collect(ledger, ACTOR, "tickets", spec).meta["rows"] == 4  # nothing new is no error


def test_a_time_as_cursor(shop: str, ledger: Ledger) -> None:
    spec = {"sql": {"url": shop, "table": "tickets", "cursor": "at", "text": "body"}}
    assert collect(ledger, ACTOR, "tickets", spec).meta["rows"] == 3
    run(shop, ROW.format(4, "'新的'", "true").replace("10:00", "11:00"))
    assert collect(ledger, ACTOR, "tickets", spec).meta["rows"] == 4


def test_rows_of_the_same_second_that_came_later(shop: str, ledger: Ledger) -> None:
    spec = {"sql": {"url": shop, "table": "tickets", "cursor": "at", "text": "body", "batch_rows": 2}}
    assert collect(ledger, ACTOR, "tickets", spec).meta["rows"] == 3  # all of them of one second
    run(shop, ROW.format(4, "'同一秒'", "true"), ROW.format(5, "'下一秒'", "true").replace("00:00", "00:01"))
    second = collect(ledger, ACTOR, "tickets", spec)
    assert [row["text"] for row in rows(ledger.materialise(second))] == ["水壶漏水", f"包裹{EMOJI}", "退款", "同一秒", "下一秒"]
    run(shop, "update tickets set body = 'changed' where id = 5")  # a row that changed is no new one
    assert collect(ledger, ACTOR, "tickets", spec).meta["rows"] == 5
    run(shop, ROW.format(6, "'又一秒'", "true").replace("00:00", "00:01"))
    third = collect(ledger, ACTOR, "tickets", spec)
    assert [row["id"] for row in rows(ledger.materialise(third))] == [1, 2, 3, 4, 5, 6]


def test_columns_that_changed_are_told(shop: str, ledger: Ledger) -> None:
    spec = {"sql": {"url": shop, "table": "tickets", "cursor": "id"}}
    collect(ledger, ACTOR, "tickets", spec)
    run(shop, "alter table tickets add column mood text")
    with pytest.raises(BadInput, match="new: mood"):
        collect(ledger, ACTOR, "tickets", spec)
    spec["sql"]["accept_changes"] = True  # type: ignore[assignment]
    assert collect(ledger, ACTOR, "tickets", spec).meta["rows"] == 3
    assert len(ledger.versions(name="tickets", kind="dataset")) == 2


def test_nothing_is_written(shop: str, tmp_path: Path) -> None:
    writing = (
        "with gone as (delete from tickets returning id) select id from gone" if "postgres" in shop else "delete from tickets"
    )
    for query in (writing, "select 1 as id; delete from tickets", "drop table tickets"):
        with pytest.raises(BadInput):
            list(Sql(shop, query=query)())
    assert collect_into(tmp_path, Sql(shop, "tickets"))["rows"] == 3


def test_a_connection_is_known(shop: str, ledger: Ledger) -> None:
    folder = connections_folder(ledger.home)
    collect(ledger, ACTOR, "tickets", {"sql": {"url": shop, "table": "tickets"}})
    assert [(one.source, one.state) for one in known(folder)] == [("sql", "ok")]
    run(shop, "drop table tickets")
    with pytest.raises(BadInput, match="does not answer"):
        collect(ledger, ACTOR, "tickets", {"sql": {"url": shop, "table": "tickets"}})
    (one,) = known(folder)
    assert one.state == "blocked" and "does not answer" in one.detail


def test_a_database_that_goes_away(postgres_url: str, ledger: Ledger) -> None:
    run(
        postgres_url,
        "create table tickets (id int, body text)",
        "insert into tickets select n, repeat('x', 2000) from generate_series(1, 20000) n",
    )
    source = Sql(postgres_url, "tickets", batch_rows=100)
    found = source()
    next(found)
    name = sa.make_url(postgres_url).database
    run(
        postgres_url,
        f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}' and pid <> pg_backend_pid()",
    )
    with pytest.raises(BadInput, match=r"went away after \d+ rows"):
        list(found)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"table": "nothing"}, "does not answer"),
        ({"query": "select nonsense from"}, "does not answer"),
        ({"table": "tickets", "cursor": "nothing"}, "does not answer|has no column"),
    ],
)
def test_what_cannot_be_asked(shop: str, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        list(Sql(shop, **settings)())


def test_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for url, settings in [
        ("postgresql://a:secret@h/d", {"table": "t"}),
        ("no url", {"table": "t"}),
        ("sqlite:///x", {}),
        ("sqlite:///x", {"table": "t", "query": "q"}),
        ("sqlite:///x", {"table": "t", "batch_rows": 0}),
    ]:
        with pytest.raises(BadSpec) as caught:
            Sql(url, **settings)  # type: ignore[arg-type]
        assert "secret" not in str(caught.value)
    with pytest.raises(BadInput, match="no file"):
        list(Sql(f"sqlite:///{tmp_path}/none.db", "t")())
    assert not (tmp_path / "none.db").exists()
    with pytest.raises(NotFound, match="NO_SUCH"):
        list(Sql("postgresql://a@localhost:1/d", "t", password_env="NO_SUCH")())
    (tmp_path / "password").write_text("hush-hush\n")
    monkeypatch.setenv("SHOP_PASSWORD", "hush-hush")
    for settings in ({"password_env": "SHOP_PASSWORD"}, {"password_file": str(tmp_path / "password")}):
        with pytest.raises(BadInput, match="does not answer") as failed:
            list(Sql("postgresql://a@127.0.0.1:1/d", "t", **settings)())
        assert "hush-hush" not in str(failed.value)


def test_values_of_any_kind() -> None:
    table = to_table(["a", "b", "c"], [(1, {"k": ["值"]}, b"\x00"), ("two", None, b"\xff")])
    assert table.to_pylist() == [
        {"a": "1", "b": json.dumps({"k": ["值"]}, ensure_ascii=False), "c": b"\x00"},
        {"a": "two", "b": None, "c": b"\xff"},
    ]
