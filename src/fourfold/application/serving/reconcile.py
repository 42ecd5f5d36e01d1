"""From the ledger's rows to what is routed: load what deployments want, route to it, and unload what nobody wants any more."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from fourfold.application.serving import messages, routing
from fourfold.application.serving.home import DeploymentStatus
from fourfold.application.serving.messages import Load, Loaded, Unload, Unloaded, frame, replies
from fourfold.application.serving.routing import RoutedDeployment, RoutedKey, RoutedVersion, RoutingTable
from fourfold.core.errors import BadInput, FourfoldError, NotReady
from fourfold.core.nouns import Deployment, Route
from fourfold.storage.keys import ApiKey
from fourfold.storage.ledger import Ledger

log = logging.getLogger(__name__)

KEEP_WARM_SECONDS = 60.0  # a version that is no longer routed to stays loaded for a quick way back
RETRY_SECONDS = (2.0, 5.0, 10.0, 30.0, 60.0)
RENEW_SECONDS = 30.0  # the table is written this often even when nothing changes: its age says whether its keys count


class EngineGone(NotReady):
    """The engine is not there; the supervisor starts another."""


class EngineClient:
    """The supervisor's connection to an engine. One request at a time; each raises EngineGone if the engine goes away."""

    def __init__(self, socket: Path) -> None:
        self.socket = socket
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    @property
    def connected(self) -> bool:
        """Whether the engine is still the one that was last spoken to."""
        return self._reader is not None and not self._reader.at_eof()

    async def connect(self) -> None:
        """Find the engine. Raises EngineGone if it is not there."""
        self.close()
        try:
            self._reader, self._writer = await asyncio.open_unix_connection(str(self.socket))
        except OSError as error:
            raise EngineGone("The engine is not running.") from error

    async def ask(self, request: messages.Request) -> messages.Reply:
        """The reply to a request."""
        if self._reader is None or self._writer is None:
            raise EngineGone("The engine is not running.")
        try:
            self._writer.write(frame(request))
            await self._writer.drain()
            size = int.from_bytes(await self._reader.readexactly(4), "big")
            return replies.decode(await self._reader.readexactly(size))
        except (OSError, asyncio.IncompleteReadError) as error:
            self.close()
            raise EngineGone("The engine stopped.") from error

    def close(self) -> None:
        """Hang up."""
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None


