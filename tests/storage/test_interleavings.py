"""Random interleavings of publish, revive, remove, garbage collection, crashes and listing errors, one seed per run.

The same machine must find mistakes that are planted: that is what shows that it looks where data gets lost. The long form does
10,000 interleavings, the short one 25. Homes are in memory where that is possible: no crash here is a power cut.
"""

from __future__ import annotations

import random
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from fourfold.core.errors import FourfoldError
from fourfold.core.fingerprint import digest_bytes
from fourfold.core.nouns import Actor
from fourfold.storage import collect_garbage, guard, schema, states
from fourfold.storage.fsck import fsck
from fourfold.storage.ledger import Ledger

OWNER = Actor("key_owner", "owner", "admin")
TEXTS = ["a", "b"]
HOUR = 3600.0


class Crash(BaseException):
    """A process ends here and says nothing."""


class World:
    """A home whose publishers and garbage collections are interrupted at every put, transaction and deletion by each other."""

    def __init__(self, ledger: Ledger, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ledger = ledger
        self.random = random.Random(seed)
        self.now = 1e12  # leases, whose end is a real time, end when `wait` says so
        self.depth = 0
        self.calm = False
        blobs = type(ledger.blobs)
        self.blobs = blobs
        for owner, name in ((blobs, "put_file"), (blobs, "remove"), (Ledger, "_finish")):
            monkeypatch.setattr(owner, name, self.interrupted(getattr(owner, name)))
        monkeypatch.setattr(blobs, "digests", self.listing(blobs.digests))
        monkeypatch.setattr(guard, "WAIT_SECONDS", 0.0)
        monkeypatch.setattr(collect_garbage.guard, "living", self.living)
        self.alive: list[str] = []

    def interrupted(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            self.meanwhile()
            if not self.calm and self.random.random() < 0.03:
                raise Crash
            return real(*arguments, **named)

        return call

    def listing(self, real: Callable[..., Iterator[tuple[str, int]]]) -> Callable[..., Iterator[tuple[str, int]]]:
        def call(blobs: Any) -> Iterator[tuple[str, int]]:
            found = list(real(blobs))
            if not self.calm:
                if self.random.random() < 0.1:
                    raise OSError(5, "Input/output error")
                if self.random.random() < 0.2:  # stale or short
                    found = self.random.sample(found, self.random.randrange(len(found) + 1))
            self.meanwhile()
            yield from found

        return call

    def living(self, connection: sa.Connection, now: float) -> list[Any]:
        """Leases of publishes that are still on their way; those that crashed have ended."""
        rows = connection.execute(sa.select(schema.lease)).all()
        dead = [row.id for row in rows if row.holder not in self.alive]
        connection.execute(schema.lease.delete().where(schema.lease.c.id.in_(dead)))
        return [row for row in rows if row.holder in self.alive]

    def meanwhile(self) -> None:
        if self.calm or self.depth >= 3 or self.random.random() < 0.4:
            return
        self.depth += 1
        try:
            for _ in range(self.random.randrange(1, 3)):
                self.act()
        finally:
            self.depth -= 1

    def act(self) -> None:
        acts = (self.publish, self.publish, self.collect, self.collect, self.stray, self.give_up, self.wait)
        self.random.choice(acts)()

    def publish(self) -> None:
        run_id = ""
        with (
            suppress(Crash, FourfoldError),
            self.ledger.run("train", kind="model", name="w", spec={}, actor=OWNER) as run,
        ):
            run_id = run.id
            self.alive.append(run_id)
            (run.folder / "f").write_text(self.random.choice(TEXTS))
        if run_id:
            self.alive.remove(run_id)

    def collect(self) -> None:
        with suppress(Crash, OSError):
            collect_garbage._collect(self.ledger, OWNER, HOUR, False, self.now, lambda *_: None)

    def stray(self) -> None:
        data = self.random.choice(TEXTS).encode()
        self.ledger.blobs.put(digest_bytes(data), data)

    def give_up(self) -> None:
        found = self.ledger.versions(limit=20)
        if found:
            with self.ledger.write() as connection:
                states.remove(connection, self.random.choice(found), "owner", "old")

    def wait(self) -> None:
        self.now += self.random.choice([HOUR / 2, HOUR * 2])

    def wanted(self) -> set[str]:
        with self.ledger.database.read() as connection:
            return states.chunks_of(connection, list(connection.execute(states.keepers()).scalars()))

    def check(self) -> None:
        lost = [chunk for chunk in self.wanted() if not self.ledger.blobs.has(chunk)]
        assert not lost, "referenced blobs were deleted"

    def play(self, steps: int) -> None:
        """Random acts; after each, nothing that is referenced is missing. In the end nothing else is left."""
        for _ in range(steps):
            self.act()
            self.check()
        self.calm = True
        for _ in range(3):
            self.now += 2 * HOUR
            self.collect()
        self.check()
        assert {digest for digest, _ in self.ledger.blobs.digests()} == self.wanted(), "garbage is left"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Where homes are made: in memory, where that is possible."""
    if not Path("/dev/shm").is_dir():
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        yield Path(name)


def play(folder: Path, seed: int, steps: int, plant: Callable[[pytest.MonkeyPatch], None] | None = None) -> None:
    """One interleaving in a home of its own, which is whole afterwards."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        ledger = Ledger.open(folder / str(seed))
        try:
            world = World(ledger, seed, monkeypatch)
            if plant is not None:
                plant(monkeypatch)
            world.play(steps)
            assert fsck(ledger) == []
        finally:
            ledger.close()
            shutil.rmtree(folder / str(seed))


def test_some_interleavings_lose_nothing_and_leave_nothing(folder):
    for seed in range(25):
        play(folder, seed, 6)


@pytest.mark.soak
@pytest.mark.timeout(14_400)
def test_ten_thousand_interleavings_lose_nothing_and_leave_nothing(folder):
    for seed in range(10_000):
        play(folder, seed, 6)


# ---- planted mistakes ------------------------------------------------------------------------------------------------------


def leases_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collect_garbage.guard, "living", lambda connection, now: [])


def deleted_in_one_phase(monkeypatch: pytest.MonkeyPatch) -> None:
    def doom(ledger: Ledger, some: list[str], *_: Any) -> list[str]:
        for chunk in some:
            ledger.blobs.remove(chunk)  # no second look, no mark
        return some

    monkeypatch.setattr(collect_garbage, "_doom", doom)


def marked_from_a_listing(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept is what the listing of a moment ago said, not what SQL says now."""
    real = states.live_chunks
    remembered: dict[str, bool] = {}

    def live(connection: sa.Connection, chunks: list[str], **_: Any) -> set[str]:
        for chunk in chunks:
            remembered.setdefault(chunk, chunk in real(connection, [chunk]))
        return {chunk for chunk in chunks if remembered[chunk]}

    monkeypatch.setattr(states, "live_chunks", live)


def revived_without_storing_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def check(self: guard.Guard, connection: sa.Connection) -> None:
        chunks = guard.chunks_of(self.manifest)
        connection.execute(schema.condemned.delete().where(schema.condemned.c.chunk.in_(chunks)))

    monkeypatch.setattr(guard.Guard, "__call__", check)


def never_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collect_garbage, "_doom", lambda *_: [])


MISTAKES = (leases_are_ignored, deleted_in_one_phase, marked_from_a_listing, revived_without_storing_again, never_deleted)


@pytest.mark.parametrize("plant", MISTAKES)
def test_a_planted_mistake_is_found(folder, plant):
    with pytest.raises(AssertionError, match=r"referenced blobs were deleted|garbage is left"):
        for seed in range(200):
            play(folder, seed, 6, plant)
