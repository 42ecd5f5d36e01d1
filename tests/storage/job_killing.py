"""Workers that are killed: `python job_killing.py URL HOME JOBS STEPS KILLS SEED`. Prints JSON of what became of the jobs.

A worker is a fork of this process. It says a byte before, in and after each step, and is killed at a random one.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import sqlalchemy as sa

from fourfold.core.nouns import Actor
from fourfold.storage import jobs, leases, schema, steps
from fourfold.storage.database import Database

OWNER = Actor("key_owner", "owner", "admin")
effects = sa.Table(
    "effect", sa.MetaData(), sa.Column("job_id", sa.Text), sa.Column("step", sa.Integer), sa.Column("epoch", sa.Integer)
)  # no unique key: an effect that happened twice is seen twice


def main(url: str, count: int, length: int, kills: int, seed: int) -> None:
    rng = random.Random(seed)
    database = Database(url)
    database.prepare()
    with database.write() as connection:
        effects.create(connection, checkfirst=True)
        for _ in range(count):
            jobs.submit(connection, OWNER, "train", {"steps": length}, None)
    database.close()
    done, begun = 0, time.monotonic()
    while not finished(url):
        saying, hearing = 0, 0
        hearing, saying = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(hearing)
            work(url, length, saying)
            os._exit(0)
        os.close(saying)
        if done < kills and hear(hearing, rng.randrange(1, 2 + 3 * length * count // max(1, kills))):
            os.kill(child, signal.SIGKILL)
            done += 1
        else:
            while os.read(hearing, 4096):
                pass
        os.close(hearing)
        os.waitpid(child, 0)
    print(json.dumps({"kills": done, "seconds": round(time.monotonic() - begun, 1), **verdict(url, length)}))


def hear(hearing: int, wanted: int) -> bool:
    """Whether the worker still speaks after so many bytes."""
    while wanted > 0:
        said = len(os.read(hearing, wanted))
        if said == 0:
            return False
        wanted -= said
    return True


def work(url: str, length: int, saying: int) -> None:
    """Take jobs and do their steps until there is none."""
    database = Database(url)
    database.patience_seconds = 60
    while True:
        with database.write() as connection:
            job = jobs.take(connection)
        if job is None:
            with database.read() as connection:
                if not jobs.waiting(connection):
                    return
            time.sleep(0.02)
            continue
        claim = leases.Claim(job.id, job.epoch)
        database.fence = claim.fence
        with database.read() as connection:
            done = [number for number in range(length) if steps.recorded(connection, job.id, f"step {number}") is not None]
        for step in range(length):
            if step not in done:  # a step that is only found again says nothing: kills fall on work, not on finding the place
                os.write(saying, b".")

            def effect(connection: sa.Connection, step: int = step, job: jobs.Job = job) -> int:
                connection.execute(effects.insert(), {"job_id": job.id, "step": step, "epoch": job.epoch})
                os.write(saying, b".")
                return step

            steps.once(database, claim, f"think {step}", lambda: None)  # harmless when done twice
            steps.transact(database, claim, f"step {step}", effect)
            if step not in done:
                os.write(saying, b".")
        with database.write() as connection:
            jobs.end(connection, job.id, "done", result={"steps": length})
        database.fence = None


def finished(url: str) -> bool:
    database = Database(url)
    with database.read() as connection:
        left = connection.execute(sa.select(sa.func.count()).where(schema.job.c.state.in_(("queued", "running")))).scalar_one()
    database.close()
    return left == 0


def verdict(url: str, length: int) -> dict[str, object]:
    database = Database(url)
    with database.read() as connection:
        states = connection.execute(sa.select(schema.job.c.state, sa.func.count()).group_by(schema.job.c.state)).all()
        seen = connection.execute(
            sa.select(effects.c.job_id, effects.c.step, sa.func.count()).group_by(*list(effects.c)[:2])
        ).all()
        recorded = connection.execute(sa.select(sa.func.count()).select_from(schema.job_step)).scalar_one()
        epochs = connection.execute(sa.select(sa.func.sum(schema.job.c.epoch))).scalar_one()
    database.close()
    twice = sum(count > 1 for _, _, count in seen)
    return {
        "states": {row.state: row[1] for row in states},
        "effects": len(seen),
        "twice": twice,
        "steps": recorded,
        "taken": epochs,
    }


if __name__ == "__main__":
    assert Path(sys.argv[2]).is_dir()
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    main(sys.argv[1], *(int(a) for a in sys.argv[3:7]))
