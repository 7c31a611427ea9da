"""Connections as people handle them: import, list, show, pause, resume, remove."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Container, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, case, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.errors import ConfigurationError, ImportRefused, NotFound, Remedy
from monitor.health.incidents import Place
from monitor.health.lifecycle import Health, State, added, on_new_grounds, paused, resumed
from monitor.health.rotation import Doubt
from monitor.store import audit, bindings, fence, gates, incidents
from monitor.store.columns import Sealed, health_columns, health_of, sealed_of
from monitor.store.engine import Database
from monitor.store.fence import Gated
from monitor.store.retry import retried
from monitor.store.tables import connection, credential, watch


@dataclass(frozen=True, slots=True)
class NewConnection:
    """A connection to be stored. The tokens are sealed already; `imported` is a hash of them as given."""

    id: str
    place: Place
    client_name: str
    contacts: tuple[str, ...]
    locale: str
    timezone: str
    scopes: tuple[str, ...]
    account_id: str | None
    labels: Mapping[str, str]
    access: str | None = None
    refresh: str | None = None
    access_expires_at: datetime | None = None
    imported: str | None = None
    first_probe_at: datetime | None = None


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

    @property
    def newcomer(self) -> bool:
        """Whether it was never authorized."""
        return self.health.state is State.PENDING and self.sealed.access is None

    @property
    def doubt(self) -> Doubt | None:
        """What is in doubt about the refresh token; nothing any more, once it is lost."""
        return self.sealed.doubt if not self.sealed.lost else None


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did, by id."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    same: tuple[str, ...]


@retried
async def put(
    database: Database,
    new: Sequence[NewConnection],
    now: datetime,
    actor: str,
    *,
    dry_run: bool = False,
    issuers: Mapping[str, str] | None = None,
) -> Imported:
    """Insert or update by id, all or nothing.

    Tokens are taken only when the file brings others than it did the last time: importing the same
    file twice must not put a spent refresh token back in the place of its successor. They belong to one
    app: another one is taken only with tokens of its own, and ends what was under way with the old one.
    `issuers` says whose accounts an app's are (`bindings.Binding`). Raises ImportRefused.
    """
    added: list[str] = []
    changed: list[str] = []
    same: list[str] = []
    refused: list[str] = []
    async with database.write() as conn:
        await gates.one_import(conn)
        await gates.one_binding(conn)
        held = {} if dry_run else await fence.hold(conn, [item.id for item in new])
        for start in range(0, len(new), 500):
            part = new[start : start + 500]
            known = await _known_rows(conn, [item.id for item in part])
            fresh = [item for item in part if item.id not in known]
            added += [item.id for item in fresh]
            if fresh and not dry_run:
                await _insert(conn, fresh, now)
            others: list[tuple[NewConnection, bool]] = []
            for item in (item for item in part if item.id in known):
                was = known[item.id]
                tokens_new, who_new = _differs(item, was)
                moved = _place(was) != item.place
                if moved and was.access is not None and not tokens_new:
                    refused.append(_other_app(item, was))
                (changed if tokens_new or who_new else same).append(item.id)
                if not dry_run and (tokens_new or who_new):
                    if moved:
                        await bindings.leave_app(conn, item.id, now)
                    keeps = not moved or _same_accounts(item.place, _place(was), issuers or {})
                    await _update(conn, item, now, tokens_new, keeps)
                    others.append((item, tokens_new))
            await _fence(conn, others, held, now)
        if refused:
            raise ImportRefused(refused)
        if not dry_run and (added or changed):
            await audit.record(
                conn,
                now,
                actor,
                "connections.import",
                "connections",
                added=len(added),
                changed=changed[:100],
            )
    return Imported(tuple(added), tuple(changed), tuple(same))


async def _known_rows(conn: AsyncConnection, ids: Sequence[str]) -> dict[str, Row[Any]]:
    rows = await conn.execute(
        select(connection, credential.c.imported, credential.c.access)
        .join(credential, credential.c.connection == connection.c.id)
        .where(connection.c.id.in_(ids))
    )
    return {row.id: row for row in rows}


def _differs(item: NewConnection, row: Row[Any]) -> tuple[bool, bool]:
    tokens_new = item.imported is not None and item.imported != row.imported
    who = _who(item)
    if item.account_id is None:
        del who["account_id"]  # left out of the file: keep the one that was found out
    return tokens_new, any(getattr(row, name) != value for name, value in who.items())


def _place(row: Row[Any]) -> Place:
    return Place(row.app, row.provider, row.region)


def _other_app(item: NewConnection, was: Row[Any]) -> str:
    before, after = f"app {was.app!r}", f"app {item.place.app!r}"
    if was.app == item.place.app:  # the configuration names another provider, or region, for it
        before += f" at {was.provider}/{was.region}"
        after += f" at {item.place.provider}/{item.place.region}"
    return (
        f"{item.id}: its tokens are for {before} and would be sent to {after}; give tokens of that one in "
        f"the file, or remove the connection first."
    )


def _same_accounts(one: Place, other: Place, issuers: Mapping[str, str]) -> bool:
    """Whether the accounts of two apps are known to be the same server's."""
    issuer = issuers.get(one.app)
    return issuer is not None and one.app != other.app and issuers.get(other.app) == issuer


