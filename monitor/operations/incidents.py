"""What stands: waves as the questions they are, and incidents that several connections share."""

from __future__ import annotations

from monitor.health.causes import Subject
from monitor.health.question import Question, question
from monitor.health.wave import members
from monitor.operations.actor import Actor, Right
from monitor.settings.parts import Parts
from monitor.store import incidents, waves
from monitor.store.incidents import Closed, OpenIncident


async def of(parts: Parts, actor: Actor, connection_id: str) -> list[int]:
    """Return the numbers of the open incidents that a connection is part of, its own first."""
    actor.needs(Right.CONNECTIONS_READ)
    return [one.id for one in await incidents.of_connection(parts.database, connection_id)]


async def questions(parts: Parts, actor: Actor) -> list[Question]:
    """Return the open waves, each as the question it is."""
    actor.needs(Right.INCIDENTS_READ)
    return await waves_open(parts)


async def over(
    parts: Parts, actor: Actor, limit: int, before: int | None = None
) -> tuple[list[Closed], int | None]:
    """Return incidents that are closed, the newest first; and before which number the next page begins."""
    actor.needs(Right.INCIDENTS_READ)
    found = await incidents.over(parts.database, limit + 1, before)
    return found[:limit], found[limit - 1].was.id if len(found) > limit else None


async def shared(parts: Parts, actor: Actor) -> list[OpenIncident]:
    """Return the open incidents that several connections share, but waves."""
    actor.needs(Right.INCIDENTS_READ)
    found = await incidents.open_now(parts.database)
    return [one for one in found if one.about.kind is not Subject.CONNECTION and not one.wave]


async def waves_open(parts: Parts) -> list[Question]:
    """Do the same for an operation that has asked already what the actor may."""
    now, policy = parts.clock.now(), parts.loaded.settings.guard_policy.wave
    return [
        question(known.provider, known.held.wave, members(known.held.breaks, now), known.reasons, policy, now)
        for known in await waves.open_now(parts.database)
    ]
