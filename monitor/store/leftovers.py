"""Tokens that nobody needs any more, kept sealed until their provider has revoked them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import select, update

from monitor.health.incidents import Place
from monitor.store.consent_tables import consent
from monitor.store.engine import Database
from monitor.store.retry import retried
from monitor.store.tables import connection


class Leftover(NamedTuple):
    """A token that waits for its revocation, with its connection's values."""

    trip: int
    place: Place
    sealed: str
    since: datetime
    values: Mapping[str, str]


async def waiting(database: Database, limit: int = 20) -> list[Leftover]:
    """Return tokens that wait for their revocation."""
    async with database.read() as conn:
        rows = await conn.execute(
            select(
                consent.c.id,
                consent.c.app,
                consent.c.leftover,
                consent.c.begun_at,
                connection.c.provider,
                connection.c.region,
                connection.c.provider_values,
            )
            .join(connection, connection.c.id == consent.c.connection)
            .where(consent.c.leftover.is_not(None))
            .limit(limit)
        )
        return [
            Leftover(
                row.id,
                Place(row.app, row.provider, row.region),
                row.leftover,
                row.begun_at,
                row.provider_values,
            )
            for row in rows
        ]


@retried
async def drop(database: Database, number: int) -> None:
    """Forget a token that was revoked, or that nobody could revoke for days."""
    async with database.write() as conn:
        await conn.execute(update(consent).where(consent.c.id == number).values(leftover=None))


async def others_with_account(database: Database, connection_id: str, provider: str, account: str) -> bool:
    """Whether another connection of ours at the provider belongs to the same account."""
    async with database.read() as conn:
        row = await conn.execute(
            select(connection.c.id)
            .where(
                connection.c.provider == provider,
                connection.c.account_id == account,
                connection.c.id != connection_id,
            )
            .limit(1)
        )
        return row.first() is not None
