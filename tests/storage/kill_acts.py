"""What is killed in tests/storage/test_kills.py: acts that say what was acknowledged to them."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psycopg

from fourfold.core.errors import Busy, Conflict
from fourfold.core.nouns import Actor
from fourfold.storage import states
from fourfold.storage.collect_garbage import collect_garbage
from fourfold.storage.database import HEAD
from fourfold.storage.ledger import Ledger

OWNER = Actor("key_owner", "owner", "admin")
Say = Callable[[str], None]


def publish(say: Say, ready: Callable[[], object], home: str, url: str, name: str) -> None:
    """Publish small versions, some of content that others publish too, some of content that was given up."""
    ledger = Ledger.open(Path(home), url=url)
    chance = random.Random()
    ready()
    while True:
        with suppress(Busy):  # collected from under it, time and again: refused, and not acknowledged
            with ledger.run("train", kind="model", name=name, spec={}, actor=OWNER) as run:
                (run.folder / "own.txt").write_text(f"{chance.random()}" * 50)
                (run.folder / "shared.txt").write_text(f"shared {chance.randrange(5)}" * 50)
            say(f"published {run.version.ref} {run.version.digest}")


def collect(say: Say, ready: Callable[[], object], home: str, url: str) -> None:
    """Collect garbage without grace, again and again, and give up versions in between."""
    ledger = Ledger.open(Path(home), url=url)
    chance = random.Random()
    ready()
    while True:
        collect_garbage(ledger, actor=OWNER, grace_seconds=0)
        found = [version for version in ledger.versions(limit=50) if version.name == "scrap"]
        if found:
            version = chance.choice(found)
            with suppress(Conflict), ledger.write() as connection:
                states.remove(connection, version, "owner", "old")
        with ledger.run("train", kind="model", name="scrap", spec={}, actor=OWNER) as run:
            (run.folder / "shared.txt").write_text(f"shared {chance.randrange(5)}" * 50)
        say("collected")


def upgrade(say: Say, ready: Callable[[], object], folder: str, server: str) -> None:
    """Open homes of the first schema, one after the other, each of which another does at the same time."""
    while True:
        number = len(list(Path(folder).glob("done-*")))
        home, url = old_home(Path(folder), server, number)
        ready()
        ledger = Ledger.open(home, url=url)
        assert ledger.database.facts()["schema"] == HEAD
        assert [version.ref for version in ledger.versions()] == ["words-report@1", "words@2", "words@1"]
        assert (ledger.materialise(ledger.version("words@1")) / "a.txt").read_text() == "hello"
        ledger.close()
        (Path(folder) / f"done-{number}").touch()
        say("migrated")


def old_home(folder: Path, server: str, number: int) -> tuple[Path, str]:
    """A copy of the home `template` as an old program left it, and the URL of its ledger; on a server a database of its own."""
    home = folder / f"home-{number}"
    if not home.exists():
        made = folder / f"made-{os.urandom(4).hex()}"  # a copy that is not wanted, or was cut short, stays where it is
        shutil.copytree(folder / "template", made)
        with suppress(OSError):  # another was first
            made.rename(home)
    if not server:
        return home, f"sqlite:///{home / 'ledger.sqlite'}"
    made_already = suppress(psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation)
    with psycopg.connect(server, autocommit=True) as connection, made_already:
        connection.execute(f"create database {folder.name}_{number} template {folder.name}_template")  # type: ignore[arg-type]
    return home, server.replace("/postgres?", f"/{folder.name}_{number}?")
