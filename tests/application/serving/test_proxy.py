"""The way to management: streaming both ways, headers, callers that hang up. A real server stands on the Unix socket."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from fourfold.application.serving.one_write import OneWriteProtocol
from fourfold.application.serving.proxy import Management
from fourfold.core.errors import NotReady


class Back:
    """What stands behind: it echoes, streams, and notices when its caller leaves."""

    def __init__(self) -> None:
        self.left = asyncio.Event()
        self.seen: dict[str, Any] = {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.seen = {"path": scope["raw_path"], "query": scope["query_string"], "headers": dict(scope["headers"])}
        if scope["path"] == "/events":
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
            await send({"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True})
            while (await receive())["type"] != "http.disconnect":
                pass
            self.left.set()
            return
        body = b""
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.left.set()
                return
            body += message["body"]
            more = message["more_body"]
        headers = [(b"x-back", b"yes"), (b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")]
        await send({"type": "http.response.start", "status": 418, "headers": headers})
        await send({"type": "http.response.body", "body": body})


class Pass:
    """The front's part in it."""

    def __init__(self, socket: str) -> None:
        self.management = Management(socket)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.management.forward(scope, receive, send)


@contextlib.asynccontextmanager
async def serving(app: Any, socket: str):
    config = uvicorn.Config(
        app, uds=socket, lifespan="off", log_config=None, http=OneWriteProtocol, timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    running = asyncio.create_task(server._serve())
    while not server.started:
        await asyncio.sleep(0.01)
    yield
    server.should_exit = True
    await running


@contextlib.asynccontextmanager
async def both(folder: Path):
    back, front = Back(), Pass(str(folder / "back.sock"))
    async with serving(back, str(folder / "back.sock")), serving(front, str(folder / "front.sock")):
        transport = httpx.AsyncHTTPTransport(uds=str(folder / "front.sock"))
        async with httpx.AsyncClient(transport=transport, base_url="http://front", timeout=20) as client:
            yield back, client
        await front.management.close()


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("s")  # short: paths of sockets are limited


def test_a_request_and_its_reply_pass_unchanged(folder: Path):
    async def test() -> None:
        async with both(folder) as (back, client):
            headers = {"x-mine": "1", "x-forwarded-for": "6.6.6.6", "te": "trailers"}
            reply = await client.post("/api/v1/a%2Fb?c=d%20e", content=b"x" * 300_000, headers=headers)
            assert (reply.status_code, reply.headers["x-back"], len(reply.content)) == (418, "yes", 300_000)
            assert reply.headers.get_list("set-cookie") == ["a=1", "b=2"]
            assert (back.seen["path"], back.seen["query"]) == (b"/api/v1/a%2Fb", b"c=d%20e")
            assert back.seen["headers"][b"x-mine"] == b"1"
            assert back.seen["headers"][b"host"] == b"front"
            assert back.seen["headers"][b"x-forwarded-for"] != b"6.6.6.6"
            assert b"te" not in back.seen["headers"]
            parts = (bytes([i]) * 10 for i in range(5))

            async def stream():
                for part in parts:
                    yield part

            assert (await client.put("/", content=stream())).content == b"".join(bytes([i]) * 10 for i in range(5))

    asyncio.run(test())


def test_events_come_as_they_are_sent_and_end_with_the_caller(folder: Path):
    async def test() -> None:
        async with both(folder) as (back, client):
            async with client.stream("GET", "/events") as reply:
                assert await anext(reply.aiter_bytes()) == b"data: 1\n\n"
            await asyncio.wait_for(back.left.wait(), 20)

    asyncio.run(test())


def test_half_a_body_is_not_taken_for_a_whole_one(folder: Path):
    async def test() -> None:
        async with both(folder) as (back, _):
            _, writer = await asyncio.open_unix_connection(str(folder / "front.sock"))
            writer.write(b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n")
            await writer.drain()
            await asyncio.sleep(0.1)
            writer.close()
            await asyncio.wait_for(back.left.wait(), 20)
            assert back.seen["path"] == b"/"  # it was asked, and was told that the caller had left

    asyncio.run(test())


def test_without_management(folder: Path):
    async def test() -> None:
        management = Management(str(folder / "nobody.sock"))
        scope = {"raw_path": b"/", "query_string": b"", "headers": [], "client": None, "scheme": "http", "method": "GET"}

        async def receive() -> Any:
            await asyncio.sleep(3600)

        async def send(message: Any) -> None:
            raise AssertionError(message)

        with pytest.raises(NotReady):
            await management.forward(scope, receive, send)
        await management.close()

    asyncio.run(test())
