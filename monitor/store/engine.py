"""SQLite and PostgreSQL: the engine, transactions, and times that keep their zone.

**The order of locks.** SQLite has one writer. On PostgreSQL every transaction takes its locks in this order,
so that two of them wait for each other and never in a circle:

1. `gates.one_import`, the lock of imports, the only ones that add connections; then `gates.one_binding`, of
   whoever puts an account on record.
2. `incidents.one_at_a_time`: whoever may open or close incidents, or plans what is to be told.
   `events.one_numbering`, of whoever puts events in order.
3. Rows of `process`.
4. The gates: rows of `watch`, by id, all at once (`store.gates`). Whoever writes other rows of a connection
   holds its gate; what only reserves or probes passes over gates that are taken (SKIP LOCKED).
5. Rows of the connections whose gates are held: connection, credential, journal, counts, history, what
   is held for them, links. A link before its trips.
6. Incidents, and campaigns with their members, under lock 2.
7. Deliveries, addresses, notices, the fuse; a delivery before its notice.
8. The rest, a row each: duty, budget, silence, key check, app check, webhook, event, key, person,
   job, plan.

What is forgotten because it is old is passed over while somebody holds it. Only rows that exist are waited
for; inserting takes no part. Where the order fails nevertheless, the database takes one of the two back, and
`retry.retried` runs it again. Tests hold every transaction to the order, and stage each pair of writers.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import DateTime, Dialect, Text, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import (
    ArgumentError,
    CompileError,
    DataError,
    DBAPIError,
    IntegrityError,
    InvalidRequestError,
    PendingRollbackError,
    ProgrammingError,
    SQLAlchemyError,
)
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.pool import AsyncAdaptedQueuePool
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import BigInteger, TypeDecorator, TypeEngine

from monitor.clock import Clock, SystemClock
from monitor.errors import AlreadyRunning, ConfigurationError, SchemaNotCurrent, TokenHealthError
from monitor.host import files


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC datetime: timestamptz on PostgreSQL; on SQLite text of one width, which sorts as time.

    SQLite's own type forgets the zone; this one refuses naive times and gives UTC back.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Keep times as ISO 8601 text on SQLite."""
        return dialect.type_descriptor(Text() if dialect.name == "sqlite" else DateTime(timezone=True))

    def bind_processor(self, dialect: Dialect) -> Callable[[Any], Any]:
        """Refuse a time without a zone: it would be another moment on another machine."""
        return _to_text if dialect.name == "sqlite" else _to_utc

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any]:
        """Give the time back in UTC."""
        return _from_text if dialect.name == "sqlite" else _to_utc


def _to_utc(value: datetime | None) -> datetime | None:
    if value is None:
        return None
    if value.tzinfo is None:
        raise ValueError("a stored time has to have a zone")
    return value.astimezone(UTC)


def _to_text(value: datetime | None) -> str | None:
    moment = _to_utc(value)
    return moment.isoformat(" ", "microseconds") if moment is not None else None


def _from_text(value: str | None) -> datetime | None:
    return datetime.fromisoformat(value) if value is not None else None


class epoch(FunctionElement[int]):
    """A stored time as whole Unix seconds, made in the database: no datetime object per cell."""

    type = BigInteger()
    inherit_cache = True
    name = "epoch"


@compiles(epoch, "sqlite")
def _epoch_sqlite(element: Any, compiler: Any, **kw: Any) -> str:
    return f"unixepoch({compiler.process(element.clauses, **kw)})"


@compiles(epoch, "postgresql")
def _epoch_postgresql(element: Any, compiler: Any, **kw: Any) -> str:
    return f"CAST(EXTRACT(epoch FROM {compiler.process(element.clauses, **kw)}) AS BIGINT)"


