"""Rows of jobs: acts that are done by a worker process, found again after a restart."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

import msgspec
import sqlalchemy as sa

from fourfold import __version__
from fourfold.core.errors import Conflict, NotFound
from fourfold.core.fingerprint import fingerprint
from fourfold.core.ids import new_id
from fourfold.core.nouns import Actor
from fourfold.storage import leases, runs, schema
from fourfold.storage.leases import Claim, clock, tell
from fourfold.storage.leases import to_json as _json

JobState = Literal["queued", "running", "done", "failed", "cancelled"]
ENDED = ("done", "failed", "cancelled")
RETRYABLE = ("not_ready", "busy", "timed_out", "storage_full", "interrupted")  # codes of errors that may pass by themselves
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 2.0, 300.0  # before a failed job is tried again; doubled each time
LOOKED_AT = 200  # queued jobs that one taking looks at


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
    queue: str = "default"
    priority: int = 0  # higher goes first
    waits_for: str = ""  # of a queued job: what it waits for
    not_before: float = 0.0
    attempt: int = 0  # times that it failed in a way that may pass
    attempts: int = 5  # after so many it stays failed
    epoch: int = 0  # times that it was taken
    home: str = ""  # the home whose files it names
    memory_bytes: int = 0
    after: tuple[str, ...] = ()  # jobs that must be done before
    code_version: str = ""  # of the program that asked for it, then of the one that took it


def submit(
    connection: sa.Connection,
    actor: Actor,
    act: str,
    arguments: Mapping[str, Any],
    idempotency_key: str | None,
    *,
    queue: str = "default",
    priority: int = 0,
    home: str = "",
    memory_bytes: int = 0,
    after: Sequence[str] = (),
    attempts: int = 5,
) -> Job:
    """Queue an act: in a queue, before those of less priority, after other jobs, once that much memory is free. `home` is the
    one whose files it names: another takes it only once that one is gone.

    The same idempotency key gives the same job; with other arguments it raises Conflict.
    """
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
            "body": body, "process": "", "queue": queue, "priority": priority, "home": home, "memory_bytes": memory_bytes,
            "after_json": _json(after), "attempts": attempts, "code_version": __version__, "waits_for": "a worker",
        },
    )  # fmt: skip
    tell(connection, job_id, "state", {"state": "queued"})
    return one(connection, job_id)


class ReusedKey(Conflict):
    """An idempotency key came back with another body."""

    code, status = "idempotency_key_reused", 422


def take(connection: sa.Connection, home: str = "") -> Job | None:
    """Take the first job that nothing holds back, after giving back those whose holder is gone. The others are told what they
    wait for. None, too, while another process is taking."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("set local idle_in_transaction_session_timeout = '15s'")
        if not connection.exec_driver_sql("select pg_try_advisory_xact_lock(44046)").scalar_one():
            return None  # two takings at once could both see the last free slot of a queue
    leases.sweep(connection)
    j = schema.job.c
    queued = sa.select(schema.job).where(j.state == "queued").order_by(j.priority.desc(), j.id).limit(LOOKED_AT)
    slots = _free_slots(connection)
    for row in connection.execute(queued).all():
        why = _held_back(connection, row, home, slots)
        if why == "":
            return _taken(connection, row)
        if why is not None and why != row.waits_for:
            connection.execute(schema.job.update().where(j.id == row.id).values(waits_for=why))
    return None


def _taken(connection: sa.Connection, row: sa.Row[Any]) -> Job:
    values = {
        "state": "running", "process": runs.this_process(), "started_at": row.started_at or time.time(), "epoch": row.epoch + 1,
        "lease_until": clock(connection) + leases.LEASE_SECONDS, "waits_for": "", "code_version": __version__,
    }  # fmt: skip
    connection.execute(schema.job.update().where(schema.job.c.id == row.id).values(values))
    tell(connection, row.id, "state", {"state": "running", "epoch": row.epoch + 1})
    return one(connection, row.id)


def _held_back(connection: sa.Connection, row: sa.Row[Any], home: str, slots: Mapping[str, int]) -> str | None:
    """What a queued job waits for: empty if nothing holds it back, None if it just ended."""
    if slots.get(row.queue, 1) <= 0:
        return f"a slot of queue {row.queue}"
    if row.not_before > (now := clock(connection)):
        return f"its next try, in about {max(1, round((row.not_before - now) / 10)) * 10} seconds"
    for other in msgspec.json.decode(row.after_json, type=list[str]):
        state = connection.execute(sa.select(schema.job.c.state).where(schema.job.c.id == other)).scalar()
        if state in ("failed", "cancelled", None):
            message = f"It was to follow {other}, which is {state or 'unknown'}."
            hint = f"Run: fourfold retry {other}, then: fourfold retry {row.id}"
            _end(connection, row.id, "failed", error={"code": "conflict", "message": message, "hint": hint, "status": 409})
            return None
        if state != "done":
            return f"job {other}"
    if row.home not in ("", home) and leases.is_seen(connection, row.home):
        return f"home {row.home}, whose files it names"
    free = leases.free_memory_bytes() if row.memory_bytes else None
    if free is not None and row.memory_bytes > free:
        return f"memory: it needs {row.memory_bytes >> 20} MiB, {free >> 20} MiB are free"
    return ""


def _free_slots(connection: sa.Connection) -> dict[str, int]:
    j, q = schema.job.c, schema.job_queue.c
    limits = {row.name: row.slots for row in connection.execute(sa.select(q.name, q.slots))}
    if not limits:
        return {}
    running = sa.select(j.queue, sa.func.count().label("count")).where(j.state == "running").group_by(j.queue)
    used = {row.queue: row.count for row in connection.execute(running)}
    return {name: limit - used.get(name, 0) for name, limit in limits.items()}


