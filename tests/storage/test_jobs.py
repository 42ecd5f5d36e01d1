"""Job rows: queued once, taken once, given back when their process dies."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from fourfold.core.errors import BadSpec, NotFound
from fourfold.core.nouns import Actor
from fourfold.storage import jobs, leases, schedules, schema, steps

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


def change(ledger, what):
    with ledger.write() as connection:
        return what(connection)


def test_an_old_holder_can_write_nothing_and_a_step_is_done_once(ledger):
    job = submit(ledger, {})
    take(ledger)
    change(ledger, lambda c: c.execute(schema.job.update().values(lease_until=0.0)))
    assert take(ledger).epoch == 2
    new, calls = leases.Claim(job.id, 2), []
    ledger.database.fence = leases.Claim(job.id, 1).fence
    with pytest.raises(leases.Fenced):
        change(ledger, lambda c: jobs.end(c, job.id, "done"))
    ledger.database.fence = new.fence
    for _ in range(2):
        assert steps.once(ledger.database, new, "count", lambda: calls.append(1) or {"rows": 7}) == {"rows": 7}
    assert calls == [1]
    change(ledger, lambda c: jobs.end(c, job.id, "cancelled"))
    with pytest.raises(leases.Cancelled):
        change(ledger, lambda c: None)
    ledger.database.fence = None


def test_a_run_of_a_job_is_a_step_that_the_next_holder_finds(ledger, publish):
    submit(ledger, {})
    ledger.claim = leases.Claim(take(ledger).id, 1)
    made = publish()
    change(ledger, lambda c: c.execute(schema.job.update().values(lease_until=0.0)))
    ledger.claim = leases.Claim(take(ledger).id, 2)
    with pytest.raises(steps.StepDone) as done:
        publish()
    assert done.value.version == made
    assert ledger.made_in_this_job(made)
    assert len(ledger.versions()) == 1


def test_what_a_queued_job_waits_for(ledger):
    first = submit(ledger, {})
    with ledger.write() as connection:
        second = jobs.submit(connection, OWNER, "train", {}, None, after=[first.id])
        third = jobs.submit(connection, OWNER, "train", {}, None, queue="night")
        fourth = jobs.submit(connection, OWNER, "train", {}, None, memory_bytes=1 << 60)
        urgent = jobs.submit(connection, OWNER, "train", {}, None, priority=5)
        jobs.limit(connection, "night", 0)
    assert take(ledger).id == urgent.id
    assert take(ledger).id == first.id
    assert take(ledger) is None
    with ledger.database.read() as connection:
        waits = [jobs.one(connection, job.id).waits_for for job in (second, third, fourth)]
    assert waits[:2] == [f"job {first.id}", "a slot of queue night"]
    assert waits[2].startswith("memory: it needs 1099511627776 MiB")
    change(ledger, lambda c: jobs.end(c, first.id, "failed", error={"code": "x", "message": "m", "hint": "h", "status": 500}))
    assert take(ledger) is None
    with ledger.database.read() as connection:
        assert jobs.one(connection, second.id).error["message"] == f"It was to follow {first.id}, which is failed."


def test_errors_that_may_pass_are_tried_again_and_others_are_not(ledger):
    passing = {"code": "not_ready", "message": "m", "hint": "h", "status": 503}
    job = submit(ledger, {})
    for attempt in range(1, 6):
        change(ledger, lambda c: c.execute(schema.job.update().values(not_before=0.0)))
        claim = leases.Claim(job.id, take(ledger).epoch)
        state = change(ledger, lambda c, claim=claim: jobs.fail(c, claim, passing))
        assert state == ("queued" if attempt < 5 else "failed")
    assert change(ledger, lambda c: jobs.retry(c, job.id)).state == "queued"
    claim = leases.Claim(job.id, take(ledger).epoch)
    assert change(ledger, lambda c: jobs.fail(c, claim, {**passing, "code": "bad_spec"})) == "failed"


def test_a_job_that_kills_every_worker_fails_in_the_end(ledger):
    job = submit(ledger, {})
    while (taken := take(ledger)) is not None:
        claim = leases.Claim(job.id, taken.epoch)
        change(ledger, lambda c, claim=claim: jobs.lost(c, claim, why="killed", counts=True))
        change(ledger, lambda c: c.execute(schema.job.update().values(not_before=0.0)))
    with ledger.database.read() as connection:
        ended = jobs.one(connection, job.id)
    assert (ended.state, ended.epoch, ended.error["code"]) == ("failed", leases.MOST_LOSSES, "worker_died")


def test_another_home_takes_the_job_of_one_that_is_gone(ledger):
    with ledger.write() as connection:
        job = jobs.submit(connection, OWNER, "collect", {}, None, home="a:/home")
        leases.seen(connection, "a:/home")
    assert change(ledger, lambda c: jobs.take(c, "b:/home")) is None
    change(ledger, lambda c: c.execute(schema.executor.update().values(seen_at=0.0)))
    assert change(ledger, lambda c: jobs.take(c, "b:/home")).id == job.id


def test_missed_times_of_a_schedule_are_made_up_for_once(ledger):
    change(ledger, lambda c: schedules.put(c, "nightly", "30 2 * * *", "train", {"n": 1}, OWNER, "default"))
    assert change(ledger, schedules.fire) == []
    change(ledger, lambda c: c.execute(schema.schedule.update().values(next_at=1000.0)))  # thousands of nights ago
    (job,) = change(ledger, schedules.fire)
    assert (job.act, job.arguments, job.actor) == ("train", {"n": 1}, OWNER)
    assert change(ledger, schedules.fire) == []
    change(ledger, lambda c: c.execute(schema.schedule.update().values(next_at=1000.0)))
    assert change(ledger, schedules.fire) == []  # its last job has not ended
    change(ledger, lambda c: jobs.end(c, job.id, "done"))
    assert len(change(ledger, schedules.fire)) == 1
    with pytest.raises(BadSpec, match="no cron line"):
        change(ledger, lambda c: schedules.put(c, "x", "at night", "train", {}, OWNER, "default"))
