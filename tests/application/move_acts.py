"""What is killed in tests/application/test_moving.py: a ledger that is moved to and fro, and who publishes meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psycopg

from fourfold.application.moving import move_ledger
from fourfold.core.config import read_settings
from fourfold.core.errors import Conflict
from fourfold.core.nouns import Actor
from fourfold.core.progress import silent
from fourfold.storage.ledger import Ledger

OWNER = Actor("key_owner", "owner", "admin")
Say = Callable[[str], None]


def publish(say: Say, ready: Callable[[], object], home: str, name: str) -> None:
    """Open the home wherever its ledger is, publish two versions, close it."""
    ready()
    while True:
        ledger = Ledger.open(Path(home))
        for _ in range(2):
            with ledger.run("train", kind="model", name=name, spec={}, actor=OWNER) as run:
                (run.folder / "a.txt").write_text(run.id)
            say(f"published {run.version.ref} {run.version.digest}")
        ledger.close()


def move(say: Say, ready: Callable[[], object], home: str, server: str, database: str) -> None:
    """Move the ledger to a PostgreSQL database and back, without end."""
    target = server.replace("/postgres?", f"/{database}?")
    ready()
    while True:
        to = "sqlite" if read_settings(Path(home)).database else target
        make(server, database)  # whoever was killed may have dropped it
        try:
            move_ledger(Path(home), to, silent)
            say(f"moved to {to.partition(':')[0]}")
        except Conflict as error:  # rows that a killed move left, since when somebody published; or somebody would not end
            say(f"refused {error}")
        if not read_settings(Path(home)).database:
            empty(server, database)


def empty(server: str, database: str) -> None:
    """Make the database anew, as the hint says that a person should."""
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"drop database if exists {database} with (force)")  # type: ignore[arg-type]
    make(server, database)


def make(server: str, database: str) -> None:
    """Make the database unless it is there."""
    there = suppress(psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation)
    with psycopg.connect(server, autocommit=True) as connection, there:
        connection.execute(f"create database {database}")  # type: ignore[arg-type]
