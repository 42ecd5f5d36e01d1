"""The process in which trafilatura works: how to ask it, and what it does. Messages are msgpack behind four bytes of length."""

from __future__ import annotations

import atexit
import os
import select
import subprocess
import sys
import threading
import time
from contextlib import suppress
from functools import cache
from typing import IO, Any

import msgspec

from fourfold.core.extras import need
from fourfold.data.main_text import by_rule
from fourfold.data.page import head_of, language_of, may_have_rule, rule_of

JOINER = "\u200d"  # joins emoji into one; trafilatura drops what cannot be printed, so that a mark stands for it meanwhile
MARKS = "\u2e3b\u2e42\u2e3a\ua9c5\u2058\u205e\u2e2e\u203b"


class Asked(msgspec.Struct, frozen=True):
    """A page, and how to read it."""

    html: str
    url: str
    rules: dict[str, str]


class Found(msgspec.Struct, frozen=True):
    """Its main text and fields; or, in `reason`, why there is none."""

    text: str = ""
    fields: dict[str, str] = {}
    reason: str = ""


class Child:
    """One process that is started when it is asked, and anew after it hung or died. It ends with this process."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0
        self._lock = threading.Lock()

    def ask(self, asked: Asked, timeout_seconds: float) -> Found | str:
        """The answer, or why there is none: `timeout`, `crashed`, `no_main_text`."""
        with self._lock:
            process = self._running()
            assert process.stdin is not None and process.stdout is not None
            try:
                _send(process.stdin, msgspec.msgpack.encode(asked))
                answer = _receive(process.stdout, time.monotonic() + timeout_seconds)
            except TimeoutError:
                self.close()
                return "timeout"
            except (OSError, EOFError):
                self.close()
                return "crashed"
        found = msgspec.msgpack.decode(answer, type=Found)
        return found.reason or found

    def close(self) -> None:
        """Ends the process, if one runs."""
        process, self._process = self._process, None
        if process is not None and self._owner == os.getpid():
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout):
                with suppress(OSError):
                    assert stream is not None
                    stream.close()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._owner != os.getpid() or self._process.poll() is not None:
            self.close()
            command = [sys.executable, "-m", "fourfold.data.extraction_child"]
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            self._owner = os.getpid()
            assert self._process.stdout is not None
            _receive(self._process.stdout, time.monotonic() + 120)  # its libraries are loaded: the time of pages starts now
        return self._process


@cache
def child() -> Child:
    """The one that this process asks."""
    found = Child()
    atexit.register(found.close)
    return found


def _send(stream: IO[bytes], message: bytes) -> None:
    stream.write(len(message).to_bytes(4, "big") + message)
    stream.flush()


def _receive(stream: IO[bytes], deadline: float) -> bytes:
    size = int.from_bytes(_exactly(stream, 4, deadline), "big")
    return _exactly(stream, size, deadline)


def _exactly(stream: IO[bytes], size: int, deadline: float) -> bytes:
    data = bytearray()
    while len(data) < size:
        if not select.select([stream], [], [], max(0.0, deadline - time.monotonic()))[0]:
            raise TimeoutError
        part = os.read(stream.fileno(), min(size - len(data), 1 << 16))
        if not part:
            raise EOFError
        data += part
    return bytes(data)


# ---- the process itself ---------------------------------------------------------------------------------------------------


def extract(asked: Asked) -> Found:
    """What trafilatura finds in a page, or what a rule says."""
    trafilatura: Any = need("trafilatura", extra="documents", what="Extracting pages precisely")
    if may_have_rule(asked.rules, asked.html):
        found = _by_rule(asked)
        if found:
            return found
    options = {"fast": True, "include_comments": False, "include_tables": True, "with_metadata": True}
    joiner = next(mark for mark in MARKS if mark not in asked.html)
    document = trafilatura.bare_extraction(asked.html.replace(JOINER, joiner), url=asked.url or None, **options)
    text = (document.text or "").replace(joiner, JOINER).replace("\x00", "").strip() if document else ""
    if not text:
        return Found(reason="no_main_text")
    known = head_of(asked.html)
    fields = {"title": document.title, "author": document.author, "date": document.date, "url": document.url} | known
    fields |= {"lang": language_of(text, known.get("declared", ""))} | ({"url": asked.url} if asked.url else {})
    return Found(text, {name: str(value) for name, value in fields.items() if value and name != "declared"})


def _by_rule(asked: Asked) -> Found | None:
    parser = need("resiliparse.parse.html", extra="documents", what="Extracting pages")
    tree = parser.HTMLTree.parse(asked.html)
    fields = head_of(asked.html)
    declared = fields.pop("declared", "")
    rule = rule_of(asked.rules, asked.url or fields.get("url", ""), tree.document.query_selector)
    text = by_rule(tree, rule, fields) if rule else ""
    if not text:
        return None
    fields |= {"lang": language_of(text, declared)} | ({"url": asked.url} if asked.url else {})
    return Found(text, {name: value for name, value in fields.items() if value})


def main() -> None:
    """Answers pages until standard input ends."""
    trafilatura = need("trafilatura", extra="documents", what="Extracting pages precisely")
    assert trafilatura
    out, source = os.fdopen(os.dup(1), "wb"), os.fdopen(os.dup(0), "rb")
    os.dup2(2, 1)  # what a library prints is no answer
    _send(out, b"ready")
    while head := source.read(4):
        _send(
            out, msgspec.msgpack.encode(extract(msgspec.msgpack.decode(source.read(int.from_bytes(head, "big")), type=Asked)))
        )


if __name__ == "__main__":
    main()
