"""Claims what is due, with a lease and a fencing number, and hands it out as plain values."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple

from sqlalchemy import Text, bindparam, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.health.cadence import Cadence
from monitor.health.incidents import Place
from monitor.health.lifecycle import Health, State
from monitor.store import gates, processes
from monitor.store.bulk import Columns, packed, unpacked
from monitor.store.columns import CREDENTIAL, HEALTH, Sealed, read_health, read_sealed
from monitor.store.engine import Database
from monitor.store.retry import retried
from monitor.store.tables import connection, credential, watch

_NONE: Mapping[str, str] = MappingProxyType({})
OTHERS_FIRST = timedelta(seconds=15)  # so long another process has to take what it is asked to look at


class Lease(NamedTuple):
    """The right to look at one connection, until `until`, and all that looking needs.

    `epoch` is the fencing number: what follows from the look is written while the row has it (`verdicts`).
    """

    id: str
    epoch: int
    until: datetime
    place: Place
    scopes: tuple[str, ...]
    account_id: str | None
    health: Health
    sealed: Sealed
    last_success_at: datetime | None
    scope_cursor: int
    scope_checked_at: datetime | None
    scopes_all: bool
    reads: Mapping[str, datetime]
    values: Mapping[str, str] = _NONE  # what stands in its URLs and headers
    paces: str = ""  # how fast it answered (`monitor.health.paces`)


_LEASED = (
    select(
        watch.c.connection,
        watch.c.lease_epoch,
        watch.c.lease_until,
        watch.c.app,
        watch.c.provider,
        watch.c.region,
        connection.c.scopes,
        connection.c.account_id,
        watch.c.last_success_at,
        watch.c.scope_cursor,
        watch.c.scope_checked_at,
        watch.c.scopes_all,
        watch.c.reads,
        connection.c.provider_values,
        watch.c.paces,
        *HEALTH,
        *CREDENTIAL,
    )
    .join(connection, connection.c.id == watch.c.connection)
    .join(credential, credential.c.connection == watch.c.connection)
)


@retried
async def claim(
    database: Database, process: str, apps: Sequence[str], limit: int, now: datetime, lease: timedelta
) -> list[Lease]:
    """Take up to `limit` due connections of some apps, most overdue first.

    Rows that another process holds are passed over without waiting; a lease that ran out, because its
    process died, may be taken again.
    """
    if limit <= 0 or not apps:
        return []
    due = (
        select(watch.c.connection)
        .where(
            watch.c.app.in_(apps),
            watch.c.next_probe_at <= now,
            or_(watch.c.lease_until.is_(None), watch.c.lease_until <= now),
            or_(
                watch.c.others_asked_at.is_(None),
                watch.c.others_asked_at <= now - OTHERS_FIRST,
                watch.c.judged_by.is_distinct_from(process),
            ),
        )
        .order_by(watch.c.next_probe_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    async with database.write() as conn:
        ids = (await conn.execute(due)).scalars().all()
        return await take(conn, process, ids, now, lease)


@retried
async def claim_named(
    database: Database,
    process: str,
    ids: Sequence[str],
    now: datetime,
    lease: timedelta,
    *,
    apps: Collection[str],
) -> list[Lease]:
    """Take these connections of some apps whether due or not, unless another process is at them now.

    What is paused is not taken, and what was never authorized: there is nothing to look at.
    """
    free = (
        select(watch.c.connection)
        .join(credential, credential.c.connection == watch.c.connection)
        .where(
            watch.c.connection.in_(ids),
            watch.c.app.in_(apps),
            watch.c.state != State.PAUSED.value,
            credential.c.access.is_not(None),
            or_(watch.c.lease_until.is_(None), watch.c.lease_until <= now),
        )
        .with_for_update(of=watch, skip_locked=True)
    )
    async with database.write() as conn:
        return await take(conn, process, (await conn.execute(free)).scalars().all(), now, lease)


_IDS: Columns = {"id": Text}


def _taking(is_sqlite: bool) -> Any:
    given = unpacked(_IDS, is_sqlite)
    return (
        update(watch)
        .where(watch.c.connection == given.c.id)
        .values(
            lease_by=bindparam("process"), lease_until=bindparam("until"), lease_epoch=watch.c.lease_epoch + 1
        )
    )  # fmt: skip


def _reading(is_sqlite: bool) -> Any:
    given = unpacked(_IDS, is_sqlite)
    return _LEASED.join(given, given.c.id == watch.c.connection)


_BULK = {is_sqlite: (_taking(is_sqlite), _reading(is_sqlite)) for is_sqlite in (True, False)}


async def take(
    conn: AsyncConnection, process: str, ids: Sequence[str], now: datetime, lease: timedelta
) -> list[Lease]:
    """Give a process the leases of connections whose gates it holds, in its transaction."""
    if not ids:
        return []
    is_sqlite = conn.dialect.name == "sqlite"
    take, read = _BULK[is_sqlite]
    given = packed(_IDS, [(name,) for name in ids], is_sqlite)
    await conn.execute(take, given | {"process": process, "until": now + lease})
    return [_lease(row) for row in (await conn.execute(read, given)).all()]


@retried
async def release(database: Database, process: str) -> None:
    """Give back everything this process still holds: at the end, after the drain.

    The numbers stay: a verdict that is on its way nevertheless rests on the rows as they are.
    """
    async with database.write() as conn:
        mine = watch.c.lease_by == process
        await gates.lock_where(conn, mine)
        await conn.execute(update(watch).where(mine).values(lease_by=None, lease_until=None))


@retried
async def bring_forward(database: Database, ids: Sequence[str], now: datetime) -> None:
    """Have connections looked at now that would be looked at later, before somebody is told about them.

    By another process than the one that saw the break, where there is one: what only one of them sees may be
    its own network, or its place. If none comes within `OTHERS_FIRST`, any may.
    """
    async with database.write() as conn:
        await gates.lock(conn, ids)
        await conn.execute(
            update(watch)
            .where(watch.c.connection.in_(ids), watch.c.next_probe_at > now)
            .values(next_probe_at=now)
        )
        if await processes.probing(conn) > 1:
            answered = watch.c.others_asked_at.is_(None) | (watch.c.others_asked_at < watch.c.last_probe_at)
            await conn.execute(
                update(watch).where(watch.c.connection.in_(ids), answered).values(others_asked_at=now)
            )


@retried
async def keep_close(
    database: Database, ids: Sequence[str], cadences: Mapping[str, Cadence], now: datetime
) -> None:
    """Look at connections that are long broken as often as at healthy ones, whatever their own wait was.

    Not where the last probe had another answer than the state rests on: the provider may have asked for time.
    """
    async with database.write() as conn:
        rows = await conn.execute(
            select(watch.c.connection, watch.c.app, watch.c.last_probe_at)
            .where(
                watch.c.connection.in_(ids),
                watch.c.candidate == watch.c.cause,
                watch.c.next_probe_at > now,
                or_(watch.c.lease_until.is_(None), watch.c.lease_until <= now),
            )
            .order_by(watch.c.connection)
            .with_for_update(skip_locked=True)
        )
        for name, app, probed_at in rows.all():
            if app in cadences and probed_at is not None:
                at = max(now, probed_at + cadences[app].interval)
                await conn.execute(
                    update(watch)
                    .where(watch.c.connection == name, watch.c.next_probe_at > at)
                    .values(next_probe_at=at)
                )


async def reread(database: Database, connection_id: str) -> Sealed | None:
    """Return a connection's credentials as they are now: someone else may have refreshed them."""
    async with database.read() as conn:
        row = (
            await conn.execute(select(*CREDENTIAL).where(credential.c.connection == connection_id))
        ).one_or_none()
    return None if row is None else read_sealed(tuple(row))


