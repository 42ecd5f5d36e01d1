"""Child processes: started with a lifeline, restarted with back-off, ended gently."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from msgspec import Struct

log = logging.getLogger(__name__)

PACKAGE = "fourfold.application.serving"
MANAGEMENT = "fourfold.application.http.serve"  # by name: the room of routes stands above this one
BACK_OFF_SECONDS = (0.0, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
STEADY_SECONDS = 30.0  # a child that ran for this long starts again without waiting


class FrontSettings(Struct, frozen=True):
    """What the supervisor tells a front.

    `socket` is the file descriptor that listens, `lifeline` that of a pipe which ends with the supervisor; `segment` numbers
    the first segment of its log. The rest is from the home's settings.
    """

    home: str
    number: int
    segment: int
    management: str
    socket: int = -1
    lifeline: int = -1
    fronts: int = 1
    max_body_bytes: int = 1 << 20
    queue_limit: int = 1024
    seal_bytes: int = 64 << 20
    seal_seconds: float = 3600.0


class ManagementSettings(Struct, frozen=True):
    """What the supervisor tells the management process."""

    home: str
    socket: str
    lifeline: int


class Lifeline:
    """A pipe whose end children notice: they read `theirs`, the supervisor alone holds the other side, however it ends."""

    def __init__(self) -> None:
        self.theirs, self._ours = os.pipe()

    def close(self) -> None:
        """End the children that are still there."""
        os.close(self._ours)
        os.close(self.theirs)


def die_with_parent(lifeline: int) -> None:
    """End this process at once when the pipe `lifeline` ends, whatever ended the supervisor at its other side."""

    def wait() -> None:
        os.read(lifeline, 1)
        os._exit(1)

    threading.Thread(target=wait, name="lifeline", daemon=True).start()


class JsonLines(logging.Formatter):
    """One JSON object per line."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "at": round(record.created, 3),
            "level": record.levelname.lower(),
            "from": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def log_to_stderr() -> None:
    """Warnings and worse of this process as JSON lines."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler])


@dataclass(slots=True)
class Child:
    """A process that is to run all the time. `command` gives module and settings anew for each start; `prepare` runs before it.

    `keep` are file descriptors that it inherits.
    """

    name: str
    command: Callable[[], Sequence[str]]
    keep: tuple[int, ...] = ()
    prepare: Callable[[], None] = lambda: None
    restarts: int = 0
    exit_code: int | None = None
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    _started_at: float = 0.0
    _failures: int = 0
    _not_before: float = 0.0

    @property
    def running(self) -> bool:
        """Whether it runs now."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        return self._process.pid if self.running and self._process else None

    def watch(self, now: float) -> bool:
        """Start it if it is dead and its back-off has passed. True if it was started."""
        if self.running:
            return False
        if self._process is not None:
            self._mourn(self._process, now)
        if now < self._not_before:
            return False
        self.start()
        return True

    def start(self) -> None:
        """Start it, in a session of its own: a Ctrl-C on the terminal is the supervisor's to handle."""
        self.prepare()
        self._started_at = time.monotonic()
        self._process = subprocess.Popen(
            [sys.executable, "-m", *self.command()], pass_fds=self.keep, stdin=subprocess.DEVNULL, start_new_session=True
        )

    def stop(self) -> None:
        """Ask it to finish what it has and to end."""
        if self.running and self._process:
            self._process.terminate()

    def wait(self, seconds: float) -> None:
        """Wait for its end; after `seconds` it is killed."""
        if self._process is None:
            return
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            log.warning("%s did not end in %g s and is killed", self.name, seconds)
            self._process.kill()
            self._process.wait()

    def _mourn(self, process: subprocess.Popen[bytes], now: float) -> None:
        self.exit_code = process.wait()
        self.restarts += 1
        self._failures = 0 if now - self._started_at > STEADY_SECONDS else self._failures + 1
        delay = BACK_OFF_SECONDS[min(max(self._failures - 1, 0), len(BACK_OFF_SECONDS) - 1)]
        log.warning("%s ended with %s; starting it again in %g s", self.name, self.exit_code, delay)
        self._not_before = now + delay
        self._process = None
