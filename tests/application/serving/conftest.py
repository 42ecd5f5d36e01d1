"""A served home: real processes, a real port, the ledger that they follow."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from fourfold.application.serving.home import read_status
from fourfold.core.nouns import Actor, Deployment, Route, Version
from fourfold.storage import deployments
from fourfold.storage.ledger import Ledger

SUPPORT = Path(__file__).resolve().parents[2] / "support"
ACTOR = Actor("cli", "cli", "admin")
TASKS = ["tag", "rank", "score", "suggest", "generate"]
SERVE = """
import sys
from pathlib import Path
from fourfold.application.serving.supervisor import serve
serve(Path(sys.argv[1]), port=0)
"""


class Home:
    """A home with no-op models, and the supervisor that serves it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ledger = Ledger.open(folder)
        self.token = self.ledger.create_key("test", "reader", actor="cli")[1]
        self.process: subprocess.Popen[bytes] | None = None
        self.client = httpx.Client(timeout=20)

    def train(self, label: str = "WORD", name: str = "noop") -> Version:
        """A version whose words get `label`; BROKEN makes one that cannot be loaded."""
        with self.ledger.run("train", kind="model", name=name, spec={"label": label}, actor=ACTOR) as run:
            (run.folder / "label.txt").write_text(label)
            run.meta.update(family="noop", tasks=TASKS)
        assert run.version is not None
        return run.version

    def deploy(self, name: str, *routes: Route, limits: dict[str, Any] | None = None, state: Any = "live") -> None:
        """Write a deployment's row."""
        wanted = Deployment(name, routes, state, "native", limits or {}, 0, time.time(), "cli")
        with self.ledger.write() as connection:
            deployments.save(connection, wanted, reason="test")

    def up(self, **settings: str) -> None:
        """Start the supervisor, with FOURFOLD_* variables, and wait until everything that is deployed answers."""
        path = os.pathsep.join((str(SUPPORT), os.environ["PYTHONPATH"]))
        environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", **settings}
        self.process = subprocess.Popen([sys.executable, "-c", SERVE, str(self.folder)], env=environment)
        until(lambda: self.address != "")
        until(lambda: self.get("/readyz").status_code == 200)

    @property
    def address(self) -> str:
        """Of the supervisor that runs now."""
        status = read_status(self.folder)
        return status.address if status and self.process and status.pid == self.process.pid else ""

    def child(self, name: str) -> int | None:
        """The pid of a process under the supervisor."""
        status = read_status(self.folder)
        return next((c.pid for c in status.children if c.name == name), None) if status else None

    def get(self, path: str, **options: Any) -> httpx.Response:
        """GET without a key; a refused connection is a 599."""
        try:
            return self.client.get(self.address + path, **options)
        except httpx.TransportError:
            return httpx.Response(599)

    def ask(self, name_and_task: str, body: Any = None, *, token: str | None = None, **options: Any) -> httpx.Response:
        """POST to a deployment with the home's key."""
        headers = {"authorization": f"Bearer {token or self.token}", **options.pop("headers", {})}
        if body is not None:
            options["json"] = body
        return self.client.post(f"{self.address}/v1/deployments/{name_and_task}", headers=headers, **options)

    def down(self, number: int = signal.SIGTERM) -> int:
        """End the supervisor with a signal; its exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(20)

    def close(self) -> None:
        """Stop everything."""
        if self.process is not None and self.process.poll() is None:
            self.down()
        self.client.close()
        self.ledger.close()


def until(met: Callable[[], Any], seconds: float = 30.0) -> Any:
    """Wait for a condition; fails only after far longer than it should take."""
    end = time.monotonic() + seconds
    while not (found := met()):
        assert time.monotonic() < end, "the condition was not met"
        time.sleep(0.05)
    return found


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """A home that is not served yet."""
    found = Home(tmp_path / "home")
    yield found
    found.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A served home with the deployment `words`, for tests that change nothing of it."""
    found = Home(tmp_path_factory.mktemp("served") / "home")
    found.deploy("words", Route(found.train().ref))
    found.deploy("small", Route("noop@1"), limits={"max_inputs": 2, "max_input_bytes": 50, "timeout_seconds": 0.3})
    found.deploy("kept", Route("noop@1"), limits={"record_content": True})
    found.up()
    yield found
    found.close()
