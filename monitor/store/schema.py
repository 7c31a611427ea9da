"""The database's schema: whether it is current, and how it becomes so.

Every command asks whether it is, and hardly any migrates: Alembic, a fifth of a second to load, is loaded
where steps are run.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, column, inspect, select, table

from monitor.errors import Remedy, SchemaNotCurrent
from monitor.store import audit
from monitor.store.engine import Database
from monitor.store.retry import retried

if TYPE_CHECKING:
    from alembic.config import Config

MIGRATIONS = Path(__file__).with_name("migrations")
_AT = table("alembic_version", column("version_num"))


def _config(connection: Connection | None = None) -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    if connection is not None:
        config.attributes["connection"] = connection
    return config


def head() -> str:
    """Return the revision that this version of Token Health needs."""
    return _revisions()[-1]


def _revisions() -> list[str]:
    """Return this version's revisions, oldest first: the name of each step's file begins with its own."""
    return sorted(step.name[:4] for step in (MIGRATIONS / "versions").glob("[0-9]*.py"))


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table(_AT.name):
        return None
    found: str | None = connection.execute(select(_AT.c.version_num)).scalar_one_or_none()
    return found


@retried
async def upgrade(
    database: Database, by: str = audit.SERVICE, now: datetime | None = None
) -> tuple[str | None, str]:
    """Bring the schema to `head()`, or leave all as it was; return the revisions before and after.

    With `now` it is somebody's doing, and has its line in the audit.
    """

    def run(connection: Connection) -> str | None:
        before = _revision(connection)
        build(connection, "head")
        return before

    async with database.reshape() as connection:
        before, after = await connection.run_sync(run), head()
        if now is not None and before != after:
            await audit.record(
                connection, now, by, "database.upgrade", "database", before=before, after=after
            )
        return before, after


def build(connection: Connection, revision: str) -> None:
    """Bring the schema of a connection's transaction to a revision of this version's."""
    from alembic import command

    command.upgrade(_config(connection), revision)


def knows(revision: str) -> bool:
    """Whether this version has the revision: it is its own, or an older one's."""
    return revision in _revisions()


async def current(database: Database) -> str | None:
    """Return the database's revision, None where it is empty."""
    async with database.read() as connection:
        return await connection.run_sync(_revision)


async def ensure(database: Database) -> None:
    """Set up an empty database; refuse one of another version, saying what to do."""
    found = await current(database)
    if found == head():
        return
    if found is None:
        async with database.read() as connection:
            tables = await connection.run_sync(lambda c: inspect(c).get_table_names())
        if [name for name in tables if name != "alembic_version"]:
            raise SchemaNotCurrent(
                f"{database.name}: this database holds other tables than Token Health's. "
                "Point database.url at one of its own."
            )
        await upgrade(database)
        return
    raise SchemaNotCurrent(
        f"{database.name}: its schema is {found}, this version needs {head()}.",
        Remedy("database.upgrade", "brings it to this version", when="Once you have made a copy"),
    )
