"""The doctor on a healthy home, and on homes that were damaged on purpose."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator

import pytest

from fourfold.application import doctor
from fourfold.application.results import Check
from fourfold.core.config import Settings
from fourfold.core.nouns import Actor
from fourfold.storage.backup import back_up
from fourfold.storage.ledger import Ledger
from fourfold.storage.restore import verify

OWNER = Actor("key_owner", "owner", "admin")


@pytest.fixture
def ledger(tmp_path) -> Iterator[Ledger]:
    opened = Ledger.open(tmp_path / "home")
    for name in ("one", "two"):
        with opened.run("make", kind="dataset", name=name, spec={}, actor=OWNER) as run:
            (run.folder / "text.txt").write_text(f"words of {name}")
    yield opened
    opened.close()


@pytest.fixture
def settings() -> Settings:
    """With a port that is free."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return Settings(port=probe.getsockname()[1])


def look(ledger: Ledger, settings: Settings, **environment: str) -> dict[str, Check]:
    return {check.name: check for check in doctor.examine(ledger, settings, environment).checks}


def test_a_healthy_home(ledger, settings):
    health = doctor.examine(ledger, settings, {"FOURFOLD_HOME": "x", "FOURFOLD_PORT": "1", "PATH": "y"})
    assert health.ok
    assert [check.name for check in health.checks if check.state != "ok" and check.name != "disk"] == []
    found = {check.name: check for check in health.checks}
    assert found["database"].detail.startswith("SQLite 3.")
    assert found["artifacts"].detail.startswith("2 of the newest")
    assert found["serving"].next == "Run: fourfold up"
    assert "not installed" in found["extra ray"].detail or "ray" in found["extra ray"].detail


def test_a_changed_blob(ledger, settings):
    (file,) = ledger.manifest(ledger.version("one")).files
    blob = ledger.home / "blobs" / file.digest[:2] / file.digest[2:]
    blob.chmod(0o600)
    blob.write_text("other words")
    found = look(ledger, settings)["artifacts"]
    assert (found.state, found.detail.partition(":")[0]) == ("error", "one@1/text.txt")
    assert not doctor.examine(ledger, settings).ok


def test_a_lost_blob(ledger, settings):
    shutil.rmtree(ledger.home / "blobs")
    assert "is missing" in look(ledger, settings)["artifacts"].detail


def test_a_changed_audit_row(ledger, settings):
    ledger.verify_audit()
    with ledger.write() as connection:
        connection.exec_driver_sql("update audit set actor = 'somebody else' where id = 1")
    assert look(ledger, settings)["audit chain"].state == "error"


def test_a_home_that_is_open_to_others(ledger, settings):
    ledger.home.chmod(0o755)
    found = look(ledger, settings)["permissions"]
    assert (found.state, found.next) == ("warning", f"Run: chmod 700 {ledger.home}")


def test_a_run_whose_process_died(ledger, settings):
    with ledger.run("make", name="three", spec={}, actor=OWNER) as run, ledger.write() as connection:
        connection.exec_driver_sql(
            "update run set process = 'gone' || substr(process, instr(process, ':')) where id = ?", (run.id,)
        )
        connection.exec_driver_sql("update run set process = ? where id = ?", (_dead(), run.id))
    with ledger.write() as connection:
        connection.exec_driver_sql("update run set state = 'running', process = ? where id = ?", (_dead(), run.id))
    found = look(ledger, settings)["runs"]
    assert (found.state, found.next) == ("warning", f"Run: fourfold show {run.id}")
    assert ledger.find_run(run.id).state == "failed"
    assert look(ledger, settings)["runs"].state == "ok"


def _dead() -> str:
    """A process of this machine that cannot be alive: the kernel's highest pid is 2**22."""
    return f"{socket.gethostname()}:{2**22 + 1}:1"


def test_a_port_in_use(ledger, settings):
    with socket.socket() as other:
        other.bind(("127.0.0.1", settings.port))
        other.listen()
        found = look(ledger, settings)["port"]
    assert (found.state, found.next) == ("warning", f"Run: fourfold up --port {settings.port + 1}")


def test_a_variable_that_means_nothing(ledger, settings):
    found = look(ledger, settings, FOURFOLD_PROT="1", FOURFOLD_TOKEN="x")["environment"]
    assert (found.state, found.detail) == ("warning", "FOURFOLD_PROT means nothing. Did you mean 'FOURFOLD_PORT'?")


def test_the_age_of_the_newest_checked_backup(ledger, settings, tmp_path):
    assert (look(ledger, settings)["backup"].state, look(ledger, settings)["backup"].next) == ("ok", "Run: fourfold backup TO")
    old = doctor.OLD_BACKUP_SECONDS + 3600
    change(ledger, "update run set started_at = started_at - ?", old)
    assert look(ledger, settings)["backup"].state == "warning"

    place = str(tmp_path / "backups")
    made = back_up(ledger, place, actor="key_owner")
    found = look(ledger, settings)["backup"]
    assert (found.state, found.detail, found.next) == (
        "warning",
        "none was checked yet",
        f"Run: fourfold backup {place} --verify",
    )

    verify(ledger, place)
    found = look(ledger, settings)["backup"]
    assert (found.state, found.detail) == ("ok", "the newest checked one is 0.0 hours old")
    change(ledger, "update backup set at = at - ?", old)
    found = look(ledger, settings)["backup"]
    assert (found.state, found.detail) == ("warning", "the newest checked one is 7.0 days old")

    change(ledger, "update backup set problem = 'a byte was changed' where id = ?", made.id)
    found = look(ledger, settings)["backup"]
    assert (found.state, found.detail) == ("error", f"the newest, {made.id}, cannot be restored: a byte was changed")


def change(ledger: Ledger, statement: str, value: float | str) -> None:
    with ledger.write() as connection:
        connection.exec_driver_sql(statement, (value,))
