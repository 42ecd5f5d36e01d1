"""A ledger that is moved between SQLite and PostgreSQL, by a person who may be interrupted while others publish."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import psycopg
import pytest
from tests.application.move_acts import OWNER
from tests.faults.killer import Killing, kill_side_by_side

from fourfold.application import moving
from fourfold.application.moving import move_ledger
from fourfold.core.config import read_settings
from fourfold.core.errors import BadSpec, Busy, Conflict
from fourfold.core.nouns import Version
from fourfold.core.progress import silent
from fourfold.storage import in_use
from fourfold.storage.fsck import fsck
from fourfold.storage.in_use import InUse
from fourfold.storage.ledger import Ledger

ACTS = "tests.application.move_acts"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with words@1, in SQLite."""
    made = tmp_path / "home"
    publish(made)
    return made


def publish(home: Path) -> Version:
    ledger = Ledger.open(home)
    with ledger.run("train", kind="model", name="words", spec={}, actor=OWNER) as run:
        (run.folder / "a.txt").write_text(run.id)
    ledger.close()
    return run.version


def refs(home: Path) -> list[str]:
    ledger = Ledger.open(home)
    found = [version.ref for version in ledger.versions()]
    assert fsck(ledger) == []
    ledger.close()
    return found


def test_a_ledger_goes_to_postgresql_and_comes_back(home, postgres_url):
    moved = move_ledger(home, postgres_url, silent)
    assert {table.table: table.rows for table in moved.tables}["version"] == 1
    assert read_settings(home).database == postgres_url
    assert not (home / "ledger.sqlite").exists()
    assert Path(moved.kept).is_file()
    assert publish(home).ref == "words@2"
    with pytest.raises(Conflict, match="already"):
        move_ledger(home, postgres_url, silent)
    back = move_ledger(home, "sqlite", silent)
    assert {table.table: table.rows for table in back.tables}["version"] == 2
    assert read_settings(home).database == ""
    assert publish(home).ref == "words@3"
    assert refs(home) == ["words@3", "words@2", "words@1"]
    with pytest.raises(Conflict, match="not empty"):  # words@3 is not there
        move_ledger(home, postgres_url, silent)
    with pytest.raises(BadSpec, match="names no ledger"):
        move_ledger(home, "mysql://elsewhere", silent)


def test_nobody_who_has_the_home_open_is_left_behind(home, postgres_url, monkeypatch):
    monkeypatch.setattr(in_use, "PATIENCE_SECONDS", 0.2)
    ledger = Ledger.open(home)
    with pytest.raises(Conflict, match="Other processes have the home"):
        move_ledger(home, postgres_url, silent)
    ledger.close()
    move_ledger(home, postgres_url, silent)
    assert refs(home) == ["words@1"]


def test_who_opens_the_home_meanwhile_waits_and_finds_the_new_database(home, postgres_url, monkeypatch):
    monkeypatch.setattr(in_use, "WAIT_SECONDS", 0.1)
    with pytest.raises(Busy, match="is being moved"):
        alone = InUse(home, alone=True)
        try:
            Ledger.open(home)
        finally:
            alone.close()
    monkeypatch.undo()
    copied, opening = threading.Event(), threading.Event()
    remember = moving._remember

    def slowly(*arguments):
        copied.set()
        opening.wait(60)
        remember(*arguments)

    monkeypatch.setattr(moving, "_remember", slowly)
    mover = threading.Thread(target=move_ledger, args=(home, postgres_url, silent))
    mover.start()
    assert copied.wait(60)
    opened = threading.Thread(target=lambda: publish(home))
    opened.start()
    opening.set()
    mover.join()
    opened.join()
    assert read_settings(home).database == postgres_url
    assert refs(home) == ["words@2", "words@1"]


class Stopped(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("where", ["copy_ledger", "_remember", "_set_aside"])
def test_a_move_that_is_interrupted_can_be_run_again(where, home, postgres_url, monkeypatch):
    def stop(*_):
        raise Stopped

    for to, database in ((postgres_url, postgres_url), ("sqlite", "")):
        with monkeypatch.context() as patch:
            patch.setattr(moving, where, stop)
            if to != "sqlite" or where != "_set_aside":  # nothing is set aside on the way back
                with pytest.raises(Stopped):
                    move_ledger(home, to, silent)
        assert refs(home) == ["words@1"]
        if read_settings(home).database != database:
            move_ledger(home, to, silent)
        assert read_settings(home).database == database
        assert refs(home) == ["words@1"]


def kill(home: Path, server: str, kills: int, longest_seconds: float) -> dict[str, int]:
    """Kill one who moves the ledger to and fro, and two who publish; figures."""
    database = f"moved_{os.urandom(4).hex()}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"create database {database}")  # type: ignore[arg-type]
    each = -(-kills // 3)
    said = kill_side_by_side(
        Killing(f"{ACTS}:move", each, 1, longest_seconds, (str(home), server, database)),
        Killing(f"{ACTS}:publish", each, 2, longest_seconds, (str(home), "first")),
        Killing(f"{ACTS}:publish", each, 3, longest_seconds, (str(home), "second")),
    )
    acknowledged = [line.split()[1:] for line in said if line.startswith("published ")]
    ledger = Ledger.open(home)
    ledger.sweep()
    known = {version.ref: version.digest for version in ledger.versions(limit=1_000_000)}
    lost = [ref for ref, digest in acknowledged if known.get(ref) != digest]
    findings = fsck(ledger)
    ledger.close()
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"drop database {database} with (force)")  # type: ignore[arg-type]
    return {
        "killed": sum(int(line.split()[1]) for line in said if line.startswith("killed ")),
        "acknowledged": len(acknowledged),
        "moved": sum(line.startswith("moved ") for line in said),
        "refused": sum(line.startswith("refused ") for line in said),
        "lost": len(lost),
        "findings": len(findings),
    }


@pytest.fixture
def server(postgres_socket: Path) -> str:
    """A server, by its database `postgres`."""
    return f"postgresql://fourfold@/postgres?host={postgres_socket}"


def test_kills_of_a_move_lose_nothing(home, server):
    figures = kill(home, server, 15, 3.0)
    assert (figures["killed"], figures["lost"], figures["findings"]) == (15, 0, 0), figures


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_many_kills_of_a_move_lose_nothing(home, server):
    figures = kill(home, server, 300, 4.0)
    print(figures)
    assert figures["killed"] >= 300
    assert (figures["lost"], figures["findings"]) == (0, 0)
    assert figures["acknowledged"] > 0
    assert figures["moved"] > 0
