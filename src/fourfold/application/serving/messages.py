"""What crosses the Unix sockets to an engine: msgpack structs, each behind its length in 4 bytes (big-endian)."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from msgspec import Struct

from fourfold.core.errors import Corrupt, FourfoldError

MAX_FRAME_BYTES = 1 << 30


class Problem(Struct, array_like=True, frozen=True):
    """A FourfoldError on its way between processes."""

    code: str
    status: int
    message: str
    hint: str = ""

    @classmethod
    def of(cls, error: FourfoldError) -> Problem:
        return cls(error.code, error.status, error.message, error.hint)


class Load(Struct, tag="load", frozen=True):
    """Open a version's folder as a model of its family, under its digest. Loading what is loaded is answered at once."""

    digest: str
    ref: str
    family: str
    tasks: tuple[str, ...]
    folder: str


class Unload(Struct, tag="unload", frozen=True):
    """Close a model after the calls that are queued."""

    digest: str


class List(Struct, tag="list", frozen=True):
    """Which digests are loaded?"""


class Ping(Struct, tag="ping", frozen=True):
    """Are you there?"""


class Infer(Struct, array_like=True, frozen=True):
    """A call: `inputs` is a msgpack list of the task's inputs, `options` a msgpack map. Times are of the monotonic clock."""

    number: int
    digest: str
    task: str
    inputs: bytes
    options: bytes
    sent_at: float
    deadline: float


class InferBatch(Struct, tag="infer", frozen=True):
    """All calls of one tick of the front's loop."""

    calls: list[Infer]


class Loaded(Struct, tag="loaded", frozen=True):
    """A version is ready, or is not, and why."""

    digest: str
    problem: Problem | None = None
    seconds: float = 0.0


class Unloaded(Struct, tag="unloaded", frozen=True):
    """A model is closed."""

    digest: str


class Listing(Struct, tag="listing", frozen=True):
    """The digests that are loaded."""

    digests: list[str]


class Pong(Struct, tag="pong", frozen=True):
    """The engine's loop runs; `queued` calls wait for its worker."""

    queued: int


class Answer(Struct, array_like=True, frozen=True):
    """The end of a call. `results` is a JSON array, one result per input; `summary` is what the request log keeps of them."""

    number: int
    results: bytes = b""
    summary: bytes = b""
    confidence: float | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    queue_ms: float = 0.0
    model_ms: float = 0.0
    batch_inputs: int = 0
    problem: Problem | None = None


class Answers(Struct, tag="answers", frozen=True):
    """All answers that one batch gave."""

    answers: list[Answer]


Request = Load | Unload | List | Ping | InferBatch
Reply = Loaded | Unloaded | Listing | Pong | Answers

_encoder = msgspec.msgpack.Encoder()
requests = msgspec.msgpack.Decoder(Request)
replies = msgspec.msgpack.Decoder(Reply)


def frame(message: Request | Reply) -> bytearray:
    """A message with its length before it."""
    buffer = bytearray(4)
    _encoder.encode_into(message, buffer, 4)
    buffer[:4] = (len(buffer) - 4).to_bytes(4, "big")
    return buffer


class Frames:
    """Cuts a stream of bytes back into the messages that `frame` made."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The messages that `data` completes, in order. Raises Corrupt at a length that no message has."""
        rest = self._rest
        rest += data
        start, size = 0, len(rest)
        while size - start >= 4:
            length = int.from_bytes(rest[start : start + 4], "big")
            if length > MAX_FRAME_BYTES:
                raise Corrupt(
                    f"A message of {length:,} bytes was announced on an engine's socket; the limit is {MAX_FRAME_BYTES:,}."
                )
            if size - start - 4 < length:
                break
            yield bytes(rest[start + 4 : start + 4 + length])
            start += 4 + length
        if start:
            del rest[:start]
