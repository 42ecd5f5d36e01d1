"""The process that does one job: `python -m fourfold.application.worker HOME JOB`."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from pathlib import Path

import msgspec

from fourfold.application.acts import signature
from fourfold.application.platform import Platform
from fourfold.core.config import read_settings
from fourfold.core.errors import FourfoldError
from fourfold.storage import jobs
from fourfold.storage.ledger import Ledger

log = logging.getLogger(__name__)

REPORT_SECONDS = 0.5


class Cancelled(FourfoldError):
    """Somebody cancelled the job."""

    code, status = "cancelled", 409


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
        with self.ledger.write() as connection:
            state = jobs.report(connection, self.job_id, {"done": done, "total": total, "unit": unit})
        if state == "cancelled":
            raise Cancelled("The job was cancelled.")


def work(home: Path, job_id: str) -> int:
    """Do the job and write how it ended; returns the exit code."""
    settings = read_settings(home)
    ledger = Ledger.open(home, url=settings.database or None)
    try:
        with ledger.database.read() as connection:
            job = jobs.one(connection, job_id)
        platform = Platform(ledger, job.actor, settings, progress=Reporter(ledger, job_id))
        _, hints, _ = signature(job.act)
        arguments = {name: msgspec.convert(value, hints[name]) for name, value in job.arguments.items()}
        result = getattr(platform, job.act)(**arguments)
        with ledger.write() as connection:
            jobs.end(connection, job_id, "done", result=msgspec.to_builtins(result))
        return 0
    except FourfoldError as error:
        _fail(ledger, job_id, error.code, error.message, error.hint, error.status)
        return error.exit_code
    except Exception as error:  # the edge of the job worker
        log.exception("job %s failed", job_id)
        _fail(ledger, job_id, "failed", f"{type(error).__name__}: {error}", "See the server's log.", 500)
        return 1
    finally:
        ledger.close()


def _fail(ledger: Ledger, job_id: str, code: str, message: str, hint: str, status: int) -> None:
    with ledger.write() as connection:
        jobs.end(connection, job_id, "failed", error={"code": code, "message": message, "hint": hint, "status": status})


def _end_with_parent() -> None:
    os.read(0, 1)  # not sys.stdin, whose lock this thread would hold while Python ends
    os._exit(1)


def main() -> None:
    """Do the job that the command line names."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    logging.basicConfig(level=logging.INFO)
    sys.exit(work(Path(sys.argv[1]), sys.argv[2]))


if __name__ == "__main__":
    main()
