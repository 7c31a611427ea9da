"""That somebody is on what is open of a connection: written down, and taken back."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

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
        what = await _open(conn, connection_id)
        if what is None:
            raise Conflict(
                f"{connection_id}: nothing of it is open that anybody could be on.",
                Remedy("explain.story", "says how it is", connection_id),
            )
        await conn.execute(
            update(connection)
            .where(connection.c.id == connection_id)
            .values(claimed_by=claim.who, claimed_until=claim.until, claimed_incident=what.incident)
        )
        until = claim.until.isoformat(timespec="seconds")
        await audit.record(conn, now, actor, "connection.claim", connection_id, who=claim.who, until=until)


@retried
async def take_back(database: Database, connection_id: str, now: datetime, actor: str) -> bool:
    """Forget who is on what is open of a connection; whether anybody was. Raises NotFound."""
    mine = connection.c.id == connection_id
    about = select(connection.c.claimed_by, connection.c.claimed_incident).where(mine)
    async with database.write() as conn:
        what = await _open(conn, connection_id)
        who, incident_then = (await conn.execute(about)).one()
        if who is None or what is None or what.incident != incident_then:
            return False
        await conn.execute(update(connection).where(mine).values(_NOBODY))
        await audit.record(conn, now, actor, "connection.unclaim", connection_id, who=who)
        return True


class _Open(NamedTuple):
    incident: int | None  # None: the first authorization


async def _open(conn: AsyncConnection, connection_id: str) -> _Open | None:
    """Take the gate of a connection; return what is open of it that somebody may be on. Raises NotFound."""
    held = await fence.hold(conn, [connection_id])
    must_exist(held, [connection_id])
    mine = incidents.is_open(About(Subject.CONNECTION, connection_id))
    number = (await conn.execute(select(incident.c.id).where(mine))).scalar_one_or_none()
    was = held[connection_id]
    newcomer = was.health.state is State.PENDING and not was.authorized
    return _Open(number) if number is not None or newcomer else None
