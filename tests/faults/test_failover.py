"""The primary is killed under load, the standby is promoted by nobody's hand: no acknowledged version is lost."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import psycopg
import pytest
from tests.faults.postgres import Pair, Watcher

from fourfold.core.errors import FourfoldError
from fourfold.core.nouns import Actor
from fourfold.storage.ledger import Ledger

ACTOR = Actor("cli", "cli", "admin")


class Writer(threading.Thread):
    """Publishes versions of one name, one after another, and remembers those that were acknowledged."""

    def __init__(self, ledger: Ledger, name: str) -> None:
        super().__init__(name=name)
        self.ledger, self.stop = ledger, threading.Event()
        self.acknowledged: list[tuple[float, str]] = []
        self.failures: list[str] = []
        self.start()

    def run(self) -> None:
        n = 0
        while not self.stop.is_set():
            n += 1
            try:
                with self.ledger.run("train", kind="model", name=self.name, spec={"n": n}, actor=ACTOR) as run:
                    (run.folder / "n.txt").write_text(f"{self.name} {n}")
            except FourfoldError as error:
                self.failures.append(str(error))
                self.stop.wait(0.1)
            else:
                assert run.version is not None
                self.acknowledged.append((time.monotonic(), run.version.ref))

    def end(self) -> None:
        self.stop.set()
        self.join()


def fail_over(pair: Pair, home: Path, seconds: float) -> dict[str, float]:
    """Kill the primary after so many seconds of three writers; figures in seconds, `lost` and `acknowledged` in versions."""
    ledger = Ledger.open(home, url=pair.url)
    watcher = Watcher(pair)
    writers = [Writer(ledger, f"writer-{n}") for n in range(3)]
    try:
        time.sleep(seconds)
        killed = time.monotonic()
        pair.one.kill()
        assert watcher.promoted.wait(120), watcher.error
        promoted = watcher.failover.promoted
        resumed = _first_after(writers, promoted)
        time.sleep(seconds / 2)
    finally:
        for writer in writers:
            writer.end()
        watcher.close()
    acknowledged = [ref for writer in writers for _, ref in writer.acknowledged]
    known = {f"{v.name}@{v.number}" for n in range(3) for v in ledger.versions(name=f"writer-{n}", limit=1_000_000)}
    for ref in acknowledged[:: max(1, len(acknowledged) // 50)]:
        if ref in known:
            ledger.materialise(ledger.version(ref))
    ledger.close()
    assert all(any(at < killed for at, _ in writer.acknowledged) for writer in writers)
    return {
        "acknowledged": len(acknowledged),
        "lost": len(set(acknowledged) - known),
        "failures": sum(len(writer.failures) for writer in writers),
        "detection": watcher.failover.declared - killed,
        "promotion": promoted - watcher.failover.declared,
        "resumed": resumed - promoted,
    }


def _first_after(writers: list[Writer], moment: float) -> float:
    end = time.monotonic() + 120
    while time.monotonic() < end:
        later = [at for writer in writers for at, _ in list(writer.acknowledged) if at > moment]
        if later:
            return min(later)
        time.sleep(0.02)
    raise AssertionError(f"writes did not resume: {[writer.failures[-1:] for writer in writers]}")


def test_a_killed_primary_loses_no_acknowledged_version(postgres_pair: Pair, tmp_path: Path) -> None:
    figures = fail_over(postgres_pair, tmp_path / "home", 2.0)
    print({name: round(value, 2) for name, value in figures.items()})
    assert figures["lost"] == 0
    postgres_pair.one.start(max_connections="100")  # somebody starts the old primary: the fence keeps it from writing
    with psycopg.connect(postgres_pair.one.url, autocommit=True) as connection:
        assert connection.execute("select pg_is_in_recovery()").fetchone() == (True,)


@pytest.mark.soak
@pytest.mark.parametrize("round", range(10))
def test_soak_failover(postgres_pair: Pair, tmp_path: Path, round: int) -> None:
    figures = fail_over(postgres_pair, tmp_path / "home", 1.0 + round * 1.3)
    print({name: value if isinstance(value, int) else f"{value:.2f}" for name, value in figures.items()})
    assert figures["lost"] == 0
    assert figures["resumed"] < 10  # the figure of the promise, in the long form alone
