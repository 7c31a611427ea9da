"""Notices: what clients were told and what waits; held, released, dropped and sent again."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from alerts.mails import again, fuse, reconcile
from alerts.mails.refusals import undeliverable
from alerts.mails.told import remedies
from alerts.outbox import listing
from alerts.outbox.listing import Told
from alerts.silences import silences
from alerts.silences.windows import Silenced
from monitor.errors import NotFound, Remedy
from monitor.health.breaks import DROPPED, RELEASED
from monitor.health.question import Question
from monitor.operations.actor import Actor, Right
from monitor.operations.incidents import waves_open
from monitor.operations.mails import server_trouble
from monitor.operations.silences import over_of
from monitor.settings.builders import build_post
from monitor.settings.parts import Parts
from monitor.store import waves

FUSE_STAYS_WHOLE = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Undeliverable:
    """An address that refused mail, since when, and in the server's words."""

    address: str
    since: datetime
    answer: str


@dataclass(frozen=True, slots=True)
class Outbox:
    """What waits, what could not be sent, and what is held, at a moment; `trouble` is the mail server's."""

    at: datetime
    notices: tuple[Told, ...]
    holds: tuple[Silenced, ...]
    waves: tuple[Question, ...]
    undeliverable: tuple[Undeliverable, ...]
    trouble: str

    @property
    def failed(self) -> dict[str, list[int]]:
        """Why mails failed that may be tried again, and which: the same reason once."""
        why: dict[str, list[int]] = {}
        for one in self.notices:
            if one.envelopes and remedies(one):
                why.setdefault(one.outcome, []).append(one.id)
        return why


async def every(parts: Parts, actor: Actor, limit: int, *, everything: bool = False) -> Outbox:
    """Return the newest notices that are open or failed, or `everything`; and what holds them back."""
    actor.needs(Right.NOTICES_READ)
    now = parts.clock.now()
    refused = await undeliverable(parts.database)
    return Outbox(
        now,
        tuple(await listing.listing(parts.database, limit, everything=everything)),
        tuple(await silences.standing(parts.database, parts.loaded.settings.windows, now)),
        tuple(await waves_open(parts)),
        tuple(Undeliverable(*one) for one in refused),
        await server_trouble(parts, actor),
    )


@dataclass(frozen=True, slots=True)
class Page:
    """Some notices, newest first. The next page is that `before` the number, None after the last."""

    notices: tuple[Told, ...]
    before: int | None


async def page(
    parts: Parts,
    actor: Actor,
    limit: int,
    *,
    before: int | None = None,
    states: Collection[str] = (),
    client: str = "",
    connection: str = "",
) -> Page:
    """Return notices in these states, to a client, about a connection: so many, before a number."""
    actor.needs(Right.NOTICES_READ)
    found = await listing.page(
        parts.database,
        limit + 1,
        before=before,
        states=states,
        client=client,
        connection_id=connection,
    )
    return Page(tuple(found[:limit]), found[limit - 1].id if len(found) > limit else None)


async def show(parts: Parts, actor: Actor, number: int) -> Told:
    """Return one notice. Raises NotFound."""
    actor.needs(Right.NOTICES_READ)
    found = await listing.page(parts.database, 1, number=number)
    if not found:
        raise NotFound(f"There is no notice {number}.", Remedy("notices.list", "shows those there are"))
    return found[0]


async def counts(parts: Parts, actor: Actor) -> dict[str, int]:
    """Return how many notices are in each state."""
    actor.needs(Right.NOTICES_READ)
    return await listing.counted(parts.database)


async def hold(
    parts: Parts, actor: Actor, over: str, name: str, length: timedelta | None, reason: str = ""
) -> int:
    """Tell nothing about something, for so long or until released; return the hold's number.

    `over` as `silences.begin` has it. Raises NotFound for what there is not.
    """
    actor.needs(Right.NOTICES_OPERATE)
    now = parts.clock.now()
    until = now + length if length is not None else None
    return await silences.begin(parts.database, over_of(over), name, reason, until, now, actor.name)


async def unhold(parts: Parts, actor: Actor, over: str, name: str) -> int:
    """Lift what lies over something; return how many holds. Raises NotFound, and Conflict as a silence."""
    actor.needs(Right.NOTICES_OPERATE)
    return len(await silences.end(parts.database, over_of(over), name, parts.clock.now(), actor.name))


async def release(parts: Parts, actor: Actor, wave: str) -> int:
    """Tell the clients of all that a wave holds, which ends it; return of how many connections.

    A wave goes by its provider's name. Each client is told when its break was confirmed again. Raises
    NotFound.
    """
    return await _decide(parts, actor, wave, RELEASED)


async def drop(parts: Parts, actor: Actor, wave: str) -> int:
    """Never tell the clients of what a wave holds about this break; return of how many connections.

    Raises NotFound.
    """
    return await _decide(parts, actor, wave, DROPPED)


async def _decide(parts: Parts, actor: Actor, wave: str, word: str) -> int:
    actor.needs(Right.NOTICES_OPERATE)
    count = await waves.decide(parts.database, wave, word, parts.clock.now(), actor.name)
    await _plan_now(parts)
    return count


async def ask_first(parts: Parts, actor: Actor, wave: str, count: int) -> tuple[str, ...]:
    """Ask a few clients of a wave on trial, and hold the rest; return which. Raises NotFound."""
    actor.needs(Right.NOTICES_OPERATE)
    asked = await waves.ask_first(parts.database, wave, count, parts.clock.now(), actor.name)
    await _plan_now(parts)
    return asked


async def _plan_now(parts: Parts) -> None:
    """Bring the waiting mails in line with what a person has just said; the service sends them."""
    if (post := build_post(parts)) is not None:
        await reconcile.plan_all(parts.database, post.voice, parts.clock.now())


async def retry(parts: Parts, actor: Actor, numbers: Sequence[int]) -> list[int]:
    """Have failed mails tried again, all of them without numbers; return which.

    Raises ConfigurationError for a number that is none of a failed mail.
    """
    actor.needs(Right.NOTICES_OPERATE)
    return await again.retry(parts.database, numbers, parts.clock.now(), actor.name)


async def release_fuse(parts: Parts, actor: Actor) -> None:
    """Let first mails out for an hour, however many."""
    actor.needs(Right.NOTICES_OPERATE)
    await fuse.release(parts.database, parts.clock.now(), FUSE_STAYS_WHOLE, actor.name)
