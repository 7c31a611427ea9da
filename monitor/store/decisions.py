"""What a person says about a wave: that its mails go, or never go, or are held again after all."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.errors import Conflict, NotFound, Remedy
from monitor.health.breaks import CANARY
from monitor.health.causes import Subject
from monitor.health.events import Type
from monitor.health.incidents import About
from monitor.health.wave import by_person, densest, members
from monitor.store import audit, events, waves
from monitor.store.engine import Database
from monitor.store.incidents import one_at_a_time
from monitor.store.retry import retried
from monitor.store.tables import incident
from monitor.store.waves import Standing


@retried
async def decide(
    database: Database,
    provider: str,
    word: str,
    now: datetime,
    actor: str,
    number: int | None = None,
    *,
    seen: int | None = None,
) -> int:
    """Release or drop all that a wave holds, which ends it; return of how many connections.

    Who was told already, and what broke before the wave, is not touched. Raises NotFound, also where the
    wave is another one by now than the `number` that is meant; Conflict where it holds another number of
    connections than whoever decides has `seen`.
    """
    async with database.write() as conn:
        await one_at_a_time(conn)
        known = await _named(conn, provider, number)
        held = _as_seen(known, seen)
        await _mark(conn, held, word)
        await conn.execute(
            update(incident)
            .where(incident.c.id == known.id)
            .values(mails=word, guard=False, closed_at=now, updated_at=now)
        )
        await waves.say(conn, known.id, known, {"guard": False, "closed_at": now}, now)
        await audit.record(conn, now, actor, f"mails.{word}", str(known.about), connections=len(held))
    return len(held)


@retried
async def ask_first(
    database: Database,
    provider: str,
    count: int,
    now: datetime,
    actor: str,
    number: int | None = None,
    *,
    seen: int | None = None,
) -> tuple[str, ...]:
    """Ask a few of those that a wave holds on trial, because a person says so; return which clients.

    Raises as `decide` does.
    """
    async with database.write() as conn:
        await one_at_a_time(conn)
        known = await _named(conn, provider, number)
        _as_seen(known, seen)
        chosen = densest(members(known.held.breaks, now), count)
        await _mark(
            conn, [one.incident for one in known.held.breaks if one.untold and one.client in chosen], CANARY
        )
        wave = by_person(known.held.wave, len(chosen), now)
        await conn.execute(
            update(incident).where(incident.c.id == known.id).values(updated_at=now, **waves.columns(wave))
        )
        await audit.record(conn, now, actor, "mails.canary", str(known.about), clients=sorted(chosen))
    return tuple(sorted(chosen))


@retried
async def hold_again(database: Database, number: int, now: datetime, actor: str) -> int:
    """Hold again what a person released or dropped of a wave, and of which nobody was told yet.

    Return of how many connections. The wave is open again, and the rule has to wait before it asks by itself.
    Raises Conflict where nothing of it can be held any more.
    """
    async with database.write() as conn:
        await one_at_a_time(conn)
        wave = (await conn.execute(select(incident).where(incident.c.id == number, incident.c.wave))).one()
        about = About(Subject(wave.kind), wave.name)
        if wave.closed_at is None:
            raise Conflict(f"Incident {number} holds what it held already.")
        if wave.name in await waves.standing(conn):
            raise Conflict(f"Another wave over {wave.name} is open by now; what this one held stays decided.")
        again = (
            await conn.execute(
                update(incident)
                .where(
                    incident.c.parent_id == number,
                    incident.c.closed_at.is_(None),
                    incident.c.told_at.is_(None),
                    incident.c.mails == wave.mails,
                )
                .values(mails="", waits="")
                .returning(incident.c.id)
            )
        ).all()
        if not again:
            raise Conflict(f"All of what incident {number} held has healed, or its clients were told.")
        await conn.execute(
            update(incident)
            .where(incident.c.id == number)
            .values(mails="", closed_at=None, updated_at=now, spoken_at=now)
        )
        await events.of_incidents(conn, Type.INCIDENT_OPENED, [number], now)
        await audit.record(conn, now, actor, "mails.hold", str(about), was=wave.mails, connections=len(again))
    return len(again)


def _as_seen(known: Standing, seen: int | None) -> list[int]:
    """Return the breaks that a wave holds, for whoever has seen as many. Raises Conflict."""
    held = [one.incident for one in known.held.breaks if one.untold]
    if seen not in (None, len(held)):
        raise Conflict(
            f"The wave over {known.provider} has changed meanwhile: the mails of {len(held)} connections are "
            f"held by now, not of {seen}."
        )
    return held


async def _named(conn: AsyncConnection, provider: str, number: int | None) -> Standing:
    known = (await waves.standing(conn)).get(provider)
    if known is None or number not in (None, known.id):
        raise NotFound(f"No wave is held over {provider!r}.", Remedy("notices.list", "shows those that are"))
    return known


async def _mark(conn: AsyncConnection, incidents: Collection[int], word: str) -> None:
    for part in waves.chunks(incidents):
        await conn.execute(update(incident).where(incident.c.id.in_(part)).values(mails=word, waits=""))
