"""Rows of jobs: acts that are done by a worker process, found again after a restart."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
import sqlalchemy as sa

from fourfold.core.errors import Conflict, NotFound
from fourfold.core.fingerprint import fingerprint
from fourfold.core.ids import new_id
from fourfold.core.nouns import Actor
from fourfold.storage import runs, schema

JobState = Literal["queued", "running", "done", "failed", "cancelled"]
ENDED = ("done", "failed", "cancelled")


@dataclass(frozen=True, slots=True)
class Job:
    """A long act: what is to be done, for whom, how far it is, and what came of it. Times are Unix seconds."""

    id: str
    act: str
    arguments: Mapping[str, Any]
    actor: Actor
    state: JobState
    created_at: float
    started_at: float | None
    finished_at: float | None
    progress: Mapping[str, Any]  # done, total, unit
    error: Mapping[str, Any] | None  # code, message, hint, status
    result: Any


def submit(connection: sa.Connection, actor: Actor, act: str, arguments: Mapping[str, Any], idempotency_key: str | None) -> Job:
    """Queue an act. The same idempotency key gives the same job; with other arguments it raises Conflict."""
    j = schema.job.c
    body = fingerprint({"act": act, "arguments": arguments})
    if idempotency_key is not None:
        row = connection.execute(
            sa.select(schema.job).where(j.actor_id == actor.id, j.idempotency_key == idempotency_key)
        ).first()
        if row is not None:
            if row.body != body:
                raise ReusedKey(
                    f"Idempotency-Key {idempotency_key!r} was used for another request.", hint="Use a new key for a new act."
                )
            return from_row(row)
    job_id = new_id("job")
    connection.execute(
        schema.job.insert(),
        {
            "id": job_id, "act": act, "arguments_json": _json(arguments), "actor_id": actor.id, "actor_json": _json(actor),
            "state": "queued", "created_at": time.time(), "progress_json": "{}", "idempotency_key": idempotency_key,
            "body": body, "process": "",
        },
    )  # fmt: skip
    return one(connection, job_id)


class ReusedKey(Conflict):
    """An idempotency key came back with another body."""

    code, status = "idempotency_key_reused", 422


def take(connection: sa.Connection) -> Job | None:
    """Take the oldest queued job for this process, after giving back those whose process died."""
    j = schema.job.c
    for row in connection.execute(sa.select(j.id, j.process).where(j.state == "running")).all():
        if not runs.is_alive(row.process):
            connection.execute(schema.job.update().where(j.id == row.id).values(state="queued", process=""))
    row = connection.execute(sa.select(schema.job).where(j.state == "queued").order_by(j.id).limit(1).with_for_update()).first()
    if row is None:
        return None
    taken = {"state": "running", "process": runs.this_process(), "started_at": time.time()}
    connection.execute(schema.job.update().where(j.id == row.id).values(taken))
    return one(connection, row.id)


def waiting(connection: sa.Connection) -> bool:
    """Whether a job may have to be taken: one that is queued, or one that runs in another process, alive or not."""
    j = schema.job.c
    here = runs.this_process()
    found = connection.execute(sa.select(j.process).where(j.state.in_(("queued", "running")), j.process != here))
    return any(process == "" or not runs.is_alive(process) for process in found.scalars())


def report(connection: sa.Connection, job_id: str, progress: Mapping[str, Any]) -> JobState:
    """Write how far a job is; returns its state, so that its worker learns of a cancellation."""
    j = schema.job.c
    connection.execute(schema.job.update().where(j.id == job_id, j.state == "running").values(progress_json=_json(progress)))
    return connection.execute(sa.select(j.state).where(j.id == job_id)).scalar_one()


def end(
    connection: sa.Connection, job_id: str, state: JobState, *, result: Any = None, error: Mapping[str, Any] | None = None
) -> None:
    """Write what came of a job; one that has ended stays as it is."""
    j = schema.job.c
    values = {
        "state": state,
        "finished_at": time.time(),
        "result_json": _json(result),
        "error_json": None if error is None else _json(error),
    }
    connection.execute(schema.job.update().where(j.id == job_id, j.state.not_in(ENDED)).values(values))


def one(connection: sa.Connection, job_id: str) -> Job:
    """The job of that id. Raises NotFound."""
    row = connection.execute(sa.select(schema.job).where(schema.job.c.id == job_id)).first()
    if row is None:
        raise NotFound(f"There is no job {job_id!r}.", hint="Run: fourfold runs")
    return from_row(row)


def page(connection: sa.Connection, *, state: str | None, limit: int, before: str | None) -> list[Job]:
    """Jobs, newest first; `before` is the last id of the page before."""
    j = schema.job.c
    query = sa.select(schema.job).order_by(j.id.desc()).limit(limit)
    if state is not None:
        query = query.where(j.state == state)
    if before is not None:
        query = query.where(j.id < before)
    return [from_row(row) for row in connection.execute(query)]


def from_row(row: sa.Row[Any]) -> Job:
    """The noun of a row of `job`."""
    decode = msgspec.json.decode
    return Job(
        row.id, row.act, decode(row.arguments_json), decode(row.actor_json, type=Actor), row.state, row.created_at,
        row.started_at, row.finished_at, decode(row.progress_json), None if row.error_json is None else decode(row.error_json),
        None if row.result_json is None else decode(row.result_json),
    )  # fmt: skip


def _json(value: Any) -> str:
    return msgspec.json.encode(value, order="deterministic").decode()
