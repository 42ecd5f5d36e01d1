"""One prediction: place it in the log, send it to an engine, and turn the engine's answer into the reply."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import msgspec
from msgspec import Raw, Struct

from fourfold.application.serving.bodies import Body
from fourfold.application.serving.link import EngineLink
from fourfold.application.serving.messages import Answer
from fourfold.application.serving.metrics import Figures
from fourfold.application.serving.replies import Reply, plain_reply, problem_reply
from fourfold.application.serving.request_log import Closed, Opened, RequestLog, Ticket
from fourfold.application.serving.routing import RoutedDeployment, RoutedKey, RoutedVersion

_encode = msgspec.json.Encoder().encode


class RouteTaken(Struct):
    """Which step of the deployment answered, and why that one."""

    step: str
    reason: str


class Usage(Struct):
    """Tokens, as the model cuts them."""

    input_tokens: int
    output_tokens: int = 0


class Timings(Struct):
    """Milliseconds from the front to the model's start, and of the model's run over the batch."""

    queue: float
    model: float


class Envelope(Struct):
    """The reply of every task. `results` is the engine's JSON, one result per input."""

    id: str
    deployment: str
    version: str
    results: Raw
    route: RouteTaken
    usage: Usage
    timings_ms: Timings


class Call:
    """A prediction on its way."""

    __slots__ = ("deployment", "future", "id", "reason", "started", "task", "ticket", "trace", "version")

    def __init__(
        self,
        future: asyncio.Future[Reply],
        ticket: Ticket,
        request_id: str,
        deployment: RoutedDeployment,
        version: RoutedVersion,
        reason: str,
        task: str,
        trace: str,
        started: float,
    ) -> None:
        self.future = future
        self.ticket = ticket
        self.id = request_id
        self.deployment = deployment
        self.version = version
        self.reason = reason
        self.task = task
        self.trace = trace
        self.started = started


class Predictor:
    """The hot path of the front after all checks. Both ends of a request are in the log before its reply leaves."""

    def __init__(self, log: RequestLog, figures: Figures) -> None:
        self.log = log
        self.figures = figures
        self.loop = asyncio.get_running_loop()

    def start(self, call: Call, key: RoutedKey, body: Body, input_bytes: int, link: EngineLink[Call]) -> None:
        """Open the request's record and queue the call for the end of this tick."""
        limits, version = call.deployment.limits, call.version
        self.log.opened(
            call.ticket,
            Opened(
                call.ticket.id.at_ms,
                key.id,
                call.deployment.name,
                version.ref,
                version.digest,
                call.task,
                version.family,
                call.trace,
                body.count,
                body.hash,
                input_bytes,
                body.inputs if limits.record_content else None,
            ),
        )
        link.call(call, version.digest, call.task, body.inputs, body.options, limits.timeout_seconds)

    def finish(self, answered: Sequence[tuple[Call, Answer]]) -> None:
        """Close the records of all answers with one write, then let their replies go."""
        replies = [self._reply(call, answer) for call, answer in answered]
        self.log.flush()
        for (call, _), reply in zip(answered, replies, strict=True):
            if not call.future.done():  # a caller may have been cancelled
                call.future.set_result(reply)

    def _reply(self, call: Call, answer: Answer) -> Reply:
        total_seconds = time.perf_counter() - call.started
        problem = answer.problem
        code = "ok" if problem is None else problem.code
        content = answer.results if call.deployment.limits.record_content and problem is None else None
        self.log.closed(
            call.ticket,
            Closed(
                call.ticket.id.offset,
                code,
                "" if problem is None else problem.message,
                answer.confidence,
                answer.input_tokens,
                answer.summary,
                answer.queue_ms,
                answer.model_ms,
                total_seconds * 1000,
                content,
            ),
        )
        self._measure(call, answer, code, total_seconds)
        if problem is not None:
            return problem_reply(problem, call.id)
        version = call.version
        body = _encode(
            Envelope(
                call.id,
                call.deployment.name,
                version.ref,
                Raw(answer.results),
                RouteTaken(version.family, call.reason),
                Usage(answer.input_tokens, answer.output_tokens),
                Timings(answer.queue_ms, answer.model_ms),
            )
        )
        return plain_reply(200, b"application/json", body)

    def _measure(self, call: Call, answer: Answer, code: str, total_seconds: float) -> None:
        name = call.deployment.name
        self.figures.count(name, call.version.ref, call.task, code)
        figures = self.figures.model(name)
        figures.latency.observe(total_seconds)
        if answer.problem is not None:
            figures.failed += 1
            return
        figures.stopped += 1
        figures.queue.observe(answer.queue_ms / 1000)
        figures.batch.observe(answer.batch_inputs)
        figures.input_tokens += answer.input_tokens
        figures.output_tokens += answer.output_tokens
        if answer.confidence is not None:
            figures.confidence.observe(answer.confidence)
