"""The fleet at a glance, for /metrics: few columns, whole Unix seconds, in pages."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import and_, bindparam, case, func, or_, select

from monitor.health.breaks import ALONE, AUTHORIZED
from monitor.health.causes import Subject
from monitor.health.lifecycle import State
from monitor.store import incidents, published
from monitor.store.consent_tables import link
from monitor.store.engine import Database, epoch
from monitor.store.tables import connection, credential, incident, watch

_PAGE = (
    select(
        watch.c.connection,
        watch.c.app,
        watch.c.provider,
        connection.c.client_name,
        watch.c.state,
        watch.c.cause,
        watch.c.owner,
        epoch(watch.c.last_success_at),
        epoch(credential.c.access_expires_at),
        epoch(credential.c.refresh_used_at),
        epoch(credential.c.authorized_at),
        watch.c.last_seconds,
        epoch(credential.c.refresh_expires_at),
        epoch(credential.c.grant_ends_at),
    )
    .join(connection, connection.c.id == watch.c.connection)
    .join(credential, credential.c.connection == watch.c.connection)
    .where(watch.c.connection > bindparam("after"))
    .order_by(watch.c.connection)
    .limit(bindparam("size"))
)


async def pages(database: Database, size: int = 2000) -> AsyncIterator[Sequence[Sequence[Any]]]:
    """Yield all connections in pages: who they are in seven words, four times, a span, and two ends.

    Who they are: id, app, provider, client, state, cause, owner.
    The times are the last success, the access token's expiry, the refresh token's last use and the
    authorization, in Unix seconds or None; the span is the last probe's, in seconds;
    the ends are the refresh token's and the grant's, as their provider told. A page at a time keeps the
    event loop free in between.
    """
    after = ""
    async with database.read() as conn:
        while True:
            rows = (await conn.execute(_PAGE, {"after": after, "size": size})).all()
            if not rows:
                return
            yield rows
            if len(rows) < size:
                return
            after = rows[-1][0]


async def broken(database: Database) -> Sequence[Any]:
    """Return what is broken: id, app, provider, client, cause, owner, labels, since (Unix seconds)."""
    async with database.read() as conn:
        rows = await conn.execute(
            select(
                watch.c.connection,
                watch.c.app,
                watch.c.provider,
                connection.c.client_name,
                watch.c.cause,
                watch.c.owner,
                connection.c.labels,
                epoch(incident.c.opened_at),
            )
            .join(connection, connection.c.id == watch.c.connection)
            .join(
                incident,
                (incident.c.kind == Subject.CONNECTION.value)
                & (incident.c.name == watch.c.connection)
                & incident.c.closed_at.is_(None),
            )
            .where(watch.c.state == State.BROKEN.value)
            .order_by(watch.c.connection)
        )
        return rows.all()


async def shared_incidents(database: Database, apps: Collection[str]) -> list[tuple[str, str, str, str, int]]:
    """Return kind, name, cause, owner and broken members of each open incident but connections' own.

    Members are those of some apps, the configured ones; an incident of others alone is left out.
    """
    member, looked_at = incident.alias("member"), watch.c.app.in_(apps)
    async with database.read() as conn:
        rows = await conn.execute(
            select(
                incident.c.kind,
                incident.c.name,
                incident.c.cause,
                incident.c.owner,
                func.count(case((looked_at, 1))),
            )
            .outerjoin(member, (member.c.parent_id == incident.c.id) & member.c.closed_at.is_(None))
            .outerjoin(watch, watch.c.connection == member.c.name)
            .where(incident.c.kind != Subject.CONNECTION.value, incident.c.closed_at.is_(None))
            .group_by(incident.c.id, incident.c.kind, incident.c.name, incident.c.cause, incident.c.owner)
            .having(or_(func.count(member.c.id) == 0, func.count(case((looked_at, 1))) > 0))
        )
        return [(row[0], row[1], row[2], row[3], int(row[4])) for row in rows]


async def held(database: Database) -> list[tuple[str, str, str, str, int]]:
    """Return kind, name, cause and owner of each guard that holds mails, and of how many connections."""
    async with database.read() as conn:
        rows = await conn.execute(incidents.held())
        return [(row[0], row[1], row[2], row[3], int(row[4])) for row in rows]


async def wave_clients(database: Database) -> list[tuple[str, int, str, int]]:
    """Return provider, begin (Unix seconds), state and how many clients of each open wave."""
    wave, asked = incident.alias("wave"), incident.c.told_at
    state = case(
        (and_(incident.c.closed_at.is_(None), asked.is_(None), incident.c.mails == ""), "held"),
        (and_(incident.c.closed_at.is_(None), credential.c.authorized_at >= asked), "refuted"),
        (incident.c.closed_at.is_(None), "asked"),
        (incident.c.ended == AUTHORIZED, "mended"),
        (incident.c.ended == ALONE, "healed"),
        else_="gone",
    ).label("state")
    async with database.read() as conn:
        rows = await conn.execute(
            select(
                wave.c.name,
                epoch(wave.c.opened_at).label("since"),
                state,
                func.count(connection.c.client_name.distinct()),
            )
            .select_from(incident)
            .join(wave, wave.c.id == incident.c.parent_id)
            .join(connection, connection.c.id == incident.c.name)
            .join(credential, credential.c.connection == incident.c.name)
            .where(wave.c.wave, wave.c.closed_at.is_(None))
            .group_by("name", "since", "state")
        )
        return [(row[0], int(row[1]), row[2], int(row[3])) for row in rows]


async def waiting(database: Database) -> list[tuple[str, str, int]]:
    """Return provider, why and how many connections whose clients are told later than usual."""
    async with database.read() as conn:
        rows = await conn.execute(
            select(connection.c.provider, incident.c.waits, func.count())
            .join(connection, connection.c.id == incident.c.name)
            .where(incident.c.closed_at.is_(None), incident.c.waits != "")
            .group_by(connection.c.provider, incident.c.waits)
        )
        return [(row[0], row[1], int(row[2])) for row in rows]


async def speaking(database: Database) -> list[tuple[str, str]]:
    """Return each provider with each locale of its clients."""
    async with database.read() as conn:
        rows = await conn.execute(select(connection.c.provider, connection.c.locale).distinct())
        return [(row[0], row[1]) for row in rows]


async def link_steps(database: Database, since: datetime) -> Sequence[Any]:
    """Return for connections with a link made since: id, app, provider, and the latest times of its steps."""
    async with database.read() as conn:
        rows = await conn.execute(
            select(
                link.c.connection,
                connection.c.app,
                connection.c.provider,
                epoch(func.max(link.c.made_at)),
                epoch(func.max(link.c.opened_at)),
                epoch(func.max(link.c.started_at)),
                epoch(func.max(link.c.used_at)),
            )
            .join(connection, connection.c.id == link.c.connection)
            .where(link.c.made_at > since)
            .group_by(link.c.connection, connection.c.app, connection.c.provider)
        )
        return rows.all()


async def by_state(database: Database) -> list[tuple[str, str, str, int]]:
    """Return provider, app, state and how many connections."""
    async with database.read() as conn:
        rows = await conn.execute(
            select(watch.c.provider, watch.c.app, watch.c.state, func.count()).group_by(
                watch.c.provider, watch.c.app, watch.c.state
            )
        )
        return [(row[0], row[1], row[2], int(row[3])) for row in rows]


async def in_doubt(database: Database) -> dict[str, int]:
    """Return of how many connections of each app the refresh is in doubt."""
    async with database.read() as conn:
        rows = await conn.execute(
            select(watch.c.app, func.count())
            .join(credential, credential.c.connection == watch.c.connection)
            .where(credential.c.doubt_since.is_not(None), credential.c.lost.is_(False))
            .group_by(watch.c.app)
        )
        return {row[0]: int(row[1]) for row in rows}


async def incidents_open(database: Database) -> list[tuple[str, str, str, int]]:
    """Return kind, cause, owner and how many incidents are open."""
    async with database.read() as conn:
        rows = await conn.execute(
            select(incident.c.kind, incident.c.cause, incident.c.owner, func.count())
            .where(incident.c.closed_at.is_(None))
            .group_by(incident.c.kind, incident.c.cause, incident.c.owner)
        )
        return [(row[0], row[1], row[2], int(row[3])) for row in rows]


async def guards(database: Database) -> list[tuple[str, str, str]]:
    """Return kind, name and cause of the groups that the guard is up over."""
    async with database.read() as conn:
        rows = await conn.execute(
            select(incident.c.kind, incident.c.name, incident.c.cause).where(
                incident.c.guard.is_(True), incident.c.closed_at.is_(None)
            )
        )
        return [(row[0], row[1], row[2]) for row in rows]


async def webhooks_given_up(database: Database) -> int:
    """Return how many endpoints of programs get nothing any more, though nobody said so."""
    async with database.read() as conn:
        return len(await published.webhooks_given_up(conn))
