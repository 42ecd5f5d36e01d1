"""What is kept and what goes: garbage collection, removal, legal holds, erasure, and the examination of all that is kept."""

from __future__ import annotations

from fourfold.application.results import Examined, VersionKept
from fourfold.application.sdk import Line
from fourfold.storage.collect_garbage import GRACE_SECONDS, Sweep
from fourfold.storage.erase import Receipt


class Keeping(Line):
    """What is kept and what goes."""

    def collect_garbage(self, *, grace_seconds: float = GRACE_SECONDS, dry_run: bool = False) -> Sweep:
        """Delete chunks that nothing keeps, `grace_seconds` after they were condemned. `dry_run` only tells."""
        return self._do("collect_garbage", {"grace_seconds": grace_seconds, "dry_run": dry_run}, Sweep)

    def fsck(self) -> Examined:
        """Read everything that the home vouches for: database, audit chain, every chunk of every version, erasures."""
        return self._do("fsck", {}, Examined)

    def erase(self, versions: list[str], *, reason: str) -> Receipt:
        """Erase versions for good: nothing brings them back, no repair, no restore, no equal bytes. Returns the receipt."""
        return self._do("erase", {"versions": versions, "reason": reason}, Receipt)

    def remove(self, ref: str, *, reason: str) -> VersionKept:
        """Give up the files of a version that nothing points at; its row stays. Garbage collection takes the files."""
        return self._do("remove", {"ref": ref, "reason": reason}, VersionKept)

    def hold(self, ref: str, *, reason: str, release: bool = False) -> VersionKept:
        """Put a version under legal hold, so that it is neither removed nor erased; `release` ends that."""
        return self._do("hold", {"ref": ref, "reason": reason, "release": release}, VersionKept)
