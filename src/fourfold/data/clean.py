"""Clean: a dataset through steps, in order, into a new version; what goes and what changes is counted and listed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from fourfold import __version__
from fourfold.core.build import settings_of
from fourfold.core.errors import BadInput, BadSpec
from fourfold.core.nouns import Actor, Version
from fourfold.core.progress import Progress, silent
from fourfold.core.registry import split_spec
from fourfold.data.dataset import Dataset
from fourfold.data.flow import RUNNERS, Runner
from fourfold.data.flow.loop import Loop
from fourfold.data.fragment_work import Parts, Task, read_keys, write_keys
from fourfold.data.fragments import Log, columns_of, fragment_path
from fourfold.data.on_versions import Files, files_of, opened, pinned
from fourfold.data.steps import DROPPED, FIGURES, FITTED, STEPS, TOLD, Barrier, Step
from fourfold.data.workspace import workspace
from fourfold.storage.artifacts import room_for
from fourfold.storage.ledger import Ledger

Spec = str | Mapping[str, Any]
Fragments = list[tuple[int, Path]]  # numbers and files


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
    parts, on = pinned(ledger, build_steps(steps))
    spec = {"steps": [{step: settings_of(part)} for step, part in parts]}
    inputs = [dataset, *on]
    with (
        closing(RUNNERS.resolve(runner, path="clean.runner")()) as work,
        workspace(ledger.home, ledger.recipe(f"clean {__version__}", spec, inputs)) as space,
        ledger.run("clean", kind="dataset", name=name, spec=spec, inputs=inputs, actor=actor, progress=progress) as run,
        room_for(f"the dataset {name}"),
    ):
        source, files = Dataset(ledger.materialise(dataset)), files_of(ledger, on)
        figures = clean_into(source, run.folder, parts, runner=work, space=space, versions=files, progress=run.progress)
        run.metrics({"resumed_fragments": figures.pop("resumed_fragments")})
        run.meta.update(figures)
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
    space: Path | None = None,
    versions: Mapping[str, Files] | None = None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Write the cleaned fragments and the logs into `folder`; the figures for the version's meta.

    What is done lies in `space` meanwhile (default: in `folder`): a second call with the same space takes up where a first
    was killed. `versions`: files of those that steps stand on. `runner` says where the fragments are worked on (default: one
    after another, here); the outcome is the same. Each holds one fragment in memory at a time, and this process what a
    barrier asks for of all rows. Fragments keep their numbers, so that a change in one touches no other. Raises BadInput if
    no row is left.
    """
    work = _Work(space or folder / "work", runner or Loop(), versions or {}, progress)
    log = Log()
    paths = [(i, fragment.path) for i, fragment in enumerate(dataset.fragments())]
    before = work.total = sum(pq.read_metadata(path).num_rows for _, path in paths)
    told: dict[str, dict[str, Any]] = {FIGURES: {}, FITTED: {}}
    for n, (barrier, row_local) in enumerate(_passes(steps)):
        paths, logs, said = work.fused(paths, n, barrier, row_local)
        for kind, one in said.items():
            told[kind].setdefault(barrier[0] if barrier else "", one)
        log.read(logs)
    figures = log.write(folder)
    if not paths:
        reasons = ", ".join(f"{n} × {reason}" for reason, n in figures["drops"].items())
        raise BadInput(f"Cleaning left none of {before} rows: {reasons}.", hint="Loosen the step that drops most.")
    for number, path in paths:
        os.link(path, fragment_path(folder, number))  # it stays where it is, too: this process may be killed before it is kept
    paths = [(number, fragment_path(folder, number)) for number, _ in paths]
    if space is None:
        shutil.rmtree(work.folder, ignore_errors=True)
    if told[FITTED]:
        (folder / FITTED).write_bytes(msgspec.json.format(msgspec.json.encode(told[FITTED], order="deterministic"), indent=1))
    rows = sum(pq.read_metadata(path).num_rows for _, path in paths)
    columns = columns_of(pq.read_schema(paths[0][1]))
    found = {"rows": rows, "rows_before": before, "columns": columns, **figures, "resumed_fragments": work.resumed}
    return {**found, "steps": told[FIGURES]} if told[FIGURES] else found


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


