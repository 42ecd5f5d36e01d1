"""Apply: make a project file true. What is true already is left alone, and all of it is checked before anything is made."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from fourfold.application.lifecycle import Gate, figures_of
from fourfold.application.permissions import permit
from fourfold.application.project import check_project
from fourfold.application.rehearsal import Rehearsal, Rehearsed, imagine, is_imagined
from fourfold.application.results import Applied, StageOutcome
from fourfold.application.stages import Stage, stages_of
from fourfold.core.errors import FourfoldError, NotFound, did_you_mean
from fourfold.core.nouns import Actor, Version
from fourfold.data.collect import contents
from fourfold.data.sources import SOURCES, incremental
from fourfold.storage.ledger import Ledger

SHOWN = {  # facts of a version that say what a verb did
    "collect": ("files", "rows", "bad", "drops", "encodings", "size_bytes_raw"),
    "clean": ("rows_before", "rows", "drops", "changes"),
    "deidentify": ("rows", "findings", "drops"),
    "train": ("family", "tasks", "rows", "training"),
    "evaluate": ("split", "documents", "positions", "notes"),
}


class Hands(Protocol):
    """What apply needs of a platform, beside its methods."""

    ledger: Ledger
    actor: Actor


class Watch(Protocol):
    """Somebody who is told of each stage as it happens."""

    def begins(self, stage: Stage, /) -> None: ...
    def ends(self, outcome: StageOutcome, /) -> None: ...


def apply(platform: Hands, project: Mapping[str, Any], folder: Path, *, dry_run: bool, watch: Watch | None = None) -> Applied:
    """Do the stages of a project that are not done yet, in order; `folder` is where relative paths of sources begin.

    Raises BadSpec, NotFound, NotPermitted and their like before the first stage if any stage could not begin as it stands, and
    what a stage raises; the stages before it are done then, and a second apply goes on from there.
    """
    stages = stages_of(check_project(grounded(project, folder)))
    applying = _Applying(platform)
    outcomes = [applying.look(stage) for stage in stages]
    if not dry_run:
        for stage, outcome in zip(stages, outcomes):
            if outcome.state == "planned":
                with _told_at(stage.path):
                    permit(platform.actor, getattr(platform, stage.verb).action, stage.verb)
        outcomes = [applying.make_true(stage, outcome, watch) for stage, outcome in zip(stages, outcomes)]
    return Applied(str(project["project"]), outcomes)


def grounded(project: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The project with the paths of its sources made absolute: relative ones begin at `folder`."""
    datasets = project.get("datasets")
    if not isinstance(datasets, Mapping):
        return dict(project)
    return {**project, "datasets": {name: _grounded(entry, folder.absolute()) for name, entry in datasets.items()}}


def _grounded(entry: Any, folder: Path) -> Any:
    match entry:
        case {"collect": {**source}} if len(source) == 1:
            ((name, settings),) = source.items()
            if isinstance(settings, Mapping) and isinstance(settings.get("path"), str) and settings["path"]:
                path = (folder / Path(settings["path"]).expanduser()).resolve()
                return {**entry, "collect": {name: {**settings, "path": str(path)}}}
    return entry


