"""Fragments on a Ray cluster, through Ray Data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
import pyarrow as pa

from fourfold.core.extras import need
from fourfold.data.fragment_work import Parts, Task, build_parts, work


class OnRay:
    """Ray Data's `map_batches` over a table of tasks, all row-local steps of a task in one call. Every machine of the cluster
    must see the home's folder. A cluster that runs is used; else one is started in this machine, and ended by `close`.
    """

    def __init__(self) -> None:
        self._ray = need("ray", extra="ray", what="Runner 'ray'")
        need("ray.data", extra="ray", what="Runner 'ray'")
        self._ours = not self._ray.is_initialized()
        if self._ours:
            self._ray.init(include_dashboard=False, log_to_driver=False, logging_level="ERROR")

    def __call__(self, tasks: Sequence[Task], parts: Parts, /) -> Iterator[tuple[int, int]]:
        if not tasks:
            return
        numbered = pa.table({"number": range(len(tasks)), "task": [msgspec.json.encode(task).decode() for task in tasks]})
        context = self._ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        data = self._ray.data.from_arrow([numbered.slice(i, 1) for i in range(len(tasks))])
        done = data.map_batches(_batch, batch_format="pyarrow", batch_size=1).take_all()
        for row in sorted(done, key=lambda row: row["number"]):
            yield row["before"], row["after"]

    def close(self) -> None:
        """Ends the cluster if it was started here."""
        if self._ours:
            self._ray.shutdown()


def _batch(batch: pa.Table) -> pa.Table:
    tasks = [msgspec.json.decode(task, type=Task) for task in batch["task"].to_pylist()]
    figures = [work(task, build_parts(task)) for task in tasks]
    return pa.table(
        {"number": batch["number"], "before": [before for before, _ in figures], "after": [after for _, after in figures]}
    )
