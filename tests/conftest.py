"""Fixtures that every room's tests share, and what is said at the end of a run: seconds per room, what was skipped and why."""

from __future__ import annotations

import getpass
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from tests.faults.postgres import Pair, programs
from tests.faults.swift import CannotInstall, Swift
from tests.faults.swift import python as swift_python
from tests.guard import no_unpickling

settings.register_profile("fourfold", deadline=None)  # speed belongs in bench/
settings.load_profile("fourfold")

REPOSITORY = Path(__file__).resolve().parents[1]

GUARD = Path(no_unpickling.__file__).parent
UNPICKLED = pytest.StashKey[Path]()

# Minutes that the tests of a room may take on two cores; docs/testing.md explains them.
BUDGET_MINUTES = {"core": 1, "storage": 4, "data": 3, "compute": 5, "application": 5, "faults": 2, "house": 2}

# How to get what a test was skipped for want of, by a word of its reason.
GET = {
    "public test data": "set FOURFOLD_TEST_DATA to the folder that holds ud-english-ewt/ and the other public sets",
    "PostgreSQL": "apt-get install postgresql, or put initdb and pg_ctl on PATH",
    "Swift": "give pip a way to PyPI, for swift, pyeclib, xattr and eventlet, and python3-venv where Debian has cut it off",
    "MariaDB": "apt-get install mariadb-server",
    "pymysql": "pip install 'fourfold[mysql]'",
    "psycopg": "pip install 'fourfold[postgres]'",
    "chromium": "apt-get install chromium",
    "C compiler": "apt-get install g++",
    "kenlm": "apt-get install g++ zlib1g-dev, then pip install 'fourfold[kenlm]' (it is compiled)",
    "may read every": "run the tests as another user than root",
    "fastapi": "pip install 'fourfold[bench]'",
}


# ---- nothing is unpickled -----------------------------------------------------------------------------------------------


def pytest_configure(config: pytest.Config) -> None:
    """From now on whatever unpickles raises and is written down, here and in every process that tests start."""
    file = Path(tempfile.mkdtemp(prefix="fourfold-guard-")) / "unpickled"
    file.touch()
    os.environ[no_unpickling.FILE] = str(file)
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(GUARD), os.environ.get("PYTHONPATH"))))
    no_unpickling.forbid()
    config.stash[UNPICKLED] = file


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """A run in which something was unpickled has failed, even if what was raised was swallowed."""
    if session.config.stash[UNPICKLED].read_text() and exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the record, which was shown."""
    if file := config.stash.get(UNPICKLED, None):
        shutil.rmtree(file.parent)


@pytest.fixture(scope="session")
def public_data() -> Path:
    """The folder of public data sets (FOURFOLD_TEST_DATA, else ../shared/data); tests that need it are skipped without it."""
    folder = Path(os.environ.get("FOURFOLD_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("there is no public test data")
    return folder


@pytest.fixture(scope="session")
def company() -> Path:
    """The example company's folder."""
    return REPOSITORY / "examples" / "support-desk"


@pytest.fixture(scope="session")
def chromium() -> Path:
    """The browser."""
    if found := shutil.which("chromium") or shutil.which("chromium-browser"):
        return Path(found)
    pytest.skip("chromium is not installed")


# ---- PostgreSQL: a cluster of its own, gone after the run ------------------------------------------------------------------

# $1 programs, $2 folder. Standard input ends with this process, however it ends: then the server stops, and the folder goes.
POSTGRES = r"""
"$1"/initdb --pgdata="$2"/data --username=fourfold --auth=trust --encoding=UTF8 --locale=C.UTF-8 --no-sync || exit
"$1"/postgres -D "$2"/data -c unix_socket_directories="$2" -c listen_addresses= -c fsync=off -c max_connections=200 \
  < /dev/null &
cat
kill -QUIT $!
wait $!
rm -rf "$2"
"""


