"""What a served home keeps on disk beside the ledger: its lock, its sockets, its status, the salt of its request log."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
from msgspec import Struct

from fourfold.application.serving.bodies import salt_path
from fourfold.application.serving.routing import replace_file
from fourfold.core.errors import BadInput, Conflict, NotPermitted

PATIENCE_SECONDS = 1.0  # processes of a supervisor that was killed need a moment to let go
SOCKETS_PREFIX = "fourfold-"


class ChildStatus(Struct, frozen=True):
    """A process under the supervisor."""

    name: str
    pid: int | None
    restarts: int


class DeploymentStatus(Struct, frozen=True):
    """What a deployment's rows want (`name@number`), what is served, and why they differ."""

    name: str
    wanted: tuple[str, ...]
    serving: tuple[str, ...]
    problem: str = ""


class Status(Struct, frozen=True):
    """`run/status.json`: what the supervisor of a home has made true. Times are Unix seconds."""

    pid: int
    address: str
    started_at: float
    children: tuple[ChildStatus, ...] = ()
    deployments: tuple[DeploymentStatus, ...] = ()
    problem: str = ""  # with the ledger or the sealing of the request log
    sealed_segments: int = 0
    damaged_records: int = 0  # of the request log, passed over when it was sealed
    backup_at: float | None = None  # when the newest backup was made whose restore was found good


class Lock:
    """One supervisor per home. The kernel lets go of it when the process ends, however it ends."""

    def __init__(self, home: Path) -> None:
        run = home / "run"
        run.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._descriptor = os.open(run / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        if not _patiently(self._try):
            os.close(self._descriptor)
            status = read_status(home)
            who = f" (process {status.pid}, {status.address})" if status else ""
            raise Conflict(f"Fourfold already runs on {home}{who}.", hint="Use it, stop it, or name another --home.")

    def close(self) -> None:
        """Let the next one in."""
        os.close(self._descriptor)

    def _try(self) -> bool:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def status_of(home: Path) -> Status | None:
    """The status of a home's supervisor, None if none runs."""
    try:
        descriptor = os.open(home / "run" / "lock", os.O_RDWR)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return read_status(home)
    finally:
        os.close(descriptor)
    return None


def fronts_of(home: Path) -> list[int]:
    """The numbers of the fronts that serve a home now."""
    status = status_of(home)
    names = [child.name.partition(" ") for child in status.children] if status else []
    return [int(number) for kind, _, number in names if kind == "front"]


def read_status(home: Path) -> Status | None:
    """The status as it was last written."""
    try:
        return msgspec.json.decode((home / "run" / "status.json").read_bytes(), type=Status)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def write_status(home: Path, status: Status) -> None:
    """Replace the status in one step."""
    replace_file(home / "run" / "status.json", msgspec.json.encode(status))


def listen(host: str, port: int) -> socket.socket:
    """A TCP socket for children to inherit. Raises Conflict if the port is in use, BadInput for an address of others."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except socket.gaierror as error:
        raise BadInput(
            f"{host!r} is no address to listen on: {error.strerror}.", hint="For example: --host 127.0.0.1"
        ) from error
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)

    def bound() -> bool:
        try:
            listener.bind(address)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            listener.close()
            if error.errno == errno.EACCES:
                raise NotPermitted(
                    f"Port {port} may not be used by this user.", hint="Choose one above 1023 with --port."
                ) from error
            raise BadInput(
                f"{host} port {port} cannot be listened on: {error.strerror}.", hint="Choose another --host."
            ) from error
        return True

    if not _patiently(bound):
        listener.close()
        raise Conflict(f"Port {port} on {host} is in use.", hint=f"Choose another: fourfold up --port {port + 1}")
    listener.listen(2048)
    listener.set_inheritable(True)
    return listener


def make_sockets(home: Path) -> Path:
    """A new private folder for Unix sockets, whose paths are limited to 107 bytes; the last one is removed."""
    note = home / "run" / "sockets"
    remove_sockets(home)
    folder = Path(tempfile.mkdtemp(prefix=SOCKETS_PREFIX))
    replace_file(note, str(folder).encode())
    return folder


def remove_sockets(home: Path) -> None:
    """Remove the folder of sockets that was last made for a home."""
    note = home / "run" / "sockets"
    if not note.exists():
        return
    folder = Path(note.read_text())
    if folder.name.startswith(SOCKETS_PREFIX) and folder.is_dir() and folder.stat().st_uid == os.getuid():
        shutil.rmtree(folder, ignore_errors=True)
    note.unlink()


def engine_socket(sockets: Path) -> Path:
    """Where the engine of the statistical families listens."""
    return sockets / "engine.sock"


def make_salt(home: Path) -> None:
    """Make the key of the hashes in the request log, once per home."""
    path = salt_path(home)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():
        replace_file(path, os.urandom(32))


def _patiently(attempt: Callable[[], bool]) -> bool:
    until = time.monotonic() + PATIENCE_SECONDS
    while not attempt():
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True
