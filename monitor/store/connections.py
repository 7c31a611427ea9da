"""Connections as people handle them: show, pause, resume, remove, another account."""

from __future__ import annotations

from collections.abc import Collection, Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Row, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.errors import ConfigurationError, NotFound, Remedy
from monitor.health import events as said
from monitor.health.claim import Claim
from monitor.health.events import Type
from monitor.health.incidents import Place
from monitor.health.lifecycle import Health, State, paused, resumed
from monitor.health.rotation import Doubt
from monitor.store import audit, bindings, events, fence, gates, incidents, provider_values, revisions
from monitor.store.columns import CLAIM, CLAIMED, Sealed, health_of, read_claim, sealed_of
from monitor.store.engine import Database
from monitor.store.retry import retried
from monitor.store.tables import connection, credential, incident, watch


@dataclass(frozen=True, slots=True)
class Known:
    """A connection as it stands: who it is, how it is, and what is known of its credentials."""

    id: str
    place: Place
    client_name: str
    contacts: tuple[str, ...]
    locale: str
    timezone: str
    scopes: tuple[str, ...]
    account_id: str | None
    account_name: str | None
    labels: Mapping[str, str]
    created_at: datetime
    health: Health
    sealed: Sealed
    last_probe_at: datetime | None
    last_success_at: datetime | None
    next_probe_at: datetime | None
    reads: Mapping[str, datetime]
    rests: str | None = None  # the maintenance window that paused it, such as "provider clio"
    paused_until: datetime | None = None  # when a person's pause ends by itself
    custody: str = "managed"
    handout: bool = True
    updated_at: datetime | None = None
    revision: int = 1
    imported: str | None = None  # which tokens a file brought last, as a hash
    claim: Claim | None = None  # who is on what is open of it
    values: Mapping[str, str] = field(default_factory=dict)  # what stands in its URLs and headers
    authorized_by: str | None = None  # who approved last, as the provider names them

    @property
    def paused(self) -> bool:
        """Whether a person paused it; what rests for a maintenance window is not."""
        return self.health.state is State.PAUSED and self.rests is None

    @property
    def newcomer(self) -> bool:
        """Whether it was never authorized."""
        return self.health.state is State.PENDING and self.sealed.access is None

    @property
    def doubt(self) -> Doubt | None:
        """What is in doubt about the refresh token; nothing any more, once it is lost."""
        return self.sealed.doubt if not self.sealed.lost else None


def place_of(row: Row[Any]) -> Place:
    """Read where a connection stands."""
    return Place(row.app, row.provider, row.region)


@retried
async def pause(
    database: Database,
    ids: Sequence[str],
    now: datetime,
    actor: str,
    *,
    until: datetime | None = None,
    reason: str = "",
) -> list[str]:
    """Stop looking at connections, until a time or until somebody resumes them. Returns those changed.

    A probe that is under way no longer counts. What is paused already gets the end and the reason given last.
    """
    end = said.moment(until)
    async with database.write() as conn:
        await incidents.one_at_a_time(conn)
        held = await fence.hold(conn, ids)
        must_exist(held, ids)
        asleep = {
            name: was.health
            for name, was in held.items()
            if was.health.state is State.PAUSED and was.rests is None
        }
        moved = {name: paused(was.health, now) for name, was in held.items() if name not in asleep}
        again = {name: how for name, how in asleep.items() if reason or held[name].paused_until != until}
        changed = moved | again
        await fence.fence(conn, changed, rests=None, next_probe_at=None, paused_until=until)
        await incidents.close_of(conn, list(moved), now)
        await revisions.count(conn, changed)
        await events.moved(conn, Type.PAUSED, fence.by("person", held, changed, until=end), now)
        told = {"until": end, "reason": reason} if end or reason else {}
        await audit.record_each(conn, now, actor, "connection.pause", changed, **told)
    return list(changed)


@retried
async def resume(
    database: Database, ids: Sequence[str], now: datetime, actor: str, *, apps: Collection[str]
) -> list[str]:
    """Look at paused connections again, from the start: nothing from before the pause is believed.

    Raises ConfigurationError where the app of one is not among `apps`, those that are configured: nobody
    would look at it.
    """
    async with database.write() as conn:
        held = await fence.hold(conn, ids)
        must_exist(held, ids)
        asleep = {name: was for name, was in held.items() if was.health.state is State.PAUSED}
        for name, was in asleep.items():
            must_be_configured(name, was.app, apps)
        await fence.wake(conn, asleep, resumed, now)
        await revisions.count(conn, asleep)
        await events.moved(conn, Type.RESUMED, fence.by("person", held, asleep), now)
        await audit.record_each(conn, now, actor, "connection.resume", asleep)
    return list(asleep)


