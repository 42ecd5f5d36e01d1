"""The stages of a project in the order in which they are to be done: each is one call of a platform method."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fourfold.application.project import DatasetEntry, DeploymentEntry, Evaluate, ModelEntry, Project, Promote
from fourfold.core.errors import BadSpec
from fourfold.core.nouns import Kind, Route

RefOf = Callable[[str], str]  # a reference of the file → `name@number`


@dataclass(frozen=True, slots=True)
class Stage:
    """A platform method, what it is called with once references are known, and the name that others call its result by.

    `path` is where the project file says so: `datasets.tickets`. `kind` None: it makes no version, it moves a name to one.
    """

    path: str
    verb: str
    makes: str
    kind: Kind | None
    arguments: Callable[[RefOf], dict[str, Any]]
    after: tuple[str, ...] = ()  # what must have been made before it, beside what it is called with


def stages_of(project: Project) -> list[Stage]:
    """Datasets, each after the one it is made from; then models: train, evaluate, promote; then deployments.

    Raises BadSpec if datasets are made from each other in a circle.
    """
    stages = [_dataset(name, project.datasets[name]) for name in _in_order(project.datasets)]
    for name, model in project.models.items():
        stages.append(_train(name, model))
        judged = [_evaluate(name, model, model.evaluate)] if model.evaluate is not None else []
        stages += judged
        if model.promote is not None:
            stages.append(_promote(name, model.promote, project.project, tuple(judged)))
    return stages + [_deploy(name, entry, project.project) for name, entry in project.deployments.items()]


def _in_order(datasets: Mapping[str, DatasetEntry]) -> list[str]:
    """Names as the file has them, but each after the one that it is made from."""
    ordered: dict[str, None] = {}
    for name in datasets:
        chain: list[str] = []
        while name in datasets and name not in ordered:
            if name in chain:
                circle = " → ".join([*chain[chain.index(name) :], name])
                raise BadSpec(f"datasets.{name} is made from itself: {circle}.", hint="Collect one of them.")
            chain.append(name)
            name = datasets[name].origin or ""
        ordered |= dict.fromkeys(reversed(chain))
    return list(ordered)


def _dataset(name: str, entry: DatasetEntry) -> Stage:
    path = f"datasets.{name}"
    origin = entry.origin or ""
    if entry.collect is not None:
        limits: dict[str, Any] = {"max_bad_lines": entry.max_bad_lines, "max_bad_share": entry.max_bad_share}
        limits |= {"licence": entry.licence, "purpose": entry.purpose}
        return Stage(path, "collect", name, "dataset", lambda ref: {"name": name, "source": entry.collect, **limits})
    if entry.clean is not None:
        return Stage(path, "clean", name, "dataset", lambda ref: {"name": name, "dataset": ref(origin), "steps": entry.clean})
    assert entry.deidentify is not None
    wanted = entry.deidentify
    settings = {"detectors": wanted.detectors, "actions": wanted.actions or None, "reversible": wanted.reversible}
    return Stage(path, "deidentify", name, "dataset", lambda ref: {"name": name, "dataset": ref(origin), **settings})


def _train(name: str, entry: ModelEntry) -> Stage:
    def arguments(ref: RefOf) -> dict[str, Any]:
        dev = None if entry.dev is None else ref(entry.dev)
        return {"name": name, "dataset": ref(entry.on), "family": entry.train, "dev": dev}

    return Stage(f"models.{name}.train", "train", name, "model", arguments)


def _evaluate(name: str, entry: ModelEntry, wanted: Evaluate) -> Stage:
    split = None if wanted.split == "all" else wanted.split

    def arguments(ref: RefOf) -> dict[str, Any]:
        judged = {"model": ref(name), "dataset": ref(wanted.on or entry.on), "split": split}
        return {**judged, "name": wanted.name, "final": wanted.final}

    return Stage(f"models.{name}.evaluate", "evaluate", wanted.name or f"{name}-report", "report", arguments)


def _promote(name: str, wanted: Promote, project: str, judged: tuple[Stage, ...]) -> Stage:
    reason = wanted.reason or f"project {project}"

    def arguments(ref: RefOf) -> dict[str, Any]:
        report = ref(judged[-1].makes) if judged and wanted.gates else None
        return {"version": ref(name), "alias": wanted.to, "gates": wanted.gates, "report": report, "reason": reason}

    return Stage(
        f"models.{name}.promote", "promote", f"{name}@{wanted.to}", None, arguments, tuple(stage.makes for stage in judged)
    )


def _deploy(name: str, entry: DeploymentEntry, project: str) -> Stage:
    shares = [(route.version, route.weight) for route in entry.routes] or [(entry.version or "", 1.0)]

    def arguments(ref: RefOf) -> dict[str, Any]:
        routes = [Route(ref(version), weight) for version, weight in shares]
        return {"name": name, "routes": routes, "limits": entry.limits, "reason": f"project {project}"}

    return Stage(f"deployments.{name}", "deploy", name, None, arguments)
