"""Two nodes on one PostgreSQL, their artifacts on a real S3: either finishes what the other was killed in."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.application.small_company import write_company
from tests.faults.swift import ACCESS_KEY, SECRET_KEY, Swift

from fourfold.application.runner import Runner
from fourfold.core.nouns import Actor, Version
from fourfold.data.collect import collect
from fourfold.storage import jobs, store_rows
from fourfold.storage.ledger import Ledger

OWNER = Actor("key_owner", "owner", "admin")
SECONDS = 240  # far longer than it takes

# A node's executor that dies in the middle of its job: its run is open, and some of its files are in the stores.
EXECUTOR = """
import sys, time
from pathlib import Path
from fourfold.core.nouns import Actor
from fourfold.storage import artifacts, jobs, leases
from fourfold.storage.ledger import Ledger
ledger = Ledger.open(Path(sys.argv[1]), url=sys.argv[2])
with ledger.write() as connection:
    job = jobs.take(connection, leases.home_id(ledger.home))
ledger.claim = leases.Claim(job.id, job.epoch)
ledger.database.fence = ledger.claim.fence
with ledger.run("train", kind="model", name="words", spec={}, actor=Actor("key_owner", "owner", "admin")) as run:
    (run.folder / "half").write_text("of a model")
    artifacts.store(run.folder, ledger.blobs)
    print(job.id, flush=True)
    time.sleep(3600)
"""


@pytest.fixture
def nodes(
    tmp_path: Path, swift: Swift, s3_bucket: dict[str, str], postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Ledger, Ledger]]:
    """Two homes; a publish of either counts once its own folder and the bucket have every chunk."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    one = Ledger.open(tmp_path / "one", url=postgres_url)
    with one.write() as connection:
        store_rows.insert(connection, "cli", "shared", "s3", {"url": f"s3://{s3_bucket['bucket']}", "endpoint": swift.url})
        store_rows.note(connection, "shared", state="active")
        store_rows.set_acknowledgements(connection, "cli", 2)
    two = Ledger.open(tmp_path / "two", url=postgres_url)
    for node in (one, two):
        (node.home / "fourfold.toml").write_text(f'database = "{postgres_url}"\n')
        node.blobs.refresh(node.home, node.database)
    yield one, two
    for node in (one, two):
        node.close()


def submit(node: Ledger, dataset: Version, iterations: int) -> jobs.Job:
    """Ask for a model, as any node may be asked."""
    family = {"crf": {"tags": "upos", "max_iterations": iterations}}
    arguments = {"name": "words", "dataset": dataset.ref, "family": family}
    with node.write() as connection:
        return jobs.submit(connection, OWNER, "train", arguments, None)


def killed_in_its_job(node: Ledger, url: str) -> str:
    """The id of the job that an executor of the node held when it was killed."""
    command = [sys.executable, "-c", EXECUTOR, str(node.home), url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        taken = process.stdout.readline().strip()
        process.send_signal(signal.SIGKILL)
    return taken


def finished(node: Ledger, job_id: str) -> jobs.Job:
    """The job, once the node's own executor has ended it."""

    async def work() -> None:
        runner = Runner(node, workers=1)
        running = asyncio.create_task(runner.run())
        end = time.monotonic() + SECONDS
        while look().state not in jobs.ENDED:
            assert time.monotonic() < end, look()
            await asyncio.sleep(0.2)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    def look() -> jobs.Job:
        with node.database.read() as connection:
            return jobs.one(connection, job_id)

    asyncio.run(work())
    return look()


def test_either_finishes_what_the_other_was_killed_in(
    nodes: tuple[Ledger, Ledger], postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    company = write_company(tmp_path / "company")
    tags = collect(nodes[0], OWNER, "tags", {"files": {"path": str(company / "tags")}})
    for turn, (dead, living) in enumerate((nodes, nodes[::-1]), start=1):
        job = submit(dead, tags, 4 + turn)
        assert killed_in_its_job(dead, postgres_url) == job.id
        ended = finished(living, job.id)
        assert (ended.state, ended.epoch, ended.error) == ("done", 2, None)
        model = living.version(f"words@{turn}")
        assert ended.result["id"] == model.id
        assert [v.ref for v in living.versions(name="words")] == [f"words@{n}" for n in range(turn, 0, -1)]
        assert len(living.runs(verb="train", state="failed")) == turn
        assert living.runs(state="running") == []
        digests = [chunk.digest for file in dead.manifest(model).files for chunk in file.chunks]
        assert not all(dead.blobs.primary.has(digest) for digest in digests)  # so that it reads them from the bucket
        assert (dead.materialise(model) / "README.md").read_text().startswith("---")
