"""The keys of programs: made, found by what their text says, changed, ended. Only hashes of texts are stored.

What the operator has to hear of is told by `bell`, in the transaction of what it tells of.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.errors import ChangedMeanwhile, Conflict, NotFound, Remedy
from monitor.health.events import Type
from monitor.health.restriction import Restriction, as_document, of_document
from monitor.store import audit, events, incidents
from monitor.store.door_tables import api_key
from monitor.store.engine import Database
from monitor.store.retry import retried

Bell = Callable[[AsyncConnection, str, datetime], Awaitable[None]]
USED_EVERY = timedelta(minutes=1)  # how exactly `last_used_at` is known


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it is stored. `hash` is of its text, `old_hash` of the one before, good until `old_until`."""

    id: str
    name: str
    hash: str
    old_hash: str | None
    old_until: datetime | None
    scopes: tuple[str, ...]
    only: Restriction
    made_by: str
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None
    exposed_at: datetime | None
    revision: int

    def state(self, now: datetime) -> str:
        """Return `active`, `expired` or `revoked`."""
        if self.revoked_at is not None:
            return "revoked"
        return "active" if now < self.expires_at else "expired"

    def is_text(self, digest: str, now: datetime) -> bool:
        """Whether a hash is that of this key's text, or of the one before while that is good.

        Both are compared, and in constant time.
        """
        new = hmac.compare_digest(digest, self.hash)
        old = hmac.compare_digest(digest, self.old_hash or "")
        return new or (old and self.old_until is not None and now < self.old_until)


@retried
async def add(database: Database, key: ApiKey, handle: str, now: datetime, bell: Bell, why: str) -> None:
    """Write a new key; `why` is what the operator hears of it, where that is something."""
    async with database.write() as conn:
        await _one_at_a_time(conn, why)
        await conn.execute(
            insert(api_key).values(
                id=key.id, handle=handle, name=key.name, hash=key.hash, scopes=list(key.scopes),
                only=as_document(key.only), made_by=key.made_by, created_at=now, expires_at=key.expires_at,
            )
        )  # fmt: skip
        await _tell(conn, bell, why, now)
        await audit.record(
            conn, now, key.made_by, "key.create", key.id, name=key.name, scopes=list(key.scopes),
            only=as_document(key.only), expires_at=key.expires_at.isoformat(),
        )  # fmt: skip


async def by_handle(database: Database, handle: str) -> ApiKey | None:
    """Return the key that a text says that it is; whether it is, `ApiKey.is_text` says."""
    async with database.read() as conn:
        row = (await conn.execute(select(api_key).where(api_key.c.handle == handle))).one_or_none()
    return _key(row) if row is not None else None


async def handle_of(database: Database, key: str) -> str:
    """Return what the text of a key says that it is."""
    async with database.read() as conn:
        return str((await conn.execute(select(api_key.c.handle).where(api_key.c.id == key))).scalar_one())


async def show(database: Database, name: str) -> ApiKey:
    """Return a key, by its id or its name. Raises NotFound."""
    async with database.read() as conn:
        return _key(await _one(conn, name))


async def page(database: Database, limit: int, *, after: str = "", ended: bool = True) -> list[ApiKey]:
    """Return keys by their ids, from after one of them on; those that are revoked too, or not."""
    query = select(api_key).where(api_key.c.id > after).order_by(api_key.c.id).limit(limit)
    async with database.read() as conn:
        rows = await conn.execute(query if ended else query.where(api_key.c.revoked_at.is_(None)))
        return [_key(row) for row in rows]


@retried
async def change(
    database: Database,
    name: str,
    values: Mapping[str, Any],
    now: datetime,
    by: str,
    bell: Bell,
    why: str,
    revision: int | None = None,
) -> ApiKey:
    """Change a key's name, scopes, restriction or end. Raises NotFound, Conflict, ChangedMeanwhile.

    `revision` is the one that the change was made from, None: whatever it is.
    """
    async with database.write() as conn:
        await _one_at_a_time(conn, why)
        row = await _held(conn, name, revision)
        stored = dict(values)
        if "scopes" in stored:
            stored["scopes"] = list(stored["scopes"])
        if "only" in stored:
            stored["only"] = as_document(stored["only"])
        if "expires_at" in stored:
            stored["told_days"] = None  # another end is told of anew
        await _write(conn, row.id, **stored)
        await _tell(conn, bell, why, now)
        said = {
            key: value.isoformat() if isinstance(value, datetime) else value for key, value in stored.items()
        }
        said.pop("told_days", None)
        await audit.record(conn, now, by, "key.change", row.id, **said)
        return _key(await _one(conn, row.id))


@retried
async def rotate(
    database: Database, name: str, digest: str, grace: timedelta, now: datetime, by: str,
    revision: int | None = None,
) -> ApiKey:  # fmt: skip
    """Give a key a second text; the first is good yet. Raises NotFound, Conflict, ChangedMeanwhile."""
    async with database.write() as conn:
        row = await _held(conn, name, revision)
        await _write(conn, row.id, hash=digest, old_hash=row.hash, old_until=now + grace)
        await audit.record(conn, now, by, "key.rotate", row.id, grace_seconds=int(grace.total_seconds()))
        return _key(await _one(conn, row.id))


