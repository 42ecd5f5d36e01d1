"""Ctrl-C and SIGTERM: they end the work even where Python swallows the first exception (in a callback of its importer, say)."""

from __future__ import annotations

import signal
from types import FrameType

_asked: list[BaseException] = []


def listen(terminated: int) -> None:
    """From now on SIGINT raises KeyboardInterrupt, SIGTERM SystemExit with the code `terminated`; both are remembered."""
    signal.signal(signal.SIGINT, lambda number, frame: _stop(KeyboardInterrupt(), frame))
    signal.signal(signal.SIGTERM, lambda number, frame: _stop(SystemExit(terminated), frame))


def check() -> None:
    """Raise again what was asked for and did not end the work. Long work calls this as it goes on."""
    if _asked:
        raise _asked[-1]


def _stop(reason: BaseException, _frame: FrameType | None) -> None:
    _asked.append(reason)
    raise reason