def _who(item: NewConnection) -> dict[str, Any]:
    return {
        "app": item.place.app,
        "provider": item.place.provider,
        "region": item.place.region,
        "client_name": item.client_name,
        "contacts": list(item.contacts),
        "locale": item.locale,
        "timezone": item.timezone,
        "scopes": list(item.scopes),
        "account_id": item.account_id,
        "labels": dict(item.labels),
    }


async def _insert(conn: AsyncConnection, new: Sequence[NewConnection], now: datetime) -> None:
    await conn.execute(
        insert(connection),
        [{"id": item.id, "created_at": now, "updated_at": now, **_who(item)} for item in new],
    )
    as_new = health_columns(added(now))
    await conn.execute(
        insert(watch),
        [
            {
                "connection": item.id,
                "app": item.place.app,
                "provider": item.place.provider,
                "region": item.place.region,
                # Not from 0: a lease from before a removal must not fit the connection that has its id now.
                "lease_epoch": secrets.randbelow(2**30),
                "next_probe_at": item.first_probe_at if item.access else None,
                "reads": {},
            }
            | as_new
            for item in new
        ],
    )
    await conn.execute(insert(credential), [{"connection": i.id, **_tokens(i, now)} for i in new])


def _tokens(item: NewConnection, now: datetime) -> dict[str, Any]:
    return {
        "access": item.access,
        "refresh": item.refresh,
        "access_expires_at": item.access_expires_at,
        "imported": item.imported,
        "issued_at": None,
        "authorized_at": None,
        # Not known, so the youngest it can be: an idle deadline counted from here is never too early
        # a verdict, only perhaps a late one.
        "refresh_used_at": now if item.refresh else None,
        "granted": None,
        "lost": False,
        "doubt_since": None,
        "doubt_tried_at": None,
    }


async def _update(
    conn: AsyncConnection, item: NewConnection, now: datetime, tokens_new: bool, keeps_account: bool
) -> None:
    who = _who(item)
    if not keeps_account:
        who["account_name"] = None
    elif item.account_id is None:
        del who["account_id"]
    await conn.execute(update(connection).where(connection.c.id == item.id).values(updated_at=now, **who))
    if tokens_new:
        await bindings.drop(conn, item.id)  # what waited for a person was to be its tokens; these are
        await conn.execute(
            update(credential)
            .where(credential.c.connection == item.id)
            .values(version=credential.c.version + 1, **_tokens(item, now))
        )


