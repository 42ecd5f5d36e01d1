"""A real S3 server of three nodes: OpenStack Swift with s3api, in an environment of its own that is made once and kept.

Three copies of everything, one per node: two nodes are a majority, one is none.
"""

from __future__ import annotations

import datetime
import fcntl
import hashlib
import hmac
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

PACKAGES = ("swift==2.38.3", "eventlet==0.41.3", "pyeclib==1.8.0", "xattr==1.3.0", "setuptools<81")
# -E and -P: neither the guard of these tests nor this folder's swift.py shall stand before Swift's own
SERVER = Path(__file__).with_name("swift_server.py")
ACCESS_KEY, SECRET_KEY, REGION = "test:tester", "testing", "us-east-1"


class CannotInstall(Exception):
    """Swift is not here and cannot be had: its text says why."""


def python() -> Path:
    """Python of Swift's environment under the user's cache folder, installed from PyPI at the first call (40 s)."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fourfold-tests"
    cache.mkdir(parents=True, exist_ok=True)
    environment = cache / f"swift-2.38.3-py{sys.version_info[0]}.{sys.version_info[1]}"
    found = environment / "bin" / "python"
    with open(cache / "swift.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (environment / "complete").exists():
            pip = [found, "-E", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PACKAGES]
            for command in ([sys.executable, "-E", "-m", "venv", "--clear", environment], pip):
                done = subprocess.run(command, capture_output=True, text=True)
                if done.returncode != 0:
                    raise CannotInstall((done.stderr.strip() or done.stdout.strip()).splitlines()[-1])
            (environment / "complete").touch()
    return found


class Swift:
    """The cluster, on ports of loopback from `port` to `port + 11`. Nodes are 1, 2 and 3; the proxy answers S3 at `url`."""

    def __init__(self, folder: Path, python: Path, port: int | None = None) -> None:
        self.folder, self.python, self.port = folder, python, port or free_ports(12)
        self.url = f"http://127.0.0.1:{self.port}"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        folder.mkdir(parents=True, exist_ok=True)
        done = subprocess.run([python, "-EP", SERVER, "prepare", folder, str(self.port)], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        self._start("proxy", "proxy")
        for node in (1, 2, 3):
            self._start(f"node{node}", "node", str(node))
        for place in range(12):
            if place not in (1, 2):
                self._wait(self.port + place)

    def start(self, node: int) -> None:
        """Start a dead node and wait until it listens."""
        self._start(f"node{node}", "node", str(node))
        for place in range(3):
            self._wait(self.port + 3 * node + place)

    def kill(self, node: int) -> None:
        """SIGKILL a node: its account, container and object server are gone in the same moment."""
        process = self.processes.pop(f"node{node}")
        process.send_signal(signal.SIGKILL)
        process.wait()

    def whole(self) -> None:
        """Start what is dead, and wait until the proxy no longer avoids it; quick if nothing is."""
        dead = [node for node in (1, 2, 3) if f"node{node}" not in self.processes]
        for node in dead:
            self.start(node)
        if dead:
            time.sleep(1.5)  # the proxy's error_suppression_interval is 1 s

    def options(self, bucket: str) -> dict[str, str]:
        """What obstore's S3Store.from_url or its configuration wants."""
        return {
            "bucket": bucket,
            "endpoint": self.url,
            "access_key_id": ACCESS_KEY,
            "secret_access_key": SECRET_KEY,
            "region": REGION,
            "allow_http": "true",
            "virtual_hosted_style_request": "false",
        }

    def make_bucket(self, bucket: str) -> str:
        """Create a bucket (harmless if it is there); returns its name."""
        return _make_bucket(self.port, bucket)

    def close(self) -> None:
        """Kill all of it; the folder stays."""
        for process in self.processes.values():
            process.kill()
        for process in self.processes.values():
            process.wait()
        self.processes.clear()

    def _start(self, name: str, *arguments: str) -> None:
        act, *rest = arguments
        with open(self.folder / f"{name}.log", "ab") as log:
            command = [self.python, "-EP", "-W", "ignore", SERVER, act, self.folder, *rest]
            self.processes[name] = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def _wait(self, port: int) -> None:
        end = time.monotonic() + 120
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                dead = [name for name, process in self.processes.items() if process.poll() is not None]
                assert not dead, f"{dead} ended: {(self.folder / f'{dead[0]}.log').read_text()[-2000:]}"
                assert time.monotonic() < end, f"nothing listens on {port}"
                time.sleep(0.1)


def _make_bucket(port: int, bucket: str) -> str:
    stamp = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
    empty = hashlib.sha256(b"").hexdigest()
    headers = {"host": f"127.0.0.1:{port}", "x-amz-content-sha256": empty, "x-amz-date": stamp}
    names = ";".join(headers)
    lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
    request = f"PUT\n/{bucket}\n\n{lines}\n{names}\n{empty}"
    scope = f"{stamp[:8]}/{REGION}/s3/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    key = f"AWS4{SECRET_KEY}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    headers["authorization"] = f"AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/{scope}, SignedHeaders={names}, Signature={signature}"
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("PUT", f"/{bucket}", headers=headers)
    reply = connection.getresponse()
    body = reply.read()
    connection.close()
    assert reply.status in (200, 409), body
    return bucket


def free_ports(count: int) -> int:
    """The first of `count` ports of loopback that are free and stand in a row."""
    for first in range(20_100 + os.getpid() % 500 * 20, 32_000, count):
        held: list[socket.socket] = []
        try:
            for port in range(first, first + count):
                held.append(socket.socket())
                held[-1].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                held[-1].bind(("127.0.0.1", port))
            return first
        except OSError:
            continue
        finally:
            for one in held:
                one.close()
    raise AssertionError("no free ports")
