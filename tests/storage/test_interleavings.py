"""Random interleavings of publish, revive, remove, garbage collection, crashes and listing errors.

Hypothesis chooses the acts, where each is interrupted by others, and where it crashes; what fails is shrunk. It, and the same
world driven by seeds, must find mistakes that are planted: that shows that they look where data gets lost. The long form
does 10,000 interleavings. Homes are in memory where that is possible: no crash here is a power cut.
"""

from __future__ import annotations

import random
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from fourfold.core.errors import FourfoldError
from fourfold.core.fingerprint import digest_bytes
from fourfold.core.nouns import Actor
from fourfold.storage import collect_garbage, guard, runs, schema, states
from fourfold.storage.fsck import fsck
from fourfold.storage.ledger import Ledger

OWNER = Actor("key_owner", "owner", "admin")
TEXTS = ["a", "b"]
HOUR = 3600.0


class Crash(BaseException):
    """A process ends here and says nothing."""


class World:
    """A home whose publishers and garbage collections are interrupted at every put, transaction and deletion by each other."""

    def __init__(self, ledger: Ledger, chance: random.Random, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ledger = ledger
        self.random = chance
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
        self.processes: list[str] = []  # those that are under way: who interrupts another is a process of its own
        self.begun = 0
        monkeypatch.setattr(runs, "this_process", lambda: self.processes[-1] if self.processes else "machine:0:0")
        monkeypatch.setattr(runs, "is_alive", lambda process: process in self.processes)

    @contextmanager
    def process(self) -> Iterator[None]:
        """A process, which is dead when the block ends, however it ends."""
        self.begun += 1
        self.processes.append(f"machine:{self.begun}:0")
        try:
            yield
        finally:
            self.processes.pop()

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
            self.process(),
            self.ledger.run("train", kind="model", name="w", spec={}, actor=OWNER) as run,
        ):
            run_id = run.id
            self.alive.append(run_id)
            (run.folder / "f").write_text(self.random.choice(TEXTS))
        if run_id:
            self.alive.remove(run_id)

    def collect(self) -> None:
        with suppress(Crash, OSError), self.process():
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
        """Random acts; after each, nothing that is referenced is missing."""
        for _ in range(steps):
            self.act()
            self.check()
        self.end()

    def end(self) -> None:
        """Nothing but what is referenced is left, once everybody has ended."""
        self.calm = True
        for _ in range(3):
            self.now += 2 * HOUR
            self.collect()
        self.check()
        assert {digest for digest, _ in self.ledger.blobs.digests()} == self.wanted(), "garbage is left"


class Interleaving(RuleBasedStateMachine):
    """One home, whose acts hypothesis chooses: each may be interrupted by others at every put, transaction and deletion."""

    ledger: ClassVar[Ledger]  # one for all: to open it takes longer than all else
    plant: ClassVar[Callable[[pytest.MonkeyPatch], None] | None] = None
    ended: ClassVar[int] = 0  # interleavings that came to their end
    acts: ClassVar[int] = 0  # and the acts in them, without those that interrupted

    @initialize(chance=st.randoms(use_true_random=False))
    def begin(self, chance: random.Random) -> None:
        self.patch = pytest.MonkeyPatch()
        empty(self.ledger)
        self.world = World(self.ledger, chance, self.patch)
        if type(self).plant is not None:
            type(self).plant(self.patch)
        self.done = 0
        self.broken = False

    def do(self, act: Callable[[], object]) -> None:
        self.broken = True
        act()
        self.world.check()
        self.broken = False
        self.done += 1

    @rule()
    def publish(self) -> None:
        self.do(self.world.publish)

    @rule()
    def publish_another(self) -> None:
        """As often again as other acts."""
        self.do(self.world.publish)

    @rule()
    def collect(self) -> None:
        self.do(self.world.collect)

    @rule()
    def collect_again(self) -> None:
        self.do(self.world.collect)

    @rule()
    def stray(self) -> None:
        self.do(self.world.stray)

    @rule()
    def give_up(self) -> None:
        self.do(self.world.give_up)

    @rule()
    def wait(self) -> None:
        self.do(self.world.wait)

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        try:
            if not self.broken:  # else hypothesis has its error already
                self.world.end()
                assert Interleaving.ended % 10 or fsck(self.ledger) == []  # it takes as long as all else
                Interleaving.ended += 1
                Interleaving.acts += self.done
        finally:
            self.patch.undo()


