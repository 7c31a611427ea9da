"""All rows as values, read at one moment and put back in one transaction, on either kind of database.

Tables are taken as the database has them, not as this version's models do, so that a backup of an older
schema goes into a database of that schema and is then upgraded like any other.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    Connection,
    Date,
    MetaData,
    Table,
    Text,
    cast,
    false,
    func,
    insert,
    inspect,
    literal,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.errors import AlreadyRunning, Conflict
from monitor.health.rotation import Journal, never_recorded
from monitor.store import audit, processes, schema
from monitor.store.engine import Database, UtcDateTime, database_trouble
from monitor.store.fence import FENCED
from monitor.store.metadata import METADATA
from monitor.store.retry import retried
from monitor.store.tables import credential, journal, process, watch

# What is of running processes, and of who is signed in just now: it means nothing on another day.
LEFT_OUT = frozenset({"process", "duty", "budget", "session", "sign_in_attempt", "sign_in_trip"})
PART = 500
TIME, DAY, DOCUMENT, PLAIN = "time", "date", "json", "plain"


@dataclass(frozen=True, slots=True)
class Shape:
    """A table's columns, and what kind of value each has, in the order of its rows."""

    name: str
    columns: tuple[str, ...]
    kinds: tuple[str, ...]


def shapes() -> list[Shape]:
    """Return the tables that a backup holds, those that others refer to first."""
    return [_shape(table) for table in METADATA.sorted_tables if table.name not in LEFT_OUT]


def _shape(table: Table) -> Shape:
    kinds = tuple(_kind(column) for column in table.columns)
    return Shape(table.name, tuple(table.columns.keys()), kinds)


def _kind(column: Column[Any]) -> str:
    kinds = ((UtcDateTime, TIME), (Date, DAY), (JSON, DOCUMENT))
    return next((kind for of, kind in kinds if isinstance(column.type, of)), PLAIN)


@asynccontextmanager
async def moment(database: Database) -> AsyncIterator[AsyncConnection]:
    """Look at all that was committed at one moment; nobody waits for it."""
    async with database.read() as conn:
        if not database.is_sqlite:
            await conn.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        yield conn


async def parts(conn: AsyncConnection, shape: Shape) -> AsyncIterator[list[list[Any]]]:
    """Return the rows of a table, some at a time, as values that JSON has."""
    table = METADATA.tables[shape.name]
    # As text, or a null of JSON and one of SQL would be the same.
    columns = [cast(c, Text) if _kind(c) == DOCUMENT else c for c in table.columns]
    found = await conn.stream(select(*columns).order_by(*table.primary_key.columns))
    async for part in found.partitions(PART):
        yield [[v.isoformat() if isinstance(v, date) else v for v in row] for row in part]


async def is_empty(database: Database) -> bool:
    """Whether a database holds no table, or no connection and no line of the audit that would be lost."""
    async with database.read() as conn:
        names = await conn.run_sync(lambda c: set(inspect(c).get_table_names()))
        if not names:
            return True
        if not {"connection", "audit"} <= names:
            return False
        for name in ("connection", "audit"):
            row = await conn.execute(select(literal(1)).select_from(METADATA.tables[name]).limit(1))
            if row.first() is not None:
                return False
        return True


async def refuse_a_running_service(database: Database) -> None:
    """Make sure that no process works on the database. Raises AlreadyRunning."""
    database.claim_file()
    if database.is_sqlite:
        return
    async with database.read() as conn:
        if not await conn.run_sync(lambda c: inspect(c).has_table("process")):
            return
        theirs: datetime = (await conn.execute(select(func.clock_timestamp()))).scalar_one()
        alive = select(process.c.id).where(process.c.beat_at >= theirs - processes.GONE).limit(1)
        name = (await conn.execute(alive)).scalar()
    if name is not None:
        raise AlreadyRunning(
            f"{database.name}: process {name} works on it, so nothing was done. Stop every service and "
            f"command on it, wait {processes.GONE.seconds} seconds, and restore again."
        )


