"""Requests per second of front and engine on a no-op deployment, beside FastAPI in-process doing the same work.

Same work: check a key by its BLAKE3 hash, validate the body, write a record to a file before and after the model, keep
Prometheus metrics, answer the envelope. Every server runs on uvicorn with uvloop and httptools; one generator process keeps 32
connections busy over loopback. Rounds are interleaved and medians reported, since machines are shared; CPU time per request is
that of the server's processes and hardly feels their neighbours.

    python bench/serving.py [--json FILE] [--rounds 5] [--seconds 3]
"""

from __future__ import annotations

import argparse
import asyncio
import datetime
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import uvloop

from fourfold.application.serving import messages, routing
from fourfold.application.serving.bodies import NO_OPTIONS
from fourfold.application.serving.home import listen, make_salt
from fourfold.application.serving.messages import Frames, Infer, InferBatch, frame
from fourfold.application.serving.processes import FrontSettings
from fourfold.application.serving.routing import Limits, RoutedDeployment, RoutedKey, RoutedVersion, RoutingTable
from fourfold.compute.tasks import TagInput
from fourfold.storage.keys import hash_token

HERE = Path(__file__).resolve().parent
NOOP = HERE.parent / "tests" / "support"
TOKEN = "ff_" + "b" * 43
CONNECTIONS = 32
BODY = b'{"inputs":[{"id":"a","text":"the weather is fine today"}]}'
DIGEST = "d" * 64
TASKS = ("tag", "rank", "score", "suggest", "generate")


@dataclass(frozen=True)
class Figure:
    """One round of one server."""

    per_second: float
    p50_ms: float
    p99_ms: float
    cpu_us: float


# ---- load generator -----------------------------------------------------------------------------------------------------


class Caller(asyncio.Protocol):
    """One keep-alive connection that sends the next request as soon as it has the reply to the last."""

    def __init__(self, request: bytes, until: float, latencies: list[float]) -> None:
        self.request = request
        self.until = until
        self.latencies = latencies
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.send()

    def send(self) -> None:
        self.sent = time.perf_counter()
        self.transport.write(self.request)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        self.buffer = self.buffer + data if self.buffer else data
        head = self.buffer.find(b"\r\n\r\n")
        if head < 0:
            return
        at = self.buffer.find(b"content-length: ") + 16
        if len(self.buffer) < head + 4 + int(self.buffer[at : self.buffer.find(b"\r", at)]):
            return
        if not self.buffer.startswith(b"HTTP/1.1 200"):
            self.done.set_exception(RuntimeError(self.buffer.decode()))
            return
        self.buffer = b""
        now = time.perf_counter()
        self.latencies.append(now - self.sent)
        if now < self.until:
            self.send()
        else:
            self.done.set_result(None)
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(RuntimeError("the server hung up"))


async def generate(port: int, path: str, seconds: float) -> dict[str, float]:
    """Requests per second and latencies in ms."""
    head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {TOKEN}\r\ncontent-type: application/json\r\n"
    request = head.encode() + b"content-length: %d\r\n\r\n" % len(BODY) + BODY
    latencies: list[float] = []
    loop = asyncio.get_running_loop()
    started = time.perf_counter()
    callers = [Caller(request, started + seconds, latencies) for _ in range(CONNECTIONS)]
    for caller in callers:
        await loop.create_connection(lambda c=caller: c, "127.0.0.1", port)
    await asyncio.gather(*(caller.done for caller in callers))
    took = time.perf_counter() - started
    cuts = statistics.quantiles(latencies, n=100)
    return {"count": len(latencies), "seconds": took, "p50_ms": cuts[49] * 1000, "p99_ms": cuts[98] * 1000}


# ---- the servers --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Server:
    """A server under load: where, and which processes count."""

    name: str
    port: int
    path: str
    pids: tuple[int, ...]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": f"{NOOP}:{HERE}", "OMP_NUM_THREADS": "1"}


@contextmanager
def process(*command: str, keep: tuple[int, ...] = ()) -> Iterator[subprocess.Popen[bytes]]:
    """A child that ends with the block."""
    child = subprocess.Popen([sys.executable, *command], pass_fds=keep, env=environment())
    try:
        yield child
    finally:
        child.terminate()
        child.wait(10)


def wait_for(path: Path) -> None:
    for _ in range(600):
        if path.exists():
            return
        time.sleep(0.05)
    raise TimeoutError(path)


