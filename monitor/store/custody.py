"""What custody of tokens reads and writes: the books of a connection, and the lease for a renewal on demand.

Reading a token that is good costs one look at three rows by their keys; nothing else is read then.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, NamedTuple

from sqlalchemy import Text, bindparam, or_, select, update

from monitor.health.handout import Books
from monitor.health.incidents import Place
from monitor.store import due, gates
from monitor.store.bulk import Columns, packed, unpacked
from monitor.store.columns import HEALTH, read_health
from monitor.store.due import Lease
from monitor.store.engine import Database
from monitor.store.retry import retried
from monitor.store.tables import connection, credential, watch


class Held(NamedTuple):
    """A connection's access token, sealed, with all that handing it out rests on."""

    id: str
    place: Place
    labels: Mapping[str, str]
    created_at: datetime
    account_id: str | None
    account_name: str | None
    scopes: tuple[str, ...]
    granted: tuple[str, ...] | None
    access: str | None
    assumed: bool  # when it ends is what the provider's file says
    books: Books
    values: Mapping[str, str] = MappingProxyType({})  # what stands in its URLs and headers


_HELD = (
    select(
        connection.c.app,
        connection.c.provider,
        connection.c.region,
        connection.c.labels,
        connection.c.created_at,
        connection.c.account_id,
        connection.c.account_name,
        connection.c.scopes,
        connection.c.custody,
        connection.c.handout,
        credential.c.granted,
        credential.c.access,
        credential.c.refresh.is_not(None).label("renews"),
        credential.c.lost,
        credential.c.version,
        credential.c.refused_version,
        credential.c.issued_at,
        credential.c.access_expires_at,
        credential.c.expiry_assumed,
        credential.c.demand_after,
        watch.c.next_probe_at,
        connection.c.provider_values,
        *HEALTH,
    )
    .join(watch, watch.c.connection == connection.c.id)
    .join(credential, credential.c.connection == connection.c.id)
    .where(connection.c.id == bindparam("id"))
)
_FIRST_HEALTH = 22


async def held(database: Database, connection_id: str) -> Held | None:
    """Return what is written of a connection's access token, None where there is no such connection."""
    async with database.look() as conn:
        row = (await conn.execute(_HELD, {"id": connection_id})).one_or_none()
    if row is None:
        return None
    values = tuple(row)
    (
        app, provider, region, labels, created, account, name, scopes, custody, handout, granted, access,
        renews, lost, version, refused, issued, expires, assumed, after, next_look,
        own,
    ) = values[:_FIRST_HEALTH]  # fmt: skip
    books = Books(
        read_health(values[_FIRST_HEALTH:]),
        authorized=access is not None,
        renewable=bool(renews) and not lost,
        lost=lost,
        generation=version,
        refused=refused,
        issued_at=issued,
        expires_at=expires,
        not_before=after,
        next_look=next_look,
        custody=custody,
        handout=handout,
    )
    return Held(
        connection_id, Place(app, provider, region), labels, created, account, name, tuple(scopes),
        tuple(granted) if granted is not None else None, access, assumed, books, own,
    )  # fmt: skip


class Standing(NamedTuple):
    """How far a renewal can begin: which pair is stored, who is at the connection, and from when on."""

    generation: int
    leased_until: datetime | None
    not_before: datetime | None


_STANDING = (
    select(credential.c.version, watch.c.lease_until, credential.c.demand_after)
    .join(watch, watch.c.connection == credential.c.connection)
    .where(credential.c.connection == bindparam("id"))
)


async def standing(database: Database, connection_id: str) -> Standing | None:
    """Return whether a renewal can begin, None where there is no such connection."""
    async with database.look() as conn:
        row = (await conn.execute(_STANDING, {"id": connection_id})).one_or_none()
    return None if row is None else Standing(*row)


@retried
async def claim(
    database: Database, process: str, connection_id: str, generation: int, now: datetime, lease: timedelta
) -> Lease | None:
    """Take the lease of a connection to renew this generation; None where somebody has it, or it moved on.

    What is paused is taken, too: nobody judges it, and its token is still renewed for whoever works with it.
    """
    free = (
        select(watch.c.connection)
        .join(credential, credential.c.connection == watch.c.connection)
        .where(
            watch.c.connection == connection_id,
            credential.c.version == generation,
            or_(credential.c.demand_after.is_(None), credential.c.demand_after <= now),
            or_(watch.c.lease_until.is_(None), watch.c.lease_until <= now),
        )
        .with_for_update(of=watch, skip_locked=True)
    )
    async with database.write() as conn:
        ids = list((await conn.execute(free)).scalars())
        leases = await due.take(conn, process, ids, now, lease)
    return leases[0] if leases else None


@retried
async def give_back(
    database: Database,
    lease: Lease,
    process: str,
    not_before: datetime | None = None,
    look_at: datetime | None = None,
) -> None:
    """Give a lease back. After a failure the loop looks at `look_at`; no demand is made before `not_before`.

    What is not looked at (paused) stays so. A lease that somebody else has taken meanwhile is theirs.
    """
    async with database.write() as conn:
        await gates.lock(conn, [lease.id])
        mine = update(watch).where(
            watch.c.connection == lease.id, watch.c.lease_by == process, watch.c.lease_epoch == lease.epoch
        )
        await conn.execute(mine.values(lease_by=None, lease_until=None))
        if not_before is None:
            return
        await conn.execute(
            update(watch)
            .where(watch.c.connection == lease.id, watch.c.next_probe_at > look_at)
            .values(next_probe_at=look_at)
        )
        await conn.execute(
            update(credential)
            .where(credential.c.connection == lease.id, credential.c.version == lease.sealed.version)
            .values(demand_after=not_before)
        )


_IDS: Columns = {"id": Text}
_MARKS = (
    credential.c.version,
    credential.c.refused_version,
    credential.c.lost,
    connection.c.handout,
    connection.c.custody,
    watch.c.state,
    watch.c.cause,
    watch.c.candidate,
)


def _marking(is_sqlite: bool) -> Any:
    given = unpacked(_IDS, is_sqlite)
    return (
        select(watch.c.connection, *_MARKS)
        .join(given, given.c.id == watch.c.connection)
        .join(credential, credential.c.connection == watch.c.connection)
        .join(connection, connection.c.id == watch.c.connection)
    )


_BULK = {is_sqlite: _marking(is_sqlite) for is_sqlite in (True, False)}


async def marks(database: Database, ids: Collection[str]) -> dict[str, tuple[Any, ...]]:
    """Return of connections that are waited for what changes when an answer about their token may change."""
    given = packed(_IDS, [(name,) for name in ids], database.is_sqlite)
    async with database.read() as conn:
        return {row[0]: tuple(row[1:]) for row in await conn.execute(_BULK[database.is_sqlite], given)}
