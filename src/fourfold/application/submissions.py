"""Acts that arrive with an idempotency key, and long ones, which become jobs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from fourfold.application.acts import Act
from fourfold.application.permissions import permit
from fourfold.application.platform import Platform
from fourfold.application.topics.things import OF_THIS_HOME
from fourfold.core.errors import Conflict
from fourfold.storage import jobs
from fourfold.storage.jobs import Job
from fourfold.storage.leases import home_id


def submit(act: Act, platform: Platform, arguments: Mapping[str, Any], key: str | None) -> Job:
    """Queue a long act. The same key gives the same job; raises NotPermitted before anything is queued."""
    permit(platform.actor, act.action, act.name)
    home = home_id(platform.ledger.home) if act.name in OF_THIS_HOME else ""
    with platform.ledger.write() as connection:
        return jobs.submit(connection, platform.actor, act.name, msgspec.to_builtins(arguments), key, home=home)


def only_once(act: Act, platform: Platform, arguments: Mapping[str, Any], key: str) -> None:
    """Raise Conflict if the act was done under this key before: what it made cannot be shown again."""
    permit(platform.actor, act.action, act.name)
    with platform.ledger.write() as connection:
        job = jobs.submit(connection, platform.actor, act.name, msgspec.to_builtins(arguments), key)
        if job.state != "queued":
            raise Conflict(f"This request was done before, under Idempotency-Key {key!r}.", hint="Look at: fourfold keys")
        jobs.end(connection, job.id, "done")
