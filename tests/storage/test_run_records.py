"""What runs leave beside versions: metrics step by step, rolled into Parquet in the stores, and logs."""

from __future__ import annotations

import logging
import threading

import pytest
import sqlalchemy as sa
from tests.storage.conftest import OWNER

from fourfold.storage import run_records, schema
from fourfold.storage.collect_garbage import collect_garbage
from fourfold.storage.fsck import fsck


def values(ledger, run_id, name):
    return [(step, value) for _, step, _, value in run_records.history(ledger.database, ledger.materialised, run_id)[name]]


def rows(ledger):
    with ledger.database.read() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(schema.metric_point)).scalar()


def parts(ledger, kind):
    with ledger.database.read() as connection:
        r = schema.run_record.c
        return connection.execute(sa.select(r.part, r.rows).where(r.kind == kind).order_by(r.part)).all()


def test_points_are_rows_first_and_a_file_when_the_run_has_ended(ledger):
    with ledger.run("train", name="words", spec={}, actor=OWNER) as run:
        for step in range(run_records.FLUSH_POINTS // 2):
            run.point(step, {"loss": 1 / (1 + step), "rate": 0.5})
        assert rows(ledger) == run_records.FLUSH_POINTS
        assert values(ledger, run.id, "loss")[:2] == [(0, 1.0), (1, 0.5)]
        run.point(1, {"loss": 0.25})
    assert (rows(ledger), parts(ledger, "metrics")) == (0, [(1, run_records.FLUSH_POINTS)])
    assert values(ledger, run.id, "loss")[:3] == [(0, 1.0), (1, 0.25), (2, 1 / 3)]
    only = run_records.history(ledger.database, ledger.materialised, run.id, "rate")
    assert list(only) == ["rate"]
    collect_garbage(ledger, actor=OWNER, grace_seconds=0)
    collect_garbage(ledger, actor=OWNER, grace_seconds=0)
    assert len(values(ledger, run.id, "loss")) == run_records.FLUSH_POINTS // 2
    assert fsck(ledger) == []


def test_many_points_are_rolled_while_the_run_goes_on_and_the_later_one_of_a_step_counts(ledger, monkeypatch):
    monkeypatch.setattr(run_records, "FLUSH_POINTS", 10)
    monkeypatch.setattr(run_records, "ROLL_POINTS", 20)
    with ledger.run("train", name="words", spec={}, actor=OWNER) as run:
        for step in range(45):
            run.point(step, {"loss": float(step)})
        assert [part.rows for part in parts(ledger, "metrics")] == [20, 20]
        run.point(3, {"loss": -1.0})
    assert [part.rows for part in parts(ledger, "metrics")] == [20, 20, 6]
    assert values(ledger, run.id, "loss") == [(step, -1.0 if step == 3 else float(step)) for step in range(45)]


def test_a_run_that_fails_keeps_its_history_and_one_that_was_killed_is_rolled_later(ledger):
    with pytest.raises(ValueError), ledger.run("train", name="words", spec={}, actor=OWNER) as run:
        run.point(7, {"loss": 3.0})
        raise ValueError("no")
    assert values(ledger, run.id, "loss") == [(7, 3.0)]
    with ledger.write() as connection:
        run_records.append(connection, run.id, [("loss", 8, 1.0, 2.5)])
    assert run_records.roll_ended(ledger) == 1
    assert (rows(ledger), values(ledger, run.id, "loss")) == (0, [(7, 3.0), (8, 2.5)])


def test_the_log_of_a_run_is_what_its_thread_logged(ledger, caplog):
    caplog.set_level(logging.INFO, logger="fourfold")
    log = logging.getLogger("fourfold.compute.some")
    with pytest.raises(ZeroDivisionError), ledger.run("train", name="words", spec={}, actor=OWNER) as run:
        log.info("fold %d", 2, extra={"rows": 12})
        other = threading.Thread(target=log.info, args=("of another",))
        other.start()
        other.join()
        log.debug("too small")
        _ = 1 / 0
    lines = run_records.log_lines(ledger.database, ledger.materialised, run.id)
    assert [(line["level"], line["message"], line.get("rows")) for line in lines] == [
        ("INFO", "fold 2", 12),
        ("ERROR", "ZeroDivisionError", None),
    ]
    assert __file__ in lines[1]["frames"][-1]
    log.info("after the run")
    assert len(run_records.log_lines(ledger.database, ledger.materialised, run.id)) == 2


def test_a_log_without_end_is_cut_and_says_so(ledger, caplog, monkeypatch):
    caplog.set_level(logging.INFO, logger="fourfold")
    monkeypatch.setattr(run_records, "MOST_LINES", 3)
    with ledger.run("train", name="words", spec={}, actor=OWNER) as run:
        for n in range(5):
            logging.getLogger("fourfold.x").info("line %d", n)
    messages = [line["message"] for line in run_records.log_lines(ledger.database, ledger.materialised, run.id)]
    assert messages == ["line 0", "line 1", "line 2", "2 more lines are left out"]


def test_a_run_that_tells_nothing_stores_nothing(ledger, publish):
    publish("words", "hello")
    assert parts(ledger, "metrics") == parts(ledger, "log") == []
