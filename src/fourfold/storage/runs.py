"""Runs: rows of what is being done and was done, and the open run that a verb writes into."""

from __future__ import annotations

import os
import shutil
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa

from fourfold.core.errors import NotFound
from fourfold.core.nouns import Run, Version
from fourfold.core.progress import Progress, silent
from fourfold.storage import facts, schema, words

Change = Callable[[sa.Connection], Any]
Told = Callable[[str, Run, Sequence[Version], Version | None, str], None]  # START, COMPLETE or FAIL; inputs; output; error


def nobody(*_: object) -> None:
    """Nobody hears of runs."""


@dataclass(slots=True)
class OpenRun:
    """A run that is under way. The verb writes files into `folder`, facts into `meta`, figures through
    `metrics`, and those of single steps through `point`."""

    id: str
    folder: Path
    progress: Progress = silent
    meta: dict[str, Any] = field(default_factory=dict)
    figures: dict[str, Any] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)
    point: Callable[[int, Mapping[str, float]], None] = lambda step, figures: None  # figures of a step, as they come
    _version: Version | None = None

    @property
    def version(self) -> Version:
        """The version that the run left; there is one only after the run closed without an error."""
        assert self._version is not None, "the run is still open, or leaves no version"
        return self._version

    def metrics(self, figures: Mapping[str, Any]) -> None:
        """Keep figures with the run (accuracy, rows, seconds); equal names are overwritten."""
        self.figures.update(figures)

    def also(self, change: Change) -> None:
        """Do `change` in the very transaction that closes the run: both happen, or neither."""
        self.changes.append(change)


def insert(connection: sa.Connection, run: Run, job_id: str | None = None) -> None:
    """Write the row of a run that begins."""
    connection.execute(
        schema.run.insert(),
        {
            "id": run.id, "verb": run.verb, "name": run.name, "spec_json": _json(run.spec), "inputs_json": _json(run.inputs),
            "actor": run.actor, "recipe": run.recipe, "code_version": run.code_version, "process": this_process(),
            "state": run.state, "started_at": run.started_at, "metrics_json": "{}", "job_id": job_id,
        },
    )  # fmt: skip
    words.write(connection, run.id, [run.verb, run.name, *words.texts(run.spec)])


def is_new(connection: sa.Connection, run_id: str) -> bool:
    """Whether there is no such run: the commit of its row may have happened though nobody answered."""
    return connection.execute(sa.select(schema.run.c.id).where(schema.run.c.id == run_id)).first() is None


def close(connection: sa.Connection, run_id: str, *, error: str | None, figures: Mapping[str, Any]) -> None:
    """Write how a run ended."""
    values = {
        "state": "failed" if error else "done",
        "error": error,
        "finished_at": time.time(),
        "metrics_json": _json(figures),
    }
    running = sa.and_(schema.run.c.id == run_id, schema.run.c.state == "running")
    ended = connection.execute(schema.run.update().where(running).values(values)).rowcount
    facts.of_run(connection, run_id, figures)
    if ended and error:  # of two who close it one does
        words.write(connection, run_id, [error])


def _select() -> sa.Select[Any]:
    v = schema.version.c
    return sa.select(schema.run, v.name.label("version_name"), v.number).outerjoin(schema.version, v.run_id == schema.run.c.id)


def from_row(row: sa.Row[Any]) -> Run:
    """The noun of a row of `run` joined with its version."""
    return Run(
        row.id, row.verb, row.name, msgspec.json.decode(row.spec_json),
        msgspec.json.decode(row.inputs_json, type=tuple[str, ...]),
        row.actor, row.recipe, row.code_version, row.state, row.started_at, row.finished_at, row.error,
        None if row.number is None else f"{row.version_name}@{row.number}", msgspec.json.decode(row.metrics_json),
    )  # fmt: skip


def one(connection: sa.Connection, run_id: str) -> Run:
    """The run of that id. Raises NotFound."""
    row = connection.execute(_select().where(schema.run.c.id == run_id)).first()
    if row is None:
        raise NotFound(f"There is no run {run_id!r}.", hint="Run: fourfold runs")
    return from_row(row)


def first_at(connection: sa.Connection) -> float | None:
    """When the home's first run began; None if nothing was done yet."""
    r = schema.run.c
    return connection.execute(sa.select(r.started_at).order_by(r.id).limit(1)).scalar()


def page(
    connection: sa.Connection,
    *,
    verb: str | None,
    name: str | None,
    state: str | None,
    limit: int,
    before: str | None,
    where: sa.ColumnElement[bool] | None = None,
) -> list[Run]:
    """Runs, newest first; `before` is the id of the last one of the page before."""
    r = schema.run.c
    query = _select().order_by(r.id.desc()).limit(limit)
    for column, value in ((r.verb, verb), (r.name, name), (r.state, state)):
        if value is not None:
            query = query.where(column == value)
    if before is not None:
        query = query.where(r.id < before)
    if where is not None:
        query = query.where(where)
    return [from_row(row) for row in connection.execute(query)]


def latest(connection: sa.Connection, name: str, recipe: str) -> Run | None:
    """The newest finished run of a name with that recipe: what it made need not be made again."""
    r = schema.run.c
    query = _select().where(r.name == name, r.recipe == recipe, r.state == "done").order_by(r.id.desc())
    row = connection.execute(query.limit(1)).first()
    return None if row is None else from_row(row)


def sweep(connection: sa.Connection, work: Path) -> list[str]:
    """Mark runs as failed whose process on this machine is gone, and remove their folders; returns their ids."""
    r = schema.run.c
    dead = [
        row.id
        for row in connection.execute(sa.select(r.id, r.process).where(r.state == "running"))
        if not is_alive(row.process)
    ]
    for run_id in dead:
        close(connection, run_id, error="The process ended before the run did (killed, or the machine stopped).", figures={})
        shutil.rmtree(work / run_id, ignore_errors=True)
    return dead


def this_process() -> str:
    """host:pid:start of this process."""
    return f"{socket.gethostname()}:{os.getpid()}:{_started(os.getpid())}"


def is_alive(process: str) -> bool:
    """Whether the process lives; one on another machine is taken to live."""
    host, pid, started = process.rsplit(":", 2)
    return host != socket.gethostname() or _started(int(pid)) == started


def _started(pid: int) -> str:
    """The kernel's start time of a process (clock ticks), so that a reused pid is not taken for the old process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return "" if not _signalled(pid) else "?"
    return stat.rpartition(")")[2].split()[19]


def _signalled(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _json(value: Any) -> str:
    return msgspec.json.encode(value, order="deterministic").decode()
