"""Connections, as people and programs handle them: list, show, pause, resume, claim, remove."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from monitor.errors import Invalid
from monitor.health.claim import LONGEST, Claim
from monitor.operations import pauses, reach
from monitor.operations.actor import Actor, Right
from monitor.settings.parts import Parts
from monitor.store import claimed, connections
from monitor.store.connections import Known
from monitor.text.names import one_line, unprintable

LONGEST_WHO = 200


async def every(parts: Parts, actor: Actor) -> list[Known]:
    """Return all connections, by id."""
    actor.needs(Right.CONNECTIONS_READ)
    return await connections.every(parts.database)


async def show(parts: Parts, actor: Actor, connection_id: str) -> Known:
    """Return one connection. Raises NotFound."""
    actor.needs(Right.CONNECTIONS_READ)
    found = await connections.show(parts.database, connection_id)
    actor.sees(found.id, found.place.app, found.labels)
    return found


async def pause(
    parts: Parts,
    actor: Actor,
    ids: Sequence[str],
    *,
    length: timedelta | None = None,
    until: datetime | None = None,
    reason: str = "",
) -> list[str]:
    """Stop looking at connections for so long, until a time, or until somebody resumes them.

    Returns those changed: what is paused already gets the end and the reason that were said last. Raises
    NotFound, and Invalid for an end that is over or more than a year ahead.
    """
    actor.needs(Right.CONNECTIONS_OPERATE)
    await reach.all_of(parts, actor, ids)
    now = parts.clock.now()
    end, said = pauses.ending(now, length, until), pauses.reason_of(reason)
    return await connections.pause(parts.database, ids, now, actor.name, until=end, reason=said)


async def resume(parts: Parts, actor: Actor, ids: Sequence[str]) -> list[str]:
    """Look at paused connections again, starting now; return those that were paused. Raises NotFound."""
    actor.needs(Right.CONNECTIONS_OPERATE)
    await reach.all_of(parts, actor, ids)
    return await connections.resume(parts.database, ids, parts.clock.now(), actor.name, apps=parts.apps)


async def claim(parts: Parts, actor: Actor, connection_id: str, who: str, until: datetime) -> Claim:
    """Say who is on what is open of a connection: until then its client is not reminded.

    First mails, changes of cause, thanks and pages are told all the same. A claim takes the place of the one
    before, and ends with what it is about. Raises NotFound, Invalid, and Conflict where nothing is open.
    """
    actor.needs(Right.CONNECTIONS_OPERATE)
    await reach.all_of(parts, actor, [connection_id])
    now = parts.clock.now()
    laid = Claim(_who(who), _until(until, now))
    await claimed.lay(parts.database, connection_id, laid, now, actor.name)
    return laid


def _who(given: str) -> str:
    said = one_line(given)
    if not said or len(given.strip()) > LONGEST_WHO or unprintable(given) is not None:
        raise Invalid("who", f"is 1 to {LONGEST_WHO} characters in one line")
    return said


def _until(given: datetime, now: datetime) -> datetime:
    if given <= now:
        raise Invalid("until", "is over already")
    if given > now + LONGEST:
        raise Invalid("until", f"is more than {LONGEST.days} days ahead")
    return given


async def unclaim(parts: Parts, actor: Actor, connection_id: str) -> bool:
    """Say that nobody is on it any more; whether anybody was. Raises NotFound."""
    actor.needs(Right.CONNECTIONS_OPERATE)
    await reach.all_of(parts, actor, [connection_id])
    return await claimed.take_back(parts.database, connection_id, parts.clock.now(), actor.name)


async def set_handout(parts: Parts, actor: Actor, connection_id: str, *, on: bool) -> bool:
    """Let programs have a connection's access token, or not; whether that changed. Raises NotFound."""
    actor.needs(Right.CONNECTIONS_WRITE)
    await reach.all_of(parts, actor, [connection_id])
    return await connections.set_handout(parts.database, connection_id, on, parts.clock.now(), actor.name)


async def remove(
    parts: Parts, actor: Actor, ids: Sequence[str], *, expected: Mapping[str, int] | None = None
) -> None:
    """Forget connections with their tokens and history; the audit keeps their names. Raises NotFound."""
    actor.needs(Right.CONNECTIONS_WRITE)
    await reach.all_of(parts, actor, ids)
    await connections.remove(parts.database, ids, parts.clock.now(), actor.name, expected=expected)
