"""Plans: the fleet as somebody wants it, kept until it is applied or has grown old.

A plan rests on what stood when it was made. It is applied in one transaction, whole, and only while every
connection of its part of the fleet has still the revision that it had.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.errors import ChangedMeanwhile, Conflict, NotFound
from monitor.health.restriction import Restriction
from monitor.store import audit, connections, gates, imports, incidents, within
from monitor.store.door_tables import plan
from monitor.store.engine import Database
from monitor.store.imports import NewConnection
from monitor.store.retry import retried
from monitor.store.tables import connection


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan as it is kept.

    `rests_on` is the revision of each connection that it was made from; None: not to be there, which is said
    of those that a plan names alone (`only_named`), and follows for a part of the fleet.
    """

    id: str
    principal: str
    created_at: datetime
    expires_at: datetime
    applied_at: datetime | None
    within: str
    rests_on: Mapping[str, int | None]
    said: Mapping[str, Any]
    records: str  # sealed

    @property
    def only_named(self) -> bool:
        """Whether it leaves alone what it does not name."""
        return bool(self.said.get("only_named"))


@retried
async def keep(database: Database, made: Planned, actor: str) -> None:
    """Keep a plan."""
    async with database.write() as conn:
        await conn.execute(
            insert(plan).values(
                id=made.id, principal=made.principal, created_at=made.created_at, expires_at=made.expires_at,
                within=made.within, rests_on=dict(made.rests_on), said=dict(made.said), records=made.records,
            )
        )  # fmt: skip
        await audit.record(conn, made.created_at, actor, "plan.make", made.id)


async def show(database: Database, plan_id: str) -> Planned:
    """Return a plan. Raises NotFound."""
    async with database.read() as conn:
        row = (await conn.execute(select(plan).where(plan.c.id == plan_id))).one_or_none()
    if row is None:
        raise NotFound(f"There is no plan {plan_id!r}.")
    return Planned(**row._mapping)


@retried
async def apply(
    database: Database,
    made: Planned,
    part: Restriction,
    new: Sequence[NewConnection],
    removed: Sequence[str],
    now: datetime,
    actor: str,
    issuers: Mapping[str, str],
) -> None:
    """Make the fleet as the plan has it. `part` is the part of the fleet that it speaks of.

    Raises ChangedMeanwhile where any of it moved, Conflict where it was applied already, and ImportRefused.
    """
    async with database.write() as conn:
        await gates.one_import(conn)
        await gates.one_binding(conn)
        await incidents.one_at_a_time(conn)
        await gates.lock(conn, list(made.rests_on))
        await _as_it_stood(conn, part, made)
        # Whoever applies a plan is alone with the lock of imports: what is read here stays so.
        waits = select(plan.c.id).where(plan.c.id == made.id, plan.c.applied_at.is_(None))
        if (await conn.execute(waits)).first() is None:
            raise Conflict(f"The plan {made.id} was applied already.")
        await audit.record(conn, now, actor, "plan.apply", made.id)
        if new:
            await imports.put_in(conn, new, now, actor, issuers=issuers, alone=True)
        if removed:
            await connections.remove_in(conn, removed, now, actor)
        await conn.execute(update(plan).where(plan.c.id == made.id).values(applied_at=now))


async def _as_it_stood(conn: AsyncConnection, part: Restriction, made: Planned) -> None:
    now, rests_on = await _revisions(conn, part, made), made.rests_on
    for name in sorted(now.keys() | rests_on.keys()):
        if now.get(name) != rests_on.get(name):
            raise ChangedMeanwhile(
                f"{name} was {_how(name, now, rests_on)} since the plan was made, so nothing was done. "
                "Make another.",
                now.get(name, 0),
            )


async def _revisions(conn: AsyncConnection, part: Restriction, made: Planned) -> dict[str, int]:
    """Return the revisions of what a plan speaks of: those that it names, or all of a part of the fleet."""
    asked = select(connection.c.id, connection.c.revision)
    if not made.only_named:
        rows = await conn.execute(asked.where(*within.conditions(part, conn.dialect.name == "sqlite")))
        return {row.id: row.revision for row in rows}
    found, names = {}, list(made.rests_on)
    for start in range(0, len(names), 500):
        rows = await conn.execute(asked.where(connection.c.id.in_(names[start : start + 500])))
        found.update({row.id: row.revision for row in rows})
    return found


def _how(name: str, now: Mapping[str, int], before: Mapping[str, int | None]) -> str:
    if before.get(name) is None:
        return "added"
    return "changed" if name in now else "removed"


@retried
async def forget(database: Database, now: datetime) -> int:
    """Forget plans that have grown old."""
    async with database.write() as conn:
        return (await conn.execute(delete(plan).where(plan.c.expires_at < now))).rowcount
