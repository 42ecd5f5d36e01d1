"""Metric history and logs of runs; the words that versions and runs are found by, filled in for those that are there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

HAN = "㐀-䶿一-鿿豈-﫿"
RUN = re.compile(rf"([{HAN}]+)|((?:(?![{HAN}])[^\W_])+)")


def upgrade() -> None:
    """Create the tables and fill in the words."""
    op.create_table(
        "metric_point",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("value", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_metric_point_run_id")),
        sa.PrimaryKeyConstraint("run_id", "name", "step", name=op.f("pk_metric_point")),
    )
    op.create_table(
        "run_record",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("part", sa.Integer(), nullable=False),
        sa.Column("manifest", sa.Text(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_run_record_run_id")),
        sa.ForeignKeyConstraint(["manifest"], ["manifest.digest"], name=op.f("fk_run_record_manifest")),
        sa.PrimaryKeyConstraint("run_id", "kind", "part", name=op.f("pk_run_record")),
    )
    op.create_table(
        "word",
        sa.Column("word", sa.Text(), nullable=False),
        sa.Column("thing", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("word", "thing", name=op.f("pk_word")),
    )
    op.create_index(op.f("ix_word_thing"), "word", ["thing"], unique=False)
    _fill(op.get_bind())


def _fill(connection: sa.Connection) -> None:
    """As storage/words.py did when this migration was written."""
    table = sa.table("word", sa.column("word"), sa.column("thing"))
    runs = sa.text("select id, verb, name, spec_json, error from run")
    versions = sa.text("select id, name, meta_json from version")
    things = [(r.id, [r.verb, r.name, json.loads(r.spec_json), r.error or ""]) for r in connection.execute(runs)]
    things += [(v.id, [v.name, json.loads(v.meta_json)]) for v in connection.execute(versions)]
    for thing, values in things:
        words = list(dict.fromkeys(word[:50] for text in _texts(values) for word in _cut(text)))[:300]
        if words:
            connection.execute(table.insert(), [{"word": word, "thing": thing} for word in words])


def _cut(text: str) -> Iterator[str]:
    for chinese, word in RUN.findall(text.lower()):
        yield from [word or chinese] if len(chinese) < 2 else (chinese[i : i + 2] for i in range(len(chinese) - 1))


def _texts(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for inner in value.values():
                yield from _texts(inner)
        case list():
            for inner in value:
                yield from _texts(inner)
        case _:
            return