def must_be_configured(connection_id: str, app: str, apps: Collection[str]) -> None:
    """Refuse what needs a connection's app where the configuration has none. Raises ConfigurationError."""
    if app not in apps:
        raise ConfigurationError(
            f"{connection_id}: its app {app!r} is not configured, so nobody can look at it. Add it to "
            "[[apps]] again, or import the connection with another app."
        )


@retried
async def remove(
    database: Database,
    ids: Sequence[str],
    now: datetime,
    actor: str,
    *,
    expected: Mapping[str, int] | None = None,
) -> None:
    """Forget connections and their tokens; the audit keeps that they were there."""
    async with database.write() as conn:
        await incidents.one_at_a_time(conn)
        await remove_in(conn, ids, now, actor, expected=expected)


async def remove_in(
    conn: AsyncConnection,
    ids: Sequence[str],
    now: datetime,
    actor: str,
    *,
    expected: Mapping[str, int] | None = None,
) -> None:
    """Do the same in a transaction in which nobody else opens or closes incidents."""
    must_exist(await fence.hold(conn, ids), ids)
    await revisions.expect(conn, expected or {})
    await events.moved(conn, Type.REMOVED, ids, now)
    for start in range(0, len(ids), 500):
        await conn.execute(delete(connection).where(connection.c.id.in_(ids[start : start + 500])))
    await incidents.close_of(conn, ids, now)
    for name in ids:
        await audit.record(conn, now, actor, "connection.remove", name)


@retried
async def set_handout(database: Database, connection_id: str, on: bool, now: datetime, actor: str) -> bool:
    """Let programs have a connection's access token, or not; whether that changed. Raises NotFound."""
    async with database.write() as conn:
        must_exist(await fence.hold(conn, [connection_id]), [connection_id])
        done = await conn.execute(
            update(connection)
            .where(connection.c.id == connection_id, connection.c.handout.is_not(on))
            .values(handout=on, updated_at=now)
        )
        if not done.rowcount:
            return False
        await revisions.count(conn, [connection_id])
        word = "on" if on else "off"
        await audit.record(conn, now, actor, "connection.handout", connection_id, handout=word)
        return True


@retried
async def set_account(
    database: Database,
    connection_id: str,
    account: str,
    now: datetime,
    actor: str,
    *,
    values: Mapping[str, str] | None = None,
) -> None:
    """Put another account on record, and look at the connection at once: what it is may be right now.

    A grant that waits for a person is taken where it is that account's, and forgotten where it is not.
    `values` go with the account.
    """
    async with database.write() as conn:
        await gates.one_binding(conn)
        held = await fence.hold(conn, [connection_id])
        must_exist(held, [connection_id])
        was = await conn.execute(select(connection.c.account_id).where(connection.c.id == connection_id))
        before = was.scalar_one()
        await conn.execute(
            update(connection)
            .where(connection.c.id == connection_id)
            .values(account_id=account, account_name=None, updated_at=now)
        )
        await provider_values.add(conn, {connection_id: values or {}})
        await revisions.count(conn, [connection_id])
        if not await bindings.bind(conn, connection_id, held[connection_id], account, now):
            await bindings.drop(conn, connection_id)
            await fence.look_again(conn, held, now)
        await events.moved(conn, Type.CHANGED, [connection_id], now)
        await audit.record(
            conn, now, actor, "connection.accept_account", connection_id, account=account, before=before
        )


def must_exist(found: Container[str], ids: Sequence[str]) -> None:
    """Let pass what was found. Raises NotFound, which names the others."""
    missing = [name for name in ids if name not in found]
    if missing:
        raise NotFound(
            f"There is no connection {', '.join(map(repr, missing))}.",
            Remedy("connections.list", "shows those there are"),
        )


# The column names that two of the tables share are taken from `connection`.
_ALL = (
    select(
        connection,
        *(column for column in watch.c if column.name not in ("connection", "app", "provider", "region")),
        *(column for column in credential.c if column.name != "connection"),
        CLAIM[-1],
    )
    .join(watch, watch.c.connection == connection.c.id)
    .join(credential, credential.c.connection == connection.c.id)
    .outerjoin(incident, CLAIMED)
)


