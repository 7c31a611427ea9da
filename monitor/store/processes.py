"""The service processes on this database, and the duties that one of them does for all."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import delete, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from monitor.store.engine import Database
from monitor.store.tables import duty, process


async def beat(
    database: Database, name: str, role: str, version: str, now: datetime, forget: timedelta
) -> int:
    """Say that this process is alive; return how many are. Those silent for `forget` are dropped."""
    async with database.write() as conn:
        done = await conn.execute(update(process).where(process.c.id == name).values(beat_at=now))
        if done.rowcount == 0:
            await conn.execute(
                insert(process).values(id=name, role=role, version=version, started_at=now, beat_at=now)
            )
        await conn.execute(delete(process).where(process.c.beat_at < now - forget))
        return int((await conn.execute(select(func.count()).select_from(process))).scalar_one())


async def leave(database: Database, name: str) -> None:
    """Take this process off the list, and give up its duties, at a clean end."""
    async with database.write() as conn:
        await conn.execute(delete(duty).where(duty.c.holder == name))
        await conn.execute(delete(process).where(process.c.id == name))


async def hold_duty(database: Database, work: str, name: str, now: datetime, lease: timedelta) -> bool:
    """Take or keep a duty; True while it is this process's. It passes on when its lease runs out."""
    try:
        async with database.write() as conn:
            done = await conn.execute(
                update(duty)
                .where(duty.c.name == work, or_(duty.c.holder == name, duty.c.until <= now))
                .values(holder=name, until=now + lease)
            )
            if done.rowcount:
                return True
            taken = (await conn.execute(select(duty.c.name).where(duty.c.name == work))).scalar()
            if taken is not None:
                return False
            await conn.execute(insert(duty).values(name=work, holder=name, until=now + lease))
            return True
    except IntegrityError:
        return False


async def count(database: Database, now: datetime, alive: timedelta) -> int:
    """Return how many processes gave a sign of life within `alive`."""
    async with database.read() as conn:
        found = await conn.execute(
            select(func.count()).select_from(process).where(process.c.beat_at >= now - alive)
        )
        return int(found.scalar_one())
