"""The SDK: every act of the platform as a typed method, the same on a home folder and over HTTP."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, Self, TypeVar

import msgspec

from fourfold.application.client_home import HomeTransport
from fourfold.application.client_http import HttpTransport
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
from fourfold.compute.tasks import TASKS, Generated, Ranked, Scored, Suggested, Tagged
from fourfold.core.config import default_home
from fourfold.core.errors import BadSpec, did_you_mean
from fourfold.core.nouns import Deployment, Kind, Role, Route, Run, RunState, Version
from fourfold.core.progress import Progress, silent
from fourfold.storage.jobs import Job, JobState
from fourfold.storage.versions import AliasMove

PAGE = 50  # rows of a page when nobody asks for more
Spec = str | dict[str, Any]  # a part: its name, or {name: {settings}}
Result = Tagged | Ranked | Scored | Suggested | Generated
T = TypeVar("T")

THINGS: dict[str, Any] = {
    "version": VersionDetail,
    "alias": AliasDetail,
    "run": Run,
    "job": Job,
    "answer": Trace,
    "deployment": DeploymentDetail,
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a deployment answered: one result per input, in order. `id` is what `why` traces; times are milliseconds."""

    id: str
    deployment: str
    version: str
    results: Sequence[Result]
    route: Mapping[str, Any]
    usage: Mapping[str, int]
    timings_ms: Mapping[str, float]


class Transport(Protocol):
    """A way to a platform: this machine's home, or HTTP."""

    def do(self, act: str, arguments: dict[str, Any], /) -> bytes: ...
    def file(self, ref: str, path: str, /) -> Path: ...
    def ask(self, deployment: str, task: str, body: dict[str, Any], /) -> bytes: ...
    def close(self) -> None: ...


