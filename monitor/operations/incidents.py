"""What stands: waves as the questions they are, and incidents, of a connection or shared by several."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

from alerts.outbox import listing as outbox
from alerts.outbox.listing import Told
from monitor.errors import Conflict, NotFound, Refused, Remedy
from monitor.health.breaks import DROPPED, RELEASED
from monitor.health.causes import Subject
from monitor.health.listing import Filter, Listed
from monitor.health.question import Question, question
from monitor.health.restriction import UNRESTRICTED
from monitor.health.wave import members
from monitor.operations.actor import Actor, Right
from monitor.settings.parts import Parts
from monitor.store import audit, incident_pages, incidents, listing, published, waves
from monitor.store.incident_pages import Seen as Seen  # noqa: PLC0414 - doors show it
from monitor.store.incident_pages import Wanted as Wanted  # noqa: PLC0414 - doors say by it what they want
from monitor.store.incidents import Closed, OpenIncident

ANY = Wanted()
SHOWN = 100  # connections and notices of one incident that are told with it
ACKNOWLEDGED, LAID_DOWN = "incident.acknowledge", "incident.unacknowledge"


class Word(NamedTuple):
    """That somebody has taken an incident up."""

    by: str
    at: datetime
    note: str


@dataclass(frozen=True, slots=True)
class Shown:
    """An incident for whoever asks: with no more members than they see, and with no reasons of others."""

    seen: Seen
    acknowledged: Word | None
    connections: tuple[Listed, ...] | None = None  # None: not asked for
    notices: tuple[Told, ...] | None = None
    question: Question | None = None  # of an open wave, for who has all of it


@dataclass(frozen=True, slots=True)
class Page:
    """Some incidents, newest first. The next page is that `before` the number, None after the last."""

    rows: tuple[Shown, ...]
    before: int | None


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


async def page(
    parts: Parts,
    actor: Actor,
    limit: int,
    *,
    which: Wanted = ANY,
    before: int | None = None,
    expand: Collection[str] = (),
) -> Page:
    """Return incidents, open and over, with what is told beside: `connections`, `notices`, `question`."""
    actor.needs(Right.INCIDENTS_READ)
    wanted = replace(which, only=actor.only)
    found = await incident_pages.page(parts.database, wanted, limit + 1, before)
    rows = await _shown(parts, actor, found[:limit], expand)
    return Page(tuple(rows), found[limit - 1].id if len(found) > limit else None)


async def show(parts: Parts, actor: Actor, number: int, expand: Collection[str] = ()) -> Shown:
    """Return one incident. Raises NotFound."""
    actor.needs(Right.INCIDENTS_READ)
    return (await _shown(parts, actor, [await _one(parts, actor, number)], expand))[0]


async def acknowledge(parts: Parts, actor: Actor, number: int, note: str = "") -> None:
    """Say that one has taken an incident up, for whoever looks at it after. Raises NotFound, Conflict."""
    actor.needs(Right.INCIDENTS_OPERATE)
    if (await _one(parts, actor, number)).closed_at is not None:
        raise Conflict(f"Incident {number} is over.")
    now = parts.clock.now()
    await audit.write_down(parts.database, now, actor.name, ACKNOWLEDGED, subject_of(number), note=note)


async def unacknowledge(parts: Parts, actor: Actor, number: int) -> None:
    """Say that nobody has taken an incident up, after all. Raises NotFound, and Conflict where nobody has."""
    actor.needs(Right.INCIDENTS_OPERATE)
    (shown,) = await _shown(parts, actor, [await _one(parts, actor, number)], ())
    if shown.acknowledged is None:
        raise Conflict(f"Nobody has taken incident {number} up.")
    now = parts.clock.now()
    await audit.write_down(parts.database, now, actor.name, LAID_DOWN, subject_of(number))


async def held_wave(parts: Parts, actor: Actor, number: int) -> str:
    """Return by which name the wave goes that an incident is, for who has all of it.

    Raises NotFound, Conflict where nothing is held, and Refused where a part lies outside.
    """
    actor.needs(Right.INCIDENTS_OPERATE)
    seen = await _one(parts, actor, number)
    if not seen.wave or seen.closed_at is not None:
        raise Conflict(f"Incident {number} holds nothing back.", Remedy("notices.list", "shows what waits"))
    await _all_of(parts, actor, seen)
    return seen.about.name


async def decided_wave(parts: Parts, actor: Actor, number: int) -> str:
    """Return by which name a wave went that a person decided about, for who has all of it.

    Raises NotFound, Conflict where nobody decided, and Refused where a part lies outside.
    """
    actor.needs(Right.INCIDENTS_OPERATE)
    seen = await _one(parts, actor, number)
    if not seen.wave or seen.mails not in (RELEASED, DROPPED):
        raise Conflict(f"Nobody released or dropped what incident {number} held.")
    await _all_of(parts, actor, seen)
    return seen.about.name


async def _all_of(parts: Parts, actor: Actor, seen: Seen) -> None:
    """Let pass who has all connections of an incident. Raises Refused."""
    (all_of_it,) = await incident_pages.page(parts.database, Wanted(seen.id, only=UNRESTRICTED), 1)
    if all_of_it.members != seen.members:
        raise Refused(f"{actor.name} is restricted to a part of what incident {seen.id} holds.")


async def those(parts: Parts, actor: Actor, found: list[Seen]) -> list[Shown]:
    """Return incidents that an operation has read for the actor, each with who has taken it up."""
    actor.needs(Right.INCIDENTS_READ)
    return await _shown(parts, actor, found, ())


async def _one(parts: Parts, actor: Actor, number: int) -> Seen:
    found = await incident_pages.page(parts.database, Wanted(number, only=actor.only), 1)
    if not found:
        raise NotFound(f"There is no incident {number}.")
    return found[0]


def subject_of(number: int) -> str:
    """Return what the audit calls an incident."""
    return f"incident {number}"


async def _shown(parts: Parts, actor: Actor, found: list[Seen], expand: Collection[str]) -> list[Shown]:
    subjects = [subject_of(one.id) for one in found]
    words = await audit.newest(parts.database, (ACKNOWLEDGED, LAID_DOWN), subjects)
    rows = []
    for one in found:
        line = words.get(subject_of(one.id))
        taken = line is not None and line.action == ACKNOWLEDGED
        word = Word(line.actor, line.at, str(line.detail.get("note", ""))) if line and taken else None
        shown = Shown(_without_others(one, actor), word)
        rows.append(await _expanded(parts, actor, shown, expand) if expand else shown)
    return rows


def _without_others(one: Seen, actor: Actor) -> Seen:
    """Leave out what may tell of connections outside: why several broke is said of all of them."""
    if actor.only.whole or one.about.kind is Subject.CONNECTION:
        return one
    return replace(one, reasons=())


async def _expanded(parts: Parts, actor: Actor, shown: Shown, expand: Collection[str]) -> Shown:
    found = await incident_pages.members(parts.database, shown.seen.id, actor.only, SHOWN)
    if "connections" in expand:
        which = Filter(ids=frozenset(one.connection for one in found), within=actor.only)
        rows = (await listing.page(parts.database, which, limit=SHOWN)).rows if found else []
        shown = replace(shown, connections=tuple(rows))
    if "notices" in expand:
        among = None if actor.only.whole else published.seen_by(actor.only, parts.database)
        about = outbox.Wanted(incidents=[one.incident for one in found], among=among)
        told = await outbox.page(parts.database, about, SHOWN) if found else []
        shown = replace(shown, notices=tuple(told))
    if "question" in expand and shown.seen.wave and shown.seen.closed_at is None and actor.only.whole:
        asked = {one.provider: one for one in await waves_open(parts)}
        shown = replace(shown, question=asked.get(shown.seen.about.name))
    return shown
