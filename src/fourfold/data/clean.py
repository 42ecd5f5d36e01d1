"""Clean: a dataset through steps, in order, into a new version; what goes and what changes is counted and listed."""

# pyarrow.compute makes its functions when it is imported; pyright cannot see them.
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fourfold.core.build import settings_of
from fourfold.core.errors import BadInput, BadSpec
from fourfold.core.nouns import Actor, Version
from fourfold.core.progress import Progress, silent
from fourfold.core.registry import split_spec
from fourfold.data.dataset import Dataset
from fourfold.data.fragments import Log, columns_of, fragment_path, place_of, write_table
from fourfold.data.steps import DETAIL, DROPPED, STEPS, Barrier, Rewriting, Step
from fourfold.storage.artifacts import room_for
from fourfold.storage.ledger import Ledger

Spec = str | Mapping[str, Any]


def clean(
    ledger: Ledger, actor: Actor, name: str, dataset: Version, steps: Sequence[Spec], *, progress: Progress = silent
) -> Version:
    """Pass `dataset` through `steps` into a new version of the dataset `name`.

    Raises BadSpec for an unknown step or setting, BadInput if no row is left.
    """
    parts = build_steps(steps)
    spec = {"steps": [{step: settings_of(part)} for step, part in parts]}
    with (
        ledger.run("clean", kind="dataset", name=name, spec=spec, inputs=[dataset], actor=actor, progress=progress) as run,
        room_for(f"the dataset {name}"),
    ):
        run.meta.update(clean_into(Dataset(ledger.materialise(dataset)), run.folder, parts, progress=run.progress))
        run.metrics({key: run.meta[key] for key in ("rows", "rows_before")})
    return run.version


def build_steps(steps: Sequence[Spec]) -> list[tuple[str, Step]]:
    """Names and parts of the steps. Raises BadSpec with the path of what is wrong."""
    if not steps:
        raise BadSpec("clean.steps is empty.", hint=f"Name at least one step: {', '.join(STEPS.names())}.")
    return [
        (split_spec(spec, path=f"clean.steps[{i}]")[0], STEPS.build(spec, path=f"clean.steps[{i}]"))
        for i, spec in enumerate(steps)
    ]


def clean_into(
    dataset: Dataset, folder: Path, steps: Sequence[tuple[str, Step]], *, progress: Progress = silent
) -> dict[str, Any]:
    """Write the cleaned fragments and the logs into `folder`; the figures for the version's meta.

    One fragment is in memory at a time, and of a barrier what it asks for of all rows. Fragments keep their numbers, so that a
    change in one touches no other. Raises BadInput if no row is left.
    """
    log = Log()
    paths = [(i, fragment.path) for i, fragment in enumerate(dataset.fragments())]
    before = sum(pq.read_metadata(path).num_rows for _, path in paths)
    passes = _passes(steps)
    work = folder / "work"
    for n, (barrier, row_local) in enumerate(passes):
        target = folder if n == len(passes) - 1 else work / str(n)
        target.mkdir(parents=True, exist_ok=True)
        marks = _marks(paths, *barrier) if barrier else None
        paths = list(_pass(paths, target, barrier, marks, row_local, log, progress, before))
    shutil.rmtree(work, ignore_errors=True)
    figures = log.write(folder)
    if not paths:
        reasons = ", ".join(f"{n} × {reason}" for reason, n in figures["drops"].items())
        raise BadInput(f"Cleaning left none of {before} rows: {reasons}.", hint="Loosen the step that drops most.")
    rows = sum(pq.read_metadata(path).num_rows for _, path in paths)
    return {"rows": rows, "rows_before": before, "columns": columns_of(pq.read_schema(paths[0][1])), **figures}


def _passes(steps: Sequence[tuple[str, Step]]) -> list[tuple[tuple[str, Barrier] | None, list[tuple[str, Step]]]]:
    """Passes over the fragments: each begins with a barrier's marks (or none) and fuses the row-local steps up to the next."""
    passes: list[tuple[tuple[str, Barrier] | None, list[tuple[str, Step]]]] = []
    for name, step in steps:
        if isinstance(step, Barrier):
            passes.append(((name, step), []))
        elif passes:
            passes[-1][1].append((name, step))
        else:
            passes.append((None, [(name, step)]))
    return passes


def _marks(paths: Sequence[tuple[int, Path]], name: str, barrier: Barrier) -> pa.Table:
    keys = [barrier.keys(pq.read_table(path)) for _, path in paths]
    if not keys:
        return pa.table({DROPPED: pa.array([], pa.string())})
    marks = barrier(pa.concat_tables(keys, promote_options="default"))
    assert DROPPED in marks.column_names, f"barrier {name} marked nothing"
    return marks


def _pass(
    paths: Sequence[tuple[int, Path]],
    target: Path,
    barrier: tuple[str, Barrier] | None,
    marks: pa.Table | None,
    steps: Sequence[tuple[str, Step]],
    log: Log,
    progress: Progress,
    total: int,
) -> Iterator[tuple[int, Path]]:
    done = 0
    for number, path in paths:
        table = pq.read_table(path)
        rows = len(table)
        if barrier and marks is not None:
            table = _applied(*barrier, table, marks.slice(done, rows), log)
        for name, step in steps:
            table = _step(name, step, table, log)
        if len(table):
            write_table(table, fragment_path(target, number))
            yield number, fragment_path(target, number)
        done += rows
        progress(done, total, "rows")


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
