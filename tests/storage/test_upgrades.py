"""Homes of every schema that ever landed are opened, migrated and kept; ledgers move between databases and stay the same."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from tests.storage.conftest import OWNER

from fourfold.core.errors import Conflict, Corrupt
from fourfold.storage import copying, schema
from fourfold.storage.copying import copy_ledger, one_moment, snapshot
from fourfold.storage.database import HEAD, MIGRATIONS, Database
from fourfold.storage.found import found_versions
from fourfold.storage.ledger import Ledger

REVISIONS = [script.revision for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions()][1:]  # all but the newest

FIRST = """
insert into name values ('words', 'model', 2);
insert into name values ('words-report', 'report', 1);
insert into manifest values ('aa', 5);
insert into run values ('run_1','train','words','{}','[]','ann','r1','0.1','host:1:1','done',1.0,2.0,null,'{"f1":0.91}');
insert into run values ('run_2','train','words','{}','[]','ann','r2','0.1','host:1:1','done',3.0,4.0,null,'{}');
insert into run values ('run_3','evaluate','words-report','{}','[]','ann','r3','0.1','host:1:1','done',3.0,4.0,null,'{}');
insert into version values ('ver_1','words',1,'model','aa','run_1','main',2.0,5,'{"family":"crf"}');
insert into version values ('ver_2','words',2,'model','aa','run_2','main',4.0,5,'{"family":"ngram"}');
insert into version values ('ver_3','words-report',1,'report','aa','run_3','main',4.0,5,'{"metrics":{"accuracy":0.8}}');
insert into edge values ('ver_3', 'ver_2');
insert into job values ('job_1','collect','{}','ann','{}','queued',1.0,null,null,'{}',null,null,null,'b','');
insert into deployment values ('shop','[]','live','auto','{}',1,1.0,'ann');
"""


def home_of(revision, home, url):
    """A home as a program of that schema left it."""
    home.mkdir(exist_ok=True)
    database = Database(url)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with database.write() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        for statement in FIRST.strip().split(";\n"):
            connection.exec_driver_sql(statement.rstrip(";"))
    with database.write() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    database.close()


@pytest.mark.parametrize("revision", REVISIONS)
def test_a_home_of_an_earlier_schema_is_kept_and_migrated(revision, tmp_path, database_url):
    home = tmp_path / "home"
    home_of(revision, home, database_url)
    ledger = Ledger.open(home, url=database_url)
    assert ledger.database.facts()["schema"] == HEAD
    assert [v.ref for v in ledger.versions()] == ["words-report@1", "words@2", "words@1"]
    assert [d.name for d in ledger.deployments()] == ["shop"]
    with ledger.database.read() as connection:
        assert connection.execute(sa.select(schema.job.c.id, schema.job.c.state)).all() == [("job_1", "queued")]

    def found(where):
        asked = {"name": None, "kind": "model", "limit": 9, "before": None}
        return [v.ref for v in found_versions(ledger.database, where=where, **asked)]

    assert found("f1 > 0.9 and family = 'crf'") == ["words@1"]
    assert found("accuracy = 0.8") == ["words@2"]
    ledger.close()
    (kept,) = (home / "backups").iterdir()
    assert kept.name.startswith(f"ledger-{revision}-")
    with closing(sqlite3.connect(kept)) as connection:
        assert connection.execute("select version_num from alembic_version").fetchall() == [(revision,)]
        assert connection.execute("select id, name, number from version order by id").fetchall() == [
            ("ver_1", "words", 1), ("ver_2", "words", 2), ("ver_3", "words-report", 1),
        ]  # fmt: skip
        assert connection.execute("select metrics_json from run where id = 'run_1'").fetchone() == ('{"f1":0.91}',)
    Ledger.open(home, url=database_url).close()
    assert len(list((home / "backups").iterdir())) == 1


def test_a_new_home_keeps_nothing(tmp_path, database_url):
    Ledger.open(tmp_path / "home", url=database_url).close()
    assert not (tmp_path / "home" / "backups").exists()


def rows_of(database):
    with database.read() as connection:
        return {
            table.name: sorted(map(repr, connection.execute(sa.select(table)).all())) for table in schema.metadata.sorted_tables
        }


def test_a_ledger_is_the_same_in_the_other_database(ledger, publish, tmp_path, postgres_url):
    first = publish("words", "hello", note="今天")
    publish("words", "again", inputs=(first,))
    ledger.move_alias(first, "production", actor=OWNER)
    ledger.verify_audit()
    other = Database(postgres_url if ledger.database.engine.dialect.name == "sqlite" else f"sqlite:///{tmp_path / 'x.sqlite'}")
    other.prepare()
    with one_moment(ledger.database, still=True) as source, other.write() as target:
        copied = copy_ledger(source, target)
    assert rows_of(other) == rows_of(ledger.database)
    assert {c.table: c.rows for c in copied}["version"] == 2
    moved = Ledger(ledger.home, other)
    moved.move_alias(moved.version("words@2"), "production", actor=OWNER)  # ids go on behind those that are there
    assert moved.verify_audit()[0] > 0
    with pytest.raises(Conflict, match="not empty"), one_moment(ledger.database) as source, other.write() as target:
        copy_ledger(source, target)
    other.close()


def test_a_copy_that_reads_differently_leaves_nothing(ledger, publish, tmp_path, monkeypatch):
    publish("words", "hello")
    other = Database(f"sqlite:///{tmp_path / 'x.sqlite'}")
    other.prepare()
    with one_moment(ledger.database) as source, pytest.raises(Corrupt, match="reads differently"), other.write() as target:
        monkeypatch.setattr(copying, "_digest", lambda c, t: copying.Copied(t.name, 0 if c is target else 1, ""))
        copy_ledger(source, target)
    monkeypatch.undo()
    assert rows_of(other)["version"] == [] and rows_of(other)["counter"] != []
    other.close()


def test_a_snapshot_is_the_ledger_as_it_is(ledger, publish, tmp_path):
    publish("words", "hello")
    snapshot(ledger.database, tmp_path / "copy.sqlite")
    copy = Database(f"sqlite:///{tmp_path / 'copy.sqlite'}")
    assert rows_of(copy) == rows_of(ledger.database)
    copy.close()
