"""The home as a whole: project files, examination, who is asking."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fourfold.application import apply, doctor
from fourfold.application.permissions import action, allowed
from fourfold.application.results import Applied, Health, WhoAmI
from fourfold.application.topics import Hand


class Whole(Hand):
    """The home as a whole: project files, examination, who is asking."""

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

    @action("enter")
    def whoami(self) -> WhoAmI:
        """Who the key belongs to, and what it may do."""
        return WhoAmI(self.actor, allowed(self.actor.role))
