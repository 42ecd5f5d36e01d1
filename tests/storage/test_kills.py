"""kill -9 at random moments of publishing and collecting garbage, two publishers at once: nothing acknowledged is lost."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from tests.faults.killer import Killing, kill_side_by_side

from fourfold.core.nouns import Actor
from fourfold.storage.collect_garbage import collect_garbage
from fourfold.storage.fsck import fsck
from fourfold.storage.ledger import Ledger

ACTS = "tests.storage.kill_acts"


def kill(home: Path, url: str, kills: int, longest_seconds: float) -> tuple[int, int, int, int]:
    """Kills, acknowledged versions, how many of them are lost, and findings of fsck."""
    Ledger.open(home, url=url).close()
    each = -(-kills // 3)
    said = kill_side_by_side(
        Killing(f"{ACTS}:publish", each, 1, longest_seconds, (str(home), url, "first")),
        Killing(f"{ACTS}:publish", each, 2, longest_seconds, (str(home), url, "second")),
        Killing(f"{ACTS}:collect", each, 3, longest_seconds, (str(home), url)),
    )
    killed = sum(int(line.split()[1]) for line in said if line.startswith("killed "))
    acknowledged = [line.split()[1:] for line in said if line.startswith("published ")]
    ledger = Ledger.open(home, url=url)
    ledger.sweep()
    lost = 0
    for ref, digest in acknowledged:
        version = ledger.version(ref)
        lost += version.digest != digest or not (ledger.materialise(version) / "own.txt").is_file()
    findings = fsck(ledger)
    owner = Actor("key_owner", "owner", "admin")
    for _ in range(3):
        collect_garbage(ledger, actor=owner, grace_seconds=0)
    findings += fsck(ledger)
    assert ledger.runs(state="running") == []
    ledger.close()
    return killed, len(acknowledged), lost, len(findings)


def test_kills_lose_nothing(tmp_path, database_url):
    killed, acknowledged, lost, findings = kill(tmp_path / "home", database_url, 24, 0.4)
    assert killed == 24
    assert (lost, findings) == (0, 0)
    assert acknowledged > 0


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_a_thousand_kills_lose_nothing(tmp_path, database_url):
    killed, acknowledged, lost, findings = kill(tmp_path / "home", database_url, 1000, 0.5)
    print(f"{killed} kills, {acknowledged} acknowledged, {lost} lost, {findings} findings")
    assert killed >= 1000
    assert (lost, findings) == (0, 0)
    assert acknowledged > 0


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_a_home_of_ten_thousand_versions_recovers_quickly(tmp_path):
    """Opening after a kill, with the sweep of what was under way, takes a time that is printed; bench/ judges speed."""
    home = tmp_path / "home"
    ledger = Ledger.open(home)
    for number in range(10_000):
        with ledger.run("train", kind="model", name="w", spec={}, actor=Actor("k", "k", "admin")) as run:
            (run.folder / "a").write_text(str(number % 100))
    ledger.database.close()
    kill_side_by_side(Killing(f"{ACTS}:publish", 5, 1, 0.5, (str(home), f"sqlite:///{home / 'ledger.sqlite'}", "first")))
    begun = time.monotonic()
    ledger = Ledger.open(home)
    swept = ledger.sweep()
    with ledger.run("train", kind="model", name="w", spec={}, actor=Actor("k", "k", "admin")) as run:
        (run.folder / "a").write_text("after")
    print(f"{time.monotonic() - begun:.2f} s from opening to the next version, {len(swept)} runs swept")
    ledger.close()
