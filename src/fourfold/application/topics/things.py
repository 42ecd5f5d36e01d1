"""Versions, runs and jobs."""

from __future__ import annotations

from pathlib import Path

from fourfold.application import look
from fourfold.application.permissions import action
from fourfold.application.results import PAGE, JobPage, RunPage, VersionDetail, VersionPage
from fourfold.application.topics import Hand
from fourfold.core.nouns import Kind, Run, RunState
from fourfold.storage import jobs


class Things(Hand):
    """Versions, runs and jobs."""

    @action("read")
    def versions(
        self, *, name: str | None = None, kind: Kind | None = None, limit: int = PAGE, cursor: str | None = None
    ) -> VersionPage:
        """Versions, newest first."""
        found = self.ledger.versions(name=name, kind=kind, limit=look.bounded(limit) + 1, before=cursor)
        return VersionPage(*look.cut(found, limit))

    @action("read")
    def version(self, ref: str) -> VersionDetail:
        """A version with its files, inputs, outputs and aliases."""
        return look.version(self.ledger, self.ledger.version(ref))

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
        limit: int = PAGE,
        cursor: str | None = None,
    ) -> RunPage:
        """Runs, newest first."""
        self.ledger.sweep()
        found = self.ledger.runs(verb=verb, name=name, state=state, limit=look.bounded(limit) + 1, before=cursor)
        return RunPage(*look.cut(found, limit))

    @action("read")
    def run(self, run_id: str) -> Run:
        """A run: what was done, by whom, from what, and how it ended."""
        return self.ledger.find_run(run_id)

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
