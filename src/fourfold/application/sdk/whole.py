"""The home as a whole: project files, examination, who is asking."""

from __future__ import annotations

from typing import Any

from fourfold.application.results import Applied, Health, WhoAmI
from fourfold.application.sdk import Line


class Whole(Line):
    """The home as a whole: project files, examination, who is asking."""

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
