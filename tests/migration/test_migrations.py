"""A filled database of each released schema is taken up, and every row of it is still there."""

from __future__ import annotations

import itertools
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Text, inspect, text
from sqlalchemy.exc import DBAPIError

import monitor.store.campaign_tables
import monitor.store.consent_tables
import monitor.store.door_tables  # noqa: F401
from alerts.outbox import listing
from monitor.errors import SchemaNotCurrent
from monitor.store import connections, incidents, schema
from monitor.store.engine import Database
from monitor.store.metadata import METADATA
from tests import conftest
from tests.migration.rows import ROWS

DATA = Path(__file__).with_name("data")
RELEASED = ["0001", "0002", "0003", "0004", "0005", "0006", "0007"]


def dump(revision: str, kind: str) -> str:
    return (DATA / f"{revision}.{kind}.sql").read_text()


def sqlite_of(folder: Path, revision: str) -> str:
    path = folder / "old.db"
    with closing(sqlite3.connect(path)) as old:
        old.executescript(dump(revision, "sqlite"))
    return f"sqlite:///{path}"


def postgres_of(template: str, revision: str) -> str:
    name = f"old_{os.getpid()}_{next(conftest._numbers)}"
    conftest.postgres_server.psql(f"CREATE DATABASE {name}")
    conftest._made.append(name)
    url = template.replace("/template_th", f"/{name}")
    with psycopg.connect(url, autocommit=True) as old:
        old.execute(dump(revision, "postgresql"))
    return url


@pytest.fixture(params=itertools.product(RELEASED, ["sqlite", "postgres"]), ids="-".join)
def old_url(request, tmp_path):
    """A filled database of a released schema, of each kind."""
    revision, kind = request.param
    if kind == "postgres":
        return postgres_of(request.getfixturevalue("postgres_server"), revision)
    return sqlite_of(tmp_path, revision)


@pytest.fixture
async def old(old_url):
    found = Database(old_url)
    yield found
    await found.close()


Rows = dict[str, list[tuple[Any, ...]]]


def _columns(connection: Connection) -> dict[str, list[str]]:
    there = inspect(connection)
    names = [name for name in there.get_table_names() if name != "alembic_version"]
    return {name: [column["name"] for column in there.get_columns(name)] for name in names}


def _rows(connection: Connection, columns: dict[str, list[str]]) -> Rows:
    quoted = connection.dialect.identifier_preparer.quote
    found = {}
    for name, these in columns.items():
        chosen = ", ".join(map(quoted, these))
        rows = connection.execute(text(f"SELECT {chosen} FROM {quoted(name)}")).all()  # noqa: S608
        found[name] = sorted((tuple(row) for row in rows), key=repr)
    return found


async def everything(database: Database, columns: dict[str, list[str]] | None = None) -> tuple[Any, Rows]:
    """Read every row of every table, or of these columns; return the columns, and the rows by table."""
    async with database.read() as conn:
        columns = columns or await conn.run_sync(_columns)
        return columns, await conn.run_sync(_rows, columns)


async def test_a_filled_database_of_each_release_is_taken_up_and_no_row_is_lost_or_changed(old):
    columns, before = await everything(old)
    assert all(before.values()), "each table has rows, or the test would see nothing"
    found, now = await schema.upgrade(old)
    assert (found in RELEASED, now) == (True, schema.head())
    _, after = await everything(old, columns)
    assert _but_guards(after, columns) == _but_guards(before, columns)


def _but_guards(rows: Rows, columns: dict[str, list[str]]) -> Rows:
    """Leave out what 0004 judges anew: guards become waves, or end, and who belongs to them."""
    judged = ("guard", "closed_at", "parent_id")
    kept = [n for n, name in enumerate(columns["incident"]) if name not in judged]
    return rows | {"incident": [tuple(row[n] for n in kept) for row in rows["incident"]]}


