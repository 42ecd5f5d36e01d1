"""Versions, runs and jobs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from fourfold.application.results import (
    PAGE,
    AliasDetail,
    DeploymentDetail,
    JobPage,
    RunPage,
    Shown,
    Tags,
    Trace,
    VersionDetail,
    VersionPage,
)
from fourfold.application.run_results import RunLog, RunMetrics
from fourfold.application.sdk import Line
from fourfold.core.nouns import Kind, Run, RunState
from fourfold.storage.artifacts import safe_path
from fourfold.storage.jobs import Job, JobState
from fourfold.storage.schedules import Schedule

THINGS: dict[str, Any] = {
    "version": VersionDetail,
    "alias": AliasDetail,
    "run": Run,
    "job": Job,
    "answer": Trace,
    "deployment": DeploymentDetail,
}


class Things(Line):
    """Versions, runs and jobs."""

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
        asked = {"name": name, "kind": kind, "where": where, "limit": limit, "cursor": cursor}
        return self._do("versions", asked, VersionPage)

    def version(self, ref: str) -> VersionDetail:
        """A version with its files, inputs, outputs and aliases."""
        return self._do("version", {"ref": ref}, VersionDetail)

    def tags(self, ref: str) -> Tags:
        """The tags of a version and their history."""
        return self._do("tags", {"ref": ref}, Tags)

    def tag(self, ref: str, tag: str, *, value: str | None = "") -> Tags:
        """Tag a version with a word and, if there is one, a value; None takes the tag away. What it was is kept."""
        return self._do("tag", {"ref": ref, "tag": tag, "value": value}, Tags)

    def version_file(self, ref: str, path: str) -> Path:
        """A file of a version, verified, in a folder of this machine: read it before the client is closed."""
        return self._transport.file(ref, path)

    def fetch(self, ref: str, folder: Path | str) -> list[Path]:
        """Bring all files of a version into a folder of this machine, verified; goes on where an earlier fetch stopped.

        Raises Conflict if another file of a name is there.
        """
        found = self.version(ref)
        targets = [(entry, Path(folder) / safe_path(entry.path)) for entry in found.files]
        for entry, target in targets:
            self._transport.fetch(found.version.ref, entry, target)
        return [target for _, target in targets]

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
        asked = {"verb": verb, "name": name, "state": state, "where": where, "limit": limit, "cursor": cursor}
        return self._do("runs", asked, RunPage)

    def run(self, run_id: str) -> Run:
        """A run: what was done, by whom, from what, and how it ended."""
        return self._do("run", {"run_id": run_id}, Run)

    def run_metrics(self, run_id: str, *, name: str | None = None) -> RunMetrics:
        """The history of a run's metrics, step by step; `name`: of that one alone."""
        return self._do("run_metrics", {"run_id": run_id, "name": name}, RunMetrics)

    def run_log(self, run_id: str) -> RunLog:
        """What was logged during a run."""
        return self._do("run_log", {"run_id": run_id}, RunLog)

    def jobs(self, *, state: JobState | None = None, limit: int = PAGE, cursor: str | None = None) -> JobPage:
        """Jobs, newest first."""
        return self._do("jobs", {"state": state, "limit": limit, "cursor": cursor}, JobPage)

    def job(self, job_id: str) -> Job:
        """A job: how far it is, its error or its result."""
        return self._do("job", {"job_id": job_id}, Job)

    def cancel(self, job_id: str) -> Job:
        """Stop a job; what it began leaves nothing."""
        return self._do("cancel", {"job_id": job_id}, Job)

    def retry(self, job_id: str) -> Job:
        """Queue a failed or cancelled job again; steps that are done stay done."""
        return self._do("retry", {"job_id": job_id}, Job)

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
    ) -> Job:
        """Queue an act as a job, before those of less `priority`, once the jobs `after` are done and that much memory is free.

        An error that may pass is tried again, `attempts` times in all. An equal key gives the job that there is. The server of
        the home does it; see `job`.
        """
        given = {
            "act": act, "arguments": arguments, "queue": queue, "priority": priority, "after": after,
            "memory_bytes": memory_bytes, "attempts": attempts, "idempotency_key": idempotency_key,
        }  # fmt: skip
        return self._do("submit", given, Job)

    def limit_queue(self, queue: str, *, slots: int | None = None) -> dict[str, int | None]:
        """Let at most `slots` jobs of a queue run at once, over all homes; none: as many as there are workers."""
        return self._do("limit_queue", {"queue": queue, "slots": slots}, dict[str, int | None])

    def schedules(self) -> list[Schedule]:
        """Every schedule: what is done when, and the last job that came of it."""
        return self._do("schedules", {}, list[Schedule])

    def schedule(
        self, name: str, cron: str, act: str, *, arguments: dict[str, Any] | None = None, queue: str = "default"
    ) -> Schedule:
        """Do a long act at the times of a cron line (UTC), as the actor who asks for it; an equal name replaces it."""
        given = {"name": name, "cron": cron, "act": act, "arguments": arguments, "queue": queue}
        return self._do("schedule", given, Schedule)

    def unschedule(self, name: str) -> Schedule:
        """Remove a schedule; the jobs that came of it stay."""
        return self._do("unschedule", {"name": name}, Schedule)

    def show(self, thing: str) -> Shown:
        """Whatever a version, alias, run, job, answer, deployment, document id or digest stands for."""
        shown = self._do("show", {"thing": thing}, Shown)
        return Shown(shown.what, msgspec.convert(shown.value, THINGS.get(shown.what, Any)))
