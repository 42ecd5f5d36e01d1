"""Who has the ledger of a home open: any number of processes side by side, or one that moves it elsewhere, alone.

A process that had it open while it was moved would write to a database that nobody reads any more.
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from fourfold.core.errors import Busy, Conflict

WAIT_SECONDS = 300.0  # those who open a home wait so long for its ledger to be moved
PATIENCE_SECONDS = 10.0  # and who moves it, for them to end
PAUSE_SECONDS = 0.02


class InUse:
    """Held from before the settings are read that say where the ledger is, until it is closed, or the process ends.

    Raises Conflict if it cannot be had `alone`, Busy if another has it alone for long.
    """

    def __init__(self, home: Path, *, alone: bool = False, patience_seconds: float | None = None) -> None:
        if patience_seconds is None:
            patience_seconds = PATIENCE_SECONDS if alone else WAIT_SECONDS
        until = time.monotonic() + patience_seconds
        folder = home / "run"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        gate = os.open(folder / "ledger.gate", os.O_RDWR | os.O_CREAT, 0o600)  # whoever waits to be alone keeps others out here
        self._descriptor = os.open(folder / "ledger.use", os.O_RDWR | os.O_CREAT, 0o600)
        kind = fcntl.LOCK_EX if alone else fcntl.LOCK_SH
        try:
            if _lock(gate, kind, until) and _lock(self._descriptor, kind, until):
                return
        finally:
            os.close(gate)
        self.close()
        if alone:
            raise Conflict(f"Other processes have the home {home} open.", hint="Wait until they end, or stop them.")
        raise Busy(f"The ledger of {home} is being moved to another database.", hint="Run it again when that has ended.")

    def close(self) -> None:
        """Let the next one in; once."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _lock(descriptor: int, kind: int, until: float) -> bool:
    while True:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() > until:
                return False
            time.sleep(PAUSE_SECONDS)
