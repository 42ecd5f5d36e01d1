"""Deployments: rows that say what is to be served, each change kept."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec
import sqlalchemy as sa

from fourfold.core.errors import Conflict, NotFound, did_you_mean
from fourfold.core.nouns import Deployment, Route
from fourfold.storage import audit, schema


def _row(deployment: Deployment) -> dict[str, Any]:
    return {
        "name": deployment.name,
        "routes_json": msgspec.json.encode(deployment.routes).decode(),
        "state": deployment.state,
        "engine": deployment.engine,
        "limits_json": msgspec.json.encode(deployment.limits).decode(),
        "revision": deployment.revision,
    }


def _noun(row: sa.Row[Any], at: float, by: str) -> Deployment:
    routes = msgspec.json.decode(row.routes_json, type=tuple[Route, ...])
    limits = msgspec.json.decode(row.limits_json)
    return Deployment(row.name, routes, row.state, row.engine, limits, row.revision, at, by)


def all_deployments(connection: sa.Connection) -> list[Deployment]:
    """Every deployment in order of name, whatever its state."""
    rows = connection.execute(sa.select(schema.deployment).order_by(schema.deployment.c.name))
    return [_noun(row, row.updated_at, row.updated_by) for row in rows]


def one(connection: sa.Connection, name: str) -> Deployment:
    """The deployment of that name. Raises NotFound with the closest name."""
    row = connection.execute(sa.select(schema.deployment).where(schema.deployment.c.name == name)).first()
    if row is None:
        names = connection.execute(sa.select(schema.deployment.c.name)).scalars().all()
        raise NotFound(f"There is no deployment {name!r}.{did_you_mean(name, names)}", hint="Run: fourfold deployments")
    return _noun(row, row.updated_at, row.updated_by)


def history(connection: sa.Connection, name: str) -> list[tuple[Deployment, str]]:
    """All states of a deployment with the reason of each change, oldest first."""
    c = schema.deployment_change.c
    rows = connection.execute(sa.select(schema.deployment_change).where(c.name == name).order_by(c.revision))
    return [(_noun(row, row.at, row.actor), row.reason) for row in rows]


def save(connection: sa.Connection, wanted: Deployment, *, reason: str, expected_revision: int | None = None) -> Deployment:
    """Write a deployment's next revision with its history and audit row.

    Raises Conflict if `expected_revision` is given and is no longer the present one.
    """
    c = schema.deployment.c
    present = connection.execute(sa.select(c.revision).where(c.name == wanted.name).with_for_update()).scalar()
    if expected_revision is not None and expected_revision != (present or 0):
        raise Conflict(
            f"Deployment {wanted.name} is at revision {present or 0}, not {expected_revision}: somebody changed it meanwhile.",
            hint=f"Run: fourfold show {wanted.name}",
        )
    saved = replace(wanted, revision=(present or 0) + 1, updated_at=time.time())
    values = {**_row(saved), "updated_at": saved.updated_at, "updated_by": saved.updated_by}
    if present is None:
        connection.execute(schema.deployment.insert(), values)
    else:
        connection.execute(schema.deployment.update().where(c.name == saved.name).values(values))
    change = {**_row(saved), "at": saved.updated_at, "actor": saved.updated_by, "reason": reason}
    connection.execute(schema.deployment_change.insert(), change)
    routes: Sequence[Any] = msgspec.to_builtins(saved.routes)
    detail = {"revision": saved.revision, "state": saved.state, "routes": routes, "reason": reason}
    audit.record(connection, saved.updated_by, "deploy", saved.name, detail)
    return saved