async def _fence(
    conn: AsyncConnection,
    others: Sequence[tuple[NewConnection, bool]],
    held: Mapping[str, Gated],
    now: datetime,
) -> None:
    """Put connections where the file has them; `others` says of each whether its tokens are new."""
    for place in {item.place for item, _ in others}:
        here = {item.id: tokens_new for item, tokens_new in others if item.place == place}
        where = {"app": place.app, "provider": place.provider, "region": place.region}
        known = {name: held[name].health for name, tokens_new in here.items() if not tokens_new}
        await fence.fence(conn, known, **where)
        await fence.renew(conn, {n: held[n] for n, tokens_new in here.items() if tokens_new}, now, **where)


@retried
async def pause(database: Database, ids: Sequence[str], now: datetime, actor: str) -> list[str]:
    """Stop looking at connections; a probe that is under way no longer counts. Returns those changed."""
    async with database.write() as conn:
        await incidents.one_at_a_time(conn)
        held = await fence.hold(conn, ids)
        must_exist(held, ids)
        moved = {
            name: paused(was.health, now)
            for name, was in held.items()
            if was.health.state is not State.PAUSED or was.rests is not None
        }
        await fence.fence(conn, moved, rests=None, next_probe_at=None)
        await incidents.close_of(conn, list(moved), now)
        for name in moved:
            await audit.record(conn, now, actor, "connection.pause", name)
    return list(moved)


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
        for authorized, first_probe in ((True, now), (False, None)):
            moved = {
                name: resumed(was.health, now, authorized=authorized)
                for name, was in asleep.items()
                if was.authorized is authorized
            }
            await fence.fence(conn, moved, rests=None, scopes_all=True, next_probe_at=first_probe)
        for name in asleep:
            await audit.record(conn, now, actor, "connection.resume", name)
    return list(asleep)


def must_be_configured(connection_id: str, app: str, apps: Collection[str]) -> None:
    """Refuse what needs a connection's app where the configuration has none. Raises ConfigurationError."""
    if app not in apps:
        raise ConfigurationError(
            f"{connection_id}: its app {app!r} is not configured, so nobody can look at it. Add it to "
            "[[apps]] again, or import the connection with another app."
        )


@retried
async def remove(database: Database, ids: Sequence[str], now: datetime, actor: str) -> None:
    """Forget connections and their tokens; the audit keeps that they were there."""
    async with database.write() as conn:
        await incidents.one_at_a_time(conn)
        must_exist(await fence.hold(conn, ids), ids)
        await conn.execute(delete(connection).where(connection.c.id.in_(ids)))
        await incidents.close_of(conn, ids, now)
        for name in ids:
            await audit.record(conn, now, actor, "connection.remove", name)


@retried
async def set_account(
    database: Database, connection_id: str, account: str, now: datetime, actor: str
) -> None:
    """Put another account on record, and look at the connection at once: what it is may be right now.

    A grant that waits for a person is taken where it is that account's, and forgotten where it is not.
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
        if not await bindings.bind(conn, connection_id, held[connection_id], account, now):
            await bindings.drop(conn, connection_id)
            anew = {connection_id: on_new_grounds(held[connection_id].health, now)}
            await fence.fence(conn, anew, next_probe_at=case((watch.c.next_probe_at.is_not(None), now)))
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
    )
    .join(watch, watch.c.connection == connection.c.id)
    .join(credential, credential.c.connection == connection.c.id)
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
                if _place(row) != places[row.id]:
                    found.append((row.id, _place(row), sealed_of(row)))
    return found


async def per_app(database: Database) -> dict[str, int]:
    """Return how many connections of each app are looked at."""
    async with database.read() as conn:
        rows = await conn.execute(
            select(watch.c.app, func.count()).where(watch.c.next_probe_at.is_not(None)).group_by(watch.c.app)
        )
        return {row[0]: int(row[1]) for row in rows}


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
    return Known(
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
    )