def empty(ledger: Ledger) -> None:
    """Make the home one in which nothing has happened yet."""
    with ledger.write() as connection:
        for table in reversed(schema.metadata.sorted_tables):
            if table is not schema.counter:
                connection.execute(table.delete())
    for name in ("blobs", "work", "cache"):
        shutil.rmtree(ledger.home / name, ignore_errors=True)
        (ledger.home / name).mkdir()


def interleave(
    folder: Path, examples: int, plant: Callable[[pytest.MonkeyPatch], None] | None = None, part: int = 0
) -> tuple[int, int]:
    """Interleavings that hypothesis made, always the same of a part, and the acts in them."""
    ledger = Ledger.open(folder / "home")
    machine = type(
        f"Interleaving{part}", (Interleaving,), {"ledger": ledger, "plant": None if plant is None else staticmethod(plant)}
    )
    before = Interleaving.ended, Interleaving.acts
    phases = [Phase.generate, Phase.shrink] if plant is None else [Phase.generate]
    chosen = settings(
        max_examples=examples, stateful_step_count=8, derandomize=True, database=None, deadline=None, phases=phases,
        suppress_health_check=list(HealthCheck), report_multiple_bugs=False,
    )  # fmt: skip
    with closing(ledger):
        run_state_machine_as_test(machine, settings=chosen)
    return Interleaving.ended - before[0], Interleaving.acts - before[1]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Where homes are made: in memory, where that is possible."""
    if not Path("/dev/shm").is_dir():
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        yield Path(name)


def play(folder: Path, seeds: range, steps: int, plant: Callable[[pytest.MonkeyPatch], None] | None = None) -> int:
    """An interleaving per seed in a home that is empty before and whole afterwards; how many."""
    ended = 0
    with closing(Ledger.open(folder / "home")) as ledger:
        for seed in seeds:
            with pytest.MonkeyPatch.context() as monkeypatch:
                empty(ledger)
                world = World(ledger, random.Random(seed), monkeypatch)
                if plant is not None:
                    plant(monkeypatch)
                world.play(steps)
                assert plant or fsck(ledger) == []
            ended += 1
    return ended


def test_some_interleavings_lose_nothing_and_leave_nothing(folder):
    assert play(folder, range(25), 6) == 25


def test_some_interleavings_that_hypothesis_chooses_lose_nothing_and_leave_nothing(folder):
    ended, acts = interleave(folder, 40)
    assert ended >= 30
    assert acts > ended


@pytest.mark.soak
@pytest.mark.timeout(14_400)
@pytest.mark.parametrize("part", range(1, 5))
def test_ten_thousand_interleavings_lose_nothing_and_leave_nothing(folder, part):
    ended, acts = interleave(folder, 2_600, part=part)  # a few grow too long for hypothesis and do not count
    print(f"part {part}: {ended} interleavings with {acts} acts, nothing lost, nothing left")
    assert ended >= 2_500


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


@pytest.mark.parametrize("plant", [deleted_in_one_phase, never_deleted])
def test_hypothesis_finds_a_planted_mistake(folder, plant):
    with pytest.raises(AssertionError, match=r"referenced blobs were deleted|garbage is left"):
        interleave(folder, 200, plant)


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("plant", MISTAKES)
def test_a_planted_mistake_is_found(folder, plant):
    with pytest.raises(AssertionError, match=r"referenced blobs were deleted|garbage is left"):
        play(folder, range(500), 6, plant)