@pytest.fixture(scope="session")
def postgres_socket() -> Iterator[Path]:
    """The socket folder of a private PostgreSQL server with the superuser `fourfold`."""
    pytest.importorskip("psycopg")
    folder_of_programs = _postgres_programs()
    account = "postgres" if os.geteuid() == 0 else None  # the server refuses to run as root
    folder = Path(tempfile.mkdtemp(prefix="fourfold-pg-", dir="/tmp"))  # short: a socket's path has at most 107 bytes
    if account:
        shutil.chown(folder, account)
    command = ["sh", "-c", POSTGRES, "sh", folder_of_programs, folder]
    with (
        tempfile.TemporaryFile() as log,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log, user=account, cwd="/") as server,
    ):
        ready = [folder_of_programs / "pg_isready", "--quiet", f"--host={folder}", "--username=fourfold"]
        deadline = time.monotonic() + 60
        while subprocess.run(ready).returncode != 0:
            if server.poll() is not None or time.monotonic() > deadline:
                log.seek(0)
                pytest.fail(f"PostgreSQL did not start: {log.read().decode()}")
            time.sleep(0.05)
        yield folder


@pytest.fixture(scope="session")
def postgres_programs() -> Path:
    """The folder of PostgreSQL's programs, for tests that start servers of their own."""
    return _postgres_programs()


@pytest.fixture
def postgres_url(postgres_socket: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of an empty database."""
    import psycopg

    name = re.sub(r"\W", "_", request.node.name)[:40] + f"_{os.urandom(4).hex()}"
    with psycopg.connect(host=str(postgres_socket), user="fourfold", dbname="postgres", autocommit=True) as connection:
        connection.execute(f'create database "{name}"')  # type: ignore[arg-type]
        yield f"postgresql://fourfold@/{name}?host={postgres_socket}"
        connection.execute(f'drop database "{name}" with (force)')  # type: ignore[arg-type]


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database, on each kind of server that there is."""
    return f"sqlite:///{tmp_path / 'ledger.db'}" if request.param == "sqlite" else request.getfixturevalue("postgres_url")


def _postgres_programs() -> Path:
    """The folder of initdb and pg_ctl."""
    try:
        return programs()
    except FileNotFoundError:
        pytest.skip("PostgreSQL is not installed")


# ---- S3: OpenStack Swift on three nodes ------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def swift_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Swift]:
    """A real S3 server of three nodes, each of which can be killed and started; tests ask for `swift`, which mends it first."""
    try:
        python = swift_python()
    except CannotInstall as error:
        pytest.skip(f"Swift cannot be installed: {error}")
    cluster = Swift(tmp_path_factory.mktemp("swift"), python)
    yield cluster
    cluster.close()


@pytest.fixture
def swift(swift_cluster: Swift) -> Iterator[Swift]:
    """The S3 server with all three nodes alive, before the test and after it."""
    yield swift_cluster
    swift_cluster.whole()


@pytest.fixture
def s3_bucket(swift: Swift) -> dict[str, str]:
    """An empty bucket on the S3 server, as the options that obstore's S3Store takes."""
    return swift.options(swift.make_bucket(f"b{os.urandom(6).hex()}"))


# ---- PostgreSQL in a pair -------------------------------------------------------------------------------------------------


@pytest.fixture
def postgres_pair() -> Iterator[Pair]:
    """A primary and a synchronous standby of its own; see tests/faults/postgres.py."""
    found = Pair(_postgres_programs())
    yield found
    found.close()


# ---- MySQL: a MariaDB server of its own, gone after the run ----------------------------------------------------------------

# $1 folder, $2 the user that it runs as. Standard input ends with this process, however it ends: then the server stops.
MARIADB = r"""
mariadb-install-db --no-defaults --datadir="$1"/data --user="$2" --auth-root-authentication-method=normal --skip-test-db || exit
mariadbd --no-defaults --datadir="$1"/data --user="$2" --socket="$1"/socket --pid-file="$1"/pid --skip-networking \
  --innodb-flush-log-at-trx-commit=0 --innodb-buffer-pool-size=32M < /dev/null &
cat
kill -TERM $!
wait $!
rm -rf "$1"
"""


@pytest.fixture(scope="session")
def mysql_socket() -> Iterator[Path]:
    """The socket of a private MariaDB server with the user `root` without a password."""
    pytest.importorskip("pymysql")
    path = f"{os.environ['PATH']}:/usr/sbin"
    if not (shutil.which("mariadbd", path=path) and shutil.which("mariadb-install-db", path=path)):
        pytest.skip("MariaDB is not installed")
    account = "mysql" if os.geteuid() == 0 else getpass.getuser()  # the server refuses to run as root
    folder = Path(tempfile.mkdtemp(prefix="fourfold-my-", dir="/tmp"))
    if os.geteuid() == 0:
        shutil.chown(folder, account)
    command = ["sh", "-c", MARIADB, "sh", folder, account]
    environment = {**os.environ, "PATH": path}
    with (
        tempfile.TemporaryFile() as log,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log, cwd="/", env=environment) as server,
    ):
        ready = ["mariadb-admin", "--no-defaults", f"--socket={folder / 'socket'}", "--user=root", "--silent", "ping"]
        deadline = time.monotonic() + 120
        while subprocess.run(ready, capture_output=True).returncode != 0:
            if server.poll() is not None or time.monotonic() > deadline:
                log.seek(0)
                pytest.fail(f"MariaDB did not start: {log.read().decode()}")
            time.sleep(0.1)
        yield folder / "socket"


