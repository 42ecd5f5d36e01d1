"""The engine process: holds models and runs what the front sends, all that is queued as one batch per version, task and
options.

Run as `python -m fourfold.application.serving.engine SOCKET [LIFELINE]`. It knows folders and families, no ledger and no
people. Its loop reads and writes sockets; one worker thread runs the models; loading has a thread of its own, so that serving
goes on meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, cast

import msgspec
import uvloop

from fourfold.application.serving import messages
from fourfold.application.serving.messages import Answer, Answers, Frames, Infer, InferBatch, Problem, frame
from fourfold.application.serving.processes import die_with_parent, log_to_stderr
from fourfold.application.serving.summaries import summarise
from fourfold.compute.families import FAMILIES
from fourfold.compute.tasks import TASKS
from fourfold.core.errors import FourfoldError

log = logging.getLogger(__name__)

MAX_BATCH_INPUTS = 256  # inputs that a model gets at once
WARM_TEXT = "Warm up 热身"

_json = msgspec.json.Encoder().encode
_msgpack = msgspec.msgpack.Encoder().encode
_decode_inputs = {name: msgspec.msgpack.Decoder(list[task.input]) for name, task in TASKS.items()}
_decode_options = {name: msgspec.msgpack.Decoder(task.options) for name, task in TASKS.items()}

Job = tuple["Connection", list[Infer]]
Queued = tuple["Connection", Infer]
Opened = tuple["Connection", Infer, list[Any]]  # with its inputs


class Engine:
    """Models by digest, the queue of calls, and the worker that empties it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.models: dict[str, Any] = {}
        self.connections: set[Connection] = set()
        self.queue: SimpleQueue[Job | messages.Unload | None] = SimpleQueue()
        self.loader = ThreadPoolExecutor(1, "loader")
        self.worker = threading.Thread(target=self._work, name="worker")
        self.worker.start()
        self.loader.submit(_import_families)  # while the supervisor reads its ledger

    def drain(self) -> None:
        """Finish what is queued, then stop both threads and close the models."""
        self.queue.put(None)
        self.worker.join()
        self.loader.shutdown(cancel_futures=True)
        for model in self.models.values():
            model.close()

    def load(self, request: messages.Load) -> messages.Loaded:
        """Open and warm a model. Every trouble becomes a problem: a bad version must not end the engine."""
        if request.digest in self.models:
            return messages.Loaded(request.digest)
        started = time.perf_counter()
        try:
            model = FAMILIES.resolve(request.family).load(Path(request.folder))
            _warm(model, request.tasks)
        except FourfoldError as error:
            return messages.Loaded(request.digest, Problem.of(error))
        except Exception as error:
            log.exception("%s cannot be loaded", request.ref)
            return messages.Loaded(
                request.digest, Problem("failed", 500, f"{request.ref} cannot be loaded: {type(error).__name__}: {error}")
            )
        self.models[request.digest] = model
        return messages.Loaded(request.digest, seconds=time.perf_counter() - started)

    # the worker thread

    def _work(self) -> None:
        while True:
            jobs, end = self._queued()
            groups: dict[tuple[str, str, bytes], list[Queued]] = defaultdict(list)
            unloads: list[messages.Unload] = []
            for job in jobs:
                if isinstance(job, messages.Unload):
                    unloads.append(job)
                    continue
                connection, calls = job
                for call in calls:
                    groups[call.digest, call.task, call.options].append((connection, call))
            for (digest, task, options), group in groups.items():
                self._run(digest, task, options, group)
            for unload in unloads:
                if model := self.models.pop(unload.digest, None):
                    model.close()
            if end:
                return

    def _queued(self) -> tuple[list[Job | messages.Unload], bool]:
        """All that waits, at least one; and whether the end was asked for."""
        job = self.queue.get()
        jobs: list[Job | messages.Unload] = []
        with suppress(Empty):
            while job is not None:
                jobs.append(job)
                job = self.queue.get_nowait()
        return jobs, job is None

    def _run(self, digest: str, task: str, options: bytes, group: list[Queued]) -> None:
        model = self.models.get(digest)
        if model is None:
            problem = Problem("not_ready", 503, "The model is not loaded (yet).", "Try again in a second.")
            self._send([(connection, Answer(call.number, problem=problem)) for connection, call in group])
            return
        batch: list[Opened] = []
        size = 0
        for connection, call in group:
            if call.deadline < time.monotonic():
                continue  # the front has answered that it took too long
            inputs = _decode_inputs[task].decode(call.inputs)
            if batch and size + len(inputs) > MAX_BATCH_INPUTS:
                self._send(self._infer(model, task, options, batch))
                batch, size = [], 0
            batch.append((connection, call, inputs))
            size += len(inputs)
        if batch:
            self._send(self._infer(model, task, options, batch))

    def _infer(self, model: Any, task: str, options: bytes, batch: Sequence[Opened]) -> list[tuple[Connection, Answer]]:
        """Run calls together; where that fails each by itself, so that a bad one fails alone."""
        started = time.monotonic()
        inputs = [one for _, _, inputs in batch for one in inputs]
        try:
            results = getattr(model, task)(inputs, _decode_options[task].decode(options))
            return _answers(batch, results, started)
        except Exception as error:
            if len(batch) > 1:
                return [answer for call in batch for answer in self._infer(model, task, options, [call])]
            connection, call, _ = batch[0]
            return [(connection, Answer(call.number, problem=_problem(error, call)))]

    def _send(self, answers: list[tuple[Connection, Answer]]) -> None:
        """Hand answers to the loop, as one message per connection."""
        by_connection: dict[Connection, list[Answer]] = defaultdict(list)
        for connection, answer in answers:
            by_connection[connection].append(answer)
        for connection, own in by_connection.items():
            self.loop.call_soon_threadsafe(connection.send, frame(Answers(own)))


