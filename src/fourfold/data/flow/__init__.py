"""The door of runners of cleaning: where the work on fragments is done, and the table of their names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from fourfold.core.registry import Table
from fourfold.data.fragment_work import Parts, Task


class Runner(Protocol):
    """Does tasks that share `parts`, and gives rows before and after of each, in the order of the tasks. `close()` ends it."""

    def __call__(self, tasks: Sequence[Task], parts: Parts, /) -> Iterator[tuple[int, int]]: ...
    def close(self) -> None: ...


RUNNERS = Table(
    "runner",
    {
        "loop": "fourfold.data.flow.loop:Loop",
        "pool": "fourfold.data.flow.pool:Pool",
        "ray": "fourfold.data.flow.ray:OnRay",
    },
)
