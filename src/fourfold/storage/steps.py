"""Steps of a job: what is recorded as done is not done again by whoever takes the job up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import sqlalchemy as sa

from fourfold.core.nouns import Version
from fourfold.storage import schema, versions
from fourfold.storage.database import Database
from fourfold.storage.leases import Claim, clock, tell, to_json


class StepDone(Exception):
    """The run that was about to be opened is a step that the job has done; `version` is what it left, if anything."""

    def __init__(self, version: Version | None) -> None:
        super().__init__("this step was done before")
        self.version = version


def transact(database: Database, claim: Claim | None, name: str, change: Callable[[sa.Connection], Any]) -> Any:
    """The JSON value of `change`, made and recorded in one transaction, once however often the job is resumed."""
    if claim is None:
        with database.write() as connection:
            return change(connection)

    def act(connection: sa.Connection) -> list[Any]:
        found = recorded(connection, claim.job_id, name)
        if found is None:
            found = [change(connection)]
            record(connection, claim, name, found[0])
        return found

    return database.repeat(act)[0]


def once(database: Database, claim: Claim | None, name: str, act: Callable[[], Any]) -> Any:
    """The JSON value of `act`, recorded after it was done: `act` itself has to be harmless when done twice."""
    if claim is None:
        return act()
    found = database.repeat(lambda connection: recorded(connection, claim.job_id, name), write=False)
    if found is not None:
        return found[0]
    result = act()
    return transact(database, claim, name, lambda _: result)


def recorded(connection: sa.Connection, job_id: str, name: str) -> list[Any] | None:
    """[result] of a step that was done, else None."""
    s = schema.job_step.c
    found = connection.execute(sa.select(s.result_json).where(s.job_id == job_id, s.step == name)).scalar()
    return None if found is None else [msgspec.json.decode(found)]


def record(connection: sa.Connection, claim: Claim, name: str, result: Any, version_id: str | None = None) -> None:
    """Write that a step is done, in the transaction of what it did."""
    row = {"job_id": claim.job_id, "step": name, "epoch": claim.epoch, "at": clock(connection)}
    connection.execute(schema.job_step.insert(), {**row, "version_id": version_id, "result_json": to_json(result)})
    connection.execute(schema.job.update().where(schema.job.c.id == claim.job_id).values(losses=0))
    tell(connection, claim.job_id, "log", {"message": f"step done: {name}"})


def version_of(connection: sa.Connection, job_id: str, name: str) -> tuple[bool, Version | None]:
    """Whether a run's step was done, and the version that it left."""
    s = schema.job_step.c
    row = connection.execute(sa.select(s.version_id).where(s.job_id == job_id, s.step == name)).first()
    if row is None or row.version_id is None:
        return row is not None, None
    return True, versions.find(connection, row.version_id)


def made_by(connection: sa.Connection, job_id: str) -> set[str]:
    """Ids of the versions that the steps of a job left."""
    s = schema.job_step.c
    return set(connection.execute(sa.select(s.version_id).where(s.job_id == job_id, s.version_id.is_not(None))).scalars())