async def test_what_was_taken_up_is_what_the_models_say_and_works(old):
    await schema.upgrade(old)
    async with old.write() as conn:
        assert await conn.run_sync(lambda c: compare_metadata(MigrationContext.configure(c), METADATA)) == []
    assert [known.id for known in await connections.every(old)] == ["acme", "bolt", "coda", "dent"]
    # Where its one member had been told the guard holds nobody, and so becomes no wave.
    # From 0004 on nobody judges it anew, and the row stays what it is.
    open_ones = [item for item in await incidents.open_now(old) if not (item.wave or item.guard)]
    assert [item.about.name for item in open_ones] == ["bolt"]
    assert await listing.listing(old, 10) is not None
    with pytest.raises(DBAPIError, match="append-only"):
        async with old.write() as conn:
            await conn.execute(text("DELETE FROM audit"))


def test_every_table_of_the_models_is_filled_in_the_newest_dump():
    missing = [name for name in ROWS if f'INSERT INTO "{name}"' not in dump(RELEASED[-1], "sqlite")]
    assert missing == []


# -- the trap: SQLite makes a table anew to change it ---------------------------------------------------

ANEW = """
from alembic import op
import sqlalchemy as sa
revision, down_revision = "9999", "{before}"
branch_labels = depends_on = None
def upgrade():
    with op.batch_alter_table("connection") as batch:
        batch.alter_column("account_name", existing_type=sa.Text(), nullable={nullable}, server_default="")
    {more}
"""


@pytest.fixture
def next_release(tmp_path, monkeypatch):
    """The migrations, and one more that makes `connection` anew; returns what writes it."""
    folder = tmp_path / "migrations"
    shutil.copytree(schema.MIGRATIONS, folder)

    def write(more: str = "", *, nullable: bool = True) -> None:
        (folder / "versions" / "9999_next.py").write_text(
            ANEW.format(before=before, more=more, nullable=nullable)
        )

    before = schema.head()
    monkeypatch.setattr(schema, "MIGRATIONS", folder)
    return write


def test_the_names_of_the_steps_say_what_alembic_reads_in_them():
    steps = ScriptDirectory(str(schema.MIGRATIONS))
    assert schema.head() == steps.get_current_head()
    assert all(schema.knows(step.revision) for step in steps.walk_revisions())


async def test_a_migration_that_makes_a_table_anew_empties_no_other(old, next_release):
    next_release()
    columns, before = await everything(old)
    assert (await schema.upgrade(old))[1] == "9999"
    _, after = await everything(old, columns)
    assert _but_guards(after, columns) == _but_guards(before, columns)


def _made_anew(connection: Connection) -> None:
    context = MigrationContext.configure(connection, opts={"render_as_batch": True})
    with Operations(context).batch_alter_table("connection", recreate="always") as batch:
        batch.alter_column("account_name", existing_type=Text(), server_default="")


async def test_what_the_mend_mends_is_real_and_foreign_keys_are_on_again_afterwards(tmp_path):
    old = Database(sqlite_of(tmp_path, RELEASED[-1]))
    await schema.upgrade(old)
    columns, before = await everything(old)
    async with old.reshape() as conn:
        await conn.run_sync(_made_anew)
    assert (await everything(old, columns))[1] == before
    async with old.write() as conn:
        assert (await conn.execute(text("PRAGMA foreign_keys"))).scalar_one() == 1
        await conn.run_sync(_made_anew)
    emptied = [name for name, rows in (await everything(old, columns))[1].items() if not rows]
    assert {"watch", "credential", "history", "link", "refresh_journal"} <= set(emptied)
    await old.close()


async def test_a_migration_that_would_leave_rows_without_their_connection_is_refused_whole(
    tmp_path, next_release
):
    old = Database(sqlite_of(tmp_path, RELEASED[-1]))
    columns, before = await everything(old)
    next_release("""op.execute("DELETE FROM connection WHERE id = 'acme'")""")
    with pytest.raises(
        SchemaNotCurrent, match=r"rows without what they belong to, in .*watch \(of connection\)"
    ):
        await schema.upgrade(old)
    assert await schema.current(old) == RELEASED[-1]
    assert (await everything(old, columns))[1] == before
    await old.close()
