"""Run by Alembic, on the connection that `polyport_gateway.storage.migrate` gives it."""

from __future__ import annotations

from alembic import context

from polyport_gateway.storage.schema import VERSION_TABLE, metadata

# The caller's transaction holds every step, and commits or takes back all of them together.
context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    render_as_batch=True,
)
context.run_migrations()