@retried
async def revoke(
    database: Database, name: str, now: datetime, by: str, revision: int | None = None
) -> ApiKey:
    """End a key for good. Raises NotFound, Conflict, ChangedMeanwhile."""
    async with database.write() as conn:
        row = await _held(conn, name, revision)
        await _write(conn, row.id, revoked_at=now)
        await audit.record(conn, now, by, "key.revoke", row.id, name=row.name)
        return _key(await _one(conn, row.id))


@retried
async def used(database: Database, key: str, now: datetime) -> None:
    """Note that a key is in use, unless that was noted a moment ago."""
    long_ago = or_(api_key.c.last_used_at.is_(None), api_key.c.last_used_at < now - USED_EVERY)
    async with database.write() as conn:
        await conn.execute(update(api_key).where(api_key.c.id == key, long_ago).values(last_used_at=now))


@retried
async def expose(database: Database, key: ApiKey, now: datetime, where: str, bell: Bell) -> bool:
    """Note that a key stood in a URL, and tell the operator; once. `where` is the address that sent it."""
    async with database.write() as conn:
        await incidents.one_at_a_time(conn)
        done = await conn.execute(
            update(api_key)
            .where(api_key.c.id == key.id, api_key.c.exposed_at.is_(None))
            .values(exposed_at=now)
        )
        if not done.rowcount:
            return False
        await bell(
            conn, f"the key {key.name!r} ({key.id}) stood in a URL, and so in logs; rotate or revoke it", now
        )
        await audit.record(conn, now, audit.SERVICE, "key.exposed", key.id, name=key.name, address=where)
    return True


async def ending(database: Database, before: datetime, now: datetime) -> list[tuple[ApiKey, int | None]]:
    """Return the keys that end before a time, soonest first, each with the warning it had, in days."""
    query = select(api_key).where(
        api_key.c.revoked_at.is_(None), api_key.c.expires_at > now, api_key.c.expires_at <= before
    )
    async with database.read() as conn:
        rows = await conn.execute(query.order_by(api_key.c.expires_at))
        return [(_key(row), row.told_days) for row in rows]


@retried
async def warn(database: Database, keys: Sequence[ApiKey], days: int, now: datetime, bell: Bell) -> int:
    """Say that keys end so many days from now, or sooner; return of how many that was not said before."""
    told = 0
    async with database.write() as conn:
        await incidents.one_at_a_time(conn)
        for key in keys:
            known = or_(api_key.c.told_days.is_(None), api_key.c.told_days > days)
            done = await conn.execute(
                update(api_key).where(api_key.c.id == key.id, known).values(told_days=days)
            )
            if not done.rowcount:
                continue
            told += 1
            await bell(
                conn, f"the key {key.name!r} ({key.id}) ends on {key.expires_at:%Y-%m-%d %H:%M} UTC", now
            )
            said = {"key": key.id, "name": key.name, "expires_at": f"{key.expires_at:%Y-%m-%dT%H:%M:%SZ}"}
            await events.general(conn, Type.KEY_EXPIRING, now, said)
    return told


async def _one_at_a_time(conn: AsyncConnection, why: str) -> None:
    if why:
        await incidents.one_at_a_time(conn)


async def _tell(conn: AsyncConnection, bell: Bell, why: str, now: datetime) -> None:
    if why:
        await bell(conn, why, now)


async def _held(conn: AsyncConnection, name: str, revision: int | None) -> Row[Any]:
    """Lock a key that is to be changed, and return it."""
    row = await _one(conn, name, lock=True)
    if revision is not None and row.revision != revision:
        raise ChangedMeanwhile(f"The key {row.name!r} was changed meanwhile.", row.revision)
    if row.revoked_at is not None:
        raise Conflict(f"The key {row.name!r} is revoked, for good.", Remedy("api_keys.new", "makes another"))
    return row


async def _write(conn: AsyncConnection, key: str, **values: Any) -> None:
    await conn.execute(
        update(api_key).where(api_key.c.id == key).values(revision=api_key.c.revision + 1, **values)
    )


async def _one(conn: AsyncConnection, name: str, *, lock: bool = False) -> Row[Any]:
    """Return a key's row, by its id, or by its name where one key alone that is not revoked has it."""
    query = select(api_key).where(or_(api_key.c.id == name, api_key.c.name == name)).order_by(api_key.c.id)
    rows = (await conn.execute(query.with_for_update() if lock else query)).all()
    for found in (
        [row for row in rows if row.id == name],
        [row for row in rows if row.revoked_at is None],
        rows,
    ):
        if len(found) == 1:
            return found[0]
        if len(found) > 1:
            ids = ", ".join(row.id for row in found)
            raise Conflict(f"Several keys are called {name!r}: {ids}. Name one by its id.")
    raise NotFound(f"There is no key {name!r}.", Remedy("api_keys.list", "shows those there are"))


def _key(row: Row[Any]) -> ApiKey:
    return ApiKey(
        row.id, row.name, row.hash, row.old_hash, row.old_until, tuple(row.scopes), of_document(row.only),
        row.made_by, row.created_at, row.expires_at, row.last_used_at, row.revoked_at, row.exposed_at,
        row.revision,
    )  # fmt: skip
