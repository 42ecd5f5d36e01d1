"""What the front says of itself: whether it is ready, and which models it serves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fourfold.application.serving.link import EngineLink
from fourfold.application.serving.routing import RoutedDeployment, Routes
from fourfold.core.errors import NotFound, did_you_mean


def readiness(routes: Routes, links: Mapping[str, EngineLink[Any]], log_problem: str) -> tuple[int, dict[str, Any]]:
    """HTTP status and the checks. Not ready (503): no trusted table, an engine away, a model still loading.

    What leaves predictions possible is said without a 503: an older version that serves on, a log that cannot be written.
    """
    checks: dict[str, dict[str, Any]] = {}
    table = "" if routes.trusted() else "no routing table of the last hours"
    checks["routing"] = _check(table, fatal=True)
    away = [path for path, link in links.items() if not link.connected]
    checks["engines"] = _check(f"{len(away)} of {len(links)} engines are not connected" if away else "", fatal=True)
    checks["request_log"] = _check(log_problem, fatal=False)
    for deployment in routes.table.deployments:
        problem = "its model is being loaded" if deployment.loading and not deployment.versions else deployment.problem
        checks[f"deployment {deployment.name}"] = _check(problem, fatal=deployment.loading and not deployment.versions)
    failing = [name for name, check in checks.items() if not check["ok"]]
    fatal = any(check.pop("fatal") and not check["ok"] for check in list(checks.values()))
    status = "not ready" if fatal else "degraded" if failing else "ready"
    return (503 if fatal else 200), {"status": status, "failing": failing, "checks": checks}


def _check(problem: str, *, fatal: bool) -> dict[str, Any]:
    return {"ok": not problem, "fatal": fatal, **({"problem": problem} if problem else {})}


def models_page(routes: Routes) -> dict[str, Any]:
    """OpenAI's list of models: the deployments that answer."""
    return {"object": "list", "data": [_model(d) for d in routes.table.deployments if d.versions]}


def one_model(routes: Routes, name: str) -> dict[str, Any]:
    """OpenAI's model object of a deployment. Raises NotFound."""
    deployment = routes.deployments.get(name)
    if deployment is None or not deployment.versions:
        raise NotFound(
            f"There is no model {name!r}.{did_you_mean(name[:100], routes.deployments)}", hint="GET /v1/models lists them."
        )
    return _model(deployment)


def _model(deployment: RoutedDeployment) -> dict[str, Any]:
    return {
        "id": deployment.name,
        "object": "model",
        "created": int(deployment.updated_at),
        "owned_by": "fourfold",
        "versions": [{"version": v.ref, "weight": v.weight, "family": v.family} for v in deployment.versions],
        "tasks": sorted({task for v in deployment.versions for task in v.tasks}),
    }
