"""Links that may be told again: kept sealed, one that lives a break, for programs that send clients there."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import insert, select

from monitor.secret import Secret
from monitor.store import audit, gates
from monitor.store.consent_tables import link
from monitor.store.engine import Database
from monitor.store.links import LINK, Link, hashed, link_of
from monitor.store.retry import retried
from monitor.store.tables import connection


@retried
async def standing_or(
    database: Database,
    connection_id: str,
    secret: Secret,
    sealed: str,
    *,
    locale: str,
    now: datetime,
    expires_at: datetime,
    incident: int | None,
    cause: str,
    actor: str,
) -> tuple[str, Link] | None:
    """Return the live link of a break that may be told again, sealed; this one, where there was none.

    None where the connection is gone. One at a time a connection, so that two who ask are told the same.
    """
    async with database.write() as conn:
        await gates.lock(conn, [connection_id])
        mine = LINK.where(
            link.c.connection == connection_id,
            link.c.incident.is_not_distinct_from(incident),
            link.c.sealed.is_not(None),
            link.c.used_at.is_(None),
            link.c.expires_at > now,
        ).order_by(link.c.id.desc())
        row = (await conn.execute(mine.limit(1))).one_or_none()
        if row is None:
            known = select(connection.c.id).where(connection.c.id == connection_id)
            if (await conn.execute(known)).first() is None:
                return None
            await conn.execute(
                insert(link).values(
                    hash=hashed(secret), connection=connection_id, incident=incident, locale=locale,
                    cause=cause, sealed=sealed, always=False, made_at=now, expires_at=expires_at,
                )
            )  # fmt: skip
            await audit.record(conn, now, actor, "link.made", connection_id)
            row = (await conn.execute(LINK.where(link.c.hash == hashed(secret)))).one()
        return row.sealed, link_of(row)
