"""Re-authorization links and trips to the consent page; both are kept by the hash of their secret only."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.health.events import OF_TRIP, Type
from monitor.health.incidents import Place
from monitor.secret import Secret
from monitor.store import audit, bindings, events, fence, gates, provider_values
from monitor.store.bindings import AS_USUAL, Account, Binding
from monitor.store.consent_tables import consent, link
from monitor.store.engine import Database
from monitor.store.journal import SealedPair
from monitor.store.retry import retried
from monitor.store.tables import connection, credential
from monitor.text.ids import LENGTH, base62


@dataclass(frozen=True, slots=True)
class Link:
    """A link as it stands. `always`: an operator's, which starts also where nothing is broken."""

    id: int
    name: str  # what programs call it by
    connection: str
    provider: str
    incident: int | None
    locale: str
    cause: str
    always: bool
    made_at: datetime
    expires_at: datetime
    opened_at: datetime | None
    started_at: datetime | None
    used_at: datetime | None
    hash: str = ""


@dataclass(frozen=True, slots=True)
class Trip:
    """A trip to the provider's consent page. `verifier` (PKCE) is sealed."""

    id: int
    browser_hash: str
    link: int
    connection: str
    app: str
    redirect_uri: str
    verifier: str | None
    begun_at: datetime
    expires_at: datetime
    spent_at: datetime | None
    outcome: str
    account_id: str | None
    account_name: str | None


class Placed(StrEnum):
    """What became of a new pair."""

    STORED = "stored"
    HELD = "held"  # it waits for a person: whose account it is
    OTHER_ACCOUNT = "other_account"  # another one came on record meanwhile
    MOVED = "moved"  # the connection is another app's now, or gone


def fresh_secret() -> Secret:
    """Make the secret of a link, state or browser: 256 random bits."""
    return Secret(secrets.token_urlsafe(32))


def name_of(hash_: str) -> str:
    """Return what programs call a link by: a part of its hash, which opens nothing."""
    return f"lnk_{base62(int(hash_[:32], 16), LENGTH)}"


def hashed(secret: Secret) -> str:
    """Return what is kept of a secret. It is random, so a plain hash is enough."""
    return hashlib.sha256(secret.reveal().encode()).hexdigest()


@retried
async def issue(
    database: Database,
    connection_id: str,
    *,
    locale: str,
    now: datetime,
    expires_at: datetime,
    incident: int | None = None,
    cause: str = "",
    always: bool = False,
    by: str | None = None,
) -> Secret:
    """Make a link for one connection; return its secret, which is nowhere else.

    One that somebody asked for has its line in the audit, with who it was.
    """
    secret = fresh_secret()
    async with database.write() as conn:
        await conn.execute(
            insert(link).values(
                hash=hashed(secret), connection=connection_id, incident=incident, locale=locale, cause=cause,
                always=always, made_at=now, expires_at=expires_at,
            )
        )  # fmt: skip
        if by is not None:
            await audit.record(conn, now, by, "link.made", connection_id)
    return secret


LINK = select(link, connection.c.provider).join(connection, connection.c.id == link.c.connection)


async def find(database: Database, secret: Secret) -> Link | None:
    """Look a link up by its secret."""
    async with database.read() as conn:
        row = (await conn.execute(LINK.where(link.c.hash == hashed(secret)))).one_or_none()
    return None if row is None else link_of(row)


async def by_id(database: Database, number: int) -> Link | None:
    """Look a link up by its number."""
    async with database.read() as conn:
        row = (await conn.execute(LINK.where(link.c.id == number))).one_or_none()
    return None if row is None else link_of(row)


async def of_connection(
    database: Database, connection_id: str, limit: int = 20, before: int | None = None
) -> list[Link]:
    """Return the newest links of a connection, newest first, before a number."""
    query = LINK.where(link.c.connection == connection_id)
    if before is not None:
        query = query.where(link.c.id < before)
    async with database.read() as conn:
        rows = await conn.execute(query.order_by(link.c.id.desc()).limit(limit))
        return [link_of(row) for row in rows]


async def trips_of(database: Database, connection_id: str, limit: int = 20) -> list[Trip]:
    """Return the newest trips to the consent page for a connection, newest first."""
    query = select(consent).where(consent.c.connection == connection_id).order_by(consent.c.id.desc())
    async with database.read() as conn:
        return [_trip(row) for row in await conn.execute(query.limit(limit))]


