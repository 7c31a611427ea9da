"""Endpoints as they are kept: which events each wants, how it is, and the sealed secrets that sign for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from alerts.webhooks import deliveries
from alerts.webhooks.story import OLD_SECRET, ONLY_FAILURES
from monitor.errors import ChangedMeanwhile, NotFound, Remedy
from monitor.health.events import Type, wanted
from monitor.health.restriction import Restriction, as_document, of_document
from monitor.store import audit, events
from monitor.store.door_tables import webhook
from monitor.store.engine import Database
from monitor.store.events import Event
from monitor.store.retry import retried


class State(StrEnum):
    """Whether an endpoint is sent anything, and why not."""

    ACTIVE = "active"
    DISABLED = "disabled"  # a person said so
    GONE = "gone"  # it answered 410
    FAILING = "failing"  # nothing but failures for days


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint. Its secrets are sealed; one whose key is lost is None until it is rotated."""

    id: str
    url: str
    events: tuple[str, ...]
    only: Restriction
    state: State
    failing_since: datetime | None
    made_by: str
    created_at: datetime
    revision: int
    secret: str | None
    old_secret: str | None = None
    old_until: datetime | None = None

    def wants(self, event: Event) -> bool:
        """Whether it is told of an event: one that it asked for, and within what there is for it."""
        return wanted(self.events, event.type) and visible(self.only, event)


def visible(only: Restriction, event: Event) -> bool:
    """Whether an event is within a part of the fleet; what is about no connection is for who sees all."""
    if only.whole:
        return True
    return event.connection is not None and only.covers(event.connection, event.app or "", event.labels)


def _read(row: Any) -> Endpoint:
    return Endpoint(
        row.id, row.url, tuple(row.events), of_document(row.only), State(row.state), row.failing_since,
        row.made_by, row.created_at, row.revision, row.secret, row.old_secret, row.old_until,
    )  # fmt: skip


async def every(database: Database) -> list[Endpoint]:
    """Return all endpoints, the oldest first."""
    async with database.read() as conn:
        rows = await conn.execute(select(webhook).order_by(webhook.c.created_at, webhook.c.id))
        return [_read(row) for row in rows]


async def active(conn: AsyncConnection) -> list[Endpoint]:
    """Return the endpoints that are sent something."""
    rows = await conn.execute(select(webhook).where(webhook.c.state == State.ACTIVE.value))
    return [_read(row) for row in rows]


async def known(database: Database, endpoint_id: str) -> Endpoint | None:
    """Return an endpoint, None where it is not there."""
    async with database.read() as conn:
        row = (await conn.execute(select(webhook).where(webhook.c.id == endpoint_id))).one_or_none()
    return None if row is None else _read(row)


async def find(database: Database, endpoint_id: str) -> Endpoint:
    """Return an endpoint. Raises NotFound."""
    found = await known(database, endpoint_id)
    if found is None:
        raise none_such(endpoint_id)
    return found


def none_such(endpoint_id: str) -> NotFound:
    """Return what is said of an endpoint that is not there."""
    return NotFound(
        f"There is no webhook {endpoint_id!r}.", Remedy("webhooks.every", "shows those there are")
    )


@retried
async def add(database: Database, new: Endpoint, now: datetime, actor: str) -> None:
    """Keep a new endpoint."""
    async with database.write() as conn:
        await conn.execute(
            insert(webhook).values(
                id=new.id, url=new.url, events=list(new.events), only=as_document(new.only),
                secret=new.secret, state=new.state.value, made_by=new.made_by, created_at=new.created_at,
            )
        )  # fmt: skip
        await audit.record(conn, now, actor, "webhook.add", new.id, events=list(new.events))


@retried
async def change(
    database: Database,
    endpoint_id: str,
    revision: int | None,
    values: Mapping[str, Any],
    now: datetime,
    actor: str,
) -> Endpoint:
    """Change an endpoint that has this revision, whichever for None. Raises NotFound, ChangedMeanwhile."""
    async with database.write() as conn:
        await _held(conn, endpoint_id, revision)
        stored = dict(values)
        if "only" in stored:
            stored["only"] = as_document(stored["only"])
        row = await _put(conn, endpoint_id, stored)
        await audit.record(conn, now, actor, "webhook.change", endpoint_id, changed=sorted(stored))
    return _read(row)


