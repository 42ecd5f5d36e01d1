"""`fourfold sources`: the states of accounts by act, SDK and command, the doctor's word, and the served home's alarm."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from pathlib import Path

import pytest
from tests.application.test_cli import ask_json, call

from fourfold.application import doctor
from fourfold.application.serving.watch import Watch
from fourfold.client import Client
from fourfold.core.config import Settings
from fourfold.core.errors import SourceBlocked
from fourfold.data.connections import DAY, Connection, alarm, as_of, connections_folder, known, note, refused
from fourfold.storage.ledger import Ledger

NOW = 1_750_000_000.0


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home whose sources are in every state."""
    home = tmp_path / "home"
    Ledger.open(home).close()
    now, folder = time.time(), connections_folder(home)
    note(folder, Connection("feed", "https://a.example/feed", "ok", now, now))
    note(folder, Connection("weibo", "TOKEN", "ok", now, now, now + 2 * DAY, 3 * DAY, next="Authorise anew."))
    note(folder, Connection("weibo", "OLD", "ok", now - 9 * DAY, now - 9 * DAY, now - DAY, 3 * DAY))
    note(folder, Connection("wechat", "wx1", "blocked", now, now, code="48001", detail="api unauthorized", next="Ask for it."))
    return home


def test_every_door_shows_them(home: Path) -> None:
    expected = [("feed", "ok"), ("wechat", "blocked"), ("weibo", "expired"), ("weibo", "expiring")]
    with Client(home=home) as client:
        assert [(one.source, one.state) for one in client.sources().data] == expected
    assert [(one["source"], one["state"]) for one in ask_json("sources", home=home, code=1)["data"]] == expected
    code, out, _ = call("sources", home=home)
    assert code == 1
    for word in ("https://a.example/feed", "48001 api unauthorized", "Ask for it.", "expiring", "expired", "Authorise anew."):
        assert word in out


def test_nothing_to_show(tmp_path: Path) -> None:
    assert ask_json("sources", home=tmp_path / "home") == {"data": []}


def test_the_doctor_warns(home: Path) -> None:
    ledger = Ledger.open(home)
    try:
        checks = [check for check in doctor.examine(ledger, Settings()).checks if check.name == "source"]
    finally:
        ledger.close()
    assert [check.state for check in checks] == ["warning"] * 3
    assert checks[0].detail == "wechat (wx1) is blocked: 48001 api unauthorized" and checks[0].next == "Ask for it."


def test_a_served_home_says_it_before_it_happens(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.clear()
    watch = object.__new__(Watch)
    watch.home = home

    async def some_time() -> None:
        task = asyncio.create_task(watch._alarm())
        while not any("TOKEN" in message for message in caplog.messages):
            await asyncio.sleep(0.01)
        task.cancel()

    asyncio.run(asyncio.wait_for(some_time(), 60))
    levels = {record.getMessage().split(" ")[2]: record.levelno for record in caplog.records}
    assert levels == {"(wx1)": logging.ERROR, "(OLD)": logging.ERROR, "(TOKEN)": logging.WARNING}


def test_an_alarm_is_given_once_for_each_state(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    told: dict = {}
    note(tmp_path, Connection("weibo", "T", "ok", NOW, NOW, NOW + 10 * DAY, 3 * DAY, next="Authorise anew."))
    for day, messages in ((0, 0), (5, 0), (8, 1), (9, 1), (11, 2), (12, 2)):
        alarm(tmp_path, told, NOW + day * DAY)
        assert len(caplog.messages) == messages, day
    assert "expires 2025-06-25" in caplog.messages[0] and "is expired" in caplog.messages[1]


def test_states_by_time_and_their_beginning(tmp_path: Path) -> None:
    one = Connection("weibo", "T", "ok", NOW, NOW, NOW + 10 * DAY, 3 * DAY)
    assert [as_of(one, NOW + days * DAY).state for days in (0, 6.9, 7, 9.9, 10)] == [
        "ok",
        "ok",
        "expiring",
        "expiring",
        "expired",
    ]
    note(tmp_path, one)
    note(tmp_path, Connection("weibo", "T", "ok", NOW + DAY, NOW + DAY))
    assert known(tmp_path, NOW)[0].since == NOW  # it was ok all the time
    blocked = note(tmp_path, Connection("weibo", "T", "blocked", NOW + 2 * DAY, NOW + 2 * DAY, code="10023", next="Wait."))
    assert known(tmp_path, NOW)[0].since == NOW + 2 * DAY
    error = refused(blocked, "It cannot be asked.")
    assert isinstance(error, SourceBlocked) and str(error) == "It cannot be asked. Wait."


def test_what_cannot_be_read_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "feed-1.json").write_text("{oops")
    (tmp_path / "feed-2.json").write_text(
        json.dumps({"source": "feed", "account": "b", "state": "ok", "checked_at": 1, "since": 1})
    )
    assert [one.account for one in known(tmp_path)] == ["b"]
