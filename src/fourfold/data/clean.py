"""Clean: a dataset through steps, in order, into a new version; what goes and what changes is counted and listed."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fourfold.core.build import settings_of
from fourfold.core.errors import BadInput, BadSpec
from fourfold.core.nouns import Actor, Version
from fourfold.core.progress import Progress, silent
from fourfold.core.registry import split_spec
from fourfold.data.dataset import Dataset
from fourfold.data.flow import RUNNERS, Runner
from fourfold.data.flow.loop import Loop
from fourfold.data.fragment_work import Parts, Task
from fourfold.data.fragments import Log, columns_of, fragment_path
from fourfold.data.steps import DROPPED, STEPS, Barrier, Step
from fourfold.storage.artifacts import room_for
from fourfold.storage.ledger import Ledger

Spec = str | Mapping[str, Any]


def clean(
    ledger: Ledger,
    actor: Actor,
    name: str,
    dataset: Version,
    steps: Sequence[Spec],
    *,
    runner: str = "loop",
    progress: Progress = silent,
) -> Version:
    """Pass `dataset` through `steps` into a new version of the dataset `name`. The `runner` (loop, pool, ray) changes how fast
    that is, never the outcome.

    Raises BadSpec for an unknown step or setting, BadInput if no row is left.
    """
    parts = build_steps(steps)
    spec = {"steps": [{step: settings_of(part)} for step, part in parts]}
    with (
        closing(RUNNERS.resolve(runner, path="clean.runner")()) as work,
        ledger.run("clean", kind="dataset", name=name, spec=spec, inputs=[dataset], actor=actor, progress=progress) as run,
        room_for(f"the dataset {name}"),
    ):
        run.meta.update(clean_into(Dataset(ledger.materialise(dataset)), run.folder, parts, runner=work, progress=run.progress))
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
    dataset: Dataset,
    folder: Path,
    steps: Sequence[tuple[str, Step]],
    *,
    runner: Runner | None = None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Write the cleaned fragments and the logs into `folder`; the figures for the version's meta.

    `runner` says where the fragments are worked on (default: one after another, here); the outcome is the same. Each holds one
    fragment in memory at a time, and this process what a barrier asks for of all rows. Fragments keep their numbers, so that a
    change in one touches no other. Raises BadInput if no row is left.
    """
    runner = runner or Loop()
    log = Log()
    paths = [(i, fragment.path) for i, fragment in enumerate(dataset.fragments())]
    before = sum(pq.read_metadata(path).num_rows for _, path in paths)
    passes = _passes(steps)
    work = folder / "work"
    for n, (barrier, row_local) in enumerate(passes):
        target = folder if n == len(passes) - 1 else work / str(n)
        target.mkdir(parents=True, exist_ok=True)
        logs = work / f"{n}-logs"
        marks = _marks(paths, *barrier, work / f"{n}-keys", runner) if barrier else ""
        paths = _pass(paths, target, Parts(barrier, row_local), marks, logs, runner, progress, before)
        log.read(sorted(logs.glob("*")))
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


def _marks(paths: Sequence[tuple[int, Path]], name: str, barrier: Barrier, folder: Path, runner: Runner) -> str:
    """What a barrier marks, given the keys of all rows: an Arrow file that workers map into memory."""
    folder.mkdir(parents=True)
    targets = [fragment_path(folder, number) for number, _ in paths]
    tasks = [
        Task(str(path), str(target), barrier={name: settings_of(barrier)}, keys=True)
        for (_, path), target in zip(paths, targets)
    ]
    for _ in runner(tasks, Parts((name, barrier), [])):
        pass
    keys = [pq.read_table(target) for target in targets]
    marks = (
        barrier(pa.concat_tables(keys, promote_options="default")) if keys else pa.table({DROPPED: pa.array([], pa.string())})
    )
    assert DROPPED in marks.column_names, f"barrier {name} marked nothing"
    with pa.ipc.new_file(folder / "marks.arrow", marks.schema) as file:
        file.write_table(marks)
    return str(folder / "marks.arrow")


def _pass(
    paths: Sequence[tuple[int, Path]],
    target: Path,
    parts: Parts,
    marks: str,
    logs: Path,
    runner: Runner,
    progress: Progress,
    total: int,
) -> list[tuple[int, Path]]:
    """The fragments of which rows are left."""
    specs = [{name: settings_of(step)} for name, step in parts.steps]
    barrier = {parts.barrier[0]: settings_of(parts.barrier[1])} if parts.barrier else None
    tasks: list[Task] = []
    offset = 0
    for number, path in paths:
        log = logs / f"{number:05}"
        tasks.append(Task(str(path), str(fragment_path(target, number)), str(log), barrier, marks, offset, specs))
        offset += pq.read_metadata(path).num_rows
    done, left = 0, []
    for (number, _), task, (before, after) in zip(paths, tasks, runner(tasks, parts)):
        done += before
        progress(done, total, "rows")
        if after:
            left.append((number, Path(task.target)))
    return left