@retried
async def note_opened(database: Database, number: int, now: datetime) -> bool:
    """Note the first opening, for the statistics alone; True when it was the first."""
    async with database.write() as conn:
        first = await conn.execute(
            update(link)
            .where(link.c.id == number, link.c.opened_at.is_(None))
            .values(opened_at=now)
            .returning(link.c.connection, link.c.incident, link.c.always)
        )
        row = first.one_or_none()
        if row is not None and not row.always:  # an operator's own link was in no mail
            await events.concerned(
                conn, Type.NOTICE_OPENED, {row.connection: {"incident": row.incident}}, now
            )
        return row is not None


@retried
async def begin_trip(
    database: Database,
    of: Link,
    *,
    state: Secret,
    browser: Secret,
    app: str,
    redirect_uri: str,
    verifier: str | None,
    now: datetime,
    expires_at: datetime,
) -> None:
    """Write a trip down before the browser leaves for the provider."""
    async with database.write() as conn:
        await conn.execute(
            update(link).where(link.c.id == of.id, link.c.started_at.is_(None)).values(started_at=now)
        )
        await conn.execute(
            insert(consent).values(
                state_hash=hashed(state), browser_hash=hashed(browser), link=of.id,
                connection=of.connection, app=app, redirect_uri=redirect_uri, verifier=verifier,
                begun_at=now, expires_at=expires_at, outcome="open",
            )
        )  # fmt: skip


async def trip(database: Database, state: Secret) -> Trip | None:
    """Look a trip up by the state that came back."""
    return await trip_of(database, hashed(state))


async def trip_of(database: Database, state_hash: str) -> Trip | None:
    """Look a trip up by the hash of its state, which is no secret."""
    async with database.read() as conn:
        row = (await conn.execute(select(consent).where(consent.c.state_hash == state_hash))).one_or_none()
    return None if row is None else _trip(row)


@retried
async def spend(
    database: Database, number: int, outcome: str, now: datetime, *, rule: str | None = None
) -> bool:
    """Spend a trip: of all callbacks with its state one gets True. Its verifier is kept no longer.

    `rule`: which of the provider's rules says that a setting of the client's administrator ended it.
    """
    async with database.write() as conn:
        done = await conn.execute(
            update(consent)
            .where(consent.c.id == number, consent.c.spent_at.is_(None))
            .values(spent_at=now, outcome=outcome, verifier=None)
            .returning(consent.c.connection)
        )
        connection_id = done.scalar_one_or_none()
        if connection_id is not None and (what := OF_TRIP.get(outcome)) is not None:
            await events.concerned(conn, what, {connection_id: {}}, now)
        if connection_id is not None and rule is not None:
            await _forbidden(conn, connection_id, number, outcome, rule, now)
        return connection_id is not None


@retried
async def conclude(
    database: Database,
    of: Trip,
    outcome: str,
    now: datetime,
    *,
    account: Account | None = None,
    leftover: str | None = None,
    rule: str | None = None,
    missing: Sequence[str] = (),
) -> None:
    """Write how a trip ended. `leftover` is a sealed token that is to be revoked; `rule` as in `spend`.

    `missing` are scopes that are needed and were not granted.
    """
    async with database.write() as conn:
        await _end(conn, of.id, outcome, account, leftover)
        if rule is not None:
            await _forbidden(conn, of.connection, of.id, outcome, rule, now)
        if account is not None:
            await _write_down(conn, of, outcome, account, now, missing=" ".join(missing) or None)
        if (what := OF_TRIP.get(outcome)) is not None:
            more = {"why": outcome} if what is Type.NOT_KEPT else {}
            await events.concerned(conn, what, {of.connection: more}, now)