class _Work:
    """The passes of one cleaning: where what is done lies, who does it, and how far it is."""

    def __init__(self, folder: Path, runner: Runner, versions: Mapping[str, Files], progress: Progress) -> None:
        self.folder, self._runner, self._versions, self._progress = folder, runner, dict(versions), progress
        self.total = self.resumed = 0

    def fused(
        self, paths: Fragments, number: int, barrier: tuple[str, Barrier] | None, steps: list[tuple[str, Step]]
    ) -> tuple[Fragments, list[Path], dict[str, Any]]:
        """One pass: the fragments of which rows are left, the logs of all, and what the barrier told of itself."""
        parts = Parts(barrier and _opened(barrier, self._versions), [_opened(step, self._versions) for step in steps])
        pass_folder = self.folder / str(number)
        pass_folder.mkdir(parents=True, exist_ok=True)
        marks, said = self._marks(paths, pass_folder / "keys", barrier, parts) if barrier else ("", {})
        specs = [{name: settings_of(step)} for name, step in steps]
        tasks: list[Task] = []
        offset = 0
        for i, path in paths:
            target, log, done = (pass_folder / f"{i:05}{ending}" for ending in (".parquet", "-log", ".done"))
            task = Task(str(path), str(target), str(done), str(log), self._versions, _spec(barrier), marks, offset, specs)
            tasks.append(task)
            offset += pq.read_metadata(path).num_rows
        seen, left = 0, []
        for (i, _), task, (before, after) in zip(paths, tasks, self._done(tasks, parts)):
            seen += before
            self._progress(seen, self.total, "rows")
            if after:
                left.append((i, Path(task.target)))
        return left, [Path(task.log) for task in tasks], said

    def _marks(self, paths: Fragments, folder: Path, barrier: tuple[str, Barrier], parts: Parts) -> tuple[str, dict[str, Any]]:
        """What a barrier marks, given the keys of all rows: an Arrow file that workers map into memory; and what it told."""
        folder.mkdir(parents=True, exist_ok=True)
        targets = [folder / f"{i:05}.arrow" for i, _ in paths]
        tasks = [
            Task(str(path), str(target), f"{target}.done", versions=self._versions, barrier=_spec(barrier), keys=True)
            for (_, path), target in zip(paths, targets)
        ]
        for _ in self._done(tasks, Parts(parts.barrier, [])):
            pass
        assert parts.barrier is not None
        keys = [read_keys(target) for target in targets]
        none = pa.table({DROPPED: pa.array([], pa.string())})
        marks = parts.barrier[1](pa.concat_tables(keys, promote_options="default")) if keys else none
        assert DROPPED in marks.column_names, f"barrier {barrier[0]} marked nothing"
        said = msgspec.json.decode((marks.schema.metadata or {}).get(TOLD, b"{}"))
        write_keys(marks, folder / "marks.arrow")
        return str(folder / "marks.arrow"), said

    def _done(self, tasks: Sequence[Task], parts: Parts) -> Iterator[tuple[int, int]]:
        """Figures of all tasks in order; the runner does those that have none."""
        open_tasks = [task for task in tasks if not Path(task.done).exists()]
        self.resumed += len(tasks) - len(open_tasks)
        doing = iter(self._runner(open_tasks, parts))
        waiting = {task.done for task in open_tasks}
        for task in tasks:
            yield (
                next(doing) if task.done in waiting else msgspec.json.decode(Path(task.done).read_bytes(), type=tuple[int, int])
            )


def _spec(part: tuple[str, Any] | None) -> dict[str, Any] | None:
    return None if part is None else {part[0]: settings_of(part[1])}


def _opened(part: tuple[str, Any], versions: Mapping[str, Files]) -> tuple[str, Any]:
    return part[0], opened(part[1], versions)
