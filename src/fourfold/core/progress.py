"""Progress of long work: a callable that is told how far it is."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Called with work done so far, the whole (None when unknown) and the unit, as often as the work likes."""

    def __call__(self, done: float, total: float | None, unit: str, /) -> None: ...


def silent(done: float, total: float | None, unit: str, /) -> None:
    """Progress that nobody watches."""