@retried
async def remove(
    database: Database, endpoint_id: str, revision: int | None, now: datetime, actor: str
) -> None:
    """Forget an endpoint, and what waits for it. Raises NotFound and ChangedMeanwhile."""
    async with database.write() as conn:
        await deliveries.end_all(conn, endpoint_id, "the endpoint was removed", now)
        await _held(conn, endpoint_id, revision)
        await conn.execute(delete(webhook).where(webhook.c.id == endpoint_id))
        await audit.record(conn, now, actor, "webhook.remove", endpoint_id)


@retried
async def rotate(
    database: Database,
    endpoint_id: str,
    revision: int | None,
    sealed: str,
    old: str | None,
    now: datetime,
    actor: str,
) -> Endpoint:
    """Give an endpoint another secret; the `old` one, sealed for its new place, signs, too, for a day."""
    async with database.write() as conn:
        await _held(conn, endpoint_id, revision)
        until = now + OLD_SECRET if old is not None else None
        row = await _put(conn, endpoint_id, {"secret": sealed, "old_secret": old, "old_until": until})
        await audit.record(conn, now, actor, "webhook.rotate", endpoint_id)
    return _read(row)


@retried
async def enable(
    database: Database, endpoint_id: str, revision: int | None, now: datetime, actor: str
) -> Endpoint:
    """Send an endpoint what comes about from now on. What it missed is for `deliveries.replay`."""
    async with database.write() as conn:
        await _held(conn, endpoint_id, revision)
        row = await _put(conn, endpoint_id, {"state": State.ACTIVE.value, "failing_since": None})
        await audit.record(conn, now, actor, "webhook.enable", endpoint_id)
    return _read(row)


@retried
async def disable(
    database: Database, endpoint_id: str, state: State, why: str, now: datetime, actor: str = audit.SERVICE
) -> bool:
    """Send an endpoint nothing any more, and tell the others; False where it was so already."""
    async with database.write() as conn:
        await deliveries.end_all(conn, endpoint_id, f"the endpoint was disabled: {why}", now)
        done = await conn.execute(
            update(webhook)
            .where(webhook.c.id == endpoint_id, webhook.c.state == State.ACTIVE.value)
            .values(
                state=state.value,
                failing_since=func.coalesce(webhook.c.failing_since, now),
                revision=webhook.c.revision + 1,
            )
        )
        if done.rowcount == 0:
            return False
        await events.general(conn, Type.WEBHOOK_DISABLED, now, {"webhook": endpoint_id, "why": why})
        await audit.record(conn, now, actor, "webhook.disable", endpoint_id, why=why)
    return True


@retried
async def note_failure(database: Database, endpoint_id: str, now: datetime) -> bool:
    """Note since when an endpoint only fails; True where that is so long that it is given up."""
    async with database.write() as conn:
        await conn.execute(
            update(webhook)
            .where(webhook.c.id == endpoint_id, webhook.c.failing_since.is_(None))
            .values(failing_since=now)
        )
        since = select(webhook.c.failing_since).where(webhook.c.id == endpoint_id)
        found = (await conn.execute(since)).scalar_one_or_none()
    return found is not None and now - found >= ONLY_FAILURES


@retried
async def note_success(database: Database, endpoint_id: str) -> None:
    """Note that an endpoint took something."""
    async with database.write() as conn:
        await conn.execute(
            update(webhook)
            .where(webhook.c.id == endpoint_id, webhook.c.failing_since.is_not(None))
            .values(failing_since=None)
        )


async def _held(conn: AsyncConnection, endpoint_id: str, revision: int | None) -> None:
    query = select(webhook.c.revision).where(webhook.c.id == endpoint_id).with_for_update()
    now = (await conn.execute(query)).scalar_one_or_none()
    if now is None:
        raise none_such(endpoint_id)
    if revision is not None and revision != now:
        raise ChangedMeanwhile(f"{endpoint_id}: somebody else changed it meanwhile; look at it again.", now)


async def _put(conn: AsyncConnection, endpoint_id: str, values: Mapping[str, Any]) -> Any:
    done = update(webhook).where(webhook.c.id == endpoint_id)
    changed = done.values(**values, revision=webhook.c.revision + 1).returning(webhook)
    return (await conn.execute(changed)).one()
