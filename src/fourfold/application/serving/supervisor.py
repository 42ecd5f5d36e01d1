"""The supervisor: one process per home that keeps fronts, engine and management running and the routing table true."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from socket import socket

import msgspec

from fourfold.application.serving import home as homes
from fourfold.application.serving.front import FrontSettings
from fourfold.application.serving.home import ChildStatus, Lock, Status
from fourfold.application.serving.processes import Child
from fourfold.application.serving.reconcile import Reconciler
from fourfold.application.serving.request_segments import adopt, next_segment, seal
from fourfold.core.config import Settings, read_settings
from fourfold.core.errors import FourfoldError, NotPermitted
from fourfold.storage.ledger import Ledger

log = logging.getLogger(__name__)

POLL_SECONDS = 0.25
SEAL_POLL_SECONDS = 2.0
DRAIN_SECONDS = 8.0
MANAGEMENT_AFTER_SECONDS = 3.0  # at the latest; models that are to answer have the processor first
PACKAGE = "fourfold.application.serving"


def serve(
    home: Path, host: str | None = None, port: int | None = None, *, announce: Callable[[str], None] = lambda _: None
) -> None:
    """Serve a home until SIGINT or SIGTERM. `announce` is told the address when the port is open; None takes the home's
    settings.

    Raises Conflict if the home is served already or the port is in use, NotPermitted for an address beyond loopback without a
    key.
    """
    settings = read_settings(home)
    host, port = settings.host if host is None else host, settings.port if port is None else port
    lock = Lock(home)
    try:
        ledger = Ledger.open(home, url=settings.database or None)
        try:
            refuse_open_house(host, ledger)
            with homes.listen(host, port) as listener:
                asyncio.run(Supervisor(home, ledger, settings, listener).run(announce))
        finally:
            ledger.close()
    finally:
        lock.close()


def refuse_open_house(host: str, ledger: Ledger) -> None:
    """Raises NotPermitted where others could reach a home that has no key."""
    with suppress(ValueError):
        if ip_address(host).is_loopback:
            return
    if host != "localhost" and not any(key.alive(time.time()) for key in ledger.keys()):  # noqa: SIM118
        raise NotPermitted(
            f"{host} can be reached from other machines, and this home has no key.", hint="Run: fourfold keys create"
        )


class Supervisor:
    """Children, reconciler and sealer of one home, in one event loop."""

    def __init__(self, home: Path, ledger: Ledger, settings: Settings, listener: socket) -> None:
        self.home = home
        self.ledger = ledger
        self.settings = settings
        self.listener = listener
        bound = listener.getsockname()
        self.address = f"http://[{bound[0]}]:{bound[1]}" if ":" in bound[0] else f"http://{bound[0]}:{bound[1]}"
        self.started_at = time.time()
        self.problem = ""
        self.sealed = self.damaged = 0
        homes.make_salt(home)
        adopt(home)
        self.numbers = {front: next_segment(home, ledger, front) for front in range(1, settings.fronts + 1)}
        self.sockets = homes.make_sockets(home)
        self._written: Status | None = None

    async def run(self, announce: Callable[[str], None]) -> None:
        """Serve until a signal asks for the end, then drain: fronts first, so that the engine still answers what they have."""
        ending = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, ending.set)
        lifeline, ours = os.pipe()
        limits = {"max_inputs": self.settings.max_inputs, "timeout_seconds": self.settings.timeout_seconds}
        reconciler = Reconciler(self.home, self.ledger, self.sockets / "engine.sock", limits)
        children = self._children(lifeline)
        children[0].start()  # while the ledger is read
        await reconciler.poll()
        tasks = [loop.create_task(reconciler.settle()), loop.create_task(self._seal())]
        try:
            self._watch(children, reconciler)
            announce(self.address)
            while not ending.is_set() and not any(task.done() for task in tasks):
                await asyncio.sleep(POLL_SECONDS)
                await reconciler.poll()
                self._watch(children, reconciler)
        finally:
            await self._end(tasks, children)
            reconciler.engine.close()
            os.close(ours)
            os.close(lifeline)

    def _children(self, lifeline: int) -> list[Child]:
        engine = self.sockets / "engine.sock"
        management = self.sockets / "management.sock"
        s = self.settings

        def front(number: int) -> Child:
            def command() -> Sequence[str]:
                settings = FrontSettings(
                    home=str(self.home),
                    number=number,
                    segment=self.numbers[number],
                    management=str(management),
                    socket=self.listener.fileno(),
                    lifeline=lifeline,
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

            return Child(f"front {number}", command, (self.listener.fileno(), lifeline), prepare)

        def management_command() -> Sequence[str]:
            settings = {"home": str(self.home), "socket": str(management), "lifeline": lifeline}
            return f"{PACKAGE}.management", msgspec.json.encode(settings).decode()

        return [
            Child("engine", lambda: (f"{PACKAGE}.engine", str(engine), str(lifeline)), (lifeline,)),
            *(front(number) for number in self.numbers),
            Child("management", management_command, (lifeline,)),
        ]

    def _note_segments(self) -> None:
        """Never give a front a segment number again that it has used."""
        for path in (self.home / "requests").glob("*/*.log"):
            self._used(path.stem)

    def _used(self, name: str) -> None:
        front, _, number = name.partition("-")
        self.numbers[int(front)] = max(self.numbers.get(int(front), 1), int(number) + 1)

    def _watch(self, children: list[Child], reconciler: Reconciler) -> None:
        now = time.monotonic()
        for child in children:
            if child.name != "management" or reconciler.settled or time.time() - self.started_at > MANAGEMENT_AFTER_SECONDS:
                child.watch(now)
        shown = tuple(ChildStatus(child.name, child.pid, child.restarts) for child in children)
        problem = reconciler.problem or self.problem
        status = Status(
            os.getpid(), self.address, self.started_at, shown, reconciler.status(), problem, self.sealed, self.damaged
        )
        if status != self._written:
            try:
                homes.write_status(self.home, status)
                self._written = status
            except OSError as error:
                log.error("status cannot be written: %s", error.strerror)

    async def _seal(self) -> None:
        """For ever: seal logs that are complete. What cannot be sealed now stays a log and is found there."""
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
            await asyncio.sleep(SEAL_POLL_SECONDS)

    async def _end(self, tasks: list[asyncio.Task[None]], children: list[Child]) -> None:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        fronts = [child for child in children if child.name.startswith("front")]
        for group in (fronts, [child for child in children if child not in fronts]):
            for child in group:
                child.stop()
            for child in group:
                await asyncio.to_thread(child.wait, DRAIN_SECONDS)
        homes.remove_sockets(self.home)
        for error in ended:
            if isinstance(error, BaseException) and not isinstance(error, asyncio.CancelledError):
                raise error
