"""The request log of a front: records appended to a file, written to the operating system before the reply goes out.

A record is its length (4 bytes), its CRC-32 (4 bytes) and msgpack. `Opened` is written before the engine is called, `Closed`
after. A request's id holds where its `Opened` begins, so that finding it is one read. A file that no request will be added to
moves from `requests/open` to `requests/closed`, where the supervisor seals it (request_segments.py).
"""

from __future__ import annotations

import errno
import logging
import os
import struct
import time
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import msgspec
from msgspec import Struct

from fourfold.core.errors import BadInput
from fourfold.core.ids import base32, from_base32

log = logging.getLogger(__name__)

UNRECORDED = 1 << 39  # offsets from here on say: there is no record
HEADER = struct.Struct("<II")


class RequestId(NamedTuple):
    """What a request's id says: Unix milliseconds (48 bits), front (16), segment of its log (24), byte offset in it (40)."""

    at_ms: int
    front: int
    segment: int
    offset: int

    def __str__(self) -> str:
        return f"req_{base32(self.number, 26)}"

    @property
    def number(self) -> int:
        """All of it in 128 bits; also the trace id of a request that came without one."""
        return ((self.at_ms << 16 | self.front) << 24 | self.segment) << 40 | self.offset

    @property
    def recorded(self) -> bool:
        """Whether a record was written: not for a request that was refused before it reached a model."""
        return self.offset < UNRECORDED

    @classmethod
    def parse(cls, text: str) -> RequestId:
        """The parts of an id. Raises BadInput if it is none."""
        prefix, _, digits = text.partition("_")
        try:
            number = from_base32(digits) if prefix == "req" and len(digits) == 26 else 1 << 128
        except ValueError:
            number = 1 << 128
        if number >> 128:
            raise BadInput(f"{text!r} is no request id.", hint="It stands as `id` in an answer and in its header X-Request-Id.")
        return cls(number >> 80, number >> 64 & 0xFFFF, number >> 40 & 0xFFFFFF, number & (1 << 40) - 1)


class Opened(Struct, array_like=True, tag="o"):
    """A request that goes to an engine. `content`: its inputs in msgpack where the deployment keeps them."""

    at_ms: int
    actor: str
    deployment: str
    version: str
    digest: str
    task: str
    step: str
    trace: str
    inputs: int
    input_hash: str
    input_bytes: int
    content: bytes | None = None


class Closed(Struct, array_like=True, tag="c"):
    """How the request that was opened at `opened` (byte offset in this file) ended. `code` is "ok" or an error's code."""

    opened: int
    code: str
    error: str
    confidence: float | None
    input_tokens: int
    summary: bytes
    queue_ms: float
    model_ms: float
    total_ms: float
    content: bytes | None = None


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Opened | Closed).decode


def segment_name(front: int, segment: int) -> str:
    """The name of a segment in file names and in the ledger."""
    return f"{front}-{segment:06d}"


def open_path(home: Path, name: str) -> Path:
    """The file of a segment that a front writes."""
    return home / "requests" / "open" / f"{name}.log"


def closed_path(home: Path, name: str) -> Path:
    """The file of a segment that waits for its sealing."""
    return home / "requests" / "closed" / f"{name}.log"


class LogFile:
    """A segment being written. `size` is where the next record begins, unwritten ones in `pending` included."""

    __slots__ = ("descriptor", "in_flight", "number", "opened", "pending", "records", "since", "size")

    def __init__(self, path: Path, number: int, now: float) -> None:
        self.descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        self.number = number
        self.size = 0
        self.pending = bytearray()
        self.records = 0  # in `pending`
        self.opened: list[Ticket] = []  # whose opened record is in `pending`
        self.in_flight = 0
        self.since = now

    def append(self, record: Opened | Closed) -> None:
        """Add a record to what the next flush writes."""
        data = _encode(record)
        self.pending += HEADER.pack(len(data), zlib.crc32(data))
        self.pending += data
        self.records += 1
        self.size += HEADER.size + len(data)


class Ticket:
    """A request's place in the log. `recorded` turns false if its opened record found no room."""

    __slots__ = ("file", "id", "recorded")

    def __init__(self, id: RequestId, file: LogFile) -> None:
        self.id = id
        self.file = file
        self.recorded = True


