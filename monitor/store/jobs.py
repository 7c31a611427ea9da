"""Work on many connections, asked for at once: what is done of it, and which process goes on with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, or_, select, update
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from monitor.errors import Exists, NotFound
from monitor.store import audit
from monitor.store.door_tables import job
from monitor.store.engine import Database
from monitor.store.retry import retried


@dataclass(frozen=True, slots=True)
class Job:
    """A job as it stands. `actor` is who asked, and what they might at that time."""

    id: str
    principal: str
    actor: Mapping[str, Any]
    action: str
    options: Mapping[str, Any]
    ids: Sequence[str]
    done: int
    failed: Sequence[Mapping[str, str]]
    state: str  # running, done, stopped
    created_at: datetime
    ended_at: datetime | None
    lease_by: str | None
    lease_until: datetime | None


@retried
async def begin(database: Database, made: Job, actor: str) -> None:
    """Keep a job that is to be done. Raises Exists where there is one of that id."""
    async with database.write() as conn:
        new: Any = sqlite_insert if conn.dialect.name == "sqlite" else postgres_insert
        kept = await conn.execute(
            new(job).values(
                id=made.id, principal=made.principal, actor=dict(made.actor), action=made.action,
                options=dict(made.options), ids=list(made.ids), failed=[dict(one) for one in made.failed],
                created_at=made.created_at, lease_by=made.lease_by, lease_until=made.lease_until,
            )
            .on_conflict_do_nothing(index_elements=["id"])
            .returning(job.c.id)  # the count of rows is not known with every driver
        )  # fmt: skip
        if kept.first() is None:
            raise Exists(f"The job {made.id} was begun already.")
        await audit.record(
            conn, made.created_at, actor, "job.begin", made.id, does=made.action, connections=len(made.ids)
        )


async def show(database: Database, job_id: str) -> Job:
    """Return a job. Raises NotFound."""
    async with database.read() as conn:
        row = (await conn.execute(select(job).where(job.c.id == job_id))).one_or_none()
    if row is None:
        raise NotFound(f"There is no job {job_id!r}.")
    return Job(**row._mapping)


async def page(database: Database, principal: str, limit: int, before: datetime | None) -> list[Job]:
    """Return somebody's jobs, newest first, from before a time."""
    query = select(job).where(job.c.principal == principal)
    if before is not None:
        query = query.where(job.c.created_at < before)
    async with database.read() as conn:
        rows = await conn.execute(query.order_by(job.c.created_at.desc()).limit(limit))
        return [Job(**row._mapping) for row in rows]


@retried
async def claim(database: Database, process: str, now: datetime, lease: timedelta) -> Job | None:
    """Take the oldest job that nobody is at, if there is one."""
    free = (
        select(job.c.id)
        .where(job.c.ended_at.is_(None), or_(job.c.lease_until.is_(None), job.c.lease_until <= now))
        .order_by(job.c.created_at)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    async with database.write() as conn:
        name = (await conn.execute(free)).scalar_one_or_none()
        if name is None:
            return None
        await conn.execute(
            update(job).where(job.c.id == name).values(lease_by=process, lease_until=now + lease)
        )
        return Job(**(await conn.execute(select(job).where(job.c.id == name))).one()._mapping)


@retried
async def step(
    database: Database,
    claimed: Job,
    done: int,
    failed: Sequence[Mapping[str, str]],
    now: datetime,
    lease: timedelta,
    *,
    ended: str = "",
) -> bool:
    """Write how far a job came, and keep its lease or end it; False where another process has it by now."""
    async with database.write() as conn:
        changed = await conn.execute(
            update(job)
            .where(job.c.id == claimed.id, job.c.lease_by == claimed.lease_by, job.c.ended_at.is_(None))
            .values(
                done=done,
                failed=[dict(one) for one in failed],
                lease_until=now + lease,
                state=ended or "running",
                ended_at=now if ended else None,
            )
        )
        return changed.rowcount == 1


@retried
async def stop(database: Database, job_id: str, now: datetime, actor: str, *, why: str = "") -> None:
    """End a job where it is; what is done stays done. `why` is said in the audit."""
    async with database.write() as conn:
        running = update(job).where(job.c.id == job_id, job.c.ended_at.is_(None))
        if (await conn.execute(running.values(state="stopped", ended_at=now))).rowcount:
            await audit.record(conn, now, actor, "job.stop", job_id, **({"why": why} if why else {}))


@retried
async def forget(database: Database, before: datetime) -> int:
    """Forget jobs that ended before."""
    async with database.write() as conn:
        return (await conn.execute(delete(job).where(job.c.ended_at < before))).rowcount
