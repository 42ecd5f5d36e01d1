"""The serving that a tour starts: a child process that lives no longer than the tour.

Run as `python -m fourfold.application.tour_server HOME HOST PORT LIFELINE`; LIFELINE is a pipe that ends with the tour.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import httpx

from fourfold.application.serving.home import listen, status_of
from fourfold.application.serving.processes import die_with_parent, log_to_stderr
from fourfold.application.serving.supervisor import serve
from fourfold.core.errors import FourfoldError, NotReady

READY_SECONDS = 60.0
DRAIN_SECONDS = 20.0
POLL_SECONDS = 0.05


class TourServer:
    """A served home: the one that is served already, or one whose serving ends with `close`."""

    def __init__(self, home: Path, host: str, port: int) -> None:
        self.home = home
        self.host = host
        self.port = port
        self.address = ""
        self._process: subprocess.Popen[bytes] | None = None
        self._lifeline = -1
        self.log = home / "run" / "tour.log"

    def check(self) -> None:
        """Raises Conflict if the port is in use by others, before any work is done for nothing."""
        if status_of(self.home) is None and self.port:
            listen(self.host, self.port).close()

    def start(self) -> None:
        """Begin to serve, unless the home is served already."""
        if status_of(self.home) is not None:
            return
        reads, self._lifeline = os.pipe()
        self.log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        command = [sys.executable, "-m", "fourfold.application.tour_server"]
        command += [str(self.home), self.host, str(self.port), str(reads)]
        with self.log.open("wb") as log:
            # A session of its own: a Ctrl-C on the terminal is the tour's to handle.
            self._process = subprocess.Popen(
                command, pass_fds=(reads,), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        os.close(reads)

    def wait_ready(self, deployments: list[str]) -> str:
        """The address, once these deployments serve what their rows say. Raises NotReady with what the child said."""
        until = time.monotonic() + READY_SECONDS
        problem = "it is still starting"
        while time.monotonic() < until:
            if self._process is not None and self._process.poll() is not None:
                raise NotReady(f"The serving processes ended: {self._last_words()}", hint="Run: fourfold doctor")
            status = status_of(self.home)
            if status is not None and status.address:
                found = {d.name: d for d in status.deployments}
                late = [name for name in deployments if name not in found or found[name].serving != found[name].wanted]
                problem = "; ".join(f"{name}: {found[name].problem if name in found else 'not seen yet'}" for name in late)
                if not late and _answers(status.address):
                    self.address = status.address
                    return self.address
            time.sleep(POLL_SECONDS)
        raise NotReady(f"Serving was not ready after {READY_SECONDS:.0f} s: {problem}.", hint="Run: fourfold doctor")

    def wait(self) -> None:
        """Return when the serving has ended, whoever ended it. A home that somebody else serves is not waited for."""
        if self._process is not None:
            self._process.wait()

    def close(self) -> None:
        """End the serving gently, if it is ours."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(DRAIN_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None
        os.close(self._lifeline)

    @property
    def ours(self) -> bool:
        """Whether this tour serves the home."""
        return self._process is not None

    def _last_words(self) -> str:
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"see {self.log}"


def _answers(address: str) -> bool:
    try:
        return httpx.get(f"{address}/readyz", timeout=5.0, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def main() -> None:
    """Serve until SIGTERM, or until the tour is gone."""
    home, host, port, lifeline = sys.argv[1:]
    log_to_stderr()
    die_with_parent(int(lifeline))
    try:
        serve(Path(home), host, int(port))
    except FourfoldError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
