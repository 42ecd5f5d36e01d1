"""Facts: what versions and runs are found by, as rows beside them, written in the transaction that makes them visible.

A run has its figures, a version its run's figures and what its meta says, a model also the figures of its newest report (one on
its training data left out: that one proves nothing). Nested names are joined by dots; `metrics.f1` is `f1`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import sqlalchemy as sa

from fourfold.core.nouns import Version
from fourfold.storage import schema

MOST = 500  # facts of one thing; the rest stays in its meta, where it can be read but not searched
LONGEST_TEXT, LONGEST_NAME = 200, 100

Fact = tuple[float | None, str | None]  # a number or a text


def flat(value: Any, name: str = "") -> Iterator[tuple[str, Fact]]:
    """Names and values of nested figures; slices (`f1/language=zh`) and long texts are left out."""
    match value:
        case bool():
            yield name, (None, "true" if value else "false")
        case int() | float():
            yield name, (float(value), None)
        case str() if 0 < len(value) <= LONGEST_TEXT and "\0" not in value:
            yield name, (None, value)
        case {"value": int() | float() as number}:
            yield name, (float(number), None)
        case Mapping():
            for key, inner in value.items():
                if "/" not in key and len(name) + len(key) < LONGEST_NAME:
                    yield from flat(inner, key if name in ("", "metrics") else f"{name}.{key}")
        case _:
            return


def of_version(connection: sa.Connection, version: Version, inputs: tuple[Version, ...]) -> None:
    """Write what a version's meta says; of a report, also its figures to the models that it judges."""
    found = dict(flat(version.meta))
    write(connection, version.id, found)
    if version.kind == "report" and version.meta.get("split") != "train":
        figures = {name: fact for name, fact in found.items() if fact[0] is not None}
        models = {one.id for one in inputs if one.kind == "model"}
        for model in models if len(models) == 1 else ():  # one that compares judges neither alone
            write(connection, model, figures)


def of_run(connection: sa.Connection, run_id: str, figures: Mapping[str, Any]) -> None:
    """Write a run's figures to it, and to the version that it left where that does not say otherwise."""
    found = dict(flat(figures))
    if not found:
        return
    write(connection, run_id, found)
    v, f = schema.version.c, schema.fact.c
    for version_id in connection.execute(sa.select(v.id).where(v.run_id == run_id)).scalars().all():
        own = set(connection.execute(sa.select(f.name).where(f.thing == version_id)).scalars())
        write(connection, version_id, {name: fact for name, fact in found.items() if name not in own})


def write(connection: sa.Connection, thing: str, facts: Mapping[str, Fact]) -> None:
    """Write facts, in place of those of the same names."""
    rows = [
        {"thing": thing, "name": name, "number": number, "text": text}
        for name, (number, text) in list(facts.items())[:MOST]
    ]  # fmt: skip
    if rows:
        f = schema.fact
        gone = f.delete().where(f.c.thing == thing, f.c.name == sa.bindparam("old"))
        connection.execute(gone, [{"old": row["name"]} for row in rows])
        connection.execute(f.insert(), rows)
