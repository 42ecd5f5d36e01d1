"""What is kept and what goes: garbage collection, removal, legal holds, erasure, and the examination of all that is kept."""

from __future__ import annotations

from fourfold.application.permissions import action
from fourfold.application.results import Examined, VersionKept
from fourfold.application.topics import Hand
from fourfold.core.errors import BadInput
from fourfold.storage import erase, states
from fourfold.storage.collect_garbage import GRACE_SECONDS, Sweep, collect_garbage
from fourfold.storage.fsck import fsck
from fourfold.storage.run_records import roll_ended


class Keeping(Hand):
    """What is kept and what goes."""

    @action("administer")
    def collect_garbage(self, *, grace_seconds: float = GRACE_SECONDS, dry_run: bool = False) -> Sweep:
        """Delete chunks that nothing keeps, `grace_seconds` after they were condemned. `dry_run` only tells."""
        if grace_seconds < 0:
            raise BadInput(f"{grace_seconds} is no grace period.", hint="Give seconds, 0 or more.")
        if not dry_run:
            roll_ended(self.ledger)  # the metrics that killed runs left as rows
        return collect_garbage(
            self.ledger, actor=self.actor, grace_seconds=grace_seconds, dry_run=dry_run, progress=self.progress
        )

    @action("administer")
    def fsck(self) -> Examined:
        """Read everything that the home vouches for: database, audit chain, every chunk of every version, erasures."""
        return Examined(fsck(self.ledger, progress=self.progress))

    @action("administer")
    def erase(self, versions: list[str], *, reason: str) -> erase.Receipt:
        """Erase versions for good: nothing brings them back, no repair, no restore, no equal bytes. Returns the receipt."""
        from fourfold.data.visiting import forget_states_of
        from fourfold.data.workspace import give_up

        give_up(self.ledger.home)  # first: once they are erased, nothing of them can come there again
        for ref in versions:
            forget_states_of(self.ledger, self.ledger.version(ref))
        return erase.erase(self.ledger, versions, actor=self.actor.id, reason=reason)

    @action("administer")
    def remove(self, ref: str, *, reason: str) -> VersionKept:
        """Give up the files of a version that nothing points at; its row stays. Garbage collection takes the files."""
        version = self.ledger.version(ref)
        with self.ledger.write() as connection:
            states.remove(connection, version, self.actor.id, reason)
            return VersionKept(version.ref, states.state_of(connection, version.id), states.is_held(connection, version.id))

    @action("administer")
    def hold(self, ref: str, *, reason: str, release: bool = False) -> VersionKept:
        """Put a version under legal hold, so that it is neither removed nor erased; `release` ends that."""
        version = self.ledger.version(ref)
        change = states.release_hold if release else states.hold
        with self.ledger.write() as connection:
            change(connection, version, self.actor.id, reason)
            return VersionKept(version.ref, states.state_of(connection, version.id), states.is_held(connection, version.id))
