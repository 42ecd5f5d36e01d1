"""Bytes by name, version and store; growth; when a store fills. All figures are worked out by hand."""

from __future__ import annotations

import pytest
from tests.storage.conftest import OWNER

from fourfold.storage import schema, store_rows
from fourfold.storage.blobs.local import Local
from fourfold.storage.usage import DAY, usage


def test_an_empty_home_grows_by_nothing(ledger):
    found = usage(ledger.database, ledger.blobs)
    assert (found.names, found.largest, found.bytes_per_day) == ((), (), 0.0)
    assert [(use.store.name, use.chunks, use.stored_bytes, use.full_at) for use in found.stores] == [("home", 0, 0, None)]


def test_bytes_growth_and_the_day_a_store_fills(ledger, publish, tmp_path, monkeypatch):
    monkeypatch.setattr(Local, "free_bytes", lambda self: 1000)
    now = 1_000_000_000.0
    days = {"a" * 500: 100, "b" * 100: 20, "c" * 200: 10}
    for content, age in days.items():
        version = publish("words", content)
        with ledger.write() as connection:
            mine = schema.version.c.id == version.id
            connection.execute(schema.version.update().where(mine).values(created_at=now - age * DAY))
    again = publish("tags", "c" * 200)
    with ledger.write() as connection:
        connection.execute(schema.version.update().where(schema.version.c.id == again.id).values(created_at=now - DAY))
        store_rows.insert(connection, OWNER.id, "b", "local", {"folder": str(tmp_path / "b")})
    ledger.blobs.refresh(ledger.home, ledger.database)
    found = usage(ledger.database, ledger.blobs, now=now)
    assert [(n.name, n.versions, n.size_bytes, n.stored_bytes) for n in found.names] == [
        ("words", 3, 800, 800), ("tags", 1, 200, 200),
    ]  # fmt: skip
    assert found.largest[:2] == (("words@1", "model", 500), ("words@3", "model", 200))
    assert found.bytes_per_day == pytest.approx(300 / 30)  # 100 and 200 of the last 30 days; the fourth repeats a chunk
    home, copying = found.stores
    assert (home.chunks, home.stored_bytes, home.full_at) == (3, 800, pytest.approx(now + 100 * DAY))
    assert (copying.chunks, copying.stored_bytes) == (0, 0)


def test_what_fills_in_ages_has_no_date(ledger, publish, monkeypatch):
    publish("words", "x")
    monkeypatch.setattr(ledger.blobs.opened["home"], "free_bytes", lambda: 10**15)
    (home,) = usage(ledger.database, ledger.blobs).stores
    assert (home.free_bytes, home.full_at) == (10**15, None)
    monkeypatch.setattr(ledger.blobs.opened["home"], "free_bytes", lambda: 1)
    assert usage(ledger.database, ledger.blobs).stores[0].full_at is not None
