"""Run by Alembic: migrations on the connection that Database.prepare hands over."""

from __future__ import annotations

from alembic import context

from fourfold.storage.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
context.run_migrations()