class Reconciler:
    """Makes the routing table of a home follow its ledger. `poll` reads and writes at once, `settle` does the slow loading."""

    def __init__(self, home: Path, ledger: Ledger, socket: Path, default_limits: Mapping[str, Any]) -> None:
        self.home = home
        self.ledger = ledger
        self.engine = EngineClient(socket)
        self.default_limits = default_limits
        self.problem = ""
        self._stamp = ""
        self._deployments: list[Deployment] = []
        self._keys: tuple[RoutedKey, ...] = ()
        self._loads: dict[str, Load] = {}  # digest → how it was or is to be loaded
        self._loaded: set[str] = set()  # digests in the engine
        self._unwanted_since: dict[str, float] = {}
        self._served: dict[str, tuple[RoutedVersion, ...]] = {}
        self._problems: dict[str, str] = {}
        self._failures = 0
        self._retry_at = 0.0
        self._written_at = 0.0
        self._news = True  # for the table
        self._changed = asyncio.Event()

    async def poll(self) -> None:
        """Read the ledger if its stamp changed, and write the table if there is news: a revoked key counts from here on."""
        try:
            stamp = await asyncio.to_thread(self.ledger.stamp)
            if stamp != self._stamp:
                self._take(await asyncio.to_thread(self.ledger.deployments), await asyncio.to_thread(self.ledger.keys))
                self._stamp = stamp
            self.problem = ""
            if self._news or time.time() - self._written_at > RENEW_SECONDS:
                self._write()
        except (FourfoldError, OSError) as error:  # the front goes on with the table that it has
            if not self.problem:
                log.error("the ledger cannot be followed: %s", error)
            self.problem = str(error)

    def _take(self, deployments: Sequence[Deployment], keys: Sequence[ApiKey]) -> None:
        self._deployments = [d for d in deployments if d.state == "live"]
        now = time.time()
        self._keys = tuple(RoutedKey(k.hash, k.id, k.name, k.role, k.expires_at) for k in keys if k.alive(now))
        names = {d.name for d in self._deployments}
        self._served = {name: versions for name, versions in self._served.items() if name in names}
        self._problems = {name: problem for name, problem in self._problems.items() if name in names}
        self._failures, self._retry_at = 0, 0.0
        self._news = True
        self._changed.set()

    def _publish(self) -> None:
        try:
            self._write()
        except OSError:
            self._news = True  # for the next poll, which reports it if it fails again

    def _write(self) -> None:
        self._news = False
        now = time.time()
        table = RoutingTable(self._stamp, now, tuple(self._routed(d) for d in self._deployments), self._keys)
        routing.write(self.home, table)
        self._written_at = now

    def _routed(self, wanted: Deployment) -> RoutedDeployment:
        versions = self._served.get(wanted.name, ())
        problem = self._problems.get(wanted.name, "")
        try:
            limits = routing.limits_of(wanted.limits, self.default_limits)
        except FourfoldError as error:
            limits, problem = routing.Limits(), str(error)
        return RoutedDeployment(wanted.name, versions, limits, wanted.updated_at, problem, not versions and not problem)

    def status(self) -> tuple[DeploymentStatus, ...]:
        """What is wanted and what is served."""
        return tuple(
            DeploymentStatus(
                d.name,
                tuple(route.version for route in d.routes),
                tuple(version.ref for version in self._served.get(d.name, ())),
                self._problems.get(d.name, ""),
            )
            for d in self._deployments
        )

    async def settle(self) -> None:
        """For ever: when rows changed, the engine is a new one or a retry is due, load what is missing and route to it."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(0.1):  # wait_for would swallow a cancellation that comes with the change
                    await self._changed.wait()
            self._changed.clear()
            try:
                if not self.engine.connected:
                    await self.engine.connect()
                    self._loaded.clear()
                    self._retry_at = 0.0
                if self._incomplete() and time.monotonic() >= self._retry_at:
                    await self._settle()
                await self._unload()
            except EngineGone:
                self.engine.close()

    @property
    def settled(self) -> bool:
        """Whether everything that is deployed is served as its row says."""
        return self.engine.connected and not self._incomplete()

    def _incomplete(self) -> bool:
        digests = {version.digest for versions in self._served.values() for version in versions}
        return not digests <= self._loaded or any(not self._satisfied(d) for d in self._deployments)

    def _satisfied(self, wanted: Deployment) -> bool:
        served = [(v.ref, v.weight) for v in self._served.get(wanted.name, ())]
        return served == [(r.version, r.weight) for r in wanted.routes]

    async def _settle(self) -> None:
        failed = False
        for wanted in tuple(self._deployments):
            try:
                versions = [await self._ready(route) for route in wanted.routes]
            except EngineGone:
                raise
            except (FourfoldError, OSError) as error:
                failed = True
                self._problems[wanted.name] = str(error)
                log.error("deployment %s: %s", wanted.name, error)
                await self._keep_old(wanted.name)
            else:
                self._problems.pop(wanted.name, None)
                self._served[wanted.name] = tuple(versions)
            self._publish()
        if failed:
            self._retry_at = time.monotonic() + RETRY_SECONDS[min(self._failures, len(RETRY_SECONDS) - 1)]
            self._failures += 1

    async def _ready(self, route: Route) -> RoutedVersion:
        """The version of a route, loaded. Raises what hinders it."""
        version = await asyncio.to_thread(self.ledger.version, route.version)
        family, tasks = version.meta.get("family"), tuple(version.meta.get("tasks", ()))
        if version.kind != "model" or not family:
            raise BadInput(f"{version.ref} is a {version.kind} and cannot be served.", hint="Deploy a model version.")
        if version.digest not in self._loads:
            folder = await asyncio.to_thread(self.ledger.materialise, version)
            self._loads[version.digest] = Load(version.digest, version.ref, family, tasks, str(folder))
        await self._load(self._loads[version.digest])
        return RoutedVersion(version.ref, version.digest, family, tasks, str(self.engine.socket), route.weight)

    async def _load(self, load: Load) -> None:
        if load.digest in self._loaded:
            return
        reply = await self.engine.ask(load)
        assert isinstance(reply, Loaded)
        if reply.problem is not None:
            del self._loads[load.digest]  # its files are looked at anew by the next attempt
            raise BadInput(f"{load.ref} cannot be loaded: {reply.problem.message}", hint=reply.problem.hint)
        self._loaded.add(load.digest)

    async def _keep_old(self, name: str) -> None:
        """Keep what a deployment served before its change; in a new engine that is to be loaded again, too."""
        kept: list[RoutedVersion] = []
        for version in self._served.get(name, ()):
            try:
                kept.append(await self._ready(Route(version.ref, version.weight)))
            except EngineGone:
                raise
            except (FourfoldError, OSError) as error:
                log.error("deployment %s: %s", name, error)
        self._served[name] = tuple(kept)

    async def _unload(self) -> None:
        wanted = {version.digest for versions in self._served.values() for version in versions}
        now = time.monotonic()
        for digest in self._loaded - wanted:
            if now - self._unwanted_since.setdefault(digest, now) > KEEP_WARM_SECONDS:
                reply = await self.engine.ask(Unload(digest))
                assert isinstance(reply, Unloaded)
                self._loaded.discard(digest)
                self._loads.pop(digest, None)
        self._unwanted_since = {d: at for d, at in self._unwanted_since.items() if d in self._loaded - wanted}
