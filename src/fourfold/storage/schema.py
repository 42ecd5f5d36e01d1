"""The tables of the ledger. Times are Unix seconds; columns named `*_json` hold JSON; digests are hex BLAKE3."""

from __future__ import annotations

import sqlalchemy as sa

from fourfold.storage.annotation_tables import (
    annotation,
    annotation_answer,
    annotation_guideline,
    annotation_item,
    annotation_lease,
)
from fourfold.storage.tables import metadata
from fourfold.storage.tables import table as _table

__all__ = ["annotation", "annotation_answer", "annotation_guideline", "annotation_item", "annotation_lease", "metadata"]

run = _table(
    "run",
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("verb", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False, index=True),
    sa.Column("spec_json", sa.Text, nullable=False),
    sa.Column("inputs_json", sa.Text, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("recipe", sa.Text, nullable=False, index=True),
    sa.Column("code_version", sa.Text, nullable=False),
    sa.Column("process", sa.Text, nullable=False),  # host:pid:start, so that a dead run is told from a slow one
    sa.Column("state", sa.Text, nullable=False, index=True),
    sa.Column("started_at", sa.Float, nullable=False),
    sa.Column("finished_at", sa.Float),
    sa.Column("error", sa.Text),
    sa.Column("metrics_json", sa.Text, nullable=False),
    sa.Column("job_id", sa.Text, index=True),  # the job that it belongs to; its open runs end with it
)

name = _table(
    "name",
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("last_number", sa.Integer, nullable=False),
)

version = _table(
    "version",
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, sa.ForeignKey("name.name"), nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("kind", sa.Text, nullable=False, index=True),
    sa.Column("digest", sa.Text, sa.ForeignKey("manifest.digest"), nullable=False, index=True),
    sa.Column("run_id", sa.Text, sa.ForeignKey("run.id"), nullable=False),
    sa.Column("output", sa.Text, nullable=False),  # a retried run finds its own version instead of making a second one
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("meta_json", sa.Text, nullable=False),
    sa.UniqueConstraint("name", "number"),
    sa.UniqueConstraint("run_id", "output"),
)

edge = _table(
    "edge",
    sa.Column("version_id", sa.Text, sa.ForeignKey("version.id"), primary_key=True),
    sa.Column("input_id", sa.Text, sa.ForeignKey("version.id"), primary_key=True, index=True),
)

manifest = _table(
    "manifest",
    sa.Column("digest", sa.Text, primary_key=True),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
)

manifest_file = _table(
    "manifest_file",
    sa.Column("manifest", sa.Text, sa.ForeignKey("manifest.digest"), primary_key=True),
    sa.Column("path", sa.Text, primary_key=True),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("digest", sa.Text, nullable=False, index=True),
    sa.Column("sha256", sa.Text, nullable=False),
)

file_chunk = _table(
    "file_chunk",
    sa.Column("file", sa.Text, primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    sa.Column("chunk", sa.Text, nullable=False, index=True),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
)

alias = _table(
    "alias",
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("alias", sa.Text, primary_key=True),
    sa.Column("version_id", sa.Text, sa.ForeignKey("version.id"), nullable=False),
)

alias_move = _table(
    "alias_move",
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("alias", sa.Text, nullable=False),
    sa.Column("from_version", sa.Text),
    sa.Column("to_version", sa.Text, nullable=False),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Index("ix_alias_move_name_alias", "name", "alias"),
)

deployment = _table(
    "deployment",
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("routes_json", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("engine", sa.Text, nullable=False),
    sa.Column("limits_json", sa.Text, nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("updated_at", sa.Float, nullable=False),
    sa.Column("updated_by", sa.Text, nullable=False),
)

deployment_change = _table(
    "deployment_change",
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("revision", sa.Integer, primary_key=True),
    sa.Column("routes_json", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("engine", sa.Text, nullable=False),
    sa.Column("limits_json", sa.Text, nullable=False),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
)

api_key = _table(
    "api_key",
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("hash", sa.Text, nullable=False, unique=True),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("created_by", sa.Text, nullable=False),
    sa.Column("expires_at", sa.Float),
    sa.Column("revoked_at", sa.Float),
)

segment = _table(
    "segment",
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("front", sa.Integer, nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("first_at", sa.Float, nullable=False, index=True),
    sa.Column("last_at", sa.Float, nullable=False),
    sa.Column("manifest", sa.Text, sa.ForeignKey("manifest.digest"), nullable=False),
)

job = _table(
    "job",
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("act", sa.Text, nullable=False),
    sa.Column("arguments_json", sa.Text, nullable=False),
    sa.Column("actor_id", sa.Text, nullable=False),
    sa.Column("actor_json", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False, index=True),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("started_at", sa.Float),
    sa.Column("finished_at", sa.Float),
    sa.Column("progress_json", sa.Text, nullable=False),
    sa.Column("error_json", sa.Text),
    sa.Column("result_json", sa.Text),
    sa.Column("idempotency_key", sa.Text),
    sa.Column("body", sa.Text, nullable=False),  # fingerprint of act and arguments, to tell a repeated key from a reused one
    sa.Column("process", sa.Text, nullable=False),
    sa.Column("queue", sa.Text, nullable=False, server_default="default"),
    sa.Column("priority", sa.Integer, nullable=False, server_default="0"),
    sa.Column("not_before", sa.Float, nullable=False, server_default="0"),
    sa.Column(
        "epoch", sa.Integer, nullable=False, server_default="0"
    ),  # grows with each taking: an older holder may write nothing
    sa.Column("lease_until", sa.Float, nullable=False, server_default="0"),
    sa.Column("attempt", sa.Integer, nullable=False, server_default="0"),  # how often it failed in a way that may pass
    sa.Column("attempts", sa.Integer, nullable=False, server_default="5"),
    sa.Column("losses", sa.Integer, nullable=False, server_default="0"),  # workers that died since the last finished step
    sa.Column("home", sa.Text, nullable=False, server_default=""),  # the home whose files it names
    sa.Column("memory_bytes", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("after_json", sa.Text, nullable=False, server_default="[]"),
    sa.Column("waits_for", sa.Text, nullable=False, server_default=""),
    sa.Column("code_version", sa.Text, nullable=False, server_default=""),
    sa.UniqueConstraint("actor_id", "idempotency_key"),
)

job_step = _table(
    "job_step",
    sa.Column("job_id", sa.Text, sa.ForeignKey("job.id"), primary_key=True),
    sa.Column("step", sa.Text, primary_key=True),
    sa.Column("epoch", sa.Integer, nullable=False),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("version_id", sa.Text),
    sa.Column("result_json", sa.Text, nullable=False),
)

job_event = _table(
    "job_event",
    sa.Column("job_id", sa.Text, sa.ForeignKey("job.id"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("event", sa.Text, nullable=False),  # state, log or metric
    sa.Column("data_json", sa.Text, nullable=False),
)

job_queue = _table(
    "job_queue",
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("slots", sa.Integer, nullable=False),
)

schedule = _table(
    "schedule",
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("cron", sa.Text, nullable=False),
    sa.Column("act", sa.Text, nullable=False),
    sa.Column("arguments_json", sa.Text, nullable=False),
    sa.Column("actor_json", sa.Text, nullable=False),
    sa.Column("queue", sa.Text, nullable=False),
    sa.Column("next_at", sa.Float, nullable=False),
    sa.Column("last_at", sa.Float),
    sa.Column("last_job", sa.Text, nullable=False),
)

executor = _table(
    "executor",
    sa.Column("home", sa.Text, primary_key=True),
    sa.Column("seen_at", sa.Float, nullable=False),
)

audit = _table(
    "audit",
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("act", sa.Text, nullable=False),
    sa.Column("thing", sa.Text, nullable=False, index=True),
    sa.Column("detail_json", sa.Text, nullable=False),  # ids and figures, never texts of people
    sa.Column("position", sa.Integer, unique=True),  # place in the chain; null until sealed
    sa.Column("hash", sa.Text),
)

counter = _table(
    "counter",
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.BigInteger, nullable=False),
)

store = _table(
    "store",
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),  # a name in storage.blobs.BLOBS
    sa.Column("settings_json", sa.Text, nullable=False),  # where it is, and names of variables and key files: no secrets
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("added_at", sa.Float, nullable=False),
    sa.Column("copied_to", sa.Text, nullable=False),  # the last chunk that copying came to; it goes on behind it
    sa.Column("scrubbed_to", sa.Text, nullable=False),
    sa.Column("scrubbed_at", sa.Float),  # when it was last read from end to end
    sa.Column("scrub_json", sa.Text, nullable=False),  # what the reading found
)

moved_chunk = _table(
    "moved_chunk",
    sa.Column("chunk", sa.Text, primary_key=True),
    sa.Column("store", sa.Text, sa.ForeignKey("store.name"), nullable=False),  # the primary need not have it
)

backup = _table(
    "backup",
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("place", sa.Text, nullable=False),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("chunks", sa.BigInteger, nullable=False),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("new_bytes", sa.BigInteger, nullable=False),
    sa.Column("key_id", sa.Text),
    sa.Column("verified_at", sa.Float),
    sa.Column("problem", sa.Text, nullable=False),
)

fact = _table(
    "fact",
    sa.Column("thing", sa.Text, primary_key=True),  # id of a version or run
    sa.Column("name", sa.Text, primary_key=True),  # of a figure, or of something that its meta says
    sa.Column("number", sa.Float),
    sa.Column("text", sa.Text),
    sa.Index("ix_fact_name_number", "name", "number", "thing"),
    sa.Index("ix_fact_name_text", "name", "text", "thing"),
)

word = _table(
    "word",
    sa.Column("word", sa.Text, primary_key=True),
    sa.Column("thing", sa.Text, primary_key=True, index=True),  # id of a version or run
)

tag = _table(
    "tag",
    sa.Column("version_id", sa.Text, sa.ForeignKey("version.id"), primary_key=True),
    sa.Column("tag", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
    sa.Index("ix_tag_tag_value", "tag", "value", "version_id"),
)

tag_change = _table(
    "tag_change",
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("version_id", sa.Text, sa.ForeignKey("version.id"), nullable=False, index=True),
    sa.Column("tag", sa.Text, nullable=False),
    sa.Column("value", sa.Text),  # null: taken away
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
)

# A row that keeps files has a foreign key to manifest.digest: garbage collection finds those columns here.

lease = _table(
    "lease",
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("holder", sa.Text, nullable=False),
    sa.Column("process", sa.Text, nullable=False),  # host:pid:start
    sa.Column("epoch", sa.BigInteger, nullable=False),  # of garbage collection, when the lease began
    sa.Column("expires_at", sa.Float, nullable=False),
)

condemned = _table(
    "condemned",
    sa.Column("chunk", sa.Text, primary_key=True),
    sa.Column("state", sa.Text, nullable=False, index=True),  # condemned → deleting → deleted
    sa.Column("epoch", sa.BigInteger, nullable=False),  # of garbage collection, when the state was entered
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("process", sa.Text, nullable=False),  # who deletes
)

version_state = _table(
    "version_state",
    sa.Column("version_id", sa.Text, sa.ForeignKey("version.id"), primary_key=True),
    sa.Column("state", sa.Text, primary_key=True),  # removed, erased
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("receipt", sa.Text),
)

hold = _table(
    "hold",
    sa.Column("version_id", sa.Text, sa.ForeignKey("version.id"), primary_key=True),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
)

erasure = _table(
    "erasure",
    sa.Column("receipt", sa.Text, primary_key=True),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("removed_at", sa.Float),  # when the last of its blobs was gone from every store
)

erased = _table(
    "erased",
    sa.Column("digest", sa.Text, primary_key=True),
    sa.Column("what", sa.Text, nullable=False),  # manifest, chunk
    sa.Column("receipt", sa.Text, sa.ForeignKey("erasure.receipt"), nullable=False, index=True),
)

metric_point = _table(
    "metric_point",
    sa.Column("run_id", sa.Text, sa.ForeignKey("run.id"), primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("step", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("value", sa.Float, nullable=False),
)

run_record = _table(
    "run_record",
    sa.Column("run_id", sa.Text, sa.ForeignKey("run.id"), primary_key=True),
    sa.Column("kind", sa.Text, primary_key=True),  # metrics, log
    sa.Column("part", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("manifest", sa.Text, sa.ForeignKey("manifest.digest"), nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
)