@retried
async def replace_pair(
    database: Database,
    of: Trip,
    pair: SealedPair,
    *,
    account: Account,
    leftover: str | None,
    rules: Binding = AS_USUAL,
    now: datetime,
) -> Placed:
    """Put the new pair in the old one's place and let it be probed at once: one transaction.

    Nothing from before is believed any more: reads, doubts and flapping start anew, a probe that is under
    way is fenced off, and a refresh that is under way will find another version and keep off. Where no
    account is on record, this one is, unless it has to wait for a person (`store.bindings`): then the pair
    is held, and nothing else is touched.
    """
    async with database.write() as conn:
        await gates.one_binding(conn)
        held = await fence.hold(conn, [of.connection])
        known = (await conn.execute(select(connection).where(connection.c.id == of.connection))).one_or_none()
        if known is None or known.app != of.app:
            return Placed.MOVED
        if known.account_id is not None and known.account_id != account.id:
            return Placed.OTHER_ACCOUNT
        place = Place(known.app, known.provider, known.region)
        why = None
        if known.account_id is None:
            why = await bindings.why_held(conn, of.connection, place, account.id, rules)
        await _write_down(conn, of, "stored" if why is None else "held", account, now, why=why)
        if why is not None:
            await bindings.hold(
                conn, of.connection, why, account, now, consent=of.id, access=pair.access,
                refresh=pair.refresh, issued_at=pair.issued_at, access_expires_at=pair.access_expires_at,
                expiry_assumed=pair.assumed, granted=list(pair.granted) if pair.granted is not None else None,
                refresh_expires_at=pair.refresh_ends_at, grant_ends_at=pair.grant_ends_at,
                provider_values=dict(pair.values),
            )  # fmt: skip
            await _end(conn, of.id, Placed.HELD.value, account, None)
            return Placed.HELD
        await bindings.drop(conn, of.connection)
        await conn.execute(
            update(connection)
            .where(connection.c.id == of.connection)
            .values(account_id=account.id, account_name=account.name, updated_at=now)
        )
        values: dict[str, Any] = {
            "access": pair.access,
            "version": credential.c.version + 1,
            "issued_at": pair.issued_at,
            "access_expires_at": pair.access_expires_at,
            "expiry_assumed": pair.assumed,
            "demand_after": None,
            "authorized_at": now,
            "refresh_used_at": now,
            "granted": list(pair.granted) if pair.granted is not None else None,
            "refresh_expires_at": pair.refresh_ends_at,
            "grant_ends_at": pair.grant_ends_at,
            "authorized_by": account.user,
            "lost": False,
        }
        if pair.refresh is not None:
            # Without a new refresh token the old one stays, and with it what is in doubt about it.
            values |= {"refresh": pair.refresh, "doubt_since": None, "doubt_tried_at": None}
        await conn.execute(
            update(credential).where(credential.c.connection == of.connection).values(**values)
        )
        await provider_values.add(conn, {of.connection: pair.values})
        await bindings.close_refreshes(conn, of.connection, now)
        await fence.renew(conn, held, now)
        # One approval serves all links that were mailed for it.
        await conn.execute(
            update(link)
            .where(link.c.connection == of.connection, link.c.used_at.is_(None), link.c.made_at <= now)
            .values(used_at=now)
        )
        await _end(conn, of.id, Placed.STORED.value, account, leftover)
        await events.moved(conn, Type.AUTHORIZED, [of.connection], now)
    return Placed.STORED


async def _end(
    conn: AsyncConnection, number: int, outcome: str, account: Account | None, leftover: str | None
) -> None:
    seen = account or Account("")
    await conn.execute(
        update(consent)
        .where(consent.c.id == number)
        .values(
            outcome=outcome, account_id=seen.id or None, account_name=seen.called or None, leftover=leftover
        )
    )  # fmt: skip


async def _write_down(
    conn: AsyncConnection, of: Trip, outcome: str, account: Account, now: datetime, **more: str | None
) -> None:
    """Write the audit's line of a consent: who approved, from which link, with which account."""
    await audit.record(
        conn, now, "client", f"consent.{outcome}", of.connection, link=of.link, trip=of.id, app=of.app,
        account=account.id or account.called, account_name=account.name, user=account.user,
        **{name: said for name, said in more.items() if said is not None},
    )  # fmt: skip


async def _forbidden(
    conn: AsyncConnection, connection_id: str, trip: int, outcome: str, rule: str, now: datetime
) -> None:
    """Write the audit's line of a consent that the client's own administrator does not let through."""
    await audit.record(conn, now, "client", f"consent.{outcome}", connection_id, trip=trip, rule=rule)


@retried
async def forget(database: Database, before: datetime) -> int:
    """Drop links that expired before a time, with their trips; return how many."""
    old = select(link.c.id).where(link.c.expires_at < before).with_for_update(skip_locked=True)
    async with database.write() as conn:
        return int((await conn.execute(delete(link).where(link.c.id.in_(old)))).rowcount)


def link_of(row: Any) -> Link:
    """Read a row of `LINK`."""
    return Link(
        row.id, name_of(row.hash), row.connection, row.provider, row.incident, row.locale, row.cause,
        row.always, row.made_at, row.expires_at, row.opened_at, row.started_at, row.used_at, row.hash,
    )  # fmt: skip


def _trip(row: Any) -> Trip:
    return Trip(
        row.id, row.browser_hash, row.link, row.connection, row.app, row.redirect_uri, row.verifier,
        row.begun_at, row.expires_at, row.spent_at, row.outcome, row.account_id, row.account_name,
    )  # fmt: skip
