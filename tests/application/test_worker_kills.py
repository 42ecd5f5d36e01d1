"""Worker processes of a real home are killed in the middle of their acts: each job ends with one version."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest
import sqlalchemy as sa
from tests.application.small_company import write_company

from fourfold.application.own_key import COMMAND_LINE
from fourfold.application.runner import Runner
from fourfold.client import Client
from fourfold.storage import jobs, schema
from fourfold.storage.fsck import fsck
from fourfold.storage.ledger import Ledger

KILLS_OF_A_JOB = 2  # one that kills more of its workers fails in the end


async def run_and_kill(ledger: Ledger, ids: list[str], chance: random.Random) -> int:
    """Run the jobs in worker processes and kill each at a random moment, a few times; how many were killed."""
    runner, killed = Runner(ledger, workers=2), dict.fromkeys(ids, 0)
    running = asyncio.create_task(runner.run())
    seen: set[int] = set()
    while await asyncio.to_thread(left, ledger):
        for job_id, process in list(runner.processes.items()):
            if process.pid not in seen and killed[job_id] < KILLS_OF_A_JOB:
                seen.add(process.pid)
                killed[job_id] += await killed_after(process, chance.uniform(0, 1.5))
        await asyncio.sleep(0.02)
    running.cancel()
    await asyncio.wait({running})
    return sum(killed.values())


async def killed_after(process: asyncio.subprocess.Process, seconds: float) -> bool:
    await asyncio.sleep(seconds)
    if process.returncode is not None:
        return False
    process.kill()
    return True


def left(ledger: Ledger) -> int:
    j = schema.job.c
    with ledger.database.read() as connection:
        waiting = sa.select(sa.func.count()).where(j.state.in_(("queued", "running")))
        return connection.execute(waiting).scalar_one()


def kill_workers(home: Path, count: int, seed: int) -> int:
    """Cleanings of a dataset as jobs whose workers are killed; how many were."""
    tickets = write_company(home.with_name("documents")) / "tickets.csv"
    with Client(home=home) as client:
        raw = client.collect("raw", {"files": {"path": str(tickets)}}).ref
    ledger = Ledger.open(home)
    names = [f"clean-{number}" for number in range(count)]
    with ledger.write() as connection:
        asked = [{"name": name, "dataset": raw, "steps": ["normalise", "drop_duplicates"]} for name in names]
        ids = [jobs.submit(connection, COMMAND_LINE, "clean", arguments, None).id for arguments in asked]
    killed = asyncio.run(run_and_kill(ledger, ids, random.Random(seed)))
    ledger.sweep()
    with ledger.database.read() as connection:
        found = [jobs.one(connection, job_id) for job_id in ids]
    assert [(job.state, job.result["name"], job.result["number"]) for job in found] == [("done", name, 1) for name in names]
    assert sorted(version.ref for version in ledger.versions(limit=1000)) == sorted(["raw@1", *(f"{n}@1" for n in names)])
    assert len(ledger.runs(verb="clean", state="done", limit=1000)) == count
    assert ledger.runs(state="running") == []
    assert fsck(ledger) == []
    assert list((home / "work").iterdir()) == []
    ledger.close()
    taken_again = sum(job.epoch for job in found) - count  # a worker that was killed as it ended needs no other
    assert taken_again <= killed
    return taken_again


def test_killed_workers_leave_one_version_of_each_job(tmp_path):
    kill_workers(tmp_path / "home", 2, 1)


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_many_killed_workers_leave_one_version_of_each_job(tmp_path):
    killed = kill_workers(tmp_path / "home", 60, 2)
    print(f"{killed} workers killed in 60 jobs, one version of each")
    assert killed >= 60