async def every(database: Database) -> list[Known]:
    """Return all connections, by id."""
    async with database.read() as conn:
        return [_known(row) for row in await conn.execute(_ALL.order_by(connection.c.id))]


async def show(database: Database, connection_id: str) -> Known:
    """Return one connection. Raises NotFound."""
    async with database.read() as conn:
        row = (await conn.execute(_ALL.where(connection.c.id == connection_id))).one_or_none()
    must_exist([connection_id] if row is not None else [], [connection_id])
    return _known(row)


async def moving(database: Database, places: Mapping[str, Place]) -> list[tuple[str, Place, Sealed]]:
    """Return the connections with tokens that stand elsewhere than at these places, by id."""
    ids, found = list(places), []
    async with database.read() as conn:
        for start in range(0, len(ids), 500):
            part = connection.c.id.in_(ids[start : start + 500])
            for row in await conn.execute(_ALL.where(part, credential.c.access.is_not(None))):
                if place_of(row) != places[row.id]:
                    found.append((row.id, place_of(row), sealed_of(row)))
    return found


async def per_app(database: Database) -> dict[str, int]:
    """Return how many connections of each app are looked at."""
    async with database.read() as conn:
        rows = await conn.execute(
            select(watch.c.app, func.count()).where(watch.c.next_probe_at.is_not(None)).group_by(watch.c.app)
        )
        return {row[0]: int(row[1]) for row in rows}


async def scopes_needed(database: Database) -> dict[str, int]:
    """Return how many scopes the connections of each app that are looked at need, all together."""
    needed = func.sum(func.json_array_length(connection.c.scopes))
    async with database.read() as conn:
        rows = await conn.execute(
            select(watch.c.app, needed)
            .join(connection, connection.c.id == watch.c.connection)
            .where(watch.c.next_probe_at.is_not(None))
            .group_by(watch.c.app)
        )
        return {row[0]: int(row[1] or 0) for row in rows}


class Lately(NamedTuple):
    """When connections of an app were last looked at, and last found well."""

    provider: str
    probed_at: datetime | None
    well_at: datetime | None


async def lately(database: Database) -> dict[str, Lately]:
    """Return when connections of each app were last looked at."""
    async with database.read() as conn:
        rows = await conn.execute(
            select(
                watch.c.app,
                func.max(watch.c.provider),
                func.max(watch.c.last_probe_at),
                func.max(watch.c.last_success_at),
            ).group_by(watch.c.app)
        )
        return {app: Lately(*seen) for app, *seen in rows}


async def elsewhere(database: Database, places: Mapping[str, Place]) -> dict[str, int]:
    """Return how many connections of each app stand at another provider or region than it does now."""
    async with database.read() as conn:
        rows = await conn.execute(
            select(connection.c.app, connection.c.provider, connection.c.region, func.count())
            .where(connection.c.app.in_(places))
            .group_by(connection.c.app, connection.c.provider, connection.c.region)
        )
        found: dict[str, int] = {}
        for app, provider, region, count in rows:
            if Place(app, provider, region) != places[app]:
                found[app] = found.get(app, 0) + int(count)
        return found


async def unwatched(database: Database, apps: Collection[str]) -> dict[str, int]:
    """Return how many connections would be looked at if only their app were among `apps`, by app."""
    return {app: count for app, count in sorted((await per_app(database)).items()) if app not in apps}


def _known(row: Any) -> Known:
    claim = [getattr(row, column.name) for column in CLAIM]
    known = Known(
        id=row.id,
        place=Place(row.app, row.provider, row.region),
        client_name=row.client_name,
        contacts=tuple(row.contacts),
        locale=row.locale,
        timezone=row.timezone,
        scopes=tuple(row.scopes),
        account_id=row.account_id,
        account_name=row.account_name,
        labels=row.labels,
        created_at=row.created_at,
        health=health_of(row),
        sealed=sealed_of(row),
        last_probe_at=row.last_probe_at,
        last_success_at=row.last_success_at,
        next_probe_at=row.next_probe_at,
        reads={scope: datetime.fromisoformat(at) for scope, at in row.reads.items()},
        rests=row.rests,
        paused_until=row.paused_until,
        custody=row.custody,
        handout=row.handout,
        updated_at=row.updated_at,
        revision=row.revision,
        imported=row.imported,
        values=row.provider_values,
        authorized_by=row.authorized_by,
    )
    return replace(known, claim=read_claim(claim, newcomer=known.newcomer))
