"""The way to the management process: requests that are not for a model pass through its Unix socket, streaming both ways."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any

import httpx

from fourfold.core.errors import NotReady

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

HOP_BY_HOP = frozenset(
    b"connection keep-alive proxy-authenticate proxy-authorization te trailer transfer-encoding upgrade expect".split()
)
FORWARDED = {b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host"}  # ours to say, never the caller's


class CallerLeft(Exception):
    """The caller hung up in the middle of its body."""


class Caller:
    """What the caller sends: its body, and then that it left. ASGI allows one reader at a time, so the two take turns."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._body_read = asyncio.Event()

    async def body(self) -> AsyncIterator[bytes]:
        """The body's parts. Raises CallerLeft, so that half a body is never taken for a whole one."""
        more = True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise CallerLeft
            more = message.get("more_body", False)
            yield message.get("body", b"")
        self._body_read.set()

    def no_body(self) -> None:
        """Nobody will ask for the body."""
        self._body_read.set()

    async def left(self) -> None:
        """Returns when the caller has hung up."""
        await self._body_read.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass


class Management:
    """A client of the management process. `close` when done."""

    def __init__(self, socket: str) -> None:
        self._transport = httpx.AsyncHTTPTransport(
            uds=socket, limits=httpx.Limits(max_connections=256, max_keepalive_connections=16)
        )

    async def close(self) -> None:
        """Close its connections."""
        await self._transport.aclose()

    async def forward(self, scope: Message, receive: Receive, send: Send) -> None:
        """Pass a request on and its reply back; ends early when the caller hangs up. Raises NotReady without management."""
        caller = Caller(receive)
        passing = asyncio.create_task(self._pass(scope, caller, send))
        leaving = asyncio.create_task(caller.left())
        try:
            await asyncio.wait((passing, leaving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            leaving.cancel()
            if not passing.done():
                passing.cancel()
        with suppress(asyncio.CancelledError, CallerLeft):
            await passing

    async def _pass(self, scope: Message, caller: Caller, send: Send) -> None:
        try:
            reply = await self._transport.handle_async_request(_request(scope, caller))
        except httpx.TransportError as error:
            raise NotReady(
                "The management process does not answer.", hint="It is being started; try again in a second."
            ) from error
        try:
            shown = [(n.lower(), v) for n, v in reply.headers.raw if n.lower() not in HOP_BY_HOP]
            await send({"type": "http.response.start", "status": reply.status_code, "headers": shown})
            assert isinstance(reply.stream, httpx.AsyncByteStream)
            async for part in reply.stream:
                await send({"type": "http.response.body", "body": part, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            await reply.aclose()


def _request(scope: Message, caller: Caller) -> httpx.Request:
    target = scope["raw_path"].decode("ascii")
    if query := scope["query_string"].decode("latin-1"):
        target += f"?{query}"
    headers = [(n, v) for n, v in scope["headers"] if n not in HOP_BY_HOP and n not in FORWARDED]
    headers.append((b"x-forwarded-for", (scope["client"] or ("",))[0].encode()))
    headers.append((b"x-forwarded-proto", scope["scheme"].encode()))
    if any(n in (b"content-length", b"transfer-encoding") for n, _ in scope["headers"]):
        body = caller.body()
    else:
        body = None
        caller.no_body()
    timeouts = {"timeout": {"connect": 5.0, "read": None, "write": None, "pool": 5.0}}
    return httpx.Request(scope["method"], f"http://management{target}", headers=headers, content=body, extensions=timeouts)