class Database:
    """Where everything is kept. `write()` is one transaction, `read()` a look without locks.

    What the database takes back is done again by `retry.retried`, waiting by `clock`; `on_taken_back` hears
    of it each time.
    SQLite has one writer at a time: writers queue here for one connection that begins IMMEDIATE (the
    default mode loses updates of read-then-write without an error), readers have their own.
    """

    def __init__(self, url: str, *, pool_size: int = 8, clock: Clock | None = None) -> None:
        self.url = _async_url(url)
        self.clock = clock or SystemClock()
        self.on_taken_back: Callable[[str], None] = _nobody_counts
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._lock_file: int | None = None
        self._writer = self._sqlite_engine(1) if self.is_sqlite else self._postgres_engine(pool_size)
        self._reader = self._sqlite_engine(4, read_only=True) if self.is_sqlite else self._writer
        # A pool that is busy is no database that is away: signs of life have a connection of their own.
        self._apart = self._reader if self.is_sqlite else self._postgres_engine(1, connect_timeout=2)
        self._signs: set[asyncio.Task[bool]] = set()

    @property
    def path(self) -> Path | None:
        """The file of an SQLite database."""
        return Path(self.url.database) if self.is_sqlite and self.url.database else None

    @property
    def name(self) -> str:
        """What it is, for people, without its password."""
        return self.url.set(drivername=self.url.get_backend_name()).render_as_string(hide_password=True)

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """One transaction that commits at its end and leaves nothing on an error."""
        async with self._writer.begin() as connection:
            yield connection

    @asynccontextmanager
    async def reshape(self) -> AsyncIterator[AsyncConnection]:
        """One transaction that changes the schema and loses no row; raises SchemaNotCurrent where it would.

        SQLite changes a table by filling a new one and dropping the old, and with it go the rows of other
        tables that refer to it, for as long as foreign keys are on. So they are off here, which can be said
        outside of a transaction only, and all of them are looked through before it commits
        (sqlite.org/lang_altertable.html, "Making Other Kinds Of Table Schema Changes").
        """
        async with self._writer.connect() as connection:
            await self._heed_foreign_keys(connection, on=False)
            try:
                async with connection.begin():
                    yield connection
                    await self._refuse_orphans(connection)
            finally:
                await self._heed_foreign_keys(connection, on=True)

    async def _heed_foreign_keys(self, connection: AsyncConnection, *, on: bool) -> None:
        driver = (await connection.get_raw_connection()).driver_connection
        if self.is_sqlite and driver is not None:
            await driver.execute(f"PRAGMA foreign_keys={'ON' if on else 'OFF'}")

    async def _refuse_orphans(self, connection: AsyncConnection) -> None:
        if self.is_sqlite:
            orphans = (await connection.exec_driver_sql("PRAGMA foreign_key_check")).mappings().all()
            if orphans:
                tables = ", ".join(sorted({f"{row['table']} (of {row['parent']})" for row in orphans}))
                raise SchemaNotCurrent(
                    f"{self.name}: the new schema would leave {len(orphans)} rows without what they belong "
                    f"to, in {tables}; nothing was changed. Keep the file, and report it."
                )

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A look at what is committed; on SQLite all of it as at one moment, on PostgreSQL each statement."""
        async with self._reader.connect() as connection:
            yield connection

    @asynccontextmanager
    async def look(self) -> AsyncIterator[AsyncConnection]:
        """A look of one statement, which needs no transaction around it: half the turns of `read`."""
        async with self._reader.connect() as connection:
            yield await connection.execution_options(**(_NO_BEGIN if self.is_sqlite else _AUTOCOMMIT))

    async def reachable(self) -> bool:
        """Whether the database answers."""
        try:
            async with self.read() as connection:
                await connection.exec_driver_sql("SELECT 1")
        except (SQLAlchemyError, OSError):
            return False
        return True

    async def gives_sign(self) -> bool:
        """Whether the database says anything at all, be it that it takes no more connections."""
        sign = asyncio.create_task(self._gives_sign())
        self._signs.add(sign)
        sign.add_done_callback(self._signs.discard)
        return await sign

    async def _gives_sign(self) -> bool:
        try:
            async with self._apart.connect() as connection:
                await connection.exec_driver_sql("SELECT 1")
        except (SQLAlchemyError, OSError) as error:
            state: str | None = getattr(getattr(error, "orig", None), "sqlstate", None)
            return state is not None and not state.startswith(_GOING)
        return True

    async def close(self) -> None:
        """Return all connections and give up the file."""
        if self._signs:  # one that is under way has a connection in hand, which nobody would close after us
            await asyncio.wait(self._signs, timeout=SIGN_ENDS)
        if self._apart is not self._reader:
            await self._apart.dispose()
        await self._reader.dispose()
        if self._writer is not self._reader:
            await self._writer.dispose()
        if self._lock_file is not None:
            os.close(self._lock_file)
            self._lock_file = None

    def claim_file(self) -> None:
        """Make this process the one service on an SQLite file; PostgreSQL takes any number.

        The kernel drops the lock with the process, however that ends. Raises AlreadyRunning.
        """
        if self.path is None or self._lock_file is not None:
            return
        lock = self.path.with_name(self.path.name + ".lock")
        handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(handle, 32, 0).decode(errors="replace").strip() or "unknown"
            os.close(handle)
            raise AlreadyRunning(
                f"{self.path}: another token-health (process {holder}) runs on this SQLite file. "
                "Stop it first, or use PostgreSQL for several processes."
            ) from None
        os.ftruncate(handle, 0)
        os.pwrite(handle, str(os.getpid()).encode(), 0)
        self._lock_file = handle

    def _sqlite_engine(self, size: int, *, read_only: bool = False) -> AsyncEngine:
        engine = create_async_engine(
            self.url,
            poolclass=AsyncAdaptedQueuePool,
            pool_size=size,
            max_overflow=0,
            pool_timeout=60,
            hide_parameters=True,
        )

        @event.listens_for(engine.sync_engine, "do_connect")
        def _create(*_args: Any) -> None:
            # SQLite gives -wal and -shm the mode of the file itself, which it would take from the umask.
            with contextlib.suppress(OSError):
                os.close(files.create(Path(str(self.url.database))))

        @event.listens_for(engine.sync_engine, "connect")
        def _settings(connection: Any, _record: Any) -> None:
            connection.isolation_level = None  # we say BEGIN ourselves, below
            cursor = connection.cursor()
            cursor.execute("PRAGMA journal_mode=WAL")
            # A refresh token that only the page cache knows is lost with the power: FULL, not NORMAL.
            cursor.execute("PRAGMA synchronous=FULL")
            cursor.execute("PRAGMA foreign_keys=ON")
            cursor.execute("PRAGMA busy_timeout=10000")
            if read_only:
                cursor.execute("PRAGMA query_only=ON")
            else:
                # 32 MiB keep the indexes of 100,000 connections at hand; the default is 2.
                cursor.execute("PRAGMA cache_size=-32768")
                cursor.execute("PRAGMA wal_autocheckpoint=4000")
            cursor.close()

        @event.listens_for(engine.sync_engine, "begin")
        def _begin(connection: Any) -> None:
            if not connection.get_execution_options().get("no_begin"):
                connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")

        return engine

    def _postgres_engine(self, size: int, **more: Any) -> AsyncEngine:
        return create_async_engine(
            self.url,
            pool_size=size,
            max_overflow=4,
            pool_pre_ping=True,
            hide_parameters=True,
            # PgBouncer in transaction mode knows no prepared statements.
            connect_args={"prepare_threshold": None, **self._unless_in_url(_NETWORK), **more},
        )

    def _unless_in_url(self, settings: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in settings.items() if name not in self.url.query}


SIGN_ENDS = 3.0  # seconds; it connects for two at most
# PostgreSQL's states while it starts and stops (its manual, appendix A: operator intervention).
_GOING = "57P"
# SQLite's own mode, without a BEGIN, and PostgreSQL's: each statement for itself.
_NO_BEGIN: dict[str, Any] = {"no_begin": True}
_AUTOCOMMIT: dict[str, Any] = {"isolation_level": "AUTOCOMMIT"}
# A connection that a failover or a firewall cut without a word is known to be dead within half a minute, not
# after TCP's own two hours (postgresql.org/docs, libpq, "Parameter Key Words").
_NETWORK: dict[str, Any] = {
    "application_name": "token-health",
    "keepalives_idle": 10,  # seconds
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,  # milliseconds
}
# What a database that is not well raises, beside errors of our own.
UNWELL = (SQLAlchemyError, OSError)
# Among these, what is a fault of ours: a statement that is none, a value that no column takes.
OURS = (ArgumentError, CompileError, DataError, IntegrityError, ProgrammingError)


def ours(error: Exception) -> bool:
    """Whether an error of the database's library is a fault of whoever asked it."""
    asked_wrongly = isinstance(error, InvalidRequestError) and not isinstance(error, PendingRollbackError)
    return asked_wrongly or isinstance(error, OURS)


