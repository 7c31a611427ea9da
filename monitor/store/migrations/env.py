"""Alembic's entry: runs the steps on the connection it is handed, one process at a time."""

from alembic import context
from sqlalchemy import text

from monitor.store.metadata import METADATA

connection = context.config.attributes["connection"]

if connection.dialect.name == "postgresql":
    # Two replicas that start together wait for each other here; freed with the transaction.
    connection.execute(text("SELECT pg_advisory_xact_lock(7238915)"))
context.configure(connection=connection, target_metadata=METADATA, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