def ask(engine: Path, request: messages.Request) -> messages.Reply:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(engine))
        connection.sendall(frame(request))
        frames = Frames()
        while True:
            for message in frames.feed(connection.recv(1 << 16)):
                return messages.replies.decode(message)


@contextmanager
def fourfold(folder: Path) -> Iterator[tuple[Server, Path, int]]:
    """Front and engine as the supervisor starts them, with a routing table of one no-op version."""
    home, engine = folder / "home", folder / "engine.sock"
    (home / "run").mkdir(parents=True)
    make_salt(home)
    model = folder / "model"
    model.mkdir()
    (model / "label.txt").write_text("WORD")
    version = RoutedVersion("noop@1", DIGEST, "noop", TASKS, str(engine))
    deployment = RoutedDeployment("noop", (version,), Limits(), time.time())
    key = RoutedKey(hash_token(TOKEN), "key_bench", "bench", "reader")
    routing.write(home, RoutingTable("1", time.time(), (deployment,), (key,)))
    with listen("127.0.0.1", 0) as listener, ExitStack() as stack:
        port = listener.getsockname()[1]
        lifeline, ours = os.pipe()
        stack.callback(os.close, ours)  # last: its end would end them at once
        runner = stack.enter_context(
            process("-m", "fourfold.application.serving.engine", str(engine), str(lifeline), keep=(lifeline,))
        )
        wait_for(engine)
        ask(engine, messages.Load(DIGEST, "noop@1", "noop", TASKS, str(model)))
        settings = FrontSettings(str(home), 1, 1, str(folder / "management.sock"), listener.fileno(), lifeline)
        front = stack.enter_context(
            process(
                "-m",
                "fourfold.application.serving.front",
                msgspec.json.encode(settings).decode(),
                keep=(listener.fileno(), lifeline),
            )
        )
        wait_until_served(port, "/v1/deployments/noop:tag")
        yield Server("fourfold", port, "/v1/deployments/noop:tag", (front.pid, runner.pid)), engine, runner.pid


