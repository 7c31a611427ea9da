"""That somebody is on what is open of a connection: written down, and taken back."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.errors import Conflict, Remedy
from monitor.health.causes import Subject
from monitor.health.claim import Claim
from monitor.health.incidents import About
from monitor.health.lifecycle import State
from monitor.store import audit, fence, incidents
from monitor.store.connections import must_exist
from monitor.store.engine import Database
from monitor.store.retry import retried
from monitor.store.tables import connection, incident

_NOBODY = {"claimed_by": None, "claimed_until": None, "claimed_incident": None}


@retried
async def lay(database: Database, connection_id: str, claim: Claim, now: datetime, actor: str) -> None:
    """Note who is on what is open of a connection, in place of whoever was.

    Nothing that people configured changes, and its revision stays. Raises NotFound, and Conflict where
    nothing is broken and no first authorization is to come.
    """
    async with database.write() as conn:
        held = await fence.hold(conn, [connection_id])
        must_exist(held, [connection_id])
        number = await _open_incident(conn, connection_id)
        was = held[connection_id]
        if number is None and (was.authorized or was.health.state is not State.PENDING):
            raise Conflict(
                f"{connection_id}: nothing of it is open that anybody could be on.",
                Remedy("explain.story", "says how it is", connection_id),
            )
        await conn.execute(
            update(connection)
            .where(connection.c.id == connection_id)
            .values(claimed_by=claim.who, claimed_until=claim.until, claimed_incident=number)
        )
        until = claim.until.isoformat(timespec="seconds")
        await audit.record(conn, now, actor, "connection.claim", connection_id, who=claim.who, until=until)


@retried
async def take_back(database: Database, connection_id: str, now: datetime, actor: str) -> bool:
    """Forget who is on it; whether anybody was. Raises NotFound."""
    async with database.write() as conn:
        must_exist(await fence.hold(conn, [connection_id]), [connection_id])
        mine = connection.c.id == connection_id
        was = await conn.execute(select(connection.c.claimed_by).where(mine))
        who = was.scalar_one()
        if who is None:
            return False
        await conn.execute(update(connection).where(mine).values(_NOBODY))
        await audit.record(conn, now, actor, "connection.unclaim", connection_id, who=who)
        return True


async def _open_incident(conn: AsyncConnection, connection_id: str) -> int | None:
    mine = incidents.is_open(About(Subject.CONNECTION, connection_id))
    return (await conn.execute(select(incident.c.id).where(mine))).scalar_one_or_none()
