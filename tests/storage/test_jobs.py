"""Job rows: queued once, taken once, given back when their process dies."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from fourfold.core.errors import NotFound
from fourfold.core.nouns import Actor
from fourfold.storage import jobs, schema

OWNER = Actor("key_owner", "owner", "admin")


def submit(ledger, arguments, key=None):
    with ledger.write() as connection:
        return jobs.submit(connection, OWNER, "train", arguments, key)


def take(ledger):
    with ledger.write() as connection:
        return jobs.take(connection)


def test_jobs_are_taken_in_order_and_end_once(ledger):
    first, second = submit(ledger, {"n": 1}), submit(ledger, {"n": 2})
    taken = take(ledger)
    assert (taken.id, taken.state, taken.actor, taken.arguments) == (first.id, "running", OWNER, {"n": 1})
    with ledger.write() as connection:
        assert jobs.report(connection, first.id, {"done": 1, "total": 2, "unit": "rows"}) == "running"
        jobs.end(connection, first.id, "done", result={"ref": "words@1"})
        jobs.end(connection, first.id, "failed", error={"code": "late"})
    with ledger.database.read() as connection:
        ended = jobs.one(connection, first.id)
        assert (ended.state, ended.result, ended.error, ended.progress["done"]) == ("done", {"ref": "words@1"}, None, 1)
        assert [j.id for j in jobs.page(connection, state="queued", limit=5, before=None)] == [second.id]
    assert take(ledger).id == second.id
    assert take(ledger) is None


def test_a_cancelled_job_tells_its_worker(ledger):
    job = submit(ledger, {})
    take(ledger)
    with ledger.write() as connection:
        jobs.end(connection, job.id, "cancelled")
    with ledger.write() as connection:
        assert jobs.report(connection, job.id, {}) == "cancelled"


def test_the_job_of_a_dead_process_is_taken_again(ledger):
    job = submit(ledger, {})
    take(ledger)
    with ledger.database.read() as connection:
        assert not jobs.waiting(connection)
    with ledger.write() as connection:
        host = connection.execute(sa.select(schema.job.c.process)).scalar_one().split(":")[0]
        connection.execute(schema.job.update().values(process=f"{host}:999999999:1"))
    with ledger.database.read() as connection:
        assert jobs.waiting(connection)
    assert take(ledger).id == job.id


def test_an_idempotency_key_makes_one_job(ledger):
    first = submit(ledger, {"n": 1}, "k")
    assert submit(ledger, {"n": 1}, "k").id == first.id
    assert submit(ledger, {"n": 1}).id != first.id
    with pytest.raises(jobs.ReusedKey, match="another request"):
        submit(ledger, {"n": 2}, "k")


def test_an_unknown_job(ledger):
    with ledger.database.read() as connection, pytest.raises(NotFound):
        jobs.one(connection, "job_none")