@contextmanager
def peer(name: str, folder: Path) -> Iterator[Server]:
    """One of the applications of serving_peers.py under uvicorn, set as the front sets it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    work = folder / name
    (work / "run").mkdir(parents=True)
    make_salt(work)
    with process(str(HERE / "serving_peers.py"), name, str(port), str(work), hash_token(TOKEN)) as child:
        wait_until_served(port, "/v1/deployments/noop:tag")
        yield Server(name, port, "/v1/deployments/noop:tag", (child.pid,))


def wait_until_served(port: int, path: str) -> None:
    for _ in range(600):
        try:
            asyncio.run(generate(port, path, 0.05))
            return
        except (OSError, RuntimeError):
            time.sleep(0.05)
    raise TimeoutError(path)


# ---- measuring ----------------------------------------------------------------------------------------------------------


def cpu_seconds(pids: tuple[int, ...]) -> float:
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def measure(server: Server, seconds: float) -> Figure:
    before = cpu_seconds(server.pids)
    command = [sys.executable, str(Path(__file__).resolve()), "--load", str(server.port), server.path, str(seconds)]
    told = json.loads(subprocess.run(command, check=True, capture_output=True, env=environment()).stdout)
    cpu = cpu_seconds(server.pids) - before
    return Figure(told["count"] / told["seconds"], told["p50_ms"], told["p99_ms"], cpu / told["count"] * 1e6)


async def engine_alone(engine: Path, seconds: float) -> dict[str, float]:
    """Calls per second over the Unix socket, 32 under way, without HTTP, log or metrics."""
    reader, writer = await asyncio.open_unix_connection(str(engine))
    inputs = msgspec.msgpack.encode([TagInput("the weather is fine today", "a")])
    frames = Frames()
    started = time.monotonic()
    sent, latencies = {}, []

    def send(count: int) -> None:
        now = time.monotonic()
        numbers = range(len(sent), len(sent) + count)
        sent.update(dict.fromkeys(numbers, now))
        writer.write(frame(InferBatch([Infer(n, DIGEST, "tag", inputs, NO_OPTIONS, now, now + 30) for n in numbers])))

    send(CONNECTIONS)
    while time.monotonic() - started < seconds:
        for message in frames.feed(await reader.read(1 << 18)):
            reply = messages.replies.decode(message)
            assert isinstance(reply, messages.Answers)
            now = time.monotonic()
            latencies += [now - sent[answer.number] for answer in reply.answers]
            send(len(reply.answers))
    writer.close()
    cuts = statistics.quantiles(latencies, n=100)
    took = time.monotonic() - started
    return {"count": len(latencies), "seconds": took, "p50_ms": cuts[49] * 1000, "p99_ms": cuts[98] * 1000}


def measure_engine(engine: Path, pid: int, seconds: float) -> Figure:
    before = cpu_seconds((pid,))
    command = [sys.executable, str(Path(__file__).resolve()), "--load-engine", str(engine), str(seconds)]
    told = json.loads(subprocess.run(command, check=True, capture_output=True, env=environment()).stdout)
    cpu = cpu_seconds((pid,)) - before
    return Figure(told["count"] / told["seconds"], told["p50_ms"], told["p99_ms"], cpu / told["count"] * 1e6)


LABELS = {
    "fourfold": "fourfold: front + engine process, key, record, metrics",
    "fastapi-model": "FastAPI in-process, same work, pydantic body and response model",
    "fastapi-bytes": "FastAPI in-process, same work, pydantic body, reply encoded by msgspec",
    "asgi-same-work": "raw ASGI + msgspec in-process, same work, no engine process",
    "asgi-bare": "raw ASGI, constant reply, no work at all",
    "engine": "engine alone over its Unix socket, no HTTP",
}


def rounds(count: int, seconds: float) -> dict[str, list[Figure]]:
    figures: dict[str, list[Figure]] = {name: [] for name in LABELS}
    with tempfile.TemporaryDirectory(prefix="fourfold-bench-") as temporary, ExitStack() as stack:
        folder = Path(temporary)
        ours, engine, engine_pid = stack.enter_context(fourfold(folder))
        names = ("fastapi-model", "fastapi-bytes", "asgi-same-work", "asgi-bare")
        servers = [ours, *(stack.enter_context(peer(name, folder)) for name in names)]
        for server in servers:
            measure(server, 1.0)  # warm
        for _ in range(count):
            for server in servers:
                figures[server.name].append(measure(server, seconds))
            figures["engine"].append(measure_engine(engine, engine_pid, seconds))
    return figures


def table(figures: dict[str, list[Figure]]) -> list[dict[str, object]]:
    """Medians per server, and each server's rate relative to the faster FastAPI."""
    rates = {name: statistics.median(f.per_second for f in found) for name, found in figures.items()}
    yardstick = max(rates["fastapi-model"], rates["fastapi-bytes"])
    return [
        {
            "what": LABELS[name],
            "requests/s": round(rates[name]),
            "× FastAPI": round(rates[name] / yardstick, 2),
            "p50 ms": round(statistics.median(f.p50_ms for f in found), 2),
            "p99 ms": round(statistics.median(f.p99_ms for f in found), 2),
            "server CPU µs/request": round(statistics.median(f.cpu_us for f in found), 1),
            "rounds": [round(f.per_second) for f in found],
        }
        for name, found in figures.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--load", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--load-engine", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.load:
        port, path, seconds = arguments.load
        print(json.dumps(uvloop.run(generate(int(port), path, float(seconds)))))
        return
    if arguments.load_engine:
        engine, seconds = arguments.load_engine
        print(json.dumps(uvloop.run(engine_alone(Path(engine), float(seconds)))))
        return
    rows = table(rounds(arguments.rounds, arguments.seconds))
    for row in rows:
        rate, times, cpu = row["requests/s"], row["× FastAPI"], row["server CPU µs/request"]
        latency = f"p50 {row['p50 ms']:>6} ms  p99 {row['p99 ms']:>6} ms"
        print(f"{rate:>8,} /s {times:>6} ×  {latency}  CPU {cpu:>6} µs  {row['what']}")
    if arguments.json:
        machine = (
            f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}"
        )
        date = datetime.date.today().isoformat()
        measured = f"medians of {arguments.rounds} interleaved rounds of {arguments.seconds:g} s"
        note = f"{CONNECTIONS} keep-alive connections, {measured}."
        document = {"title": "Serving", "note": note, "machine": machine, "date": date, "rows": rows}
        arguments.json.write_text(json.dumps(document, ensure_ascii=False, indent=2) + "\n")


if __name__ == "__main__":
    main()
