"""Run by Alembic: on the connection, and in the transaction, that the caller has opened."""

from __future__ import annotations

from alembic import context

from facelabel.adapters.store.sql.schema import VERSION_TABLE, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    render_as_batch=True,
    # Both databases roll a failed change of the schema back; Alembic assumes SQLite cannot.
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