class _Applying:
    """A project on its way: the versions that its names stand for, made or imagined."""

    def __init__(self, platform: Hands) -> None:
        self.platform = platform
        self.ledger = platform.ledger
        self.made: dict[str, Version] = {}
        # Permission is asked for once it is known which stages are to be done.
        self.rehearsing = copy.copy(platform)
        self.rehearsing.actor = replace(platform.actor, role="admin")

    def look(self, stage: Stage) -> StageOutcome:
        """Whether a stage is done already, by asking its verb what it would do."""
        begun = time.perf_counter()
        with _told_at(stage.path):
            arguments = stage.arguments(self._ref)
            waits = any(is_imagined(self.made[name]) for name in stage.after)
            run = self._rehearse(stage, {**arguments, "gates": []} if waits else arguments)
            waits = waits or any(is_imagined(version) for version in run.inputs)
            found = None if waits else UNCHANGED.get(stage.verb, _made_before)(self.ledger, run)
        stands_for = found or (run.inputs[0] if stage.kind is None else imagine(stage.makes, stage.kind))
        done = "done" if found and self.ledger.made_in_this_job(found) else "unchanged"  # by a worker of it that died
        return self._outcome(stage, done if found else "planned", stands_for, run, time.perf_counter() - begun)

    def make_true(self, stage: Stage, outcome: StageOutcome, watch: Watch | None) -> StageOutcome:
        """Do a planned stage, unless what came before it turned out to have changed nothing."""
        if outcome.state == "planned" and stage.verb != "collect":
            outcome = self.look(stage)
        if outcome.state == "planned":
            if watch is not None:
                watch.begins(stage)
            outcome = self._do(stage)
        if watch is not None:
            watch.ends(outcome)
        return outcome

    def _do(self, stage: Stage) -> StageOutcome:
        begun = time.perf_counter()
        with _told_at(stage.path):
            run = self._rehearse(stage, stage.arguments(self._ref))
            made = getattr(self.platform, stage.verb)(**stage.arguments(self._ref))
        version = run.inputs[0] if stage.kind is None else made
        return self._outcome(stage, "done", version, run, time.perf_counter() - begun)

    def _rehearse(self, stage: Stage, arguments: dict[str, Any]) -> Rehearsed:
        self.rehearsing.ledger = Rehearsal(self.ledger, {version.ref: version for version in self.made.values()})
        try:
            getattr(self.rehearsing, stage.verb)(**arguments)
        except Rehearsed as run:
            return run
        raise AssertionError(f"{stage.verb} opens no run")

    def _ref(self, name: str) -> str:
        """`name@number` of what a name of the project, or of the home, stands for now."""
        if name in self.made:
            return self.made[name].ref
        try:
            return self.ledger.version(name).ref
        except NotFound as error:
            raise NotFound(error.message + did_you_mean(name, self.made), hint=error.hint) from error

    def _outcome(self, stage: Stage, state: Any, version: Version, run: Rehearsed, seconds: float) -> StageOutcome:
        if stage.verb != "deploy":  # a deployment may have the name of a model
            self.made[stage.makes] = version
        result = stage.makes if stage.kind is None or is_imagined(version) else version.ref
        figures = {} if state == "planned" else _figures(run, version)
        shown = [v.name if is_imagined(v) else v.ref for v in run.inputs]
        return StageOutcome(stage.path, stage.verb, state, result, shown, figures, seconds)


@contextmanager
def _told_at(path: str) -> Iterator[None]:
    """Errors of the block begin with the path of their stage."""
    try:
        yield
    except FourfoldError as error:
        error.message = f"{path}: {error.message}"
        raise


# ---- what is done already -------------------------------------------------------------------------------------------------


def _made_before(ledger: Ledger, run: Rehearsed) -> Version | None:
    return ledger.made_before(run.name, run.verb, run.spec, run.inputs)


def _collected_before(ledger: Ledger, run: Rehearsed) -> Version | None:
    """The version of the same source, if the source still holds the same files."""
    source = SOURCES.build(run.spec["source"])
    if incremental(source):  # what lies over the network is asked by collect alone, not by every plan
        return _made_before(ledger, run)
    next(iter(source()), None)  # a folder that is not there is found before anything is made
    found = _made_before(ledger, run)
    return found if found is not None and found.meta["contents"] == contents(source) else None


def _promoted_before(ledger: Ledger, run: Rehearsed) -> Version | None:
    """The version, if the alias points at it, and was last moved through the same gates and by the same report."""
    version = run.inputs[0]
    if ledger.aliases(version.name).get(run.name) != version.ref:
        return None
    last = ledger.runs(verb="promote", name=run.name, state="done", limit=1)
    return version if last and last[0].recipe == ledger.recipe(run.verb, run.spec, run.inputs) else None


def _deployed_before(ledger: Ledger, run: Rehearsed) -> Version | None:
    """The first of its versions, if the deployment has the same routes and limits and is live."""
    present = next((d for d in ledger.deployments() if d.name == run.name), None)
    wanted = (run.spec["routes"], run.spec["limits"], run.spec["state"])
    return run.inputs[0] if present and (present.routes, present.limits, present.state) == wanted else None


UNCHANGED: Mapping[str, Callable[[Ledger, Rehearsed], Version | None]] = {
    "collect": _collected_before,
    "promote": _promoted_before,
    "deploy": _deployed_before,
}


# ---- figures of an outcome ------------------------------------------------------------------------------------------------


def _figures(run: Rehearsed, version: Version) -> dict[str, Any]:
    """What a stage's outcome says of what went in and came out."""
    figures = {key: version.meta[key] for key in SHOWN.get(run.verb, ()) if key in version.meta}
    if run.verb == "evaluate":
        figures["metrics"] = {name: value for name, value in figures_of(version).items() if "/" not in name}  # over everything
    if run.verb == "promote":
        figures = {"version": version.ref, "gates": {gate: _judged(run, gate) for gate in run.spec["gates"]}}
    if run.verb == "deploy":
        figures = {"versions": [route.version for route in run.spec["routes"]], "tasks": version.meta.get("tasks", [])}
    return figures


def _judged(run: Rehearsed, gate: str) -> float | None:
    """The figure that a gate bounds, from the report that it was judged by."""
    return next((figures_of(report)[Gate.parse(gate).metric] for report in run.inputs[1:]), None)
