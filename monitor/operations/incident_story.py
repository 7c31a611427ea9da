"""One incident whole: who belongs to it, what was said about it, and what became of it when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from alerts.outbox import listing as outbox
from alerts.outbox.listing import Told as Told  # noqa: PLC0414 - doors say by it what they show
from monitor.health.causes import Subject
from monitor.operations import board, incidents
from monitor.operations.actor import Actor, Right
from monitor.operations.blocks import Block, blocks
from monitor.operations.board import Decision, Single
from monitor.operations.incidents import Shown
from monitor.settings.parts import Parts
from monitor.store import audit, published
from monitor.store import incident_details as details
from monitor.store.audit import Entry
from monitor.store.incident_details import Belongs as Belongs  # noqa: PLC0414 - the same
from monitor.store.incident_pages import Seen

NOTICES = 20
LINES = 100
SOON = timedelta(seconds=5)  # what a run of the guard writes with an incident may be a moment older


@dataclass(frozen=True, slots=True)
class Members:
    """Some connections of an incident, as they broke; the next page is that `after` a number."""

    rows: tuple[Belongs, ...]
    after: int | None


@dataclass(frozen=True, slots=True)
class Story:
    """An incident with all that is known of it; `block` is of what several share, `single` of the rest."""

    shown: Shown
    block: Block | None
    decision: Decision | None
    single: Single | None
    members: Members
    told: Sequence[Told]  # newest first
    lines: Sequence[Entry]  # of the audit, oldest first

    @property
    def seen(self) -> Seen:
        """The incident."""
        return self.shown.seen


async def members(parts: Parts, actor: Actor, number: int, limit: int, after: int = 0) -> Members:
    """Return the connections of an incident; of a connection's own, itself. Raises NotFound."""
    await incidents.show(parts, actor, number)
    return await _members(parts, actor, number, limit, after)


async def _members(parts: Parts, actor: Actor, number: int, limit: int, after: int) -> Members:
    found = await details.members(parts.database, number, actor.only, limit + 1, after)
    return Members(tuple(found[:limit]), found[limit - 1].incident if len(found) > limit else None)


async def story(parts: Parts, actor: Actor, number: int, limit: int, after: int = 0) -> Story:
    """Return an incident whole, with some of its members. Raises NotFound."""
    actor.needs(Right.INCIDENTS_READ)
    shown = await incidents.show(parts, actor, number)
    shared = shown.seen.about.kind is not Subject.CONNECTION and actor.only.whole
    decision = await board.decision(parts, actor, number) if shared else None
    block = decision.block if decision is not None else None
    if shared and block is None:
        (block,) = await blocks(parts, [shown])
    single = None if shared else await board.single(parts, shown)
    return Story(
        shown,
        block,
        decision,
        single,
        await _members(parts, actor, number, limit, after),
        await _told(parts, actor, number),
        await _lines(parts, shown.seen),
    )


async def _told(parts: Parts, actor: Actor, number: int) -> list[Told]:
    among = None if actor.only.whole else published.seen_by(actor.only, parts.database)
    about = outbox.Wanted(incidents=details.part_of(number), among=among)
    return await outbox.page(parts.database, about, NOTICES)


async def _lines(parts: Parts, seen: Seen) -> list[Entry]:
    """Return what was done about an incident, and while it stood about what it is an incident of."""
    subject = seen.about.name if seen.about.kind is Subject.CONNECTION else str(seen.about)
    until = seen.closed_at + SOON if seen.closed_at is not None else None
    own = await audit.of_subject(parts.database, incidents.subject_of(seen.id), LINES)
    theirs = await audit.about(parts.database, subject, seen.opened_at - SOON, until, LINES)
    return sorted([*own, *theirs], key=lambda line: line.at)
