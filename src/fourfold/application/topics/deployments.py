"""Deployments: what is served under which name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fourfold.application import answers, lifecycle, look
from fourfold.application.permissions import action
from fourfold.application.results import DeploymentDetail
from fourfold.application.serving.routing import limits_of
from fourfold.application.terms import check_use
from fourfold.application.topics import Hand
from fourfold.core.errors import BadSpec
from fourfold.core.nouns import Deployment, Route


class Deployments(Hand):
    """Deployments: what is served under which name."""

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
        check_use([self.ledger.version(route.version) for route in wanted], "deploy", self.settings)
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
