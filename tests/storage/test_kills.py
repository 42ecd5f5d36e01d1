"""kill -9 at random moments of publishing and collecting garbage, two publishers at once: nothing acknowledged is lost."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from tests.faults.killer import Killing, kill_side_by_side
from tests.storage.kill_acts import old_home
from tests.storage.test_upgrades import home_of

from fourfold.core.nouns import Actor
from fourfold.storage import artifacts, schema
from fourfold.storage.blobs.local import Local
from fourfold.storage.collect_garbage import collect_garbage
from fourfold.storage.database import Database
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


def kill_upgrades(folder: Path, server: str, kills: int, longest_seconds: float) -> tuple[int, int]:
    """Kill two programs that open the same homes of the first schema; kills, and homes that were migrated nevertheless."""
    template = folder / "template"
    url = f"sqlite:///{template / 'ledger.sqlite'}"
    if server:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"create database {folder.name}_template")  # type: ignore[arg-type]
        url = server.replace("/postgres?", f"/{folder.name}_template?")
    home_of("0001", template, url)
    give_content(template, url)
    killings = (Killing(f"{ACTS}:upgrade", -(-kills // 2), seed, longest_seconds, (str(folder), server)) for seed in (1, 2))
    said = kill_side_by_side(*killings)
    for number in range(len(list(folder.glob("home-*")))):
        home, url = old_home(folder, server, number)
        ledger = Ledger.open(home, url=url)
        assert [version.ref for version in ledger.versions()] == ["words-report@1", "words@2", "words@1"]
        assert fsck(ledger) == []
        ledger.close()
        kept = sorted((home / "backups").iterdir())
        assert [path for path in kept if path.name.startswith(".")] == []
        for path in kept:  # more than one, if a program was killed between the copy and the commit
            with closing(sqlite3.connect(path)) as connection:
                assert connection.execute("select version_num from alembic_version").fetchall() == [("0001",)]
                assert connection.execute("select count(*) from version").fetchone() == (3,)
    return sum(int(line.split()[1]) for line in said if line.startswith("killed ")), said.count("migrated")


def give_content(home: Path, url: str) -> None:
    """Give the versions of an old home a file."""
    (home / "work").mkdir()
    (home / "work" / "a.txt").write_text("hello")
    manifest = artifacts.store(home / "work", Local(home / "blobs"))
    database = Database(url)
    with database.write() as connection:
        artifacts.insert(connection, manifest)
        connection.execute(schema.version.update().values(digest=manifest.digest))
        connection.execute(schema.manifest.delete().where(schema.manifest.c.digest == "aa"))
    database.close()


@pytest.fixture
def server(request, database_url) -> str:
    """A server that makes databases for homes, or an empty text for SQLite."""
    return "" if database_url.startswith("sqlite") else f"postgresql://fourfold@/postgres?{database_url.partition('?')[2]}"


@pytest.fixture
def folder(tmp_path, server):
    """A folder of homes whose name is that of their databases, which go with it."""
    made = tmp_path / f"upgrade_{os.urandom(4).hex()}"
    made.mkdir()
    yield made
    if server:
        with psycopg.connect(server, autocommit=True) as connection:
            names = connection.execute("select datname from pg_database where starts_with(datname, %s)", [made.name]).fetchall()
            for (name,) in names:
                connection.execute(f"drop database {name} with (force)")  # type: ignore[arg-type]


def test_killed_migrations_of_an_old_home_lose_nothing(folder, server):
    killed, _ = kill_upgrades(folder, server, 12, 0.7)
    assert killed == 12


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_many_killed_migrations_of_old_homes_lose_nothing(folder, server):
    killed, migrated = kill_upgrades(folder, server, 500, 2.0)
    print(f"{killed} kills of migrations, {migrated} times a home was found migrated, nothing lost")
    assert killed >= 500


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
    """From opening after a kill, with the sweep of what was under way, to the next version."""
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
    seconds = time.monotonic() - begun
    ledger.close()
    print(f"{seconds:.2f} s from opening to the next version, {len(swept)} runs swept")
    assert len(swept) > 0
    assert seconds < 5  # the figure of the promise, in the long form alone
