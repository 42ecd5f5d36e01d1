"""What bench/serving.py measures beside fourfold: `python bench/serving_peers.py NAME PORT FOLDER KEY_HASH` serves it."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import blake3
import msgspec
import uvicorn
from fastapi import Depends, FastAPI, Header, HTTPException, Response
from fourfold_noop import Model
from prometheus_client import CollectorRegistry, Counter, Histogram
from pydantic import BaseModel, ConfigDict

from fourfold.application.serving.bodies import BodyReader, salt_path
from fourfold.application.serving.metrics import SECONDS
from fourfold.application.serving.request_log import Closed, Opened, RequestLog, Ticket
from fourfold.application.serving.routing import Limits
from fourfold.application.serving.summaries import summarise
from fourfold.compute.tasks import TASKS, Tagged, TagInput, TagOptions

PATH = "/v1/deployments/noop:tag"


class Desk:
    """The work that every peer does per request, as a careful engineer writes it: the same log, prometheus-client."""

    def __init__(self, folder: Path, key_hash: str) -> None:
        self.keys = {key_hash: "key_bench"}
        self.salt = salt_path(folder).read_bytes()
        self.log = RequestLog(folder, 1, 1)
        registry = CollectorRegistry()
        labels, one = ("deployment", "version", "task", "code"), ("model_name",)
        self.requests = Counter("fourfold_requests", "Requests.", labels, registry=registry).labels(
            "noop", "noop@1", "tag", "ok"
        )
        self.latency = Histogram("e2e_request_latency_seconds", "Latency.", one, registry=registry, buckets=SECONDS).labels(
            "noop"
        )
        self.tokens = Counter("prompt_tokens", "Tokens.", one, registry=registry).labels("noop")
        self.confidence = Histogram("fourfold_confidence", "Confidence.", one, registry=registry).labels("noop")
        self.model = Model("WORD")

    def actor(self, authorization: str) -> str | None:
        return self.keys.get(blake3.blake3(authorization.removeprefix("Bearer ").encode()).hexdigest())

    def open(self, actor: str, texts: list[str]) -> Ticket:
        hasher = blake3.blake3(key=self.salt)
        for text in texts:
            hasher.update(text.encode())
        ticket = self.log.place()
        self.log.opened(
            ticket,
            Opened(
                ticket.id.at_ms,
                actor,
                "noop",
                "noop@1",
                "d" * 64,
                "tag",
                "noop",
                f"{ticket.id.number:032x}",
                1,
                hasher.hexdigest(),
                60,
            ),
        )
        self.log.flush()
        return ticket

    def run(self, inputs: list[TagInput]) -> tuple[list[Tagged], float, float | None, int]:
        started = time.perf_counter()
        results = self.model.tag(inputs, TagOptions())
        model_ms = (time.perf_counter() - started) * 1000
        kept = summarise(inputs, results)
        return results, model_ms, kept.confidence, kept.input_tokens

    def close(self, ticket: Ticket, started: float, model_ms: float, confidence: float | None, tokens: int) -> None:
        total = time.perf_counter() - started
        self.log.closed(ticket, Closed(ticket.id.offset, "ok", "", confidence, tokens, b"", 0.0, model_ms, total * 1000))
        self.log.flush()
        self.requests.inc()
        self.latency.observe(total)
        self.tokens.inc(tokens)
        self.confidence.observe(confidence or 0.0)


class TagInputModel(BaseModel):
    model_config = ConfigDict(extra="forbid")
    text: str
    id: str = ""
    tokens: list[str] | None = None


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid")
    inputs: list[TagInputModel]


class TokenModel(BaseModel):
    text: str
    start: int
    end: int
    label: str
    score: float


class TaggedModel(BaseModel):
    id: str
    tokens: list[TokenModel]
    calibrated: bool


class RouteModel(BaseModel):
    step: str
    reason: str


class UsageModel(BaseModel):
    input_tokens: int


class TimingsModel(BaseModel):
    queue: float
    model: float


class EnvelopeModel(BaseModel):
    id: str
    deployment: str
    version: str
    results: list[TaggedModel]
    route: RouteModel
    usage: UsageModel
    timings_ms: TimingsModel


def envelope(request_id: str, results: list[Any], tokens: int, model_ms: float) -> dict[str, Any]:
    return {
        "id": request_id,
        "deployment": "noop",
        "version": "noop@1",
        "results": results,
        "route": {"step": "noop", "reason": "the only version of this deployment"},
        "usage": {"input_tokens": tokens},
        "timings_ms": {"queue": 0.0, "model": model_ms},
    }


def fastapi(desk: Desk, *, model: bool) -> FastAPI:
    """FastAPI as its documentation writes it; without `model` msgspec encodes the reply, which is faster."""
    app = FastAPI()

    async def key(authorization: str = Header("")) -> str:  # async: FastAPI runs plain functions in threads
        found = desk.actor(authorization)
        if found is None:
            raise HTTPException(401, "This key is not known.")
        return found

    async def answer(body: Body, started: float, who: str) -> tuple[str, list[Tagged], int, float]:
        ticket = desk.open(who, [one.text for one in body.inputs])
        inputs = [TagInput(one.text, one.id, one.tokens) for one in body.inputs]
        results, model_ms, confidence, tokens = desk.run(inputs)
        desk.close(ticket, started, model_ms, confidence, tokens)
        return str(ticket.id), results, tokens, model_ms

    if model:

        @app.post(PATH)
        async def tag_model(body: Body, response: Response, who: str = Depends(key)) -> EnvelopeModel:
            request_id, results, tokens, model_ms = await answer(body, time.perf_counter(), who)
            response.headers["X-Request-Id"] = request_id
            response.headers["X-Model-Version"] = "noop@1"
            return EnvelopeModel.model_validate(envelope(request_id, msgspec.to_builtins(results), tokens, model_ms))

    else:

        @app.post(PATH)
        async def tag_bytes(body: Body, who: str = Depends(key)) -> Response:
            request_id, results, tokens, model_ms = await answer(body, time.perf_counter(), who)
            content = msgspec.json.encode(envelope(request_id, results, tokens, model_ms))
            headers = {"X-Request-Id": request_id, "X-Model-Version": "noop@1"}
            return Response(content, media_type="application/json", headers=headers)

    return app


def asgi(desk: Desk) -> Any:
    """The same work in a bare ASGI function: what the engine's process and its socket add."""
    reader = BodyReader(TASKS["tag"], desk.salt)
    limits = Limits()
    decode = msgspec.msgpack.Decoder(list[TagInput]).decode

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return await _lifespan(receive, send)
        started = time.perf_counter()
        headers = dict(scope["headers"])
        who = desk.actor(headers[b"authorization"].decode()) or ""
        inputs = decode(reader.read((await receive())["body"], limits).inputs)
        ticket = desk.open(who, [one.text for one in inputs])
        results, model_ms, confidence, tokens = desk.run(inputs)
        desk.close(ticket, started, model_ms, confidence, tokens)
        request_id = str(ticket.id)
        return await _send(send, msgspec.json.encode(envelope(request_id, results, tokens, model_ms)), request_id)

    return app


async def bare(scope: Any, receive: Any, send: Any) -> None:
    """Nothing but HTTP."""
    if scope["type"] != "http":
        return await _lifespan(receive, send)
    await receive()
    return await _send(send, b"{}" * 200, "req_0")


async def _send(send: Any, body: bytes, request_id: str) -> None:
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"x-request-id", request_id.encode()),
        (b"x-model-version", b"noop@1"),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _lifespan(receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


def main() -> None:
    name, port, folder, key_hash = sys.argv[1:]
    desk = Desk(Path(folder), key_hash)
    apps = {
        "fastapi-model": lambda: fastapi(desk, model=True),
        "fastapi-bytes": lambda: fastapi(desk, model=False),
        "asgi-same-work": lambda: asgi(desk),
        "asgi-bare": lambda: bare,
    }
    uvicorn.run(
        apps[name](),
        host="127.0.0.1",
        port=int(port),
        loop="uvloop",
        http="httptools",
        ws="none",
        access_log=False,
        log_config=None,
        log_level="warning",
        server_header=False,
        timeout_keep_alive=75,
    )


if __name__ == "__main__":
    main()
