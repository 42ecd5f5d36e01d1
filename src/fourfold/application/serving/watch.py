"""The watch over a served home: its child processes, its routing table, its request log."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from socket import socket

import msgspec

from fourfold.application.serving import home as homes
from fourfold.application.serving.home import ChildStatus, Status
from fourfold.application.serving.processes import MANAGEMENT, PACKAGE, Child, FrontSettings, Lifeline, ManagementSettings
from fourfold.application.serving.reconcile import Reconciler
from fourfold.application.serving.request_log import adopt, next_segment
from fourfold.core.config import Settings
from fourfold.core.errors import FourfoldError
from fourfold.data.connections import State, alarm, connections_folder
from fourfold.storage.ledger import Ledger
from fourfold.storage.nodes import fronts_of, number_of

log = logging.getLogger(__name__)

POLL_SECONDS = 0.25
SEAL_POLL_SECONDS = 2.0
ALARM_POLL_SECONDS = 600.0
DRAIN_SECONDS = 8.0
PATIENCE_SECONDS = 3.0  # models that are to answer have the processor first; the rest waits, but not for longer


class Watch:
    """Children, reconciler and sealer of one home, in one event loop."""

    def __init__(
        self, home: Path, ledger: Ledger, settings: Settings, listener: socket, engine: Child, sockets: Path, lifeline: Lifeline
    ) -> None:
        self.home = home
        self.ledger = ledger
        self.settings = settings
        self.listener = listener
        self.sockets = sockets
        self.lifeline = lifeline.theirs
        bound = listener.getsockname()
        self.address = f"http://[{bound[0]}]:{bound[1]}" if ":" in bound[0] else f"http://{bound[0]}:{bound[1]}"
        self.started_at = time.time()
        self.problem = ""
        self.sealed = self.damaged = 0
        self.backup_at: float | None = None
        adopt(home)
        sealed = [segment.name for segment in ledger.segments()]
        self.numbers = {
            front: next_segment(home, sealed, front) for front in fronts_of(number_of(home, ledger.database), settings.fronts)
        }
        limits = {"max_inputs": settings.max_inputs, "timeout_seconds": settings.timeout_seconds}
        self.reconciler = Reconciler(home, ledger, homes.engine_socket(sockets), limits)
        self.children = [engine, *(self._front(number) for number in self.numbers), self._management()]
        self._written: Status | None = None

    async def run(self, announce: Callable[[str], None]) -> None:
        """Serve until a signal asks for the end, then drain: fronts first, so that the engine still answers what they have."""
        ending = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, ending.set)
        await self.reconciler.poll()
        tasks = [loop.create_task(self.reconciler.settle()), loop.create_task(self._seal()), loop.create_task(self._alarm())]
        try:
            self._look()
            announce(self.address)
            while not ending.is_set() and not any(task.done() for task in tasks):
                await asyncio.sleep(POLL_SECONDS)
                await self.reconciler.poll()
                self._look()
        finally:
            await self._end(tasks)
            self.reconciler.engine.close()

    def _front(self, number: int) -> Child:
        def command() -> Sequence[str]:
            s = self.settings
            settings = FrontSettings(
                home=str(self.home),
                number=number,
                segment=self.numbers[number],
                management=str(self.sockets / "management.sock"),
                socket=self.listener.fileno(),
                lifeline=self.lifeline,
                fronts=s.fronts,
                max_body_bytes=s.max_body_bytes,
                queue_limit=s.queue_limit,
                seal_bytes=s.seal_bytes,
                seal_seconds=s.seal_seconds,
            )
            return f"{PACKAGE}.front", msgspec.json.encode(settings).decode()

        def prepare() -> None:
            self._note_segments()
            adopt(self.home, number)

        return Child(f"front {number}", command, (self.listener.fileno(), self.lifeline), prepare)

    def _management(self) -> Child:
        settings = ManagementSettings(str(self.home), str(self.sockets / "management.sock"), self.lifeline)
        return Child("management", lambda: (MANAGEMENT, msgspec.json.encode(settings).decode()), (self.lifeline,))

    def _settled(self) -> bool:
        return self.reconciler.settled or time.time() - self.started_at > PATIENCE_SECONDS

    def _note_segments(self) -> None:
        """Never give a front a segment number again that it has used."""
        for path in (self.home / "requests").glob("*/*.log"):
            self._used(path.stem)

    def _used(self, name: str) -> None:
        front, _, number = name.partition("-")
        self.numbers[int(front)] = max(self.numbers.get(int(front), 1), int(number) + 1)

    def _look(self) -> None:
        """Start what is dead, and write down how things stand."""
        now = time.monotonic()
        for child in self.children:
            if child.name != "management" or self._settled():
                child.watch(now)
        shown = tuple(ChildStatus(child.name, child.pid, child.restarts) for child in self.children)
        problem = self.reconciler.problem or self.problem
        deployed = self.reconciler.status()
        status = Status(
            os.getpid(), self.address, self.started_at, shown, deployed, problem, self.sealed, self.damaged, self.backup_at
        )
        if status != self._written:
            try:
                homes.write_status(self.home, status)
                self._written = status
            except OSError as error:
                log.error("status cannot be written: %s", error.strerror)

    async def _alarm(self) -> None:
        """For ever: say in the log which accounts of sources are about to end, or have ended."""
        told: dict[str, State] = {}
        while True:
            alarm(connections_folder(self.home), told)
            await asyncio.sleep(ALARM_POLL_SECONDS)

    async def _seal(self) -> None:
        """For ever: seal logs that are complete. What cannot be sealed now stays a log and is found there."""
        while not self._settled():
            await asyncio.sleep(POLL_SECONDS)
        from fourfold.application.serving.request_segments import seal  # with pyarrow, which may wait until models answer
        from fourfold.storage.backup import newest_good_at

        while True:
            try:
                self._note_segments()
                for sealed in await asyncio.to_thread(seal, self.home, self.ledger):
                    self._used(sealed.name)
                    self.sealed += 1
                    self.damaged += sealed.torn
                self.problem = ""
            except (FourfoldError, OSError) as error:
                if not self.problem:
                    log.error("the request log cannot be sealed: %s", error)
                self.problem = f"The request log cannot be sealed: {error}"
            with suppress(FourfoldError):
                self.backup_at = await asyncio.to_thread(newest_good_at, self.ledger)
            await asyncio.sleep(SEAL_POLL_SECONDS)

    async def _end(self, tasks: list[asyncio.Task[None]]) -> None:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        fronts = [child for child in self.children if child.name.startswith("front")]
        for group in (fronts, [child for child in self.children if child not in fronts]):
            for child in group:
                child.stop()
            for child in group:
                await asyncio.to_thread(child.wait, DRAIN_SECONDS)
        for error in ended:
            if isinstance(error, BaseException) and not isinstance(error, asyncio.CancelledError):
                raise error
