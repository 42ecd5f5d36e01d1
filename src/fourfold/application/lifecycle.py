"""Promote through gates, deploy, retire, roll back: each one recorded, each one undoable."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fourfold.core.errors import BadInput, BadSpec, Conflict, GateRefused, NotFound, did_you_mean
from fourfold.core.nouns import Actor, Deployment, Route, Version
from fourfold.storage import deployments, versions
from fourfold.storage.ledger import Ledger

BOUND = re.compile(r"\s*([\w.\-]+)\s*(>=|<=|>|<)\s*([-+]?\d*\.?\d+(?:[eE][-+]?\d+)?)\s*")
COMPARE = {
    ">=": lambda value, bound: value >= bound,
    "<=": lambda value, bound: value <= bound,
    ">": lambda value, bound: value > bound,
    "<": lambda value, bound: value < bound,
}
OPPOSITE = {">=": "<", "<=": ">", ">": "<=", "<": ">="}


@dataclass(frozen=True, slots=True)
class Gate:
    """A bound on a figure of a report, written `accuracy >= 0.9`."""

    metric: str
    relation: str
    bound: float

    @classmethod
    def parse(cls, text: str) -> Gate:
        """The gate that a text states. Raises BadSpec."""
        match = BOUND.fullmatch(text)
        if match is None:
            raise BadSpec(
                f"{text!r} is no gate.", hint="Write it as 'accuracy >= 0.9': a metric, one of >= <= > <, and a number."
            )
        return cls(match[1], match[2], float(match[3]))


def promote(
    ledger: Ledger, actor: Actor, version: Version, alias: str, *, gates: Sequence[str], report: Version | None, reason: str
) -> versions.AliasMove:
    """Point `version.name@alias` at a version once a report passes every gate: `report`, else its newest on dev or test data.

    Raises GateRefused with both figures, NotFound if there is no report to judge by.
    """
    versions.check_alias(alias)
    parsed = [Gate.parse(text) for text in gates]
    judged = _judge(ledger, version, parsed, report) if parsed else None
    spec = {"version": version.ref, "alias": alias, "gates": list(gates), "reason": reason}
    inputs = [version] if judged is None else [version, judged]
    moves: list[versions.AliasMove] = []
    with ledger.run("promote", name=f"{version.name}@{alias}", spec=spec, inputs=inputs, actor=actor) as run:
        run.also(lambda connection: moves.append(versions.move_alias(connection, actor.id, version, alias, reason)))
    return moves[0]


def _judge(ledger: Ledger, version: Version, gates: Sequence[Gate], report: Version | None) -> Version:
    if report is None:
        report = latest_report(ledger, version)
    elif version.ref not in [v.ref for v in ledger.inputs(report)]:
        raise BadInput(f"{report.ref} is no report of {version.ref}.", hint=f"Run: fourfold show {report.ref}")
    if report is None:
        raise NotFound(
            f"{version.ref} has no report on dev or test data, so no gate can judge it.",
            hint=f"Run: fourfold evaluate {version.ref} DATASET",
        )
    figures = figures_of(report)
    for gate in gates:
        if gate.metric not in figures:
            known = ", ".join(sorted(figures))
            raise BadSpec(
                f"Report {report.ref} has no figure {gate.metric!r}.{did_you_mean(gate.metric, figures)}",
                hint=f"Known: {known}.",
            )
        value = figures[gate.metric]
        if not COMPARE[gate.relation](value, gate.bound):
            where = f"{report.meta.get('split', 'dev')} {gate.metric}"
            raise GateRefused(
                f"{version.ref} is not promoted: {where} {value:.3f} {OPPOSITE[gate.relation]} gate {gate.bound:.3f}, "
                f"off by {abs(value - gate.bound):.3f} (report {report.ref}).",
                hint="Train or choose a better version, or move the gate with a reason.",
            )
    return report


def latest_report(ledger: Ledger, version: Version) -> Version | None:
    """The newest report made from a version, one on its training data left out: that one proves nothing. None without any."""
    made = [v for v in ledger.outputs(version) if v.kind == "report" and v.meta.get("split") != "train"]
    reports = [v for v in made if "models" not in v.meta]  # one that compares two models is no judgement of either
    return reports[-1] if reports else None


def figures_of(report: Version) -> dict[str, float]:
    """The figures of a report by name: `{"accuracy": 0.94}`."""
    metrics: Mapping[str, Any] = report.meta.get("metrics", {})
    return {name: float(m["value"] if isinstance(m, Mapping) else m) for name, m in metrics.items()}


def deploy(
    ledger: Ledger,
    actor: Actor,
    name: str,
    routes: Sequence[Route],
    *,
    limits: Mapping[str, Any],
    reason: str,
    expected_revision: int | None = None,
) -> Deployment:
    """Make a name serve versions of models. Weights are made to sum to 1.

    Raises Conflict if the name is retired or at another revision, BadSpec for what is no model.
    """
    served = [ledger.version(route.version) for route in routes]
    for version in served:
        if version.kind != "model":
            raise BadSpec(
                f"{version.ref} is a {version.kind}; only models can be deployed.", hint="Run: fourfold versions --kind model"
            )
    total = sum(route.weight for route in routes)
    if total <= 0 or any(route.weight < 0 for route in routes):
        raise BadSpec(f"{name}: weights must be zero or more and not all zero.", hint="For example: models@3=0.9 models@4=0.1")
    shares = tuple(Route(v.ref, route.weight / total) for v, route in zip(served, routes, strict=True))
    before = _present(ledger, name)
    if before is not None and before.state == "retired":
        raise Conflict(f"Deployment {name} is retired and never serves again.", hint="Deploy under another name.")
    wanted = Deployment(versions.check_name(name), shares, "live", "native", dict(limits), 0, 0.0, actor.id)
    return _save(ledger, actor, "deploy", wanted, served, reason, expected_revision)


def retire(ledger: Ledger, actor: Actor, name: str, *, reason: str, expected_revision: int | None = None) -> Deployment:
    """Take a name out of service for good; its history stays. Raises NotFound."""
    present = ledger.deployment(name)
    if present.state == "retired":
        return present
    wanted = replace(present, state="retired", updated_by=actor.id)
    return _save(ledger, actor, "retire", wanted, [], reason, expected_revision)


def rollback(ledger: Ledger, actor: Actor, name: str, *, reason: str, expected_revision: int | None = None) -> Deployment:
    """Give a deployment the routes that it had before the present ones. Raises NotFound, Conflict if there were none."""
    states = [deployment for deployment, _ in ledger.deployment_history(name)]
    present = ledger.deployment(name)
    if present.state == "retired":
        raise Conflict(f"Deployment {name} is retired and never serves again.", hint="Deploy under another name.")
    before = _routes_before(states)
    if before is None:
        raise Conflict(f"Deployment {name} never served anything else.", hint=f"Run: fourfold show {name}")
    wanted = replace(before, state="live", updated_by=actor.id)
    why = reason or f"back to revision {before.revision}"
    return _save(ledger, actor, "rollback", wanted, [ledger.version(r.version) for r in before.routes], why, expected_revision)


def _routes_before(states: Sequence[Deployment]) -> Deployment | None:
    """The state to go back to: walking back undoes rollbacks, too, so that two rollbacks in a row go two changes back."""
    stack: list[Deployment] = []
    for state in states:
        if len(stack) > 1 and state.routes == stack[-2].routes:
            stack.pop()
        elif not stack or state.routes != stack[-1].routes:
            stack.append(state)
    return stack[-2] if len(stack) > 1 else None


def _present(ledger: Ledger, name: str) -> Deployment | None:
    try:
        return ledger.deployment(name)
    except NotFound:
        return None


def _save(
    ledger: Ledger, actor: Actor, verb: str, wanted: Deployment, inputs: Sequence[Version], reason: str, expected: int | None
) -> Deployment:
    spec = {"routes": wanted.routes, "state": wanted.state, "limits": wanted.limits, "reason": reason}
    saved: list[Deployment] = []
    with ledger.run(verb, name=wanted.name, spec=spec, inputs=inputs, actor=actor) as run:
        run.also(
            lambda connection: saved.append(deployments.save(connection, wanted, reason=reason, expected_revision=expected))
        )
    return saved[0]
