"""Tokens that nobody needs any more, kept sealed until their provider has revoked them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select, update

from monitor.health.incidents import Place
from monitor.store.consent_tables import consent
from monitor.store.engine import Database
from monitor.store.retry import retried
from monitor.store.tables import connection


async def waiting(database: Database, limit: int = 20) -> list[tuple[int, Place, str, datetime]]:
    """Return tokens that wait for their revocation: trip, the app they are of, sealed token, since when."""
    async with database.read() as conn:
        rows = await conn.execute(
            select(
                consent.c.id,
                consent.c.app,
                consent.c.leftover,
                consent.c.begun_at,
                connection.c.provider,
                connection.c.region,
            )
            .join(connection, connection.c.id == consent.c.connection)
            .where(consent.c.leftover.is_not(None))
            .limit(limit)
        )
        return [
            (row.id, Place(row.app, row.provider, row.region), row.leftover, row.begun_at) for row in rows
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
