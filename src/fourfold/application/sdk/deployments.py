"""Deployments: what is served under which name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fourfold.application.results import DeploymentDetail
from fourfold.application.sdk import Line
from fourfold.core.nouns import Deployment, Route


class Deployments(Line):
    """Deployments: what is served under which name."""

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
