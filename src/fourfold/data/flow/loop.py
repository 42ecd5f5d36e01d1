"""One fragment after another, in this process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fourfold.data.fragment_work import Parts, Task, work


class Loop:
    """The plain loop: the fastest for small data, and the one the other runners are compared with."""

    def __call__(self, tasks: Sequence[Task], parts: Parts, /) -> Iterator[tuple[int, int]]:
        for task in tasks:
            yield work(task, parts)

    def close(self) -> None:
        """Nothing is open."""
