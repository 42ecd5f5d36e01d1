"""What cleaning does with one fragment, told as a plain message: the same in a loop, in a worker process and on Ray."""

# pyarrow.compute makes its functions when it is imported; pyright cannot see them.
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fourfold.data.fragments import Log, place_of, write_table
from fourfold.data.steps import DETAIL, DROPPED, STEPS, Barrier, Rewriting, Step


class Task(msgspec.Struct, frozen=True):
    """Read the fragment `source` and write `target`: the barrier's keys if `keys`, else the rows that are left, with what
    was dropped and changed under `log`. `offset`: rows before this fragment, where its part of `marks` begins.
    """

    source: str
    target: str
    log: str = ""
    barrier: dict[str, Any] | None = None
    marks: str = ""
    offset: int = 0
    steps: list[dict[str, Any]] = []
    keys: bool = False


class Parts(msgspec.Struct, frozen=True):
    """The parts that a task names."""

    barrier: tuple[str, Barrier] | None
    steps: list[tuple[str, Step]]


def build_parts(task: Task) -> Parts:
    """The parts of a task, from its specs."""
    barrier = None if task.barrier is None else (next(iter(task.barrier)), STEPS.build(task.barrier))
    return Parts(barrier, [(next(iter(spec)), STEPS.build(spec)) for spec in task.steps])


def work(task: Task, parts: Parts) -> tuple[int, int]:
    """Do a task; rows before and after."""
    table = pq.read_table(task.source)
    before = len(table)
    if task.keys:
        assert parts.barrier is not None, "a task for keys has a barrier"
        write_table(parts.barrier[1].keys(table), Path(task.target))
        return before, before
    log = Log()
    if parts.barrier and task.marks:
        with pa.memory_map(task.marks) as file:
            marks = pa.ipc.open_file(file).read_all().slice(task.offset, before)
            table = _applied(*parts.barrier, table, marks, log)
    for name, step in parts.steps:
        table = _step(name, step, table, log)
    if len(table):
        write_table(table, Path(task.target))
    Path(task.log).mkdir(parents=True)
    log.write(Path(task.log))
    return before, len(table)


def _applied(name: str, barrier: Barrier, table: pa.Table, marks: pa.Table, log: Log) -> pa.Table:
    """The rows as a barrier's marks leave them."""
    kept = pc.is_null(marks[DROPPED])
    table = _without_dropped(name, _with_marks(table, marks), log)
    if not isinstance(barrier, Rewriting):
        return table
    rewritten = barrier.apply(table, marks.filter(kept))
    _log_changes(name, table, rewritten, log)
    return rewritten


def _with_marks(table: pa.Table, marks: pa.Table) -> pa.Table:
    for name in (DROPPED, DETAIL):
        if name in marks.column_names:
            table = table.append_column(name, marks[name])
    return table


def _step(name: str, step: Step, table: pa.Table, log: Log) -> pa.Table:
    cleaned = step(table)
    assert len(cleaned) == len(table), f"step {name} changed the number of rows; it must mark them"
    _log_changes(name, table, cleaned, log)
    return _without_dropped(name, cleaned, log)


def _log_changes(name: str, before: pa.Table, after: pa.Table, log: Log) -> None:
    for column in before.column_names:
        if column in after.column_names and (changed := _changed(before[column], after[column])) is not None:
            log.change(name, column, before["doc_id"].filter(changed))


def _changed(before: pa.ChunkedArray, after: pa.ChunkedArray) -> pa.Array | None:
    """Which rows differ, as booleans; None if none does."""
    if before.equals(after):
        return None
    if pa.types.is_nested(before.type) or before.type != after.type:
        return pa.array([a != b for a, b in zip(before.to_pylist(), after.to_pylist())], pa.bool_())
    differs = pc.fill_null(pc.not_equal(before, after), False)
    return pc.or_(differs, pc.not_equal(pc.is_null(before), pc.is_null(after)))


def _without_dropped(name: str, table: pa.Table, log: Log) -> pa.Table:
    if DROPPED not in table.column_names:
        return table
    gone = table.filter(pc.is_valid(table[DROPPED]))
    details = gone[DETAIL].to_pylist() if DETAIL in gone.column_names else [""] * len(gone)
    columns = (gone[column].to_pylist() for column in ("doc_id", "source", DROPPED))
    for (doc_id, source, reason), detail in zip(zip(*columns), details):
        path, line = place_of(source)
        log.drop(path, line, doc_id, name, reason, detail or "")
    kept = table.filter(pc.is_null(table[DROPPED]))
    return kept.drop_columns([column for column in (DROPPED, DETAIL) if column in kept.column_names])