def _answers(batch: Sequence[Opened], results: Sequence[Any], started: float) -> list[tuple[Connection, Answer]]:
    """The results of a batch, each call's own with its summary. Raises ValueError if there are not as many as inputs."""
    model_ms = round((time.monotonic() - started) * 1000, 3)
    answers: list[tuple[Connection, Answer]] = []
    start = 0
    for connection, call, inputs in batch:
        own = results[start : start + len(inputs)]
        start += len(inputs)
        kept = summarise(inputs, own)
        queue_ms = round((started - call.sent_at) * 1000, 3)
        summary = _msgpack(kept.kept)
        answer = Answer(
            call.number,
            _json(own),
            summary,
            kept.confidence,
            kept.input_tokens,
            kept.output_tokens,
            queue_ms,
            model_ms,
            len(results),
        )
        answers.append((connection, answer))
    return answers


def _problem(error: Exception, call: Infer) -> Problem:
    if isinstance(error, FourfoldError):
        return Problem.of(error)
    log.error("call %s of %s failed", call.task, call.digest[:12], exc_info=error)
    return Problem("failed", 500, "The model failed on this input.", "The engine's log has the details.")


def _import_families() -> None:
    for name in FAMILIES.names():
        with suppress(FourfoldError):  # one whose library is absent
            FAMILIES.resolve(name)


def _warm(model: Any, tasks: Sequence[str]) -> None:
    """Run each task once: a model that cannot fails here, before it is routed to. An input it refuses is no trouble."""
    for name in tasks:
        task = TASKS[name]
        with suppress(FourfoldError):
            getattr(model, name)([task.input(text=WARM_TEXT)], task.options())


class Connection(asyncio.Protocol):
    """One peer: a front, or the supervisor."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.frames = Frames()
        self.transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.WriteTransport, transport)  # uvloop's own class
        self.engine.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        self.engine.connections.discard(self)

    def send(self, data: bytes | bytearray) -> None:
        """Write, unless the peer has left."""
        if self.transport is not None:
            self.transport.write(data)

    def data_received(self, data: bytes) -> None:
        for message in self.frames.feed(data):
            self._take(messages.requests.decode(message))

    def _take(self, request: messages.Request) -> None:
        engine = self.engine
        match request:
            case InferBatch(calls=calls):
                engine.queue.put((self, calls))
            case messages.Ping():
                self.send(frame(messages.Pong(engine.queue.qsize())))
            case messages.List():
                self.send(frame(messages.Listing(sorted(engine.models))))
            case messages.Load():
                loading = engine.loop.run_in_executor(engine.loader, engine.load, request)
                loading.add_done_callback(lambda done: None if done.cancelled() else self.send(frame(done.result())))
            case messages.Unload():
                engine.queue.put(request)
                self.send(frame(messages.Unloaded(request.digest)))


async def serve(socket: Path) -> None:
    """Answer on a Unix socket until SIGTERM, then finish what is queued."""
    loop = asyncio.get_running_loop()
    engine = Engine(loop)
    socket.unlink(missing_ok=True)
    server = await loop.create_unix_server(lambda: Connection(engine), str(socket))
    ending = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ending.set)
    loop.add_signal_handler(signal.SIGINT, ending.set)
    await ending.wait()
    server.close()
    await loop.run_in_executor(None, engine.drain)
    while any(c.transport and c.transport.get_write_buffer_size() for c in engine.connections):
        await asyncio.sleep(0.01)


def _die(failure: threading.ExceptHookArgs) -> None:
    log.critical("the thread %s failed", failure.thread, exc_info=failure.exc_value)
    os._exit(1)  # the supervisor starts another; an engine without its worker would be silent for ever


def main() -> None:
    """Entry point of the process."""
    log_to_stderr()
    threading.excepthook = _die
    if len(sys.argv) > 2:
        die_with_parent(int(sys.argv[2]))
    uvloop.run(serve(Path(sys.argv[1])))


if __name__ == "__main__":
    main()
