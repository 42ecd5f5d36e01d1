"""An upgrade of the program with a deployment up and a job that waits: the ledger is copied, migrated, and both go on."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from fourfold.core.errors import Conflict
from fourfold.core.nouns import Route
from fourfold.storage import jobs
from fourfold.storage.database import HEAD, MIGRATIONS, Database
from fourfold.storage.ledger import Ledger

from .conftest import ACTOR, Home, until

BEFORE = [script.revision for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions()][1]


def as_the_program_before_left_it(file: Path) -> None:
    """The same rows in the schema that came before: its tables and columns, no others."""
    old = file.with_suffix(".old")
    database = Database(f"sqlite:///{old}")
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with database.write() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, BEFORE)
    with database.read() as connection:
        tables = {name: [c["name"] for c in sa.inspect(connection).get_columns(name)]
                  for name in sa.inspect(connection).get_table_names() if name != "alembic_version"}  # fmt: skip
    database.close()
    with closing(sqlite3.connect(old)) as connection:
        connection.execute("attach ? as newer", (str(file),))
        for name, columns in tables.items():
            listed = ", ".join(f'"{column}"' for column in columns)
            connection.execute(f'delete from main."{name}"')
            connection.execute(f'insert into main."{name}" ({listed}) select {listed} from newer."{name}"')
        connection.commit()
    file.unlink()
    old.rename(file)


def schema_of(file: Path) -> str:
    with closing(sqlite3.connect(file)) as connection:
        return connection.execute("select version_num from alembic_version").fetchone()[0]


@pytest.fixture
def old_home(tmp_path: Path) -> Path:
    """A home of the schema before: `words` deployed, a collection asked for and not begun."""
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("hello there\n")
    home = Home(tmp_path / "home")
    home.deploy("words", Route(home.train("SEEN").ref))
    with home.ledger.write() as connection:
        arguments = {"name": "notes", "source": {"files": {"path": str(tmp_path / "notes")}}}
        jobs.submit(connection, ACTOR, "collect", arguments, None)
    home.close()
    as_the_program_before_left_it(tmp_path / "home" / "ledger.sqlite")
    return tmp_path / "home"


def test_the_deployment_answers_and_the_job_is_done_after_an_upgrade(old_home: Path) -> None:
    file = old_home / "ledger.sqlite"
    assert schema_of(file) == BEFORE
    home = Home(old_home)  # opens it, and with that migrates
    try:
        assert schema_of(file) == HEAD
        (kept,) = (old_home / "backups").iterdir()
        assert schema_of(kept) == BEFORE
        home.up()
        reply = home.ask("words:tag", {"text": "a b"})
        assert reply.json()["results"][0]["tokens"][0]["label"] == "SEEN"

        def look() -> jobs.Job:
            with home.ledger.database.read() as connection:
                return jobs.page(connection, state=None, limit=1, before=None)[0]

        until(lambda: look().state in jobs.ENDED, 240)
        assert (look().state, look().error) == ("done", None)
        assert home.ledger.version("notes@1").kind == "dataset"
    finally:
        home.close()


def test_going_back_is_putting_back_the_copy(old_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fourfold.storage import database

    Ledger.open(old_home).close()
    (kept,) = (old_home / "backups").iterdir()
    monkeypatch.setattr(database, "HEAD", BEFORE)  # the program before
    with pytest.raises(Conflict, match="written by a newer Fourfold") as refused:
        Ledger.open(old_home)
    assert "put back the copy" in refused.value.hint
    kept.rename(old_home / "ledger.sqlite")
    again = Ledger.open(old_home)
    assert [v.ref for v in again.versions()] == ["noop@1"]
    assert schema_of(old_home / "ledger.sqlite") == BEFORE
    again.database.close()
