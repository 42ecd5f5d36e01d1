"""Who holds a job: a lease with an epoch. Whoever took the job last holds it, and an older holder can write nothing."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa

from fourfold.core.errors import Conflict
from fourfold.storage import runs, schema

LEASE_SECONDS = 15.0  # a holder that was not heard of for so long has lost its job
BEAT_SECONDS = 3.0
MOST_LOSSES = 10  # workers that may die in a row before one step is finished
MOST_EVENTS = 10_000  # of one job; later ones are left out, and the last says so


class Fenced(Conflict):
    """This process held the job once and does not any more."""

    code = "fenced"


class Cancelled(Conflict):
    """Somebody cancelled the job."""

    code = "cancelled"


@dataclass(frozen=True, slots=True)
class Claim:
    """A job as one holder took it."""

    job_id: str
    epoch: int

    def fence(self, connection: sa.Connection) -> None:
        """Raise Fenced or Cancelled unless the job is still held; until the transaction ends nobody can take it."""
        if connection.dialect.name == "postgresql":  # a holder that hangs in a transaction may not keep others from the row
            connection.exec_driver_sql("set local idle_in_transaction_session_timeout = '15s'")
        j = schema.job.c
        row = connection.execute(sa.select(j.state, j.epoch).where(j.id == self.job_id).with_for_update()).one()
        if row.state == "cancelled":
            raise Cancelled(f"{self.job_id} was cancelled.", hint=f"Run: fourfold retry {self.job_id}")
        if (row.state, row.epoch) != ("running", self.epoch):
            raise Fenced(f"{self.job_id} was taken over by another worker.", hint=f"Run: fourfold show {self.job_id}")

    def beat(self, connection: sa.Connection) -> None:
        """Hold the job for another while; the transaction's fence has seen that it is held."""
        until = clock(connection) + LEASE_SECONDS
        j = schema.job.c
        held = sa.and_(j.id == self.job_id, j.epoch == self.epoch, j.state == "running")
        connection.execute(schema.job.update().where(held).values(lease_until=until))


def clock(connection: sa.Connection) -> float:
    """The time of the database server, so that the clocks of two machines need not agree. Unix seconds."""
    if connection.dialect.name != "postgresql":
        return time.time()
    return float(connection.exec_driver_sql("select extract(epoch from clock_timestamp())").scalar_one())


def home_id(home: Path) -> str:
    """What a home is called among those that share a database."""
    return f"{socket.gethostname()}:{home.absolute()}"


def seen(connection: sa.Connection, home: str) -> None:
    """Note that a home's executor lives."""
    e, now = schema.executor, clock(connection)
    if connection.execute(e.update().where(e.c.home == home).values(seen_at=now)).rowcount == 0:
        connection.execute(e.insert(), {"home": home, "seen_at": now})


def is_seen(connection: sa.Connection, home: str) -> bool:
    """Whether a home's executor was heard of within a lease."""
    e = schema.executor.c
    at = connection.execute(sa.select(e.seen_at).where(e.home == home)).scalar()
    return at is not None and at > clock(connection) - LEASE_SECONDS


def sweep(connection: sa.Connection) -> list[str]:
    """Give back the jobs whose holder died, or was not heard of for a lease; returns their ids."""
    j, now = schema.job.c, clock(connection)
    running = sa.select(j.id, j.process, j.lease_until, j.losses).where(j.state == "running")
    lost = [
        row
        for row in connection.execute(
            running.with_for_update(skip_locked=True)
        ).all()  # one that is locked is being written by its holder
        if row.lease_until < now or not _lives(row.process)
    ]
    for row in lost:
        release(connection, row.id, losses=row.losses + 1, why="its worker died or was not heard of")
    return [row.id for row in lost]


def _lives(process: str) -> bool:
    return process == "" or runs.is_alive(process)


def release(connection: sa.Connection, job_id: str, *, losses: int, why: str, pause_seconds: float = 0.0) -> None:
    """Queue a running job again. What its holder had open fails; after MOST_LOSSES at one step the job fails itself."""
    j = schema.job.c
    close_runs(connection, job_id, f"The job {job_id} was taken from its worker: {why}.")
    if losses >= MOST_LOSSES:
        error = {
            "code": "worker_died",
            "message": f"{losses} workers died in a row before one more step was done.",
            "hint": f"Look for memory or a crash in the server's log, then run: fourfold retry {job_id}",
            "status": 500,
        }
        values: dict[str, Any] = {"state": "failed", "finished_at": time.time(), "error_json": to_json(error)}
    else:
        values = {"state": "queued", "not_before": clock(connection) + pause_seconds, "waits_for": why}
    connection.execute(schema.job.update().where(j.id == job_id).values(process="", lease_until=0.0, losses=losses, **values))
    tell(connection, job_id, "state", {"state": values["state"], "why": why})


def close_runs(connection: sa.Connection, job_id: str, why: str) -> None:
    """Mark the open runs of a job as failed."""
    r = schema.run.c
    ended = {"state": "failed", "error": why, "finished_at": time.time()}
    connection.execute(schema.run.update().where(r.job_id == job_id, r.state == "running").values(ended))


def tell(connection: sa.Connection, job_id: str, event: str, data: Mapping[str, Any]) -> None:
    """Append to what a job tells those who watch it: ids, counts, seconds, never documents. The caller holds its row."""
    e = schema.job_event.c
    last = connection.execute(sa.select(sa.func.max(e.number)).where(e.job_id == job_id)).scalar() or 0
    if event != "state" and last >= MOST_EVENTS:
        return
    if event != "state" and last == MOST_EVENTS - 1:
        data = {"message": f"More than {MOST_EVENTS} events: the rest is left out."}
    values = {"job_id": job_id, "number": last + 1, "at": time.time(), "event": event, "data_json": to_json(data)}
    connection.execute(schema.job_event.insert(), values)


def free_memory_bytes() -> int | None:
    """Memory that a new process could have; None where the system does not say."""
    try:
        text = Path("/proc/meminfo").read_text()
    except OSError:
        return None
    found = [line.split()[1] for line in text.splitlines() if line.startswith("MemAvailable:")]
    return int(found[0]) * 1024 if found else os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def to_json(value: Any) -> str:
    """JSON, equal for equal values."""
    return msgspec.json.encode(value, order="deterministic").decode()
