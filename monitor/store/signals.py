"""What programs said that they saw: the newest of each connection, and what was done about them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import bindparam, case, delete, func, insert, literal, or_, select, update

from monitor.health.incidents import Place
from monitor.health.lifecycle import Health
from monitor.health.signals import NOT_AGAIN, Effect
from monitor.store import gates
from monitor.store.columns import CREDENTIAL, HEALTH, Sealed, read_health, read_sealed
from monitor.store.door_tables import signal
from monitor.store.engine import Database, UtcDateTime
from monitor.store.retry import retried
from monitor.store.tables import connection, credential, watch

KEPT = 50  # of a connection


class Standing(NamedTuple):
    """A connection as a signal finds it."""

    place: Place
    labels: Mapping[str, str]
    scopes: tuple[str, ...]
    last_probe_at: datetime | None
    next_probe_at: datetime | None
    leased_until: datetime | None
    brought_at: datetime | None
    spared: bool
    scope_cursor: int
    scope_checked_at: datetime | None
    scopes_all: bool
    health: Health
    sealed: Sealed


_FIRST = (
    watch.c.app,
    watch.c.provider,
    watch.c.region,
    connection.c.labels,
    connection.c.scopes,
    watch.c.last_probe_at,
    watch.c.next_probe_at,
    watch.c.lease_until,
    watch.c.brought_at,
    watch.c.spared,
    watch.c.scope_cursor,
    watch.c.scope_checked_at,
    watch.c.scopes_all,
)
_FIRST_HEALTH = len(_FIRST)
_FIRST_CREDENTIAL = _FIRST_HEALTH + len(HEALTH)
_STANDING = (
    select(*_FIRST, *HEALTH, *CREDENTIAL)
    .join(connection, connection.c.id == watch.c.connection)
    .join(credential, credential.c.connection == watch.c.connection)
    .where(watch.c.connection == bindparam("id"))
)


async def standing(database: Database, connection_id: str) -> Standing | None:
    """Return how a connection is looked at, None where there is none."""
    async with database.look() as conn:
        row = (await conn.execute(_STANDING, {"id": connection_id})).one_or_none()
    if row is None:
        return None
    values = tuple(row)
    app, provider, region, labels, scopes, probed, due, leased, brought, spared, cursor, checked, whole = (
        values[:_FIRST_HEALTH]
    )
    health, sealed = values[_FIRST_HEALTH:_FIRST_CREDENTIAL], values[_FIRST_CREDENTIAL:]
    return Standing(
        Place(app, provider, region), labels, tuple(scopes), probed, due, leased, brought, spared, cursor,
        checked, whole, read_health(health), read_sealed(sealed),
    )  # fmt: skip


class Signal(NamedTuple):
    """A signal as it is kept: redacted, with what was done about it. `times`: so many it stands for."""

    id: str
    connection: str
    received_at: datetime
    at: datetime | None
    key: str
    kind: str
    generation: int | None
    asked: str
    scope: str | None
    status: int | None
    headers: Mapping[str, str] | None
    says: str
    effect: str
    why: str
    times: int = 1


class Move(NamedTuple):
    """The next look of a connection, moved. `checks`: the scope, by its place, that it is to check."""

    at: datetime
    was: datetime | None
    checks: int | None = None


@retried
async def take(database: Database, said: Signal, move: Move | None, now: datetime) -> bool:
    """Keep a signal, and move the next look where it asks for that; False where that had moved meanwhile.

    What is moved is written only while it is as it was read, so that no two signals move it at once.
    """
    effect = Effect(said.effect)
    async with database.write() as conn:
        moved = True
        if move is not None:
            await gates.lock(conn, [said.connection])
            mine = update(watch).where(watch.c.connection == said.connection)
            if effect is Effect.PROBE_NOW:
                # What is due already stays where it is in the queue.
                at = literal(move.at, UtcDateTime)
                sooner = case((watch.c.next_probe_at < at, watch.c.next_probe_at), else_=at)
                done = await conn.execute(
                    mine.where(
                        watch.c.next_probe_at.is_not(None),
                        or_(watch.c.brought_at.is_(None), watch.c.brought_at <= now - NOT_AGAIN),
                    ).values(next_probe_at=sooner, brought_at=now)
                )
                if done.rowcount and move.checks is not None:
                    await conn.execute(mine.values(scope_cursor=move.checks, scope_checked_at=None))
            else:
                done = await conn.execute(
                    mine.where(
                        watch.c.next_probe_at == move.was,
                        watch.c.spared.is_(False),
                        or_(watch.c.lease_until.is_(None), watch.c.lease_until <= now),
                    ).values(next_probe_at=move.at, spared=effect is Effect.SPARED)
                )
            moved = bool(done.rowcount)
        if not moved:
            other = Effect.COALESCED if effect is Effect.PROBE_NOW else Effect.RECORDED
            said = said._replace(effect=other.value, why="")
        await conn.execute(insert(signal).values(**said._asdict()))
    return moved


_MORE = update(signal).where(signal.c.id == bindparam("_id")).values(times=bindparam("_times"))


@retried
async def conclude(database: Database, times: Mapping[str, int], connections: list[str]) -> None:
    """Write down for how many each signal stands, and drop what is more than `KEPT` of a connection."""
    place = func.row_number().over(
        partition_by=signal.c.connection, order_by=(signal.c.received_at.desc(), signal.c.id.desc())
    )
    ranked = select(signal.c.id, place.label("place")).where(signal.c.connection.in_(connections)).subquery()
    async with database.write() as conn:
        if times:
            rows = [{"_id": name, "_times": count} for name, count in sorted(times.items())]
            await conn.execute(_MORE, rows)
        await conn.execute(
            delete(signal).where(signal.c.id.in_(select(ranked.c.id).where(ranked.c.place > KEPT)))
        )


@retried
async def forget(database: Database, before: datetime) -> None:
    """Drop signals of before a time."""
    async with database.write() as conn:
        await conn.execute(delete(signal).where(signal.c.received_at < before))


async def of_connection(database: Database, connection_id: str, limit: int = KEPT) -> list[Signal]:
    """Return what programs said of a connection, newest first."""
    async with database.read() as conn:
        rows = await conn.execute(
            select(*(signal.c[name] for name in Signal._fields))
            .where(signal.c.connection == connection_id)
            .order_by(signal.c.received_at.desc(), signal.c.id.desc())
            .limit(min(limit, KEPT))
        )
        return [Signal(*row) for row in rows]


class Looked(NamedTuple):
    """When we looked last, and began to, what the connection is since, and which pair it has."""

    at: datetime | None
    began_at: datetime | None
    cause: str
    generation: int


_LOOKED = (
    select(watch.c.last_probe_at, watch.c.last_seconds, watch.c.cause, credential.c.version)
    .join(credential, credential.c.connection == watch.c.connection)
    .where(watch.c.connection == bindparam("id"))
)


async def looked(database: Database, connection_id: str) -> Looked | None:
    """Return what our own last look left, None where there is no such connection."""
    async with database.look() as conn:
        row = (await conn.execute(_LOOKED, {"id": connection_id})).one_or_none()
    if row is None:
        return None
    at, seconds, cause, version = row
    began = at - timedelta(seconds=seconds or 0.0) if at is not None else None
    return Looked(at, began, cause, version)
