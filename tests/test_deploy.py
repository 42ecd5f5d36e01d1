"""The files under deploy/ are read by what they are for: PostgreSQL, systemd, Fourfold's own settings."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from fourfold.application.cli_commands import COMMANDS
from fourfold.core.config import read_settings
from fourfold.storage.dsn import driver_url

ROOT = Path(__file__).resolve().parents[1]
DEPLOY = ROOT / "deploy" / "high-availability"


def settings_of_postgres() -> dict[str, str]:
    """Names and values of postgresql.conf, as they stand there."""
    lines = (DEPLOY / "postgresql.conf").read_text().splitlines()
    found = [re.match(r"(\w+) *= *('[^']*'|\S+)", line) for line in lines]
    return {match[1]: match[2].strip("'") for match in found if match}


@pytest.fixture
def cluster(postgres_programs: Path) -> Iterator[tuple[Path, str | None]]:
    """An empty PostgreSQL data folder that nothing runs on, and the account that may read it."""
    account = "postgres" if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="fourfold-conf-", dir="/tmp"))
    if account:
        shutil.chown(folder, account)
    initdb = [postgres_programs / "initdb", f"--pgdata={folder / 'data'}", "--auth=trust", "--no-sync"]
    subprocess.run(initdb, check=True, capture_output=True, user=account, cwd="/")
    shutil.copy(DEPLOY / "postgresql.conf", folder / "postgresql.conf")
    (folder / "postgresql.conf").chmod(0o644)
    yield folder, account
    shutil.rmtree(folder)


def test_postgresql_reads_its_file(cluster: tuple[Path, str | None], postgres_programs: Path) -> None:
    folder, account = cluster
    server = [postgres_programs / "postgres", "-D", folder / "data", f"--config-file={folder / 'postgresql.conf'}"]
    wanted = settings_of_postgres()
    assert wanted["synchronous_commit"] == "on"
    assert wanted["synchronous_standby_names"] == "*"
    for name, value in wanted.items():
        done = subprocess.run([*server, "-C", name], capture_output=True, text=True, user=account, cwd="/")
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip() == value, name
    with (folder / "postgresql.conf").open("a") as file:  # and it would have said so
        file.write("no_such_setting = 1\n")
    done = subprocess.run([*server, "-C", "port"], capture_output=True, text=True, user=account, cwd="/")
    assert done.returncode != 0
    assert "no_such_setting" in done.stderr


def test_patroni_says_the_same_as_postgresql_conf() -> None:
    patroni: dict[str, Any] = yaml.safe_load((DEPLOY / "patroni.yml").read_text())
    managed = {"listen_addresses", "synchronous_standby_names"}  # Patroni writes these itself
    parameters = patroni["bootstrap"]["dcs"]["postgresql"]["parameters"]
    assert {n: str(v) for n, v in parameters.items()} == {n: v for n, v in settings_of_postgres().items() if n not in managed}
    dcs = patroni["bootstrap"]["dcs"]
    assert dcs["synchronous_mode"] is True
    assert dcs["synchronous_mode_strict"] is True
    assert dcs["maximum_lag_on_failover"] == 0
    assert dcs["ttl"] >= dcs["loop_wait"] + 2 * dcs["retry_timeout"]  # Patroni's own rule: else a leader may lose its lease
    assert len(patroni["etcd3"]["hosts"].split(",")) == 3


def test_systemd_reads_the_unit(tmp_path: Path) -> None:
    unit = configparser.ConfigParser(interpolation=None, strict=False)
    unit.optionxform = str  # type: ignore[method-assign,assignment]
    unit.read(DEPLOY / "fourfold.service")
    program, command = unit["Service"]["ExecStart"].split()
    assert Path(program).name == "fourfold"
    assert command in [one.name for one in COMMANDS]
    assert unit["Service"]["Restart"] == "always"
    if shutil.which("systemd-analyze"):
        here = tmp_path / "fourfold.service"
        text = (DEPLOY / "fourfold.service").read_text().replace(program, "/bin/true")
        here.write_text(text.replace("User=fourfold\nGroup=fourfold\n", ""))  # there is no such user here
        done = subprocess.run(["systemd-analyze", "verify", here], capture_output=True, text=True)
        assert "fourfold.service" not in done.stderr, done.stderr


def test_fourfold_reads_the_settings_of_a_node(tmp_path: Path) -> None:
    shutil.copy(DEPLOY / "fourfold.toml", tmp_path)
    settings = read_settings(tmp_path, {})
    assert (settings.host, settings.workers) == ("0.0.0.0", 2)
    url = driver_url(settings.database)
    assert url.count("db1") == url.count("db2") == 1
    assert "target_session_attrs=read-write" in url


def test_the_page_names_every_file() -> None:
    page = (ROOT / "docs" / "high-availability.md").read_text()
    for file in DEPLOY.iterdir():
        assert f"../deploy/high-availability/{file.name}" in page
