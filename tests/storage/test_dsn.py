"""Database URLs: several hosts, and no password in a message."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from fourfold.core.errors import BadSpec
from fourfold.storage.dsn import driver_url, hidden, is_postgres


def test_several_hosts_are_tried_and_the_one_that_takes_writes_is_chosen():
    url = sa.make_url(driver_url("postgresql://me:p%40ss@one:5432,two,[::1]:5433/db?connect_timeout=3"))
    from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

    arguments = PGDialect_psycopg().create_connect_args(url)[1]
    assert arguments["host"] == "one,two,[::1]" or arguments["host"].split(",")[:2] == ["one", "two"]
    assert arguments["port"].split(",")[:2] == ["5432", "5432"]
    assert arguments["target_session_attrs"] == "read-write"
    assert (arguments["user"], arguments["password"], arguments["dbname"]) == ("me", "p@ss", "db")
    assert arguments["connect_timeout"] in ("3", 3)


def test_one_host_stays_as_it_is():
    assert driver_url("postgresql://me@host/db") == "postgresql+psycopg://me@host/db"
    assert driver_url("postgres://me@/db?host=/tmp/x-y") == "postgresql+psycopg://me@/db?host=/tmp/x-y"
    assert driver_url("sqlite:////tmp/x") == "sqlite:////tmp/x"
    kept = driver_url("postgresql://a,b/db?target_session_attrs=any")
    assert "any" in kept and "read-write" not in kept


def test_a_url_without_a_database_is_refused_without_its_password():
    with pytest.raises(BadSpec, match=r"postgresql://me:\*\*\*@host") as error:
        driver_url("postgresql://me:secret@host")
    assert "secret" not in str(error.value)
    assert hidden("sqlite:////x") == "sqlite:////x" and is_postgres("postgres://x/y")
