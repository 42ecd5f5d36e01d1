"""Versions, runs and jobs."""

from __future__ import annotations

import inspect
import typing
from pathlib import Path
from typing import Any

import msgspec

from fourfold.application import look
from fourfold.application.permissions import action, permit
from fourfold.application.results import (
    PAGE,
    JobPage,
    RunPage,
    Tags,
    VersionDetail,
    VersionPage,
)
from fourfold.application.run_results import MetricSeries, RunLog, RunMetrics
from fourfold.application.topics import Hand
from fourfold.core.errors import BadInput, BadSpec, NotFound, did_you_mean
from fourfold.core.nouns import Kind, Run, RunState
from fourfold.storage import audit, jobs, run_records, schedules, states, tags
from fourfold.storage.found import found_runs, found_versions
from fourfold.storage.leases import home_id
from fourfold.storage.schedules import Schedule

OF_THIS_HOME = ("collect", "apply")  # they name files of the machine that was asked; another takes them once it is gone
NO_JOBS = ("create_key", "submit")  # a token would stand in the job's row; a job may not make jobs without end
MOST_PRIORITY = 1000


class Things(Hand):
    """Versions, runs and jobs."""

    @action("read")
    def versions(
        self,
        *,
        name: str | None = None,
        kind: Kind | None = None,
        where: str | None = None,
        limit: int = PAGE,
        cursor: str | None = None,
    ) -> VersionPage:
        """Versions, newest first; `where` is a condition such as `f1 > 0.9 and family = 'crf'`."""
        rows = look.bounded(limit) + 1
        found = found_versions(self.ledger.database, name=name, kind=kind, where=where, limit=rows, before=cursor)
        page, following = look.cut(found, limit)
        with self.ledger.database.read() as connection:
            ended = states.ended(connection, [one.id for one in page])
        told = {one.ref: " ".join(ended[one.id]).strip() for one in page if one.id in ended}
        return VersionPage(page, following, told)

    @action("read")
    def version(self, ref: str) -> VersionDetail:
        """A version with its files, inputs, outputs and aliases."""
        return look.version(self.ledger, self.ledger.version(ref))

    @action("read")
    def tags(self, ref: str) -> Tags:
        """The tags of a version and their history."""
        version = self.ledger.version(ref)
        with self.ledger.database.read() as connection:
            return Tags(version.ref, tags.of(connection, version), tags.history(connection, version))

    @action("make")
    def tag(self, ref: str, tag: str, *, value: str | None = "") -> Tags:
        """Tag a version with a word and, if there is one, a value; null takes the tag away. What it was is kept."""
        version = self.ledger.version(ref)
        with self.ledger.write() as connection:
            found = tags.change(connection, self.actor.id, version, tag, value)
            return Tags(version.ref, found, tags.history(connection, version))

    @action("read")
    def version_file(self, ref: str, path: str) -> Path:
        """A file of a version, verified, in a read-only folder of this machine."""
        return look.version_file(self.ledger, self.ledger.version(ref), path)

    @action("read")
    def runs(
        self,
        *,
        verb: str | None = None,
        name: str | None = None,
        state: RunState | None = None,
        where: str | None = None,
        limit: int = PAGE,
        cursor: str | None = None,
    ) -> RunPage:
        """Runs, newest first; `where` is a condition such as `rows > 1000 and state = 'failed'`."""
        self.ledger.sweep()
        rows = look.bounded(limit) + 1
        found = found_runs(self.ledger.database, verb=verb, name=name, state=state, where=where, limit=rows, before=cursor)
        return RunPage(*look.cut(found, limit))

    @action("read")
    def run(self, run_id: str) -> Run:
        """A run: what was done, by whom, from what, and how it ended."""
        return self.ledger.find_run(run_id)

    @action("read")
    def run_metrics(self, run_id: str, *, name: str | None = None) -> RunMetrics:
        """The history of a run's metrics, step by step; `name`: of that one alone."""
        run = self.ledger.find_run(run_id)
        found = run_records.history(self.ledger.database, self.ledger.materialised, run.id, name)
        if name is not None and not found:
            known = run_records.history(self.ledger.database, self.ledger.materialised, run.id)
            raise NotFound(f"{run.id} told no metric {name!r}.{did_you_mean(name, known)}", hint=f"Run: fourfold show {run.id}")
        series = {
            metric: MetricSeries([p[1] for p in points], [p[2] for p in points], [p[3] for p in points])
            for metric, points in found.items()
        }
        return RunMetrics(run.id, series)

    @action("read")
    def run_log(self, run_id: str) -> RunLog:
        """What was logged during a run."""
        run = self.ledger.find_run(run_id)
        return RunLog(run.id, run_records.log_lines(self.ledger.database, self.ledger.materialised, run.id))

    @action("read")
    def jobs(self, *, state: jobs.JobState | None = None, limit: int = PAGE, cursor: str | None = None) -> JobPage:
        """Jobs, newest first."""
        with self.ledger.database.read() as connection:
            found = jobs.page(connection, state=state, limit=look.bounded(limit) + 1, before=cursor)
        return JobPage(*look.cut(found, limit))

    @action("read")
    def job(self, job_id: str) -> jobs.Job:
        """A job: how far it is, its error or its result."""
        with self.ledger.database.read() as connection:
            return jobs.one(connection, job_id)

    @action("make")
    def cancel(self, job_id: str) -> jobs.Job:
        """Stop a job; what it began leaves nothing."""
        with self.ledger.write() as connection:
            jobs.one(connection, job_id)
            jobs.end(connection, job_id, "cancelled")
            return jobs.one(connection, job_id)

    @action("make")
    def retry(self, job_id: str) -> jobs.Job:
        """Queue a failed or cancelled job again; steps that are done stay done."""
        with self.ledger.write() as connection:
            return jobs.retry(connection, job_id)

    @action("make")
    def submit(
        self,
        act: str,
        *,
        arguments: dict[str, Any] | None = None,
        queue: str = "default",
        priority: int = 0,
        after: list[str] | None = None,
        memory_bytes: int = 0,
        attempts: int = 5,
        idempotency_key: str | None = None,
    ) -> jobs.Job:
        """Queue an act as a job, before those of less `priority`, once the jobs `after` are done and that much memory is free.

        An error that may pass is tried again, `attempts` times in all. An equal key gives the job that there is.
        """
        self._check(act, arguments or {})
        if memory_bytes < 0 or attempts < 1 or abs(priority) > MOST_PRIORITY:
            raise BadInput(
                f"memory_bytes is 0 or more, attempts 1 or more, priority between -{MOST_PRIORITY:,} and {MOST_PRIORITY:,}.",
                hint="0 is the priority of jobs that say nothing.",
            )
        home = home_id(self.ledger.home) if act in OF_THIS_HOME else ""
        with self.ledger.write() as connection:
            for other in after or []:
                jobs.one(connection, other)
            return jobs.submit(
                connection, self.actor, act, arguments or {}, idempotency_key, queue=queue, priority=priority, home=home,
                memory_bytes=memory_bytes, after=after or (), attempts=attempts,
            )  # fmt: skip

    @action("administer")
    def limit_queue(self, queue: str, *, slots: int | None = None) -> dict[str, int | None]:
        """Let at most `slots` jobs of a queue run at once, over all homes; none: as many as there are workers."""
        if slots is not None and slots < 0:
            raise BadInput(f"slots is {slots}; it must not be below 0.", hint="0 holds every job of the queue back.")
        with self.ledger.write() as connection:
            jobs.limit(connection, queue, slots)
            audit.record(connection, self.actor.id, "limit_queue", queue, {"slots": slots})
        return {queue: slots}

    @action("read")
    def schedules(self) -> list[Schedule]:
        """Every schedule: what is done when, and the last job that came of it."""
        with self.ledger.database.read() as connection:
            return schedules.all_schedules(connection)

    @action("administer")
    def schedule(
        self, name: str, cron: str, act: str, *, arguments: dict[str, Any] | None = None, queue: str = "default"
    ) -> Schedule:
        """Do a long act at the times of a cron line (UTC), as the actor who asks for it; an equal name replaces it."""
        self._check(act, arguments or {})
        with self.ledger.write() as connection:
            return schedules.put(connection, name, cron, act, arguments or {}, self.actor, queue)

    def _check(self, act: str, arguments: dict[str, Any]) -> None:
        """Raise BadSpec unless it is an act that can be a job, with its arguments; NotPermitted if it is not this actor's."""
        known = {n: m for n in dir(type(self)) if getattr(m := getattr(type(self), n), "action", "read") != "read"}
        for none in NO_JOBS:
            known.pop(none)
        if act not in known:
            raise BadSpec(f"{act!r} is no act that can be a job.{did_you_mean(act, known)}", hint=f"Known: {', '.join(known)}.")
        permit(self.actor, known[act].action, act)
        method = inspect.unwrap(known[act])
        parameters = list(inspect.signature(method).parameters.values())[1:]
        hints = typing.get_type_hints(method)
        required = [p.name for p in parameters if p.default is p.empty]
        fitted(act, arguments, {p.name: hints[p.name] for p in parameters}, required)

    @action("administer")
    def unschedule(self, name: str) -> Schedule:
        """Remove a schedule; the jobs that came of it stay."""
        with self.ledger.write() as connection:
            return schedules.remove(connection, name, self.actor)


def fitted(act: str, arguments: dict[str, Any], types: dict[str, Any], required: list[str]) -> None:
    """Raise BadSpec unless the arguments are those of the act: found now, not at night."""
    for name in arguments:
        if name not in types:
            raise BadSpec(f"{act} has no argument {name!r}.{did_you_mean(name, types)}", hint=f"Known: {', '.join(types)}.")
    if missing := [name for name in required if name not in arguments]:
        raise BadSpec(f"{act} needs {', '.join(missing)}.", hint=f"Known: {', '.join(types)}.")
    try:
        for name, value in arguments.items():
            msgspec.convert(value, types[name])
    except msgspec.ValidationError as error:
        raise BadSpec(f"{act}: {error}.", hint="Arguments are JSON, as for the same act over HTTP.") from error