class RequestLog:
    """The writer of one front. Its errors never reach a prediction: records that find no room are counted in `lost`."""

    def __init__(
        self, home: Path, front: int, segment: int, *, seal_bytes: int = 64 << 20, seal_seconds: float = 3600.0
    ) -> None:
        self.home = home
        self.front = front
        self.seal_bytes = seal_bytes
        self.seal_seconds = seal_seconds
        self.lost = 0  # records that could not be written
        self.problem = ""  # why the last flush failed; empty when it did not
        self._unrecorded = 0
        self._next = segment
        self._retired: list[LogFile] = []
        self._file = self._start()

    def place(self) -> Ticket:
        """Where the next opened record will stand, and with it the request's id."""
        file = self._file
        return Ticket(RequestId(int(time.time() * 1000), self.front, file.number, file.size), file)

    def unrecorded(self) -> RequestId:
        """An id for a request that is refused at the door."""
        self._unrecorded = self._unrecorded + 1 & UNRECORDED - 1
        return RequestId(int(time.time() * 1000), self.front, self._file.number, UNRECORDED | self._unrecorded)

    def opened(self, ticket: Ticket, record: Opened) -> None:
        """Add the record at the place that `place` gave."""
        ticket.file.in_flight += 1
        ticket.file.opened.append(ticket)
        ticket.file.append(record)

    def closed(self, ticket: Ticket, record: Closed) -> None:
        """Add the end of a request to the file that holds its beginning."""
        ticket.file.in_flight -= 1
        if ticket.recorded:
            ticket.file.append(record)
        else:
            self.lost += 1

    def flush(self) -> None:
        """Hand what was added to the operating system; rotate when the segment is full; close segments that are complete."""
        self._write(self._file)
        for file in tuple(self._retired):
            self._write(file)
            if file.in_flight == 0:
                self._retired.remove(file)
                self._complete(file)
        if self._file.size >= self.seal_bytes:
            self.rotate()

    def rotate_if_old(self, now: float) -> None:
        """Begin a new segment when the present one is older than `seal_seconds` and holds something."""
        if self._file.size and now - self._file.since >= self.seal_seconds:
            self.rotate()
        self.flush()

    def rotate(self) -> None:
        """Begin a new segment. Requests that are in flight end in the old one, which is complete after the last of them."""
        old = self._file
        try:
            self._file = self._start()
        except OSError as error:  # go on in the old file, however long it gets
            self._trouble(error, 0)
            return
        self._retired.append(old)

    def close(self) -> None:
        """Write what is left and leave every segment to the sealer."""
        for file in (*self._retired, self._file):
            self._write(file)
            self._complete(file)

    def _start(self) -> LogFile:
        path = open_path(self.home, segment_name(self.front, self._next))
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        closed_path(self.home, "").parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = LogFile(path, self._next, time.monotonic())
        self._next += 1
        return file

    def _write(self, file: LogFile) -> None:
        if not file.pending:
            return
        try:
            written = os.write(file.descriptor, file.pending)
            if written != len(file.pending):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self.problem = ""
        except OSError as error:
            file.size -= len(file.pending)
            for ticket in file.opened:
                ticket.recorded = False
            with suppress(OSError):  # a record cut in two would be counted as torn later on
                os.ftruncate(file.descriptor, file.size)
            self._trouble(error, file.records)
        file.pending.clear()
        file.opened.clear()
        file.records = 0

    def _trouble(self, error: OSError, records: int) -> None:
        if not self.problem:
            log.error("request log cannot be written: %s", error.strerror)
        self.lost += records
        self.problem = f"The request log cannot be written: {error.strerror}."

    def _complete(self, file: LogFile) -> None:
        os.close(file.descriptor)
        name = segment_name(self.front, file.number)
        open_path(self.home, name).replace(closed_path(self.home, name))


@dataclass(slots=True)
class Torn:
    """What reading a log had to step over."""

    records: int = 0


def read_log(path: Path, torn: Torn, *, start: int = 0) -> Iterator[tuple[int, Opened | Closed]]:
    """Offset and record from `start` on. A tail that a crash cut off and damaged records are counted in `torn`."""
    with path.open("rb") as file:
        file.seek(start)
        offset = start
        while header := file.read(HEADER.size):
            length, check = HEADER.unpack(header) if len(header) == HEADER.size else (0, -1)
            data = file.read(length)
            if len(data) < length or check == -1:
                torn.records += 1
                return
            record = _read(data, check)
            if record is None:
                torn.records += 1
            else:
                yield offset, record
            offset += HEADER.size + length


def _read(data: bytes, check: int) -> Opened | Closed | None:
    if zlib.crc32(data) != check:
        return None
    try:
        return _decode(data)
    except msgspec.DecodeError:
        return None


def adopt(home: Path, front: int | None = None) -> None:
    """Call the logs of dead fronts complete: of one front, or of all."""
    closed_path(home, "").parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    for path in (home / "requests" / "open").glob("*.log"):
        if front is None or path.name.startswith(f"{front}-"):
            path.replace(closed_path(home, path.stem))


def next_segment(home: Path, sealed: Iterable[str], front: int) -> int:
    """A segment number that this front never used. `sealed`: names of the ledger's segments."""
    names = list(sealed)
    names += [path.stem for path in (home / "requests").glob("*/*.log")]
    return 1 + max((int(n.partition("-")[2]) for n in names if n.startswith(f"{front}-")), default=0)
