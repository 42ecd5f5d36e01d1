"""Schedules: acts that become jobs at times that a cron line names, in UTC."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import sqlalchemy as sa
from croniter import croniter

from fourfold.core.errors import BadSpec, NotFound
from fourfold.core.nouns import Actor
from fourfold.storage import audit, jobs, schema
from fourfold.storage.leases import clock, to_json


@dataclass(frozen=True, slots=True)
class Schedule:
    """An act at times. Times are Unix seconds; `last_job` is the newest job that it made."""

    name: str
    cron: str  # minute, hour, day of month, month, day of week; UTC
    act: str
    arguments: Mapping[str, Any]
    actor: Actor
    queue: str
    next_at: float
    last_at: float | None
    last_job: str


def put(
    connection: sa.Connection, name: str, cron: str, act: str, arguments: Mapping[str, Any], actor: Actor, queue: str
) -> Schedule:
    """Make or replace the schedule of that name. Raises BadSpec for a line that is no cron line."""
    if len(cron.split()) != 5 or not croniter.is_valid(cron):
        raise BadSpec(f"{cron!r} is no cron line.", hint="Five fields, in UTC: '30 2 * * *' is every night at 2:30.")
    connection.execute(schema.schedule.delete().where(schema.schedule.c.name == name))
    connection.execute(
        schema.schedule.insert(),
        {
            "name": name, "cron": cron, "act": act, "arguments_json": to_json(arguments), "actor_json": to_json(actor),
            "queue": queue, "next_at": _next(cron, clock(connection)), "last_at": None, "last_job": "",
        },
    )  # fmt: skip
    audit.record(connection, actor.id, "schedule", name, {"act": act, "cron": cron})
    return one(connection, name)


def remove(connection: sa.Connection, name: str, actor: Actor) -> Schedule:
    """Remove a schedule and give it back; its jobs stay. Raises NotFound."""
    found = one(connection, name)
    connection.execute(schema.schedule.delete().where(schema.schedule.c.name == name))
    audit.record(connection, actor.id, "unschedule", name, {"act": found.act})
    return found


def fire(connection: sa.Connection) -> list[jobs.Job]:
    """Queue a job for each schedule whose time has come. Times that were missed are made up for once; a schedule whose last job
    has not ended waits for it."""
    s, now = schema.schedule.c, clock(connection)
    due = connection.execute(sa.select(schema.schedule).where(s.next_at <= now).with_for_update(skip_locked=True)).all()
    made: list[jobs.Job] = []
    for row in due:
        if row.last_job and jobs.one(connection, row.last_job).state not in jobs.ENDED:
            continue
        schedule = _from_row(row)
        job = jobs.submit(connection, schedule.actor, row.act, schedule.arguments, None, queue=row.queue)
        values = {"next_at": _next(row.cron, now), "last_at": now, "last_job": job.id}
        connection.execute(schema.schedule.update().where(s.name == row.name).values(values))
        made.append(job)
    return made


def due(connection: sa.Connection) -> bool:
    """Whether the time of a schedule has come."""
    s = schema.schedule.c
    return connection.execute(sa.select(s.name).where(s.next_at <= clock(connection)).limit(1)).first() is not None


def all_schedules(connection: sa.Connection) -> list[Schedule]:
    """Every schedule, by name."""
    return [_from_row(row) for row in connection.execute(sa.select(schema.schedule).order_by(schema.schedule.c.name))]


def one(connection: sa.Connection, name: str) -> Schedule:
    """The schedule of that name. Raises NotFound."""
    row = connection.execute(sa.select(schema.schedule).where(schema.schedule.c.name == name)).first()
    if row is None:
        raise NotFound(f"There is no schedule {name!r}.", hint="Run: fourfold schedules")
    return _from_row(row)


def _next(cron: str, now: float) -> float:
    return float(croniter(cron, now).get_next(float))


def _from_row(row: sa.Row[Any]) -> Schedule:
    decode = msgspec.json.decode
    return Schedule(
        row.name, row.cron, row.act, decode(row.arguments_json), decode(row.actor_json, type=Actor), row.queue, row.next_at,
        row.last_at, row.last_job,
    )  # fmt: skip
