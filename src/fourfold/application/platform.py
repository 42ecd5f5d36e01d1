"""One method per thing a person can do, each permitted once: the only door downwards for routes, pages and commands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from fourfold.application import answers, apply, doctor, lifecycle, look
from fourfold.application.permissions import action, allowed
from fourfold.application.results import (
    AliasDetail,
    Applied,
    DeploymentDetail,
    Documents,
    Health,
    JobPage,
    KeyInfo,
    NewKey,
    RunPage,
    Shown,
    Trace,
    VersionDetail,
    VersionPage,
    WhoAmI,
)
from fourfold.application.serving.routing import limits_of
from fourfold.core.config import Settings
from fourfold.core.errors import BadSpec
from fourfold.core.nouns import Actor, Deployment, Kind, Role, Route, Run, RunState, Version
from fourfold.core.progress import Progress, silent
from fourfold.storage import jobs
from fourfold.storage.keys import ApiKey
from fourfold.storage.ledger import Ledger
from fourfold.storage.versions import AliasMove

PAGE = 50  # rows of a page when nobody asks for more
Spec = str | dict[str, Any]  # a part: its name, or {name: {settings}}


class Platform:
    """What one actor may do in one home. Refs are `name@3`, `name@alias`, or `name` for the newest."""

    def __init__(self, ledger: Ledger, actor: Actor, settings: Settings, *, progress: Progress = silent) -> None:
        self.ledger = ledger
        self.actor = actor
        self.settings = settings
        self.progress = progress

    # Datasets

    @action("make")
    def collect(
        self, name: str, source: Spec, *, max_bad_lines: int | None = None, max_bad_share: float | None = None
    ) -> Version:
        """Collect documents of a source, such as {"files": {"path": "tickets"}}, into a new version of a dataset."""
        from fourfold.data.collect import collect

        return collect(
            self.ledger,
            self.actor,
            name,
            source,
            max_bad_lines=max_bad_lines,
            max_bad_share=max_bad_share,
            progress=self.progress,
        )

    @action("make")
    def clean(self, name: str, dataset: str, steps: Sequence[Spec]) -> Version:
        """Pass a dataset through cleaning steps, in order, into a new version."""
        from fourfold.data.clean import clean

        return clean(self.ledger, self.actor, name, self.ledger.version(dataset), list(steps), progress=self.progress)

    @action("make")
    def deidentify(
        self, name: str, dataset: str, *, detectors: Sequence[Spec] = ("patterns",), actions: dict[str, str] | None = None
    ) -> Version:
        """Find personal data and mask, replace, hash, drop or keep it by entity; `actions` such as {"CREDIT_CARD": "drop"}."""
        from fourfold.data.deidentify import deidentify

        return deidentify(
            self.ledger,
            self.actor,
            name,
            self.ledger.version(dataset),
            detectors=list(detectors),
            actions=actions,
            progress=self.progress,
        )

    @action("read")
    def describe(self, dataset: str) -> dict[str, Any]:
        """Rows, columns, missing values, lengths, languages, labels, splits and drops of a dataset."""
        return look.describe(self.ledger, self.ledger.version(dataset))

    @action("read")
    def documents(self, dataset: str, *, doc_id: str | None = None, limit: int = 20, offset: int = 0) -> Documents:
        """Rows of a dataset, or the one of that document."""
        return look.documents(self.ledger, self.ledger.version(dataset), doc_id=doc_id, limit=limit, offset=offset)

    # Models

    @action("make")
    def train(self, name: str, dataset: str, family: Spec, *, dev: str | None = None) -> Version:
        """Train a model of a family, such as {"crf": {"tags": "upos"}}, on the train split of a dataset."""
        from fourfold.compute.train import train

        return train(
            self.ledger,
            self.actor,
            name,
            self.ledger.version(dataset),
            family,
            dev=None if dev is None else self.ledger.version(dev),
            progress=self.progress,
        )

    @action("make")
    def evaluate(
        self, model: str, dataset: str, *, split: Literal["train", "dev", "test"] | None = "dev", name: str | None = None
    ) -> Version:
        """Judge a model on a split of a dataset (null: on all of it): a report with figures, intervals and plots."""
        from fourfold.compute.evaluate import evaluate

        return evaluate(
            self.ledger,
            self.actor,
            self.ledger.version(model),
            self.ledger.version(dataset),
            split=split or "all",
            name=name,
            progress=self.progress,
        )

    @action("promote")
    def promote(
        self, version: str, alias: str, *, gates: Sequence[str] = (), report: str | None = None, reason: str = ""
    ) -> AliasMove:
        """Point an alias at a version once a report passes every gate, such as "accuracy >= 0.9"; null: its newest report."""
        judged = None if report is None else self.ledger.version(report)
        found = self.ledger.version(version)
        return lifecycle.promote(self.ledger, self.actor, found, alias, gates=gates, report=judged, reason=reason)

    @action("read")
    def aliases(self, name: str | None = None) -> dict[str, str]:
        """Where each alias points: `name@alias` → `name@number`."""
        return self.ledger.aliases(name)

    @action("read")
    def alias(self, name: str, alias: str) -> AliasDetail:
        """An alias with every move it made."""
        return look.alias(self.ledger, name, alias)

    # Deployments

    @action("deploy")
    def deploy(
        self,
        name: str,
        *,
        version: str | None = None,
        routes: Sequence[Route] = (),
        limits: Mapping[str, Any] | None = None,
        reason: str = "",
        expected_revision: int | None = None,
    ) -> Deployment:
        """Serve a version, or several by weight, under a name."""
        if (version is None) == (not routes):
            raise BadSpec(
                f"{name}: give either one version or a list of routes.", hint="For example: fourfold deploy words zh-words@3"
            )
        wanted = list(routes) if version is None else [Route(version)]
        limits_of(limits or {})  # only what was given is kept: the rest follows the home's settings
        deployed = lifecycle.deploy(
            self.ledger, self.actor, name, wanted, limits=limits or {}, reason=reason, expected_revision=expected_revision
        )
        for route in deployed.routes:
            answers.warm(self.ledger, self.ledger.version(route.version))
        return deployed

    @action("deploy")
    def retire(self, name: str, *, reason: str = "", expected_revision: int | None = None) -> Deployment:
        """Take a deployment out of service for good."""
        return lifecycle.retire(self.ledger, self.actor, name, reason=reason, expected_revision=expected_revision)

    @action("deploy")
    def rollback(self, name: str, *, reason: str = "", expected_revision: int | None = None) -> Deployment:
        """Give a deployment back the versions that it served before."""
        return lifecycle.rollback(self.ledger, self.actor, name, reason=reason, expected_revision=expected_revision)

    @action("read")
    def deployments(self) -> list[Deployment]:
        """Every deployment, the retired included."""
        return self.ledger.deployments()

    @action("read")
    def deployment(self, name: str) -> DeploymentDetail:
        """A deployment, whether it is being served, and its history."""
        return look.deployment(self.ledger, name)

    # Versions, runs, jobs

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

    # Answers

    @action("read")
    def why(self, answer_id: str, *, text: str | None = None, limit: int = 5) -> Trace:
        """The chain from an answer down to source documents. `text`: the input, where the deployment does not keep it."""
        return answers.why(self.ledger, answer_id, text=text, limit=limit)

    @action("read")
    def show(self, thing: str) -> Shown:
        """Whatever a version, alias, run, job, answer, deployment, document id or digest stands for."""
        return look.show(self.ledger, thing)

    # The whole

    @action("make")
    def apply(self, project: dict[str, Any], *, folder: str = ".", dry_run: bool = False) -> Applied:
        """Make a project file true: sources → datasets → models → gates → deployments. Unchanged stages are not run again.

        `folder` is where relative paths begin.
        """
        return apply.apply(self, project, Path(folder), dry_run=dry_run)

    @action("read")
    def doctor(self) -> Health:
        """Checks of the home: database, disk, versions of libraries, audit chain, serving processes."""
        return doctor.examine(self.ledger, self.settings)

    @action("read")
    def whoami(self) -> WhoAmI:
        """Who the key belongs to, and what it may do."""
        return WhoAmI(self.actor, allowed(self.actor.role))

    # Keys

    @action("administer")
    def keys(self) -> list[KeyInfo]:
        """Every API key, the revoked included."""
        return [_info(key) for key in self.ledger.keys()]  # noqa: SIM118

    @action("administer")
    def create_key(self, name: str, role: Role, *, expires_at: float | None = None) -> NewKey:
        """A new API key. Its token is in this answer and nowhere else."""
        key, token = self.ledger.create_key(name, role, actor=self.actor.id, expires_at=expires_at)
        return NewKey(_info(key), token)

    @action("administer")
    def revoke_key(self, key_id: str) -> KeyInfo:
        """Close an API key for good."""
        return _info(self.ledger.revoke_key(key_id, actor=self.actor.id))


def _info(key: ApiKey) -> KeyInfo:
    return KeyInfo(key.id, key.name, key.role, key.created_at, key.created_by, key.expires_at, key.revoked_at)
