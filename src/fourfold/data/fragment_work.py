"""What cleaning does with one fragment, told as a plain message: the same in a loop, in a worker process and on Ray."""

# pyarrow.compute makes its functions when it is imported; pyright cannot see them.
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fourfold.data.fragments import Log, place_of, write_table
from fourfold.data.on_versions import Files, opened
from fourfold.data.steps import DETAIL, DROPPED, STEPS, Barrier, Rewriting, Step

PIECE_BYTES = 8 << 20


class Task(msgspec.Struct, frozen=True):
    """Read the fragment `source` and write `target`: the barrier's keys if `keys`, else the rows that are left, with what
    was dropped and changed under `log`. `offset`: rows before this fragment, where its part of `marks` begins. `done`: where
    the figures are written once all that is on the disk; a task whose file is there is not done again. `versions`: the files
    of those that parts stand on.
    """

    source: str
    target: str
    done: str
    log: str = ""
    versions: dict[str, Files] = {}
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
    barrier = None if task.barrier is None else _built(task.barrier, task.versions)
    return Parts(barrier, [_built(spec, task.versions) for spec in task.steps])


def same_parts(one: Task | None, other: Task) -> bool:
    """Whether two tasks name the same parts, so that what was built for one serves the other."""
    return one is not None and (one.barrier, one.steps, one.versions) == (other.barrier, other.steps, other.versions)


def _built(spec: dict[str, Any], versions: Mapping[str, Files]) -> tuple[str, Any]:
    return next(iter(spec)), opened(STEPS.build(spec), versions)


def work(task: Task, parts: Parts) -> tuple[int, int]:
    """Do a task, unless it has been done; rows before and after."""
    done = Path(task.done)
    if done.exists():
        return msgspec.json.decode(done.read_bytes(), type=tuple[int, int])
    table = pq.read_table(task.source)
    before = len(table)
    if task.keys:
        assert parts.barrier is not None, "a task for keys has a barrier"
        write_keys(parts.barrier[1].keys(table), Path(task.target))
        return _finished(done, (before, before), [Path(task.target)])
    log = Log()
    if parts.barrier and task.marks:
        with pa.memory_map(task.marks) as file:
            marks = pa.ipc.open_file(file).read_all().slice(task.offset, before)
            table = _applied(*parts.barrier, table, marks, log)
    if parts.steps:
        pieces = [_stepped(piece, parts.steps, log) for piece in _pieces(table)]
        table = pa.concat_tables(pieces, promote_options="default") if pieces else table
    written = [Path(task.target)] if len(table) else []
    if written:
        write_table(table, written[0])
    folder = Path(task.log)
    folder.mkdir(parents=True, exist_ok=True)  # of a worker that was killed
    log.write(folder)
    return _finished(done, (before, len(table)), [*written, *folder.iterdir()])


def write_keys(table: pa.Table, path: Path) -> None:
    """Keys or marks as an Arrow file that can be mapped into memory."""
    with pa.ipc.new_file(path, table.schema) as file:
        file.write_table(table)


def read_keys(path: Path) -> pa.Table:
    """What `write_keys` wrote, mapped: pages are read when they are looked at, and the kernel may take them back."""
    return pa.ipc.open_file(pa.memory_map(str(path))).read_all()


def _finished(done: Path, rows: tuple[int, int], files: Sequence[Path]) -> tuple[int, int]:
    """Write the figures of a task whose files are whole on the disk: after a power cut they are, or the task is done again."""
    for path in files:
        with path.open("rb+") as file:
            os.fsync(file.fileno())
    new = done.with_suffix(".new")
    new.write_bytes(msgspec.json.encode(rows))
    new.replace(done)  # atomic
    return rows


def _pieces(table: pa.Table) -> Iterator[pa.Table]:
    """Runs of rows of about PIECE_BYTES, so that what a step holds beside its table is bounded whatever a fragment holds."""
    if not len(table):
        return
    rows = max(1, int(len(table) * PIECE_BYTES / max(table.nbytes, 1)))
    for start in range(0, len(table), rows):
        yield table.slice(start, rows)


def _stepped(table: pa.Table, steps: Sequence[tuple[str, Step]], log: Log) -> pa.Table:
    for name, step in steps:
        table = _step(name, step, table, log)
    return table


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