class Client:
    """A hand on a platform: `Client(home="…")` opens a folder of this machine, `Client(url="…", token="ff_…")` asks a server.

    Without either: FOURFOLD_URL with FOURFOLD_TOKEN if set, else FOURFOLD_HOME, else ~/.fourfold. `progress` is told how far
    long acts are. Every error is a FourfoldError of the same class and code either way. Use it in a `with` block, or `close()`
    it.
    """

    def __init__(
        self,
        *,
        home: Path | str | None = None,
        url: str | None = None,
        token: str | None = None,
        progress: Progress = silent,
    ) -> None:
        if home is not None and url is not None:
            raise BadSpec("Give a home or a URL, not both.", hint="A home is a folder of this machine; a URL is a server.")
        url = url or (os.environ.get("FOURFOLD_URL") if home is None else None)
        if url:
            self._transport: Transport = HttpTransport(url, token or os.environ.get("FOURFOLD_TOKEN", ""), progress)
        else:
            self._transport = HomeTransport(default_home() if home is None else Path(home).expanduser().absolute(), progress)

    def close(self) -> None:
        """Let go of the home or the connection."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def _do(self, act: str, arguments: dict[str, Any], result: type[T]) -> T:
        return msgspec.json.decode(self._transport.do(act, arguments), type=result)

    # Asking

    def ask(
        self,
        deployment: str,
        task: str,
        inputs: str | Mapping[str, Any] | msgspec.Struct | Sequence[str | Mapping[str, Any] | msgspec.Struct],
        **options: Any,
    ) -> Answer:
        """Ask a deployment: texts, or inputs of the task such as {"query": …, "items": […]}, with options such as unit="word".

        Raises NotReady where nothing serves the home.
        """
        if task not in TASKS:
            raise BadSpec(f"There is no task {task!r}.{did_you_mean(task, TASKS)}", hint=f"Known: {', '.join(TASKS)}.")
        many = [inputs] if isinstance(inputs, str | Mapping | msgspec.Struct) else inputs
        body = {"inputs": [{"text": one} if isinstance(one, str) else one for one in many], **options}
        answer = msgspec.json.decode(self._transport.ask(deployment, task, body))
        results: Any = msgspec.convert(answer["results"], list[TASKS[task].result])
        return Answer(results=results, **{f: answer[f] for f in Answer.__dataclass_fields__ if f != "results"})

    def why(self, answer_id: str, *, text: str | None = None, limit: int = 5) -> Trace:
        """The chain from an answer down to source documents. `text`: the input, where the deployment does not keep it."""
        return self._do("why", {"answer_id": answer_id, "text": text, "limit": limit}, Trace)

    # Datasets

    def collect(
        self, name: str, source: Spec, *, max_bad_lines: int | None = None, max_bad_share: float | None = None
    ) -> Version:
        """Collect documents of a source, such as {"files": {"path": "tickets"}}, into a new version of a dataset."""
        arguments = {"name": name, "source": source, "max_bad_lines": max_bad_lines, "max_bad_share": max_bad_share}
        return self._do("collect", arguments, Version)

    def clean(self, name: str, dataset: str, steps: Sequence[Spec]) -> Version:
        """Pass a dataset through cleaning steps, in order, into a new version."""
        return self._do("clean", {"name": name, "dataset": dataset, "steps": steps}, Version)

    def deidentify(
        self, name: str, dataset: str, *, detectors: Sequence[Spec] = ("patterns",), actions: dict[str, str] | None = None
    ) -> Version:
        """Find personal data and mask, replace, hash, drop or keep it by entity; `actions` such as {"CREDIT_CARD": "drop"}."""
        arguments = {"name": name, "dataset": dataset, "detectors": detectors, "actions": actions}
        return self._do("deidentify", arguments, Version)

    def describe(self, dataset: str) -> dict[str, Any]:
        """Rows, columns, missing values, lengths, languages, labels, splits and drops of a dataset."""
        return self._do("describe", {"dataset": dataset}, dict[str, Any])

    def documents(self, dataset: str, *, doc_id: str | None = None, limit: int = 20, offset: int = 0) -> Documents:
        """Rows of a dataset, or the one of that document."""
        arguments = {"dataset": dataset, "doc_id": doc_id, "limit": limit, "offset": offset}
        return self._do("documents", arguments, Documents)

    # Models

    def train(self, name: str, dataset: str, family: Spec, *, dev: str | None = None) -> Version:
        """Train a model of a family, such as {"crf": {"tags": "upos"}}, on the train split of a dataset."""
        return self._do("train", {"name": name, "dataset": dataset, "family": family, "dev": dev}, Version)

    def evaluate(
        self, model: str, dataset: str, *, split: Literal["train", "dev", "test"] | None = "dev", name: str | None = None
    ) -> Version:
        """Judge a model on a split of a dataset (None: on all of it): a report with figures, intervals and plots."""
        return self._do("evaluate", {"model": model, "dataset": dataset, "split": split, "name": name}, Version)

    def promote(
        self, version: str, alias: str, *, gates: Sequence[str] = (), report: str | None = None, reason: str = ""
    ) -> AliasMove:
        """Point an alias at a version once its newest report passes every gate, such as "accuracy >= 0.9"."""
        given = {"version": version, "alias": alias, "gates": gates, "report": report, "reason": reason}
        return self._do("promote", given, AliasMove)

    def aliases(self, name: str | None = None) -> dict[str, str]:
        """Where each alias points: `name@alias` → `name@number`."""
        return self._do("aliases", {"name": name}, dict[str, str])

    def alias(self, name: str, alias: str) -> AliasDetail:
        """An alias with every move it made."""
        return self._do("alias", {"name": name, "alias": alias}, AliasDetail)

    # Deployments

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
        arguments = {
            "name": name, "version": version, "routes": routes, "limits": limits, "reason": reason,
            "expected_revision": expected_revision,
        }  # fmt: skip
        return self._do("deploy", arguments, Deployment)

    def retire(self, name: str, *, reason: str = "", expected_revision: int | None = None) -> Deployment:
        """Take a deployment out of service for good."""
        return self._do("retire", {"name": name, "reason": reason, "expected_revision": expected_revision}, Deployment)

    def rollback(self, name: str, *, reason: str = "", expected_revision: int | None = None) -> Deployment:
        """Give a deployment back the versions that it served before."""
        return self._do("rollback", {"name": name, "reason": reason, "expected_revision": expected_revision}, Deployment)

    def deployments(self) -> list[Deployment]:
        """Every deployment, the retired included."""
        return self._do("deployments", {}, list[Deployment])

    def deployment(self, name: str) -> DeploymentDetail:
        """A deployment, whether it is being served, and its history."""
        return self._do("deployment", {"name": name}, DeploymentDetail)

    # Versions, runs, jobs

    def versions(
        self, *, name: str | None = None, kind: Kind | None = None, limit: int = PAGE, cursor: str | None = None
    ) -> VersionPage:
        """Versions, newest first."""
        return self._do("versions", {"name": name, "kind": kind, "limit": limit, "cursor": cursor}, VersionPage)

    def version(self, ref: str) -> VersionDetail:
        """A version with its files, inputs, outputs and aliases."""
        return self._do("version", {"ref": ref}, VersionDetail)

    def version_file(self, ref: str, path: str) -> Path:
        """A file of a version, verified, in a folder of this machine: read it before the client is closed."""
        return self._transport.file(ref, path)

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
        return self._do("runs", {"verb": verb, "name": name, "state": state, "limit": limit, "cursor": cursor}, RunPage)

    def run(self, run_id: str) -> Run:
        """A run: what was done, by whom, from what, and how it ended."""
        return self._do("run", {"run_id": run_id}, Run)

    def jobs(self, *, state: JobState | None = None, limit: int = PAGE, cursor: str | None = None) -> JobPage:
        """Jobs, newest first."""
        return self._do("jobs", {"state": state, "limit": limit, "cursor": cursor}, JobPage)

    def job(self, job_id: str) -> Job:
        """A job: how far it is, its error or its result."""
        return self._do("job", {"job_id": job_id}, Job)

    def cancel(self, job_id: str) -> Job:
        """Stop a job; what it began leaves nothing."""
        return self._do("cancel", {"job_id": job_id}, Job)

    def show(self, thing: str) -> Shown:
        """Whatever a version, alias, run, job, answer, deployment, document id or digest stands for."""
        shown = self._do("show", {"thing": thing}, Shown)
        return Shown(shown.what, msgspec.convert(shown.value, THINGS.get(shown.what, Any)))

    # The whole

    def apply(self, project: dict[str, Any], *, folder: str = ".", dry_run: bool = False) -> Applied:
        """Make a project file true: sources → datasets → models → gates → deployments. Unchanged stages are not run again.

        `folder` is where relative paths begin, on the machine of the home.
        """
        return self._do("apply", {"project": project, "folder": folder, "dry_run": dry_run}, Applied)

    def doctor(self) -> Health:
        """Checks of the home: database, disk, versions of libraries, audit chain, serving processes."""
        return self._do("doctor", {}, Health)

    def whoami(self) -> WhoAmI:
        """Who the key belongs to, and what it may do."""
        return self._do("whoami", {}, WhoAmI)

    # Keys

    def keys(self) -> list[KeyInfo]:
        """Every API key, the revoked included."""
        return self._do("keys", {}, list[KeyInfo])

    def create_key(self, name: str, role: Role, *, expires_at: float | None = None) -> NewKey:
        """A new API key. Its token is in this answer and nowhere else."""
        return self._do("create_key", {"name": name, "role": role, "expires_at": expires_at}, NewKey)

    def revoke_key(self, key_id: str) -> KeyInfo:
        """Close an API key for good."""
        return self._do("revoke_key", {"key_id": key_id}, KeyInfo)
