"""Long acts as jobs: taken from the ledger, each done by a worker process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import time

from fourfold.core.errors import NotReady
from fourfold.storage import jobs, leases, schedules
from fourfold.storage.ledger import Ledger

log = logging.getLogger(__name__)

POLL_SECONDS = 1.0


class Runner:
    """Takes queued jobs and starts at most `workers` processes.

    The job of a runner that died, of this home or of another on the database, is taken again: acts leave nothing half-made.
    """

    def __init__(self, ledger: Ledger, workers: int) -> None:
        self.ledger = ledger
        self.workers = workers
        self.processes: dict[str, asyncio.subprocess.Process] = {}
        self.name = leases.home_id(ledger.home)
        self._woken = asyncio.Event()
        self._ending = False
        self._seen = 0.0

    def wake(self) -> None:
        """There is a new job; called from any thread."""
        self._loop.call_soon_threadsafe(self._woken.set)

    async def run(self) -> None:
        """Run until cancelled; then stop the workers."""
        self._loop = asyncio.get_running_loop()
        tasks: set[asyncio.Task[None]] = set()
        try:
            while True:
                self._woken.clear()
                while len(self.processes) < self.workers and (job := await asyncio.to_thread(self._take)):
                    self.processes[job.id] = await self._start(job)  # the job is queued again if this process ends here
                    task = asyncio.create_task(self._watch(job))
                    tasks.add(task)
                    task.add_done_callback(tasks.discard)
                await self._wait()
        finally:
            self._ending = True
            for process in self.processes.values():
                process.terminate()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _wait(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(POLL_SECONDS):  # wait_for would swallow a cancellation that comes with the wake
                await self._woken.wait()

    def _take(self) -> jobs.Job | None:
        try:
            self._show_life()
            with self.ledger.database.read() as connection:
                if not (schedules.due(connection) or jobs.waiting(connection)):
                    return None
            with self.ledger.write() as connection:
                schedules.fire(connection)
                return jobs.take(connection, self.name)
        except NotReady as error:
            log.warning("no job can be taken: %s", error.message)
            return None

    def _show_life(self) -> None:
        if time.monotonic() >= self._seen:
            with self.ledger.write() as connection:
                leases.seen(connection, self.name)
            self._seen = time.monotonic() + leases.BEAT_SECONDS

    async def _start(self, job: jobs.Job) -> asyncio.subprocess.Process:
        log.info("job %s begins: %s", job.id, job.act)
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "fourfold.application.worker",
            str(self.ledger.home),
            job.id,
            str(job.epoch),
            stdin=asyncio.subprocess.PIPE,
        )  # the worker ends when this pipe closes, which it does however this process ends

    async def _watch(self, job: jobs.Job) -> None:
        process = self.processes[job.id]
        code = await process.wait()
        del self.processes[job.id]
        await asyncio.to_thread(self._ended, job, code)
        self._woken.set()

    def _ended(self, job: jobs.Job, code: int) -> None:
        claim = leases.Claim(job.id, job.epoch)
        why = "the server ended" if self._ending else f"its worker ended with {code}"
        try:
            with self.ledger.write() as connection:  # nothing changes if the worker wrote how it ended
                jobs.lost(connection, claim, why=why, counts=not self._ending)
        except NotReady as error:
            log.warning("job %s is left to the sweep: %s", job.id, error.message)
        log.info("job %s: its worker ended with %d", job.id, code)
