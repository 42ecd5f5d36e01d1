"""Alembic's environment: one file per schema that ever landed, never changed afterwards."""
