"""The tables of annotation: what people say of the documents of a dataset. Rows hold ids of documents, never their text."""

from __future__ import annotations

import sqlalchemy as sa

from fourfold.storage.tables import table

annotation = table(
    "annotation",
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("version_id", sa.Text, sa.ForeignKey("version.id"), nullable=False, index=True),  # the dataset
    sa.Column("question_json", sa.Text, nullable=False),  # a name in data.questions.QUESTIONS, with its settings
    sa.Column("redundancy", sa.Integer, nullable=False),  # how many people answer each document
    sa.Column("lease_seconds", sa.Float, nullable=False),
    sa.Column("queue_order", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),  # open, closed, erased
    sa.Column("receipt", sa.Text),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("created_by", sa.Text, nullable=False),
)

annotation_guideline = table(
    "annotation_guideline",
    sa.Column("annotation", sa.Text, sa.ForeignKey("annotation.name"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
)

annotation_item = table(
    "annotation_item",
    sa.Column("annotation", sa.Text, sa.ForeignKey("annotation.name"), primary_key=True),
    sa.Column("doc_id", sa.Text, primary_key=True),
    sa.Column("fragment", sa.Integer, nullable=False),  # where the dataset holds it
    sa.Column("row", sa.Integer, nullable=False),
    sa.Column("rank", sa.Float, nullable=False),  # the least is handed out first
    sa.Column("state", sa.Text, nullable=False),  # open, done, adjudicated
    sa.Column("answers", sa.Integer, nullable=False),  # people who answered
    sa.Column("suggestion_json", sa.Text),
    sa.Column("suggested_by", sa.Text),  # a version, or the name that an imported prediction gave
    sa.Column("confidence", sa.Float),
    sa.Index("ix_annotation_item_queue", "annotation", "state", "rank"),
)

annotation_lease = table(
    "annotation_lease",
    sa.Column("annotation", sa.Text, primary_key=True),
    sa.Column("doc_id", sa.Text, primary_key=True),
    sa.Column("annotator", sa.Text, primary_key=True),
    sa.Column("expires_at", sa.Float, nullable=False),
    sa.ForeignKeyConstraint(
        ["annotation", "doc_id"],
        ["annotation_item.annotation", "annotation_item.doc_id"],
        name="fk_annotation_lease_item",
    ),
)

annotation_answer = table(
    "annotation_answer",
    sa.Column("annotation", sa.Text, primary_key=True),
    sa.Column("doc_id", sa.Text, primary_key=True),
    sa.Column("role", sa.Text, primary_key=True),  # annotator, adjudicator
    sa.Column("annotator", sa.Text, primary_key=True),
    sa.Column("revision", sa.Integer, primary_key=True, autoincrement=False),  # the highest counts; none is overwritten
    sa.Column("value_json", sa.Text),  # null: passed over, or (adjudicated) left out
    sa.Column("comment", sa.Text, nullable=False),
    sa.Column("guideline", sa.Integer, nullable=False),
    sa.Column("suggested_by", sa.Text),  # whose suggestion was in sight
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("seconds", sa.Float),
    sa.ForeignKeyConstraint(
        ["annotation", "doc_id"],
        ["annotation_item.annotation", "annotation_item.doc_id"],
        name="fk_annotation_answer_item",
    ),
)
