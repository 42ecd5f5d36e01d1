"""The front's end of an engine's socket: one message per tick of the loop, bounded waiting, deadlines, reconnecting."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, TypeVar, cast

from fourfold.application.serving.messages import Answer, Answers, Frames, Infer, InferBatch, Problem, frame, replies
from fourfold.core.errors import Busy, NotReady, TimedOut

RECONNECT_SECONDS = 0.1
SWEEP_SECONDS = 0.05

Key = TypeVar("Key")


class EngineLink(asyncio.Protocol, Generic[Key]):
    """Calls to one engine. `done` is told all answers of one message at once, with what `call` was given as their key.

    `before_send` runs before the calls of a tick leave: the request log writes its opened records there. The engine may have
    `limit` calls; the next is refused.
    """

    def __init__(
        self, path: str, *, done: Callable[[list[tuple[Key, Answer]]], None], before_send: Callable[[], None], limit: int
    ) -> None:
        self.path = path
        self.pending: dict[int, tuple[Key, float]] = {}  # call number → key, deadline (monotonic)
        self.outbox: list[Infer] = []
        self._done = done
        self._before_send = before_send
        self._limit = limit
        self._number = 0
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.WriteTransport | None = None
        self._frames = Frames()
        self._closed = False
        self._tasks = [self._loop.create_task(self._connect()), self._loop.create_task(self._sweep())]

    @property
    def connected(self) -> bool:
        """Whether the engine is there."""
        return self._transport is not None

    def check(self) -> None:
        """Raises NotReady without an engine, Busy when it has all the calls that it may have."""
        if self._transport is None:
            raise NotReady(
                "The engine of this deployment is not running.", hint="It is being started again; try again in a second."
            )
        if len(self.pending) >= self._limit:
            raise Busy(
                f"The engine has {len(self.pending)} requests waiting, and no room for more.", hint="Try again in a second."
            )

    def call(self, key: Key, digest: str, task: str, inputs: bytes, options: bytes, timeout_seconds: float) -> None:
        """Send a call at the end of this tick. `done` gets its answer, or a problem after `timeout_seconds`."""
        now = time.monotonic()
        self._number += 1
        self.pending[self._number] = (key, now + timeout_seconds)
        if not self.outbox:
            self._loop.call_soon(self._send)
        self.outbox.append(Infer(self._number, digest, task, inputs, options, now, now + timeout_seconds))

    async def close(self) -> None:
        """Let go of the engine. Calls that wait for it get a problem."""
        self._closed = True
        for task in self._tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        if self._transport is not None:
            self._transport.close()

    def _send(self) -> None:
        self._before_send()
        if self._transport is not None:
            self._transport.write(frame(InferBatch(self.outbox)))
        self.outbox = []

    async def _connect(self) -> None:
        while self._transport is None:
            try:
                await self._loop.create_unix_connection(lambda: self, self.path)
            except OSError:  # not there yet, or no longer
                await asyncio.sleep(RECONNECT_SECONDS)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            now = time.monotonic()
            late = [number for number, (_, deadline) in self.pending.items() if deadline < now]
            if late:
                error = TimedOut(
                    "The model did not answer in time.", hint="Send less text, or raise timeout_seconds with fourfold deploy."
                )
                self._fail(late, Problem.of(error))

    def _fail(self, numbers: list[int], problem: Problem) -> None:
        self._done([(self.pending.pop(number)[0], Answer(number, problem=problem)) for number in numbers])

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's own class
        self._frames = Frames()

    def data_received(self, data: bytes) -> None:
        for message in self._frames.feed(data):
            reply = replies.decode(message)
            if isinstance(reply, Answers):
                known = ((self.pending.pop(answer.number, None), answer) for answer in reply.answers)
                self._done([(found[0], answer) for found, answer in known if found])  # the others came after their deadline

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        error = NotReady(
            "The engine stopped while it had this request.", hint="It is being started again; try again in a second."
        )
        self._fail(list(self.pending), Problem.of(error))
        if not self._closed:
            self._tasks[0] = self._loop.create_task(self._connect())
