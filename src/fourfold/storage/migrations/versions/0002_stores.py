"""Stores of a home, and the chunks that were moved to one of them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create `store` and `moved_chunk`; a home without a row in `store` has the folder `blobs/` alone."""
    op.create_table(
        "store",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("settings_json", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("added_at", sa.Float(), nullable=False),
        sa.Column("copied_to", sa.Text(), nullable=False),
        sa.Column("scrubbed_to", sa.Text(), nullable=False),
        sa.Column("scrubbed_at", sa.Float(), nullable=True),
        sa.Column("scrub_json", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_store")),
    )
    op.create_table(
        "moved_chunk",
        sa.Column("chunk", sa.Text(), nullable=False),
        sa.Column("store", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["store"], ["store.name"], name=op.f("fk_moved_chunk_store")),
        sa.PrimaryKeyConstraint("chunk", name=op.f("pk_moved_chunk")),
    )
