"""What the store publishes to whoever tells people: how connections stand, and what broke. Reads only.

`alerts` decides from these what to say, on its own connection: what is written about a verdict is written in
the verdict's transaction. Nothing here is a row of a table that anybody may change.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, exists, false, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.health.breaks import RELEASED
from monitor.health.causes import Cause, Owner, Subject
from monitor.health.claim import Claim
from monitor.health.lifecycle import State
from monitor.health.restriction import Restriction
from monitor.store import incidents, within
from monitor.store.columns import read_claim
from monitor.store.consent_tables import held
from monitor.store.door_tables import webhook
from monitor.store.engine import Database
from monitor.store.tables import connection, credential, history, incident, watch

PART = 500  # names in one statement

_BREAKS = (incident.c.kind == Subject.CONNECTION.value) & (incident.c.name == connection.c.id)
_OPEN = and_(_BREAKS, incident.c.closed_at.is_(None))


# -- clients ------------------------------------------------------------------------------------------


async def clients_of(conn: AsyncConnection, ids: Collection[str]) -> set[str]:
    """Return the clients of connections."""
    found: set[str] = set()
    listed = list(ids)
    for start in range(0, len(listed), PART):
        part = listed[start : start + PART]
        rows = await conn.execute(
            select(connection.c.client_name).where(connection.c.id.in_(part)).distinct()
        )
        found.update(rows.scalars())
    return found


async def clients_broken(conn: AsyncConnection, since: datetime) -> set[str]:
    """Return the clients who have something to mend, or had until lately: closed after `since`."""
    return await _clients(
        conn,
        select(connection.c.client_name)
        .join(incident, _BREAKS)
        .where(
            incident.c.owner == Owner.CLIENT.value,
            or_(incident.c.closed_at.is_(None), incident.c.closed_at > since),
        ),
    )


async def clients_invited(conn: AsyncConnection, among: Select[Any], since: datetime) -> set[str]:
    """Return the clients of those connections that have no tokens yet, or were authorized after `since`."""
    newcomer = (watch.c.state == State.PENDING.value) & credential.c.access.is_(None)
    return await _clients(
        conn,
        _watched().where(connection.c.id.in_(among), or_(newcomer, credential.c.authorized_at > since)),
    )


async def clients_running_out(
    conn: AsyncConnection, until: datetime, lifetimes: Mapping[str, timedelta]
) -> set[str]:
    """Return the clients whose authorization ends by `until`: it cannot be renewed, or that is known."""
    alone = and_(credential.c.refresh.is_(None), credential.c.access_expires_at <= until)
    found = await _clients(conn, _watched().where(or_(alone, credential.c.grant_ends_at <= until)))
    untold = credential.c.grant_ends_at.is_(None)  # what the provider told is stronger than its file
    for app, lifetime in lifetimes.items():
        ends = (watch.c.app == app, credential.c.authorized_at <= until - lifetime)
        found |= await _clients(conn, _watched().where(untold, *ends))
    return found


def _watched() -> Select[Any]:
    found: Select[Any] = select(connection.c.client_name).join(watch, watch.c.connection == connection.c.id)
    return found.join(credential, credential.c.connection == connection.c.id)


async def _clients(conn: AsyncConnection, query: Select[Any]) -> set[str]:
    return set((await conn.execute(query.distinct())).scalars())


def seen_by(only: Restriction, database: Database) -> Select[Any]:
    """Return the query for the names of the connections that there are for somebody."""
    return select(connection.c.id).where(*within.conditions(only, database.is_sqlite))


# -- connections --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Published:
    """A connection as it stands, with its open incident and the larger one that it belongs to.

    Causes, states and owners are words as they are stored, which another version may have written.
    `parent_closed`: when the larger incident ended, if it has; `wave`: that one is held by the fleet guard.
    """

    id: str
    app: str
    provider: str
    region: str
    client: str
    contacts: tuple[str, ...]
    locale: str
    timezone: str
    state: str
    cause: str
    owner: str
    certain: bool  # the last probe found the cause that the state rests on
    last_probe_at: datetime | None
    others_asked_at: datetime | None
    authorized: bool  # it has tokens
    authorized_at: datetime | None
    renews: bool  # it has a refresh token
    access_expires_at: datetime | None
    grant_ends_at: datetime | None  # as the provider told
    issued_at: datetime | None
    waits_for_person: bool  # its authorization is held
    incident: int | None
    opened_at: datetime | None
    updated_at: datetime | None
    mails: str | None
    told_at: datetime | None
    waits: str | None
    claim: Claim | None  # who is on what is open of it
    wave: bool
    parent_closed: datetime | None


_parent = incident.alias("parent")
_STANDING = (
    select(
        connection.c.id, connection.c.client_name, connection.c.contacts, connection.c.locale,
        connection.c.timezone, watch.c.app, watch.c.provider, watch.c.region,
        watch.c.state, watch.c.cause, watch.c.owner,
        watch.c.candidate, watch.c.good_streak, watch.c.last_probe_at, watch.c.others_asked_at,
        credential.c.authorized_at, credential.c.access.is_not(None).label("authorized"),
        credential.c.refresh.is_not(None).label("renews"), credential.c.access_expires_at,
        credential.c.grant_ends_at, credential.c.issued_at, incident.c.id.label("incident"),
        incident.c.opened_at, incident.c.updated_at, incident.c.mails, incident.c.told_at, incident.c.waits,
        connection.c.claimed_by, connection.c.claimed_until, connection.c.claimed_incident,
        held.c.connection.label("held"), _parent.c.wave, _parent.c.closed_at.label("parent_closed"),
    )
    .join(watch, watch.c.connection == connection.c.id)
    .join(credential, credential.c.connection == connection.c.id)
    .outerjoin(incident, _OPEN)
    .outerjoin(held, held.c.connection == connection.c.id)
    .outerjoin(_parent, _parent.c.id == incident.c.parent_id)
)  # fmt: skip


async def standing(
    conn: AsyncConnection, clients: Sequence[str] = (), *, ids: Collection[str] = ()
) -> list[Published]:
    """Return all connections of these clients, or those with these `ids`, as they stand."""
    mine = connection.c.id.in_(ids) if ids else connection.c.client_name.in_(clients)
    return [
        Published(
            row.id, row.app, row.provider, row.region, row.client_name, tuple(row.contacts), row.locale,
            row.timezone, row.state, row.cause, row.owner,
            row.candidate == row.cause and row.good_streak == 0,
            row.last_probe_at, row.others_asked_at, bool(row.authorized), row.authorized_at,
            bool(row.renews), row.access_expires_at, row.grant_ends_at, row.issued_at,
            row.held is not None, row.incident,
            row.opened_at, row.updated_at, row.mails, row.told_at, row.waits, _claim(row), bool(row.wave),
            row.parent_closed,
        )
        for row in await conn.execute(_STANDING.where(mine))
    ]  # fmt: skip


def _claim(row: Any) -> Claim | None:
    # Of another incident than the one that is open, it is over.
    still_open = row.incident if row.incident == row.claimed_incident else None
    newcomer = row.state == State.PENDING.value and not row.authorized
    values = (row.claimed_by, row.claimed_until, row.claimed_incident, still_open)
    return read_claim(values, newcomer=newcomer)


async def healed(
    conn: AsyncConnection, ids: Sequence[str], since: datetime
) -> dict[str, tuple[tuple[int, datetime], ...]]:
    """Return the incidents of connections that closed after a time: number and when."""
    found: dict[str, list[tuple[int, datetime]]] = defaultdict(list)
    rows = await conn.execute(
        select(incident.c.id, incident.c.name, incident.c.closed_at)
        .where(
            incident.c.kind == Subject.CONNECTION.value,
            incident.c.name.in_(ids),
            incident.c.closed_at > since,
        )
        .order_by(incident.c.id)
    )
    for row in rows:
        found[row.name].append((row.id, row.closed_at))
    return {name: tuple(items) for name, items in found.items()}


@dataclass(frozen=True, slots=True)
class Described:
    """Who a connection is, as a mail describes it. `evidence` is of its last change of verdict."""

    app: str
    provider: str
    account: str
    scopes: tuple[str, ...]
    contacts: tuple[str, ...]
    evidence: Sequence[Mapping[str, Any]]
    rule: str = ""  # which one its state rests on
    authorized_by: str | None = None  # who approved last, as the provider names them


_WHO = (
    select(connection, watch.c.rule, credential.c.authorized_by)
    .join(watch, watch.c.connection == connection.c.id)
    .join(credential, credential.c.connection == connection.c.id)
)


async def described(conn: AsyncConnection, ids: Sequence[str]) -> dict[str, Described]:
    """Return who these connections are, those that still exist."""
    newest = select(func.max(history.c.id)).where(history.c.connection.in_(ids))
    evidence = {
        row.connection: row.evidence
        for row in await conn.execute(
            select(history.c.connection, history.c.evidence).where(
                history.c.id.in_(newest.group_by(history.c.connection))
            )
        )
    }
    return {
        row.id: Described(
            row.app, row.provider, row.account_name or row.account_id or "", tuple(row.scopes),
            tuple(row.contacts), evidence.get(row.id, ()), row.rule, row.authorized_by,
        )
        for row in await conn.execute(_WHO.where(connection.c.id.in_(ids)))
    }  # fmt: skip


async def providers_of(conn: AsyncConnection, ids: Sequence[str]) -> dict[str, str]:
    """Return the providers of connections, those that still exist."""
    rows = await conn.execute(select(connection.c.id, connection.c.provider).where(connection.c.id.in_(ids)))
    return {row.id: row.provider for row in rows}


async def contacts(database: Database) -> list[tuple[str, str]]:
    """Return every contact of every connection: id and address."""
    async with database.read() as conn:
        rows = await conn.execute(select(connection.c.id, connection.c.contacts).order_by(connection.c.id))
        return [(row.id, to) for row in rows for to in row.contacts]


_NAMED = {
    "provider": connection.c.provider,
    "app": connection.c.app,
    "client": connection.c.client_name,
    "connection": connection.c.id,
}


async def knows(conn: AsyncConnection, what: str, name: str) -> bool:
    """Whether any connection has this provider, app or client, or is the connection of this name."""
    found = await conn.execute(select(connection.c.id).where(_NAMED[what] == name).limit(1))
    return found.first() is not None


# -- incidents ----------------------------------------------------------------------------------------


def was_released(number: ColumnElement[Any]) -> ColumnElement[bool]:
    """Return the condition that a person released the mails of the incident with this number."""
    return exists().where(incident.c.id == number, incident.c.mails == RELEASED)


async def held_by_waves(conn: AsyncConnection) -> dict[str, int]:
    """Return of how many connections the clients are not told because a wave holds them, by its name."""
    return {row[1]: int(row[4]) for row in await conn.execute(incidents.held())}


async def shared_by(conn: AsyncConnection, apps: Iterable[str]) -> set[int]:
    """Return the shared incidents that a connection of these apps belongs to."""
    rows = await conn.execute(
        select(incident.c.parent_id)
        .join(connection, connection.c.id == incident.c.name)
        .where(
            incident.c.kind == Subject.CONNECTION.value,
            incident.c.closed_at.is_(None),
            connection.c.app.in_(list(apps)),
        )
        .distinct()
    )
    return set(rows.scalars())


async def labels_alike(conn: AsyncConnection, parent: int) -> dict[str, str]:
    """Return the labels that all connections of a shared incident have alike."""
    rows = await conn.execute(
        select(connection.c.labels)
        .join(incident, _BREAKS)
        .where(incident.c.parent_id == parent, incident.c.closed_at.is_(None))
    )
    common: dict[str, str] | None = None
    for labels in rows.scalars():
        common = dict(labels) if common is None else {k: v for k, v in common.items() if labels.get(k) == v}
        if not common:
            break
    return common or {}


@dataclass(frozen=True, slots=True)
class Break:
    """An open incident of one connection. `in_wave`: its client is not told, since a wave holds it."""

    connection: str
    provider: str
    app: str
    client: str
    labels: Mapping[str, str]
    cause: Cause
    owner: Owner
    opened_at: datetime
    reasons: tuple[str, ...]
    in_wave: bool


async def breaks(
    conn: AsyncConnection,
    apps: Iterable[str],
    *,
    causes: Collection[Cause],
    of_operator: Collection[Cause],
    of_clients_since: datetime | None,
) -> list[Break]:
    """Return open incidents of single connections of these apps, the oldest first.

    Those with one of `causes`; those with a cause `of_operator` while the operator has to act; and what
    clients have had to mend since before a time.
    """
    theirs: ColumnElement[bool] = false()
    if of_clients_since is not None:
        theirs = (incident.c.owner == Owner.CLIENT.value) & (incident.c.opened_at < of_clients_since)
    ours = incident.c.cause.in_([cause.value for cause in of_operator])
    parent = incident.alias("parent")
    rows = await conn.execute(
        select(
            incident,
            connection.c.provider,
            connection.c.app,
            connection.c.client_name,
            connection.c.labels,
            (parent.c.wave & incident.c.told_at.is_(None) & (incident.c.mails == "")).label("in_wave"),
        )
        .join(connection, connection.c.id == incident.c.name)
        .outerjoin(parent, (parent.c.id == incident.c.parent_id) & parent.c.closed_at.is_(None))
        .where(
            incident.c.kind == Subject.CONNECTION.value,
            incident.c.closed_at.is_(None),
            connection.c.app.in_(list(apps)),
            or_(
                incident.c.cause.in_([cause.value for cause in causes]),
                ours & (incident.c.owner == Owner.OPERATOR.value),
                theirs,
            ),
        )
        .order_by(incident.c.id)
    )
    return [
        Break(
            row.name, row.provider, row.app, row.client_name, row.labels, Cause(row.cause),
            Owner(row.owner), row.opened_at, tuple(row.reasons), bool(row.in_wave),
        )
        for row in rows
    ]  # fmt: skip


# -- programs -----------------------------------------------------------------------------------------


async def webhooks_given_up(conn: AsyncConnection) -> list[tuple[str, datetime]]:
    """Return the endpoints that get nothing any more, though nobody said so, and since when."""
    rows = await conn.execute(
        select(webhook.c.id, webhook.c.failing_since)
        .where(webhook.c.state.in_(["gone", "failing"]))
        .order_by(webhook.c.id)
    )
    return [(row.id, row.failing_since) for row in rows]