async def lag(database: Database, apps: Collection[str], now: datetime) -> float:
    """Return how many seconds the most overdue connection of some apps has waited, 0 when none is due.

    What is leased at this moment is being looked at, so it does not count.
    """
    async with database.read() as conn:
        oldest = (
            await conn.execute(
                select(func.min(watch.c.next_probe_at)).where(
                    watch.c.app.in_(apps),
                    watch.c.next_probe_at <= now,
                    or_(watch.c.lease_until.is_(None), watch.c.lease_until <= now),
                )
            )
        ).scalar()
    return max(0.0, (now - oldest).total_seconds()) if oldest is not None else 0.0


_place = lru_cache(maxsize=4096)(Place)
_FIRST_HEALTH = 15
_FIRST_CREDENTIAL = _FIRST_HEALTH + len(HEALTH)


def _lease(row: Any) -> Lease:
    values = tuple(row)
    (
        name, epoch, until, app, provider, region, scopes, account, success, cursor, checked, whole, reads,
        own, pace,
    ) = values[:_FIRST_HEALTH]  # fmt: skip
    return Lease(
        name, epoch, until, _place(app, provider, region), tuple(scopes), account,
        read_health(values[_FIRST_HEALTH:_FIRST_CREDENTIAL]), read_sealed(values[_FIRST_CREDENTIAL:]),
        success, cursor, checked, whole,
        {scope: datetime.fromisoformat(at) for scope, at in reads.items()} if reads else {},
        own or _NONE, pace,
    )  # fmt: skip
