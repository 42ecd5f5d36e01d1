"""Where the ledger's tables are declared: one set, with the names of its keys and indexes."""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(column_0_N_label)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def table(name: str, *columns: sa.schema.SchemaItem) -> sa.Table:
    """Declare a table of the ledger."""
    return sa.Table(name, metadata, *columns)