def _nobody_counts(_why: str) -> None:
    """Commands of the command line end before anybody could read a count."""


def files_of(url: str) -> list[Path]:
    """Return the files that a database keeps on this machine: none with PostgreSQL."""
    parsed = _async_url(url)
    if parsed.get_backend_name() != "sqlite":
        return []
    return [Path(f"{parsed.database}{more}") for more in ("", "-wal", "-shm")]


def _async_url(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise ConfigurationError(
            "database.url: is sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME."
        ) from None
    backend = parsed.get_backend_name()
    if backend == "sqlite":
        if not parsed.database or parsed.database == ":memory:":
            raise ConfigurationError("database.url: SQLite needs a file: sqlite:///token-health.db.")
        return parsed.set(drivername="sqlite+aiosqlite")
    if backend in ("postgresql", "postgres"):
        try:
            import psycopg  # noqa: F401 - an extra; asked for only where it is needed
        except ImportError:
            raise ConfigurationError(
                "database.url: PostgreSQL needs its driver: pip install 'token-health[postgres]'."
            ) from None
        return parsed.set(drivername="postgresql+psycopg")
    raise ConfigurationError(f"database.url: {backend!r} is not supported; use sqlite or postgresql.")


def database_trouble(error: Exception, database: Database) -> TokenHealthError | None:
    """Turn a driver's error into one sentence, without the row that PostgreSQL puts in its DETAIL."""
    if not isinstance(error, DBAPIError):
        return None
    state = getattr(error.orig, "sqlstate", None)
    detail = str(error.orig).split("\n")[0] if state is None else f"SQLSTATE {state}"
    return TokenHealthError(f"{database.name}: the database did not do it: {detail}.")
