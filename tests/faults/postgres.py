"""A PostgreSQL primary with a synchronous standby, and the smallest honest watcher that promotes the standby.

The watcher is for rehearsals. Patroni does better: its leader lease lives in a quorum (etcd), so that a cut network makes
no two primaries; it demotes a primary that it cannot reach, chooses among many standbys, and takes the old primary back with
pg_rewind.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import psycopg
from tests.faults.swift import free_ports

LOST_AFTER_SECONDS = 2.0  # without an answer for so long, the primary counts as dead
LOOK_SECONDS = 0.25


class Node:
    """A PostgreSQL server in a process group of its own; it dies with the thread that starts it."""

    def __init__(self, programs: Path, folder: Path, port: int, account: str | None) -> None:
        self.programs, self.folder, self.port, self.account = programs, folder, port, account
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """For psycopg, of this node alone."""
        return f"postgresql://fourfold@127.0.0.1:{self.port}/postgres?connect_timeout=2"

    def run(self, program: str, *arguments: str) -> None:
        """Run one of PostgreSQL's programs to its end."""
        command = [self.programs / program, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, user=self.account, cwd="/")
        assert done.returncode == 0, done.stderr

    def start(self, **settings: str) -> None:
        """Start the server, and wait until it answers."""
        options = {"port": str(self.port), "listen_addresses": "127.0.0.1", "unix_socket_directories": "", **settings}
        flags = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        command = ["setpriv", "--pdeathsig=KILL", self.programs / "postgres", "-D", self.folder, *flags]
        with open(f"{self.folder}.log", "ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, user=self.account, cwd="/", start_new_session=True
            )
        end = time.monotonic() + 120
        while not answers(self.url, 2):
            text = Path(f"{self.folder}.log").read_text()[-2000:]
            assert self.process.poll() is None and time.monotonic() < end, f"PostgreSQL did not start: {text}"
            time.sleep(0.1)

    def kill(self) -> None:
        """SIGKILL the server with all its processes, as a machine that loses its power; harmless when it is dead."""
        process, self.process = self.process, None
        if process is not None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def programs() -> Path:
    """The folder of initdb and pg_ctl: on PATH, or the newest of Debian's. Raises FileNotFoundError."""
    if found := shutil.which("pg_ctl"):
        return Path(found).resolve().parent
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"), key=lambda path: float(path.parts[-3]))
    if not installed:
        raise FileNotFoundError("PostgreSQL is not installed")
    return installed[-1].parent


def answers(url: str, seconds: float) -> bool:
    """Whether a server answers a query."""
    try:
        with psycopg.connect(url, autocommit=True, options=f"-c statement_timeout={int(seconds * 1000)}") as connection:
            return connection.execute("select 1").fetchone() is not None
    except psycopg.Error:
        return False


class Pair:
    """The primary `one` and its standby `two`. A commit is acknowledged when both have it on disk."""

    def __init__(self, programs: Path) -> None:
        account = "postgres" if os.geteuid() == 0 else None  # the server refuses to run as root
        self.root = Path(tempfile.mkdtemp(prefix="fourfold-pair-", dir="/tmp"))
        if account:
            shutil.chown(self.root, account)
        port = free_ports(2)
        self.one = Node(programs, self.root / "one", port, account)
        self.two = Node(programs, self.root / "two", port + 1, account)
        self.one.run("initdb", f"--pgdata={self.one.folder}", "--username=fourfold", "--auth=trust", "--encoding=UTF8",
                     "--locale=C.UTF-8", "--no-sync")  # fmt: skip
        self.one.start(max_connections="100")  # alone: with a synchronous standby demanded, nothing commits before there is one
        self.two.run(
            "pg_basebackup", "-d", self.one.url, "-D", str(self.two.folder), "-c", "fast", "-R", "-C", "-S", "two", "-N"
        )
        self.one.kill()
        self.one.start(max_connections="100", synchronous_standby_names="*", synchronous_commit="on")
        self.two.start(max_connections="100", synchronous_standby_names="", hot_standby="on")
        end = time.monotonic() + 60
        while not synchronous(self.one.url):
            assert time.monotonic() < end, "the standby does not follow"
            time.sleep(0.1)

    @property
    def url(self) -> str:
        """For Fourfold's setting `database`: both nodes, whichever takes writes."""
        hosts = f"host=127.0.0.1:{self.one.port}&host=127.0.0.1:{self.two.port}"
        return f"postgresql://fourfold@/postgres?{hosts}&target_session_attrs=read-write&connect_timeout=2"

    def close(self) -> None:
        """Kill both, remove their folders."""
        self.one.kill()
        self.two.kill()
        shutil.rmtree(self.root)


def synchronous(url: str, seconds: float = 2.0) -> bool | None:
    """Whether a primary has a standby without which it acknowledges nothing; None if it does not answer."""
    try:
        with psycopg.connect(url, autocommit=True, options=f"-c statement_timeout={int(seconds * 1000)}") as connection:
            state = connection.execute("select 1 from pg_stat_replication where sync_state in ('sync', 'quorum')").fetchone()
            return state is not None
    except psycopg.Error:
        return None


@dataclass(slots=True)
class Failover:
    """When (time.monotonic) the primary last answered, was declared dead, and the standby took writes."""

    last_answer: float = 0.0
    declared: float = 0.0
    promoted: float = 0.0


class Watcher:
    """Looks at the primary, and when it has not answered for LOST_AFTER_SECONDS: fences it, then promotes the standby. Once.

    The fence: the primary's processes are killed and its data folder is marked as a standby's, so that nobody starts it as a
    primary again. It promotes only a standby that was synchronous at the last answer: else commits could be lost.
    """

    def __init__(self, pair: Pair) -> None:
        self.pair, self.failover, self.error = pair, Failover(), ""
        self.promoted, self._stop = threading.Event(), threading.Event()
        self._safe = bool(synchronous(pair.one.url))
        self.failover.last_answer = time.monotonic()
        self._thread = threading.Thread(target=self._watch, name="watcher")
        self._thread.start()

    def close(self) -> None:
        """Stop watching."""
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(LOOK_SECONDS):
            safe = synchronous(self.pair.one.url, LOST_AFTER_SECONDS / 2)
            if safe is not None:
                self._safe = safe
                self.failover.last_answer = time.monotonic()
            elif time.monotonic() - self.failover.last_answer > LOST_AFTER_SECONDS:
                self.failover.declared = time.monotonic()
                self._fail_over()
                return

    def _fail_over(self) -> None:
        self.pair.one.kill()
        mark = self.pair.one.folder / "standby.signal"
        mark.touch()
        shutil.copystat(self.pair.one.folder / "PG_VERSION", mark)
        if not self._safe:
            self.error = "the standby was not synchronous: a person must decide"
            return
        with psycopg.connect(self.pair.two.url, autocommit=True) as connection:
            connection.execute("select pg_promote(wait => true, wait_seconds => 60)")
        self.failover.promoted = time.monotonic()
        self.promoted.set()
