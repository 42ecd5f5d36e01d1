"""The process that does one job: `python -m fourfold.application.worker HOME JOB EPOCH`."""

from __future__ import annotations

import _thread
import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from fourfold.application.acts import ACTS, signature
from fourfold.application.platform import Platform
from fourfold.core.config import Settings, read_settings
from fourfold.core.errors import BadSpec, FourfoldError, NotReady
from fourfold.storage import jobs
from fourfold.storage.database import Database
from fourfold.storage.leases import BEAT_SECONDS, Cancelled, Claim, Fenced
from fourfold.storage.ledger import Ledger
from fourfold.storage.steps import StepDone

log = logging.getLogger(__name__)

REPORT_SECONDS = 0.5
PATIENCE_SECONDS = 120.0  # for a database that is being restarted
GRACE_SECONDS = 10.0  # for what a worker that lost its job has to put away
UNKNOWN = "This program has no act {act!r}: the job was asked for by Fourfold {version}."


class Reporter:
    """Progress into the job's row, twice a second at most; raises Cancelled when the job was cancelled meanwhile."""

    def __init__(self, ledger: Ledger, job_id: str) -> None:
        self.ledger = ledger
        self.job_id = job_id
        self._next = 0.0

    def __call__(self, done: float, total: float | None, unit: str, /) -> None:
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + REPORT_SECONDS
        progress = {"done": done, "total": total, "unit": unit}
        self.ledger.database.repeat(lambda connection: jobs.report(connection, self.job_id, progress))


class Heart:
    """Renews the lease of a job in a thread of its own, and interrupts the work when the job is no longer this worker's."""

    def __init__(self, database: Database, claim: Claim) -> None:
        self.database = database
        self.claim = claim
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self._thread.start()

    def _beat(self) -> None:
        while not self._ended.wait(BEAT_SECONDS):
            try:
                with self.database.write() as connection:
                    self.claim.beat(connection)
            except NotReady as error:  # asked again at the next beat
                log.warning("job %s: %s", self.claim.job_id, error.message)
            except (Fenced, Cancelled) as error:
                self._stop(error.message)
                return

    def _stop(self, reason: str) -> None:
        if self._ended.is_set():
            return
        log.warning("job %s: %s", self.claim.job_id, reason)
        _thread.interrupt_main()
        if not self._ended.wait(GRACE_SECONDS):
            os._exit(1)  # an act that cannot be interrupted; whatever it would write is refused

    def close(self) -> None:
        """Stop beating."""
        self._ended.set()


def work(home: Path, job_id: str, epoch: int) -> int:
    """Do the job as its holder of that epoch, and write how it ended; returns the exit code."""
    settings = read_settings(home)
    ledger = Ledger.open(home)
    ledger.claim = claim = Claim(job_id, epoch)
    ledger.database.fence = claim.fence
    ledger.database.patience_seconds = PATIENCE_SECONDS
    heart = Heart(ledger.database, claim)
    try:
        result = _do(ledger, settings, job_id)
        _write(ledger, lambda connection: jobs.end(connection, job_id, "done", result=msgspec.to_builtins(result)))
        return 0
    except (Fenced, Cancelled, KeyboardInterrupt) as error:
        log.info("job %s stopped: %s", job_id, error)
        return 1
    except FourfoldError as error:
        _fail(ledger, claim, error.code, error.message, error.hint, error.status)
        return error.exit_code
    except Exception as error:  # the edge of the job worker
        log.exception("job %s failed", job_id)
        _fail(ledger, claim, "failed", f"{type(error).__name__}: {error}", "See the server's log.", 500)
        return 1
    finally:
        heart.close()
        ledger.database.fence = None  # what follows is nobody's job: sealing the audit chain
        ledger.close()


def _do(ledger: Ledger, settings: Settings, job_id: str) -> Any:
    job = ledger.database.repeat(lambda connection: jobs.one(connection, job_id), write=False)
    if job.act not in ACTS:
        raise BadSpec(UNKNOWN.format(act=job.act, version=job.code_version), hint="Ask for it anew, in this program's words.")
    platform = Platform(ledger, job.actor, settings, progress=Reporter(ledger, job_id))
    _, hints, _ = signature(job.act)
    try:
        arguments = {name: msgspec.convert(value, hints[name]) for name, value in job.arguments.items()}
    except (KeyError, msgspec.ValidationError) as error:
        raise BadSpec(f"{job.act} takes other arguments in this program: {error}.", hint="Ask for it anew.") from error
    try:
        return getattr(platform, job.act)(**arguments)
    except StepDone as done:  # the act is one run, and a worker before this one did it
        return done.version


def _write(ledger: Ledger, change: Callable[[Any], Any]) -> None:
    """A last word on the job. If the answer to its commit was lost, the job is found ended, or queued again."""
    claim = ledger.claim
    assert claim is not None

    def landed(connection: Any) -> bool | None:
        job = jobs.one(connection, claim.job_id)
        return None if (job.state, job.epoch) == ("running", claim.epoch) else True

    ledger.database.repeat(change, landed=landed)


def _fail(ledger: Ledger, claim: Claim, code: str, message: str, hint: str, status: int) -> None:
    error = {"code": code, "message": message, "hint": hint, "status": status}
    with suppress(Fenced, Cancelled):
        _write(ledger, lambda connection: jobs.fail(connection, claim, error))


def _end_with_parent() -> None:
    os.read(0, 1)  # not sys.stdin, whose lock this thread would hold while Python ends
    os._exit(1)


def main() -> None:
    """Do the job that the command line names."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    logging.basicConfig(level=logging.INFO)
    sys.exit(work(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))


if __name__ == "__main__":
    main()
