"""Connections taken in: added, or changed in what differs, all of them or none."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.errors import ChangedMeanwhile, Exists, ImportRefused, NotFound
from monitor.health.events import Type
from monitor.health.incidents import Place
from monitor.health.lifecycle import added
from monitor.store import audit, bindings, events, fence, gates
from monitor.store.columns import health_columns
from monitor.store.connections import place_of
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
    handout: bool | None = None  # None: as it is
    values: Mapping[str, str] | None = None  # None: as they are


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
    expected: Mapping[str, int | None] | None = None,
    alone: bool = False,
) -> Imported:
    """Insert or update by id, all or nothing.

    Tokens are taken only when the file brings others than it did the last time: importing the same
    file twice must not put a spent refresh token back in the place of its successor. They belong to one
    app: another one is taken only with tokens of its own, and ends what was under way with the old one.
    `issuers` says whose accounts an app's are (`bindings.Binding`). `expected` is the revision that some are
    taken to have, None where they are taken not to be there; `alone`: each has its own line in the audit.
    Raises ImportRefused, ChangedMeanwhile, Exists, and NotFound.
    """
    async with database.write() as conn:
        await gates.one_import(conn)
        await gates.one_binding(conn)
        return await put_in(
            conn, new, now, actor, dry_run=dry_run, issuers=issuers, expected=expected, alone=alone
        )


async def put_in(
    conn: AsyncConnection,
    new: Sequence[NewConnection],
    now: datetime,
    actor: str,
    *,
    dry_run: bool = False,
    issuers: Mapping[str, str] | None = None,
    expected: Mapping[str, int | None] | None = None,
    alone: bool = False,
) -> Imported:
    """Do the same in a transaction that holds both gates of imports."""
    added: list[str] = []
    changed: list[str] = []
    same: list[str] = []
    refused: list[str] = []
    held = {} if dry_run else await fence.hold(conn, [item.id for item in new])
    for start in range(0, len(new), 500):
        part = new[start : start + 500]
        known = await _known_rows(conn, [item.id for item in part])
        _as_expected(known, part, expected or {})
        fresh = [item for item in part if item.id not in known]
        added += [item.id for item in fresh]
        if fresh and not dry_run:
            await _insert(conn, fresh, now)
        others: list[tuple[NewConnection, bool]] = []
        for item in (item for item in part if item.id in known):
            was = known[item.id]
            tokens_new, who_new = _differs(item, was)
            moved = place_of(was) != item.place
            if moved and was.access is not None and not tokens_new:
                refused.append(_other_app(item, was))
            (changed if tokens_new or who_new else same).append(item.id)
            if not dry_run and (tokens_new or who_new):
                if moved:
                    await bindings.leave_app(conn, item.id, now)
                keeps = not moved or _same_accounts(item.place, place_of(was), issuers or {})
                await _update(conn, item, now, tokens_new, keeps)
                others.append((item, tokens_new))
        await _fence(conn, others, held, now)
        otherwise = {
            item.id: held[item.id]
            for item, tokens_new in others
            if not tokens_new and item.values not in (None, known[item.id].provider_values)
        }
        await fence.look_again(conn, otherwise, now)  # they are asked with other values
        await _say(conn, [] if dry_run else fresh, others, now)
    if refused:
        raise ImportRefused(refused)
    if not dry_run and (added or changed):
        if alone:
            for action, names in (("connection.create", added), ("connection.change", changed)):
                for name in names:
                    await audit.record(conn, now, actor, action, name)
        else:
            await audit.record(
                conn, now, actor, "connections.import", "connections",
                added=len(added), changed=changed[:100],
            )  # fmt: skip
    return Imported(tuple(added), tuple(changed), tuple(same))


async def _say(
    conn: AsyncConnection,
    fresh: Sequence[NewConnection],
    others: Sequence[tuple[NewConnection, bool]],
    now: datetime,
) -> None:
    await events.moved(conn, Type.CREATED, [item.id for item in fresh], now)
    await events.moved(conn, Type.CHANGED, [item.id for item, _ in others], now)


async def _known_rows(conn: AsyncConnection, ids: Sequence[str]) -> dict[str, Row[Any]]:
    rows = await conn.execute(
        select(connection, credential.c.imported, credential.c.access)
        .join(credential, credential.c.connection == connection.c.id)
        .where(connection.c.id.in_(ids))
    )
    return {row.id: row for row in rows}


def _as_expected(
    known: Mapping[str, Row[Any]], part: Sequence[NewConnection], expected: Mapping[str, int | None]
) -> None:
    for name in (item.id for item in part if item.id in expected):
        was, revision = known.get(name), expected[name]
        if was is None and revision is not None:
            raise NotFound(f"There is no connection {name!r}.")
        if was is not None and revision is None:
            raise Exists(f"There is a connection {name!r} already.")
        if was is not None and was.revision != revision:
            raise ChangedMeanwhile(f"{name} was changed meanwhile.", was.revision)


def _differs(item: NewConnection, row: Row[Any]) -> tuple[bool, bool]:
    tokens_new = item.imported is not None and item.imported != row.imported
    who = _who(item)
    if item.account_id is None:
        del who["account_id"]  # left out of the file: keep the one that was found out
    return tokens_new, any(getattr(row, name) != value for name, value in who.items())


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
    said: dict[str, Any] = {} if item.handout is None else {"handout": item.handout}
    said |= {} if item.values is None else {"provider_values": dict(item.values)}
    return said | {
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
        [
            {"id": item.id, "created_at": now, "updated_at": now, "provider_values": {}, **_who(item)}
            for item in new
        ],
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
        "expiry_assumed": False,
        "demand_after": None,
        "imported": item.imported,
        "issued_at": None,
        "authorized_at": None,
        # Not known, so the youngest it can be: an idle deadline counted from here is never too early
        # a verdict, only perhaps a late one.
        "refresh_used_at": now if item.refresh else None,
        "granted": None,
        "refresh_expires_at": None,
        "grant_ends_at": None,
        "authorized_by": None,
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
        who.setdefault("provider_values", {})  # another provider's URLs have other values
    elif item.account_id is None:
        del who["account_id"]
    who |= {"updated_at": now, "revision": connection.c.revision + 1}
    await conn.execute(update(connection).where(connection.c.id == item.id).values(who))
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