@pytest.fixture
def mysql_url(mysql_socket: Path) -> Iterator[str]:
    """The URL of an empty database."""
    import pymysql

    name = f"test_{os.urandom(4).hex()}"
    connection = pymysql.connect(unix_socket=str(mysql_socket), user="root", autocommit=True)
    try:
        connection.cursor().execute(f"create database {name} character set utf8mb4")
        yield f"mysql://root@localhost/{name}?unix_socket={mysql_socket}"
        connection.cursor().execute(f"drop database {name}")
    finally:
        connection.close()


# ---- the end of a run -------------------------------------------------------------------------------------------------------


def room_of(nodeid: str) -> str:
    """The layer that a test file lies under; `house` for those that lie above all layers."""
    layer = nodeid.split("/")[1] if nodeid.count("/") > 1 else "house"
    return layer if layer in BUDGET_MINUTES else "house"


def how_to_get(reason: str) -> str:
    """What to do so that a test with this skip reason runs; empty where the reason says all."""
    return next((how for word, how in GET.items() if word.lower() in reason.lower()), "")


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Seconds per room against its budget; then, for each reason, what was skipped and how to get what it needs."""
    reports = [report for kind in terminalreporter.stats.values() for report in kind if hasattr(report, "duration")]
    seconds: defaultdict[str, float] = defaultdict(float)
    for report in reports:
        seconds[room_of(report.nodeid)] += report.duration
    if unpickled := terminalreporter.config.stash[UNPICKLED].read_text():
        terminalreporter.section("something was unpickled", red=True)
        terminalreporter.line(unpickled)
    terminalreporter.section("seconds per room")
    for room in (room for room in BUDGET_MINUTES if room in seconds):
        budget = BUDGET_MINUTES[room] * 60
        over = "  over its budget" if seconds[room] > budget else ""
        terminalreporter.line(f"{room:<12}{seconds[room]:8.1f} of {budget:4}{over}")
    if skipped := terminalreporter.stats.get("skipped", []):
        reasons: defaultdict[str, set[str]] = defaultdict(set)
        for report in skipped:
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
            reasons[reason.removeprefix("Skipped: ")].add(report.nodeid)
        terminalreporter.section("skipped, why, and how to get what is missing")
        for reason, nodes in sorted(reasons.items()):
            files = sorted({node.partition("::")[0] for node in nodes})
            terminalreporter.line(f"{len(nodes)} of {', '.join(files)}: {reason}")
            if how := how_to_get(reason):
                terminalreporter.line(f"    get it: {how}")