class _Restoring:
    """One restore: all of it is one transaction, which leaves the database as it was on any error."""

    def __init__(self, conn: AsyncConnection, tables: Mapping[str, Table]) -> None:
        self.conn, self._tables = conn, tables
        self._later: list[tuple[Table, Any, dict[str, Any]]] = []

    async def put(self, shape: Shape, values: Sequence[list[Any]]) -> None:
        """Write rows of one table. Raises Conflict for a table or column that the schema has not."""
        table = self._tables.get(shape.name)
        if table is None or not set(shape.columns) <= set(table.columns.keys()):
            raise Conflict(
                f"The backup's table {shape.name!r} is not one of its own schema: it is damaged, or was "
                "changed by hand. Nothing was restored."
            )
        rows_ = [dict(zip(shape.columns, map(self._value, shape.kinds, row), strict=True)) for row in values]
        # A row may refer to one that comes later: first all of them, then what they refer to.
        refers = {c.name for c in table.columns for key in c.foreign_keys if key.column.table is table}
        for row in rows_:
            later = {name: row[name] for name in refers & row.keys() if row[name] is not None}
            if later:
                self._later.append((table, row["id"], later))
                row.update(dict.fromkeys(later))
        await self.conn.execute(insert(table), rows_)

    async def upgrade(self) -> None:
        """Set the counters of keys, and bring the schema to this version's."""
        if self.conn.dialect.name == "postgresql":
            for table in self._tables.values():
                await self._count_on(table)
        await self.conn.run_sync(lambda conn: schema.build(conn, "head"))

    async def refer(self) -> None:
        """Fill in, at last, what rows refer to in their own table."""
        for table, key, later in self._later:
            await self.conn.execute(update(table).where(table.c.id == key).values(later))

    async def _count_on(self, table: Table) -> None:
        if "id" not in table.columns:
            return
        counter = await self.conn.scalar(select(func.pg_get_serial_sequence(table.name, "id")))
        if counter is not None:
            following = select(func.coalesce(func.max(table.c.id), 0) + 1).scalar_subquery()
            await self.conn.execute(select(func.setval(counter, following, false())))

    def _value(self, kind: str, value: Any) -> Any:
        if value is None:
            return None
        if kind == TIME:
            at = datetime.fromisoformat(value).astimezone(UTC)
            return at.isoformat(" ", "microseconds") if self.conn.dialect.name == "sqlite" else at
        if kind == DAY:
            return date.fromisoformat(value)
        if kind == DOCUMENT:
            document = json.loads(value)
            return JSON.NULL if document is None else document
        return value


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore has to say of itself: when the backup was made, when and by whom it was put back.

    `reused` are the apps whose refresh tokens do not rotate.
    """

    made_at: datetime
    now: datetime
    actor: str
    reused: Collection[str] = ()
    detail: Mapping[str, Any] = field(default_factory=dict)


Parts = Callable[[], Iterable[tuple[Shape, Sequence[list[Any]]]]]


async def restore(database: Database, revision: str, parts_: Parts, what: Restored) -> int:
    """Drop what is there, make the tables of a revision, fill them, and bring them to this version.

    Return how many refresh tokens are in doubt. Raises TokenHealthError where the database does not do it;
    then it is as it was.
    """
    try:
        return await _restore(database, revision, parts_, what)
    except SQLAlchemyError as error:
        raise database_trouble(error, database) or error from None


@retried
async def _restore(database: Database, revision: str, parts_: Parts, what: Restored) -> int:
    def prepare(conn: Connection) -> dict[str, Table]:
        _drop(conn)
        schema.build(conn, revision)
        found = MetaData()
        found.reflect(conn)
        for table in found.tables.values():
            for column in table.columns:
                if isinstance(column.type, JSON):
                    column.type = JSON(none_as_null=True)
        return dict(found.tables)

    async with database.reshape() as conn:
        work = _Restoring(conn, await conn.run_sync(prepare))
        for shape, values in parts_():
            await work.put(shape, values)
        await work.upgrade()
        in_doubt = await _mark(conn, what)
        await work.refer()
    return in_doubt


def _drop(conn: Connection) -> None:
    found = MetaData()
    found.reflect(conn)
    found.drop_all(conn)
    if conn.dialect.name == "postgresql":
        conn.execute(text("DROP FUNCTION IF EXISTS audit_append_only() CASCADE"))


async def _mark(conn: AsyncConnection, what: Restored) -> int:
    """Say in the restored rows what is not known any more; return how many refresh tokens are in doubt.

    Since the backup was made any refresh token may have been used, and where they rotate it is spent then.
    That is what a lost answer leaves behind (`health.rotation`), and it is judged the same way: the access
    token works on until it ends, then the refresh token is tried once more, and a refusal is `refresh_lost`,
    which is ours, and never `revoked`, which would be the client's doing. Apps whose refresh tokens are
    reused have nothing to doubt.
    """
    await conn.execute(update(watch).values(**FENCED))
    await conn.execute(update(watch).where(watch.c.next_probe_at.is_not(None)).values(next_probe_at=what.now))
    sure = or_(credential.c.refresh.is_(None), credential.c.lost, credential.c.doubt_since.is_not(None))
    at_ease = select(watch.c.connection).where(watch.c.app.in_(what.reused))
    unsure = ~sure & credential.c.connection.not_in(at_ease)
    found = (await conn.execute(select(credential.c.connection, credential.c.version).where(unsure))).all()
    kept = never_recorded("refreshes after this backup", what.made_at) | {
        "detail": "a backup was restored, and what was refreshed since it was made is not known"
    }
    line = {
        "process": "restore",
        "begun_at": what.made_at,
        "ended_at": what.now,
        "outcome": Journal.UNCLEAR.value,
    }
    lines = [line | {"connection": name, "version": version, "evidence": kept} for name, version in found]
    for start in range(0, len(lines), PART):
        await conn.execute(insert(journal), lines[start : start + PART])
    await conn.execute(update(credential).where(unsure).values(doubt_since=what.made_at))
    await audit.record(
        conn, what.now, what.actor, "database.restore", "database", in_doubt=len(lines), **what.detail
    )
    return len(lines)