def limit(connection: sa.Connection, queue: str, slots: int | None) -> None:
    """Let at most `slots` jobs of a queue run at once; None: as many as there are workers."""
    connection.execute(schema.job_queue.delete().where(schema.job_queue.c.name == queue))
    if slots is not None:
        connection.execute(schema.job_queue.insert(), {"name": queue, "slots": slots})


def waiting(connection: sa.Connection) -> bool:
    """Whether a job may have to be taken: one that is queued, or one that runs in another process, alive or not."""
    j = schema.job.c
    running = sa.select(j.process, j.lease_until).where(j.state == "running")
    if connection.execute(sa.select(j.id).where(j.state == "queued").limit(1)).first() is not None:
        return True
    now = clock(connection)
    return any(row.lease_until < now or not runs.is_alive(row.process) for row in connection.execute(running))


def report(connection: sa.Connection, job_id: str, progress: Mapping[str, Any]) -> JobState:
    """Write how far a job is; returns its state, so that its worker learns of a cancellation."""
    j = schema.job.c
    connection.execute(schema.job.update().where(j.id == job_id, j.state == "running").values(progress_json=_json(progress)))
    return connection.execute(sa.select(j.state).where(j.id == job_id)).scalar_one()


def end(
    connection: sa.Connection, job_id: str, state: JobState, *, result: Any = None, error: Mapping[str, Any] | None = None
) -> None:
    """Write what came of a job; one that has ended stays as it is. Its open runs fail."""
    j = schema.job.c
    present = connection.execute(sa.select(j.state).where(j.id == job_id).with_for_update()).scalar()
    if present is not None and present not in ENDED:
        _end(connection, job_id, state, result=result, error=error)


def _end(
    connection: sa.Connection, job_id: str, state: JobState, *, result: Any = None, error: Mapping[str, Any] | None = None
) -> None:
    values = {
        "state": state,
        "finished_at": time.time(),
        "result_json": _json(result),
        "error_json": None if error is None else _json(error),
        "waits_for": "",
        "process": "",
    }
    connection.execute(schema.job.update().where(schema.job.c.id == job_id).values(values))
    leases.close_runs(connection, job_id, f"The job {job_id} ended before the run did ({state}).")
    tell(connection, job_id, "state", {"state": state})


def fail(connection: sa.Connection, claim: Claim, error: Mapping[str, Any]) -> JobState:
    """Write that a job failed: queued for another try if the error may pass and tries are left. Returns the state."""
    job = one(connection, claim.job_id)
    if (job.state, job.epoch) != ("running", claim.epoch):
        return job.state
    if error["code"] not in RETRYABLE or job.attempt + 1 >= job.attempts:
        end(connection, job.id, "failed", error=error)
        return "failed"
    pause = min(FIRST_PAUSE_SECONDS * 2**job.attempt, LONGEST_PAUSE_SECONDS)
    values = {"attempt": job.attempt + 1, "error_json": _json(error)}
    connection.execute(schema.job.update().where(schema.job.c.id == job.id).values(values))
    leases.release(connection, job.id, losses=0, why=f"its next try, after: {error['message']}", pause_seconds=pause)
    return "queued"


def lost(connection: sa.Connection, claim: Claim, *, why: str, counts: bool) -> None:
    """Queue a job again whose worker ended without a word; `counts` unless it was told to end."""
    j = schema.job.c
    row = connection.execute(sa.select(j.state, j.epoch, j.losses).where(j.id == claim.job_id).with_for_update()).one()
    if (row.state, row.epoch) == ("running", claim.epoch):
        leases.release(connection, claim.job_id, losses=row.losses + counts, why=why, pause_seconds=1.0 if counts else 0.0)


def retry(connection: sa.Connection, job_id: str) -> Job:
    """Queue a failed or cancelled job again; steps that are done stay done. Raises Conflict for one in another state."""
    j = schema.job.c
    job = from_row(connection.execute(sa.select(schema.job).where(j.id == job_id).with_for_update()).first() or _absent(job_id))
    if job.state not in ("failed", "cancelled"):
        raise Conflict(f"{job_id} is {job.state}: only a failed or cancelled job is tried again.", hint="Run: fourfold jobs")
    values = {
        "state": "queued", "attempt": 0, "losses": 0, "not_before": 0.0, "error_json": None, "finished_at": None,
        "result_json": None, "waits_for": "a worker",
    }  # fmt: skip
    connection.execute(schema.job.update().where(j.id == job_id).values(values))
    tell(connection, job_id, "state", {"state": "queued"})
    return one(connection, job_id)


def events(connection: sa.Connection, job_id: str, after: int) -> list[tuple[int, str, str]]:
    """(number, event, JSON) of what a job told after that number: its states, log and metrics."""
    e = schema.job_event.c
    query = sa.select(e.number, e.event, e.data_json).where(e.job_id == job_id, e.number > after).order_by(e.number)
    return [(row.number, row.event, row.data_json) for row in connection.execute(query)]


def one(connection: sa.Connection, job_id: str) -> Job:
    """The job of that id. Raises NotFound."""
    row = connection.execute(sa.select(schema.job).where(schema.job.c.id == job_id)).first()
    return from_row(row or _absent(job_id))


def _absent(job_id: str) -> NoReturn:
    raise NotFound(f"There is no job {job_id!r}.", hint="Run: fourfold jobs")


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
        None if row.result_json is None else decode(row.result_json), row.queue, row.priority,
        row.waits_for, row.not_before, row.attempt, row.attempts, row.epoch, row.home, row.memory_bytes,
        tuple(decode(row.after_json)), row.code_version,
    )  # fmt: skip
