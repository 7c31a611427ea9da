"""Which account a connection is bound to, and that no client gets another's by a first authorization.

A *first binding* is one of a connection that has no account on record: whoever approved on its link, or whose
tokens a file brought, would be it. A link can be forwarded to anybody, so the account is compared with all
that are on record at the same provider. One that belongs to another client is not bound: the grant is *held*,
apart from the credentials, so that nothing probes with it or hands it out, until a person accepts the account
or refuses it. Connections of one client may share an account.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.errors import NotFound
from monitor.health import events as said
from monitor.health.events import Type
from monitor.health.incidents import Place
from monitor.health.lifecycle import given_back
from monitor.health.rotation import Journal
from monitor.store import audit, events, fence, incidents, provider_values
from monitor.store.consent_tables import consent, held, link
from monitor.store.engine import Database
from monitor.store.fence import Gated
from monitor.store.retry import retried
from monitor.store.tables import connection, credential, journal
from monitor.text.names import one_line

ASKED = "asked"  # why a grant is held where the settings have every first binding wait
SEVERAL = "?several"  # where it reaches several accounts, and none is on record; no connection's id begins so


class Account(NamedTuple):
    """An account at a provider, and who approved, as its whoami has them.

    `choice` are the accounts, id and name, of which a person has to name one; then `id` is empty.
    """

    id: str
    name: str | None = None
    user: str | None = None
    choice: tuple[tuple[str, str], ...] = ()

    @property
    def ids(self) -> tuple[str, ...]:
        """The account, or those that it may be."""
        return tuple(number for number, _ in self.choice) or (self.id,)

    @property
    def called(self) -> str:
        """The account as people know it, or those that it may be."""
        return ", ".join(name or number for number, name in self.choice) or self.name or self.id


@dataclass(frozen=True, slots=True)
class Binding:
    """The rules of first bindings. `issuers` says of each configured app whose accounts its are.

    Account numbers of two issuers say nothing about each other; those of two apps at one issuer do.
    """

    issuers: Mapping[str, str] = field(default_factory=dict)
    ask: bool = False  # every first binding waits for a person


AS_USUAL = Binding()


@dataclass(frozen=True, slots=True)
class HeldGrant:
    """A grant that waits for a person. `owner`: the other client that has the account, if that is why."""

    connection: str
    client: str
    place: Place
    account: Account
    held_at: datetime
    consent: int | None
    access: str
    refresh: str | None
    other: str | None = None
    owner: str | None = None

    @property
    def named(self) -> str:
        """The account as people know it, every text cleaned."""
        user = one_line(self.account.user or "")
        known = self.account.choice or ((self.account.id, self.account.name or ""),)
        named = [_named(one_line(number), one_line(name)) for number, name in known]
        return ", ".join(named) + (f", approved by {user}" if user else "")

    @property
    def sentence(self) -> str:
        """What waits, and why."""
        why = "first accounts are asked for"
        if self.owner is not None:
            why = f"that is the account of {one_line(self.owner)} ({self.other})"
        elif self.account.choice:
            why = "that grant reaches them all, and which one is meant has to be said"
        return f"{one_line(self.client)} was authorized with {self.named}; {why}"


def _named(number: str, name: str) -> str:
    return f"{name} ({number})" if name else number


async def why_held(
    conn: AsyncConnection, connection_id: str, place: Place, account: str, rules: Binding
) -> str | None:
    """Return why a first binding to an account has to wait: "asked", or another client's connection.

    None where it may be bound. The caller holds `gates.one_binding`, so that of two nobody is overlooked.
    """
    if not account:
        return SEVERAL
    mine = select(connection.c.client_name).where(connection.c.id == connection_id).scalar_subquery()
    issuer = rules.issuers.get(place.app)
    same = [app for app, other in rules.issuers.items() if other == issuer]
    # An app that is configured no more may have had any issuer: its provider and region decide.
    here = or_(
        connection.c.app.in_(same),
        (connection.c.provider == place.provider)
        & (connection.c.region == place.region)
        & connection.c.app.not_in(list(rules.issuers)),
    )
    rows = (
        await conn.execute(
            select(connection.c.id, (connection.c.client_name == mine).label("mine"))
            .where(connection.c.account_id == account, connection.c.id != connection_id, here)
            .order_by(connection.c.id)
        )
    ).all()
    if any(row.mine for row in rows):
        return None  # this client was bound to it before
    if rows:
        return str(rows[0].id)
    return ASKED if rules.ask else None


async def would_be_held(
    database: Database, connection_id: str, place: Place, account: str, rules: Binding
) -> bool:
    """Whether a first binding to an account would have to wait, as things stand at this moment."""
    async with database.read() as conn:
        return await why_held(conn, connection_id, place, account, rules) is not None


async def hold(
    conn: AsyncConnection, connection_id: str, why: str, account: Account, now: datetime, **grant: Any
) -> None:
    """Keep a grant apart until a person decides; one that was held before makes way."""
    values = {
        "connection": connection_id, "why": why, "account_id": account.id, "account_name": account.name,
        "user": account.user, "held_at": now, "consent": None, "refresh": None, "issued_at": None,
        "access_expires_at": None, "expiry_assumed": False, "granted": None, "refresh_expires_at": None,
        "grant_ends_at": None, "provider_values": {}, "accounts": [list(one) for one in account.choice],
    } | grant  # fmt: skip
    make: Any = sqlite_insert if conn.dialect.name == "sqlite" else postgres_insert
    await conn.execute(
        make(held).values(**values).on_conflict_do_update(index_elements=["connection"], set_=values)
    )


async def take_out(
    conn: AsyncConnection, connection_id: str, was: Gated, why: str, account: Account, now: datetime
) -> None:
    """Hold the imported tokens of a connection whose gate is held: it has none from then on."""
    row = (await conn.execute(select(credential).where(credential.c.connection == connection_id))).one()
    await hold(
        conn, connection_id, why, account, now,
        access=row.access, refresh=row.refresh, issued_at=row.issued_at,
        access_expires_at=row.access_expires_at, expiry_assumed=row.expiry_assumed, granted=row.granted,
        refresh_expires_at=row.refresh_expires_at, grant_ends_at=row.grant_ends_at,
    )  # fmt: skip
    await conn.execute(
        update(credential)
        .where(credential.c.connection == connection_id)
        .values(
            access=None, refresh=None, version=credential.c.version + 1, access_expires_at=None,
            expiry_assumed=False, demand_after=None, granted=None, lost=False, doubt_since=None,
            doubt_tried_at=None, refresh_expires_at=None, grant_ends_at=None, authorized_by=None,
        )
    )  # fmt: skip
    await close_refreshes(conn, connection_id, now)
    await fence.fence(
        conn, {connection_id: given_back(was.health, now)}, next_probe_at=None, scopes_all=True, reads={}
    )
    await incidents.close_of(conn, [connection_id], now)
    before = said.was(was.health.state.value, was.health.cause.value)
    await events.moved(conn, Type.CHANGED, {connection_id: before}, now)
    await audit.record(
        conn, now, audit.SERVICE, "account.held", connection_id, account=account.id, why=why, by="import"
    )


async def close_refreshes(conn: AsyncConnection, connection_id: str, now: datetime) -> None:
    """Close what a refresh left open: it says nothing about what takes the place of its pair."""
    await conn.execute(
        update(journal)
        .where(journal.c.connection == connection_id, journal.c.ended_at.is_(None))
        .values(ended_at=now, outcome=Journal.SUPERSEDED.value)
    )


async def drop(conn: AsyncConnection, connection_id: str) -> None:
    """Forget the grant that is held for a connection, if one is."""
    await conn.execute(delete(held).where(held.c.connection == connection_id))


async def leave_app(conn: AsyncConnection, connection_id: str, now: datetime) -> None:
    """End what a connection had under its way with the app that it leaves: refreshes, links and trips."""
    await close_refreshes(conn, connection_id, now)
    await conn.execute(
        update(link).where(link.c.connection == connection_id, link.c.expires_at > now).values(expires_at=now)
    )
    mine = update(consent).where(consent.c.connection == connection_id)
    await conn.execute(mine.values(verifier=None, leftover=None))
    await conn.execute(mine.where(consent.c.spent_at.is_(None)).values(spent_at=now, outcome="withdrawn"))
    await drop(conn, connection_id)


async def bind(conn: AsyncConnection, connection_id: str, was: Gated, account: str, now: datetime) -> bool:
    """Put the grant that is held for this account, or reaches it, in its place; False where there is none."""
    row = (await conn.execute(select(held).where(held.c.connection == connection_id))).one_or_none()
    known = {} if row is None else {row.account_id: row.account_name} | dict(row.accounts)
    if row is None or account not in known:
        return False
    await conn.execute(
        update(connection)
        .where(connection.c.id == connection_id)
        .values(account_id=account, account_name=known[account] or None, updated_at=now)
    )
    await provider_values.add(conn, {connection_id: row.provider_values})
    await conn.execute(
        update(credential)
        .where(credential.c.connection == connection_id)
        .values(
            access=row.access, refresh=row.refresh, version=credential.c.version + 1,
            issued_at=row.issued_at, access_expires_at=row.access_expires_at,
            expiry_assumed=row.expiry_assumed, demand_after=None,
            authorized_at=row.held_at if row.consent is not None else None, refresh_used_at=row.held_at,
            granted=row.granted, lost=False, doubt_since=None, doubt_tried_at=None,
            refresh_expires_at=row.refresh_expires_at, grant_ends_at=row.grant_ends_at,
            authorized_by=row.user if row.consent is not None else None,
        )
    )  # fmt: skip
    await close_refreshes(conn, connection_id, now)
    await fence.renew(conn, {connection_id: was}, now)
    if row.consent is not None:
        await conn.execute(
            update(link)
            .where(link.c.connection == connection_id, link.c.used_at.is_(None), link.c.made_at <= now)
            .values(used_at=now)
        )
        await events.moved(conn, Type.AUTHORIZED, [connection_id], now)
    await drop(conn, connection_id)
    return True


@retried
async def refuse(
    database: Database, connection_id: str, leftover: str | None, now: datetime, actor: str
) -> None:
    """Forget a held grant, as a person refuses its account. `leftover`: a token of it that is to be revoked.

    Raises NotFound where none is held.
    """
    async with database.write() as conn:
        await fence.hold(conn, [connection_id])
        row = (await conn.execute(select(held).where(held.c.connection == connection_id))).one_or_none()
        if row is None:
            raise NotFound(f"{connection_id}: no authorization waits for a decision.")
        if leftover is not None and row.consent is not None:
            await conn.execute(update(consent).where(consent.c.id == row.consent).values(leftover=leftover))
        await drop(conn, connection_id)
        await audit.record(
            conn, now, actor, "connection.refuse_account", connection_id, account=row.account_id
        )


_other = connection.alias("other")
_HELD = (
    select(
        held, connection.c.client_name, connection.c.app, connection.c.provider, connection.c.region,
        _other.c.id.label("other"), _other.c.client_name.label("owner"),
    )
    .join(connection, connection.c.id == held.c.connection)
    .outerjoin(_other, _other.c.id == held.c.why)
    .order_by(held.c.held_at, held.c.connection)
)  # fmt: skip


async def waiting(database: Database) -> list[HeldGrant]:
    """Return all grants that wait for a person, the oldest first."""
    async with database.read() as conn:
        return await waiting_now(conn)


async def waiting_now(conn: AsyncConnection) -> list[HeldGrant]:
    """Return the same, read in a transaction."""
    return [_grant(row) for row in await conn.execute(_HELD)]


async def of_connection(database: Database, connection_id: str) -> HeldGrant | None:
    """Return the grant that is held for a connection."""
    async with database.read() as conn:
        row = (await conn.execute(_HELD.where(held.c.connection == connection_id))).one_or_none()
    return None if row is None else _grant(row)


async def counted(database: Database) -> list[tuple[str, str, int]]:
    """Return provider, app and how many grants wait for a person, for /metrics."""
    async with database.read() as conn:
        rows = await conn.execute(
            select(connection.c.provider, connection.c.app, func.count())
            .select_from(held)
            .join(connection, connection.c.id == held.c.connection)
            .group_by(connection.c.provider, connection.c.app)
        )
        return [(row[0], row[1], int(row[2])) for row in rows]


def _grant(row: Any) -> HeldGrant:
    return HeldGrant(
        row.connection, row.client_name, Place(row.app, row.provider, row.region),
        Account(row.account_id, row.account_name, row.user, tuple((a, n) for a, n in row.accounts)),
        row.held_at, row.consent, row.access,
        row.refresh, row.other, row.owner,
    )  # fmt: skip
