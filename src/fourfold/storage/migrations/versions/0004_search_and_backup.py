"""Backups, tags, and facts: what versions and runs are found by. The facts of versions that are there are filled in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Create the tables and fill in the facts."""
    op.create_table(
        "backup",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("chunks", sa.BigInteger(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("new_bytes", sa.BigInteger(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=True),
        sa.Column("verified_at", sa.Float(), nullable=True),
        sa.Column("problem", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_backup")),
    )
    op.create_table(
        "fact",
        sa.Column("thing", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("number", sa.Float(), nullable=True),
        sa.Column("text", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("thing", "name", name=op.f("pk_fact")),
    )
    op.create_index("ix_fact_name_number", "fact", ["name", "number", "thing"], unique=False)
    op.create_index("ix_fact_name_text", "fact", ["name", "text", "thing"], unique=False)
    op.create_table(
        "tag",
        sa.Column("version_id", sa.Text(), nullable=False),
        sa.Column("tag", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["version_id"], ["version.id"], name=op.f("fk_tag_version_id")),
        sa.PrimaryKeyConstraint("version_id", "tag", name=op.f("pk_tag")),
    )
    op.create_index("ix_tag_tag_value", "tag", ["tag", "value", "version_id"], unique=False)
    op.create_table(
        "tag_change",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("version_id", sa.Text(), nullable=False),
        sa.Column("tag", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=True),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["version_id"], ["version.id"], name=op.f("fk_tag_change_version_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tag_change")),
    )
    op.create_index(op.f("ix_tag_change_version_id"), "tag_change", ["version_id"], unique=False)
    _fill(op.get_bind())


def _fill(connection: sa.Connection) -> None:
    """As storage/facts.py did when this migration was written."""
    facts: dict[tuple[str, str], tuple[float | None, str | None]] = {}
    query = (
        "select v.id, v.kind, v.meta_json, r.id as run, r.metrics_json from run r left join version v on v.run_id = r.id "
        "order by r.id"
    )
    for row in connection.execute(sa.text(query)).all():
        figures = dict(_flat(json.loads(row.metrics_json)))
        facts |= {(row.run, name): value for name, value in figures.items()}
        if row.id is not None:
            meta = dict(_flat(json.loads(row.meta_json)))
            facts |= {(row.id, name): value for name, value in {**figures, **meta}.items()}
            for model in _judged(connection, row) if row.kind == "report" else ():
                facts |= {(model, name): value for name, value in meta.items() if value[0] is not None}
    table = sa.table("fact", *(sa.column(name) for name in ("thing", "name", "number", "text")))
    rows = [{"thing": t, "name": n, "number": number, "text": text} for (t, n), (number, text) in facts.items()]
    for start in range(0, len(rows), 1000):
        connection.execute(table.insert(), rows[start : start + 1000])


def _judged(connection: sa.Connection, row: sa.Row[Any]) -> list[str]:
    if json.loads(row.meta_json).get("split") == "train":
        return []
    query = "select v.id from edge e join version v on v.id = e.input_id where e.version_id = :id and v.kind = 'model'"
    return list(connection.execute(sa.text(query), {"id": row.id}).scalars())


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, tuple[float | None, str | None]]]:
    match value:
        case bool():
            yield name, (None, "true" if value else "false")
        case int() | float():
            yield name, (float(value), None)
        case str() if 0 < len(value) <= 200:
            yield name, (None, value)
        case {"value": int() | float() as number}:
            yield name, (float(number), None)
        case dict():
            for key, inner in value.items():
                if "/" not in key and len(name) + len(key) < 100:
                    yield from _flat(inner, key if name in ("", "metrics") else f"{name}.{key}")
