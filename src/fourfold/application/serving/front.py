"""The front process: one port for everything, answering predictions itself and passing the rest to management.

Run as `python -m fourfold.application.serving.front SETTINGS`, with FrontSettings as JSON and a listening socket inherited.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
import time
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path

import blake3
import msgspec
import uvicorn

from fourfold.application.permissions import ACTIONS
from fourfold.application.serving import bodies
from fourfold.application.serving.health import models_page, one_model, readiness
from fourfold.application.serving.link import EngineLink
from fourfold.application.serving.messages import Problem
from fourfold.application.serving.metrics import Figures
from fourfold.application.serving.one_write import OneWriteProtocol
from fourfold.application.serving.predict import Call, Predictor
from fourfold.application.serving.processes import FrontSettings, die_with_parent, log_to_stderr
from fourfold.application.serving.proxy import Management, Message, Receive, Send
from fourfold.application.serving.replies import (
    MethodNotAllowed,
    Reply,
    identity,
    json_reply,
    plain_reply,
    problem_reply,
    respond,
    trace_of,
)
from fourfold.application.serving.request_log import RequestLog
from fourfold.application.serving.routing import RoutedDeployment, RoutedKey, RoutedVersion, Routes, note_followed
from fourfold.core.errors import FourfoldError, NotFound, NotPermitted, NotReady, NotSignedIn, TooLarge, did_you_mean

log = logging.getLogger(__name__)

REFRESH_SECONDS = 0.1
MAY_PREDICT = ACTIONS["predict"]
DEPLOYMENTS = "/v1/deployments/"
OWN = ("/v1", "/livez", "/readyz", "/healthz", "/metrics")


class Front:
    """The ASGI application. `start` in the loop that serves, `close` at its end."""

    def __init__(self, settings: FrontSettings) -> None:
        self.settings = settings
        self.home = Path(settings.home)
        self.routes = Routes(self.home)
        self.links: dict[str, EngineLink[Call]] = {}
        self._closing: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Open the log, read the table, begin to connect to the engines."""
        s = self.settings
        self.log = RequestLog(self.home, s.number, s.segment, seal_bytes=s.seal_bytes, seal_seconds=s.seal_seconds)
        self.figures = Figures(self.home, s.number, s.fronts - 1)
        self.predictor = Predictor(self.log, self.figures)
        self.readers = bodies.readers(bodies.salt_path(self.home).read_bytes())
        self.management = Management(s.management)
        self._refresh()
        self._ticking = asyncio.create_task(self._tick())

    async def close(self) -> None:
        """Leave the log complete and every socket closed."""
        self._ticking.cancel()
        for link in self.links.values():
            await link.close()
        await self.management.close()
        self.log.close()

    def _gauge(self) -> None:
        totals = self.figures.totals
        totals.waiting = sum(len(link.outbox) for link in self.links.values())
        totals.running = sum(len(link.pending) for link in self.links.values()) - totals.waiting
        totals.lost = self.log.lost

    def _refresh(self) -> None:
        if self.routes.refresh():
            note_followed(self.home, self.settings.number, self.routes.table)
            for path in self.routes.engines() - self.links.keys():
                self.links[path] = EngineLink(
                    path, done=self.predictor.finish, before_send=self.log.flush, limit=self.settings.queue_limit
                )
        for path in self.links.keys() - self.routes.engines():
            if not self.links[path].pending:
                task = asyncio.create_task(self.links.pop(path).close())
                self._closing.add(task)
                task.add_done_callback(self._closing.discard)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(REFRESH_SECONDS)
            self._refresh()
            self.log.rotate_if_old(time.monotonic())
            try:
                self._gauge()
                self.figures.share()
            except OSError as error:  # a full disk is the request log's to report
                log.debug("figures cannot be shared: %s", error.strerror)

    # ASGI

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})
        elif scope["path"].startswith(DEPLOYMENTS):
            await self._predict(scope, receive, send)
        elif scope["path"].startswith(OWN):
            await self._answer_itself(scope, send)
        else:
            await self._forward(scope, receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        await self.start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _predict(self, scope: Message, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        headers = dict(scope["headers"])
        name, _, task = scope["path"][len(DEPLOYMENTS) :].rpartition(":")
        version = None
        try:
            key = self._key(headers)
            deployment = self._deployment(scope["method"], name, task)
            data = await read_body(headers, receive, self.settings.max_body_bytes)
            # from here to `start` nothing is awaited: the place in the log stays this request's
            ticket = self.log.place()
            request_id = str(ticket.id)
            version, reason = deployment.choose(request_id)
            body = self._reader(version, task).read(data, deployment.limits)
            link = self.links[version.engine]
            link.check()
        except FourfoldError as error:
            self._count_refusal(name, version, task, error)
            await self._refuse(send, headers, error, version.ref if version else "")
            return
        trace = trace_of(headers, ticket.id)
        future: asyncio.Future[Reply] = self.predictor.loop.create_future()
        call = Call(future, ticket, request_id, deployment, version, reason, task, trace[0], started)
        self.predictor.start(call, key, body, len(data), link)
        await respond(send, await future, ticket.id, request_id, version.ref, trace)

    async def _refuse(self, send: Send, headers: dict[bytes, bytes], error: FourfoldError, version: str = "") -> None:
        request = self.log.unrecorded()
        reply = problem_reply(Problem.of(error), str(request))
        await respond(send, reply, request, str(request), version, trace_of(headers, request))

    def _key(self, headers: dict[bytes, bytes]) -> RoutedKey:
        scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
        if scheme.lower() != b"bearer" or not token:
            raise NotSignedIn(
                "This needs a key.", hint="Send the header Authorization: Bearer ff_… (fourfold keys create makes one)."
            )
        key = self.routes.keys.get(blake3.blake3(token.strip()).hexdigest())
        if key is None or (key.expires_at is not None and key.expires_at <= time.time()):
            raise NotSignedIn("This key is not known, revoked or expired.", hint="Ask an admin of this home for another.")
        if not self.routes.trusted():
            raise NotReady(
                "The keys of this home could not be checked for too long.", hint="The supervisor must reach its database."
            )
        if key.role not in MAY_PREDICT:
            raise NotPermitted(
                f"{key.name} has role {key.role}, which may not ask models.", hint="Use a key with another role."
            )
        return key

    def _deployment(self, method: str, name: str, task: str) -> RoutedDeployment:
        if method != "POST":
            raise MethodNotAllowed(f"{method} is not how to ask a model.", hint="Use POST.")
        if task not in self.readers:
            known = list(self.readers)
            raise NotFound(
                f"There is no task {task[:100]!r}.{did_you_mean(task[:100], known)}", hint=f"Tasks: {', '.join(known)}."
            )
        deployment = self.routes.deployments.get(name)
        if deployment is None:
            meant = did_you_mean(name[:100], self.routes.deployments)
            raise NotFound(f"There is no deployment {name[:100]!r}.{meant}", hint="GET /v1/models lists what is deployed.")
        if not deployment.versions:
            reason = deployment.problem or "Its model is being loaded."
            raise NotReady(f"Deployment {name!r} cannot answer yet. {reason}", hint="GET /readyz says how far it is.")
        return deployment

    def _reader(self, version: RoutedVersion, task: str) -> bodies.BodyReader:
        if task not in version.tasks:
            served = ", ".join(version.tasks)
            raise NotFound(f"{version.ref} ({version.family}) does not serve {task!r}.", hint=f"It serves: {served}.")
        return self.readers[task]

    def _count_refusal(self, name: str, version: RoutedVersion | None, task: str, error: FourfoldError) -> None:
        """A caller can make up any name: only those that exist become labels."""
        known = name if name in self.routes.deployments else ""
        self.figures.count(known, version.ref if version else "", task if task in self.readers else "", error.code)

    async def _answer_itself(self, scope: Message, send: Send) -> None:
        headers = dict(scope["headers"])
        try:
            reply = self._page(scope, headers)
        except FourfoldError as error:
            await self._refuse(send, headers, error)
            return
        request = self.log.unrecorded()
        await respond(send, reply, request, str(request), "", trace_of(headers, request))

    def _page(self, scope: Message, headers: dict[bytes, bytes]) -> Reply:
        path: str = scope["path"]
        if scope["method"] not in ("GET", "HEAD"):
            raise MethodNotAllowed(f"{path[:100]} answers GET only.", hint="Use GET.")
        pages: dict[str, Callable[[], Reply]] = {
            "/livez": lambda: json_reply(200, {"status": "ok"}),
            "/readyz": self._readiness,
            "/healthz": self._readiness,
            "/metrics": lambda: self._metrics(scope, headers),
            "/v1/models": lambda: self._models(headers),
        }
        if path in pages:
            return pages[path]()
        if path.startswith("/v1/models/"):
            self._key(headers)
            return json_reply(200, one_model(self.routes, path.removeprefix("/v1/models/")))
        raise NotFound(
            f"There is nothing at {path[:100]}.{did_you_mean(path[:100], pages)}", hint="GET /openapi.json lists the routes."
        )

    def _readiness(self) -> Reply:
        return json_reply(*readiness(self.routes, self.links, self.log.problem))

    def _models(self, headers: dict[bytes, bytes]) -> Reply:
        self._key(headers)
        return json_reply(200, models_page(self.routes))

    def _metrics(self, scope: Message, headers: dict[bytes, bytes]) -> Reply:
        if not _loopback(scope["client"]):
            self._key(headers)
        self._gauge()
        return plain_reply(200, b"text/plain; version=0.0.4; charset=utf-8", self.figures.exposition())

    async def _forward(self, scope: Message, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        request = self.log.unrecorded()

        async def named(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] += identity(request, str(request), trace_of(headers, request))
            await send(message)

        try:
            await self.management.forward(scope, receive, named)
        except NotReady as error:
            await self._refuse(send, headers, error)


async def read_body(headers: dict[bytes, bytes], receive: Receive, limit: int) -> bytes:
    """The whole body. Raises TooLarge at once when its announced or real size passes the limit, NotReady if the caller left."""
    announced = headers.get(b"content-length", b"0")
    if announced.isdigit() and int(announced) > limit:
        raise _too_large(limit)
    message = await receive()
    if not message.get("more_body") and message["type"] == "http.request":
        data = message["body"]
    else:
        data = await _parts(message, receive, limit)
    if len(data) > limit:
        raise _too_large(limit)
    return data


async def _parts(message: Message, receive: Receive, limit: int) -> bytes:
    parts = bytearray()
    while message["type"] == "http.request":
        parts += message.get("body", b"")
        if len(parts) > limit or not message.get("more_body"):
            return bytes(parts)
        message = await receive()
    raise NotReady("The caller left before its body was complete.")


def _too_large(limit: int) -> TooLarge:
    return TooLarge(
        f"The body is larger than the limit max_body_bytes = {limit:,}.",
        hint="Cut the text into several requests, or raise max_body_bytes in fourfold.toml.",
    )


def _loopback(client: tuple[str, int] | None) -> bool:
    return client is not None and ip_address(client[0]).is_loopback


def main() -> None:
    """Serve until SIGTERM: then finish what is in flight and leave the log complete."""
    settings = msgspec.json.decode(sys.argv[1], type=FrontSettings)
    log_to_stderr()
    die_with_parent(settings.lifeline)
    config = uvicorn.Config(
        Front(settings),
        loop="uvloop",
        http=OneWriteProtocol,
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        log_level="warning",
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=5,
    )
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=settings.socket)])


if __name__ == "__main__":
    main()
