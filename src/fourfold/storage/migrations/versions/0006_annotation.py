"""Annotation: projects, guidelines, items, leases, answers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Create the tables of annotation."""
    op.create_table(
        "annotation",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version_id", sa.Text(), nullable=False),
        sa.Column("question_json", sa.Text(), nullable=False),
        sa.Column("redundancy", sa.Integer(), nullable=False),
        sa.Column("lease_seconds", sa.Float(), nullable=False),
        sa.Column("queue_order", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("receipt", sa.Text(), nullable=True),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["version_id"], ["version.id"], name=op.f("fk_annotation_version_id")),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_annotation")),
    )
    op.create_index(op.f("ix_annotation_version_id"), "annotation", ["version_id"], unique=False)
    op.create_table(
        "annotation_guideline",
        sa.Column("annotation", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["annotation"], ["annotation.name"], name=op.f("fk_annotation_guideline_annotation")),
        sa.PrimaryKeyConstraint("annotation", "number", name=op.f("pk_annotation_guideline")),
    )
    op.create_table(
        "annotation_item",
        sa.Column("annotation", sa.Text(), nullable=False),
        sa.Column("doc_id", sa.Text(), nullable=False),
        sa.Column("fragment", sa.Integer(), nullable=False),
        sa.Column("row", sa.Integer(), nullable=False),
        sa.Column("rank", sa.Float(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("answers", sa.Integer(), nullable=False),
        sa.Column("suggestion_json", sa.Text(), nullable=True),
        sa.Column("suggested_by", sa.Text(), nullable=True),
        sa.Column("confidence", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(["annotation"], ["annotation.name"], name=op.f("fk_annotation_item_annotation")),
        sa.PrimaryKeyConstraint("annotation", "doc_id", name=op.f("pk_annotation_item")),
    )
    op.create_index("ix_annotation_item_queue", "annotation_item", ["annotation", "state", "rank"], unique=False)
    op.create_table(
        "annotation_lease",
        sa.Column("annotation", sa.Text(), nullable=False),
        sa.Column("doc_id", sa.Text(), nullable=False),
        sa.Column("annotator", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(
            ["annotation", "doc_id"],
            ["annotation_item.annotation", "annotation_item.doc_id"],
            name="fk_annotation_lease_item",
        ),
        sa.PrimaryKeyConstraint("annotation", "doc_id", "annotator", name=op.f("pk_annotation_lease")),
    )
    op.create_table(
        "annotation_answer",
        sa.Column("annotation", sa.Text(), nullable=False),
        sa.Column("doc_id", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("annotator", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("value_json", sa.Text(), nullable=True),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("guideline", sa.Integer(), nullable=False),
        sa.Column("suggested_by", sa.Text(), nullable=True),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(
            ["annotation", "doc_id"],
            ["annotation_item.annotation", "annotation_item.doc_id"],
            name="fk_annotation_answer_item",
        ),
        sa.PrimaryKeyConstraint("annotation", "doc_id", "role", "annotator", "revision", name=op.f("pk_annotation_answer")),
    )
