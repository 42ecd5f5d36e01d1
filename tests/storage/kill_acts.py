"""What is killed in tests/storage/test_kills.py: acts that say what was acknowledged to them."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from fourfold.core.errors import Busy, Conflict
from fourfold.core.nouns import Actor
from fourfold.storage import states
from fourfold.storage.collect_garbage import collect_garbage
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
