"""Notices: what clients were told and what waits; held, released, dropped and sent again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from alerts.mails import again, forward, fuse, reconcile
from alerts.mails.compose import Written
from alerts.mails.letters import Unwritable, Writer
from alerts.mails.refusals import undeliverable
from alerts.mails.story import MAIL
from alerts.mails.told import remedies
from alerts.mails.voice import Voice
from alerts.outbox import listing
from alerts.outbox.listing import Told
from alerts.outbox.listing import Wanted as Wanted  # noqa: PLC0414 - doors say by it what they want
from alerts.silences import silences
from alerts.silences.windows import Silenced
from monitor.errors import ConfigurationError, Conflict, NotFound, Remedy
from monitor.health.breaks import DROPPED, RELEASED
from monitor.health.question import Question
from monitor.operations import incidents, reach
from monitor.operations.actor import Actor, Right
from monitor.operations.incidents import waves_open
from monitor.operations.mails import server_trouble, whole
from monitor.operations.silences import over_of
from monitor.settings.builders import build_post
from monitor.settings.parts import Parts
from monitor.store import connections, decisions, published

ANY = Wanted()
STATES = frozenset({"waiting", "sending", "sent", "failed", "withdrawn"})
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
    reach.whole(actor, "what waits is of more")
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
    parts: Parts, actor: Actor, limit: int, which: Wanted = ANY, before: int | None = None
) -> Page:
    """Return notices: so many, before a number. Who is restricted sees their part of each."""
    actor.needs(Right.NOTICES_READ)
    return await _page(parts, actor, limit, which, before)


async def about(
    parts: Parts, actor: Actor, connection_id: str, limit: int, before: int | None = None
) -> Page:
    """Return what was said, or waits to be said, about a connection. Raises NotFound."""
    actor.needs(Right.CONNECTIONS_READ)
    reach.one(actor, await connections.show(parts.database, connection_id))
    return await _page(parts, actor, limit, Wanted(connection=connection_id), before)


async def _page(parts: Parts, actor: Actor, limit: int, which: Wanted, before: int | None) -> Page:
    wanted = replace(which, among=_among(parts, actor))
    found = await listing.page(parts.database, wanted, limit + 1, before)
    return Page(tuple(found[:limit]), found[limit - 1].id if len(found) > limit else None)


def _among(parts: Parts, actor: Actor) -> Any:
    return None if actor.only.whole else published.seen_by(actor.only, parts.database)


async def show(parts: Parts, actor: Actor, number: int) -> Told:
    """Return one notice. Raises NotFound."""
    actor.needs(Right.NOTICES_READ)
    return await _one(parts, actor, number)


async def _one(parts: Parts, actor: Actor, number: int) -> Told:
    found = await listing.page(parts.database, Wanted(number, among=_among(parts, actor)), 1)
    if not found:
        raise NotFound(f"There is no notice {number}.", Remedy("notices.list", "shows those there are"))
    return found[0]


async def preview(parts: Parts, actor: Actor, number: int) -> Written:
    """Return what a mail says, or said, as it would be written now; its links lead nowhere.

    Raises NotFound, and Conflict for what is no mail or cannot be written any more.
    """
    actor.needs(Right.NOTICES_READ)
    told = await _one(parts, actor, number)
    envelope = await listing.unaddressed(parts.database, number, _among(parts, actor))
    post = build_post(parts)
    if envelope is None or told.slot not in MAIL.slots or post is None:
        raise Conflict(f"Notice {number} goes out as no mail.")
    try:
        written = await Writer(parts.database, post, parts.clock, previews=True).words(envelope)
    except (Unwritable, ConfigurationError) as error:  # the latter a template of one's own
        raise Conflict(f"Notice {number} cannot be written: {str(error).rstrip('.')}.") from None
    return replace(written, html=whole(written.html, post.logo))


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
    await reach.covers(parts, actor, over_of(over).value, name)
    now = parts.clock.now()
    until = now + length if length is not None else None
    return await silences.begin(parts.database, over_of(over), name, reason, until, now, actor.name)


async def unhold(parts: Parts, actor: Actor, over: str, name: str) -> int:
    """Lift what lies over something; return how many holds. Raises NotFound, and Conflict as a silence."""
    actor.needs(Right.NOTICES_OPERATE)
    await reach.covers(parts, actor, over_of(over).value, name)
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
    reach.whole(actor, "a wave is held over more")
    return await _said(parts, actor, wave, word)


async def release_incident(parts: Parts, actor: Actor, number: int, *, seen: int | None = None) -> int:
    """Do as `release` with the wave that an incident is, while it holds as many connections as were `seen`.

    Nobody is told within `email.release_delay`; `hold_again` takes it back. Raises NotFound, Conflict.
    """
    wave = await incidents.held_wave(parts, actor, number)
    return await _said(parts, actor, wave, RELEASED, number, seen)


async def drop_incident(parts: Parts, actor: Actor, number: int, *, seen: int | None = None) -> int:
    """Do as `drop` with the wave that an incident is, while it holds as many connections as were `seen`.

    Raises NotFound, Conflict.
    """
    wave = await incidents.held_wave(parts, actor, number)
    return await _said(parts, actor, wave, DROPPED, number, seen)


async def hold_again(parts: Parts, actor: Actor, number: int) -> int:
    """Hold again what a person released or dropped of a wave; return of how many connections.

    Whoever was told meanwhile, stays told. Raises NotFound, and Conflict where nothing of it can be held.
    """
    await incidents.decided_wave(parts, actor, number)
    count = await decisions.hold_again(parts.database, number, parts.clock.now(), actor.name)
    await _plan_now(parts)
    return count


async def _said(
    parts: Parts, actor: Actor, wave: str, word: str, number: int | None = None, seen: int | None = None
) -> int:
    now = parts.clock.now()
    count = await decisions.decide(parts.database, wave, word, now, actor.name, number, seen=seen)
    await _plan_now(parts)
    return count


async def ask_first(parts: Parts, actor: Actor, wave: str, count: int) -> tuple[str, ...]:
    """Ask a few clients of a wave on trial, and hold the rest; return which. Raises NotFound."""
    actor.needs(Right.NOTICES_OPERATE)
    reach.whole(actor, "a wave is held over more")
    return await _asked(parts, actor, wave, count)


async def ask_first_of(
    parts: Parts, actor: Actor, number: int, count: int, *, seen: int | None = None
) -> tuple[str, ...]:
    """Do as `ask_first` with the wave that an incident is, while it holds as many connections as were `seen`.

    Raises NotFound, Conflict.
    """
    wave = await incidents.held_wave(parts, actor, number)
    return await _asked(parts, actor, wave, count, number, seen)


async def _asked(
    parts: Parts,
    actor: Actor,
    wave: str,
    count: int,
    number: int | None = None,
    seen: int | None = None,
) -> tuple[str, ...]:
    now = parts.clock.now()
    asked = await decisions.ask_first(parts.database, wave, count, now, actor.name, number, seen=seen)
    await _plan_now(parts)
    return asked


async def _plan_now(parts: Parts) -> None:
    """Bring the waiting mails in line with what a person has just said; the service sends them."""
    if (post := build_post(parts)) is not None:
        await reconcile.plan_all(parts.database, post.voice, parts.clock.now())


async def retry_one(parts: Parts, actor: Actor, number: int, *, twice: bool = False) -> Told:
    """Have one failed mail tried again; return how it stands. Raises NotFound, ConfigurationError, Conflict.

    `twice`: one of which nobody knows whether it arrived, so that it may arrive twice.
    """
    actor.needs(Right.NOTICES_OPERATE)
    await _one(parts, actor, number)
    if twice:
        await send_twice(parts, actor, number)
    else:
        await retry(parts, actor, [number])
    return await _one(parts, actor, number)


async def send_twice(parts: Parts, actor: Actor, number: int) -> None:
    """Send a mail again to whom nobody knows to have it. Raises NotFound, Conflict, ConfigurationError."""
    actor.needs(Right.NOTICES_OPERATE)
    await _all_mine(parts, actor, [number])
    await again.send_twice(parts.database, _voice(parts), number, parts.clock.now(), actor.name)


async def send_now(parts: Parts, actor: Actor, number: int) -> Told:
    """Bring a mail that waits forward to now; return how it stands.

    It goes within seconds, after one more look: what is held, or no longer true, does not. Raises NotFound,
    Conflict, and ConfigurationError where no sender is configured.
    """
    actor.needs(Right.NOTICES_OPERATE)
    await _all_mine(parts, actor, [number])
    await forward.send_now(parts.database, _voice(parts), number, parts.clock.now(), actor.name)
    return await _one(parts, actor, number)


def _voice(parts: Parts) -> Voice:
    post = build_post(parts)
    if post is None:
        raise ConfigurationError(
            f"{parts.loaded.path}: set smtp.from (and smtp.url) first; then mails go out."
        )
    return post.voice


async def retry(parts: Parts, actor: Actor, numbers: Sequence[int]) -> list[int]:
    """Have failed mails tried again, all of them without numbers; return which.

    Raises ConfigurationError for a number that is none of a failed mail.
    """
    actor.needs(Right.NOTICES_OPERATE)
    if not numbers:
        reach.whole(actor, "there are mails beside its own")
    await _all_mine(parts, actor, numbers)
    return await again.retry(parts.database, numbers, parts.clock.now(), actor.name)


async def _all_mine(parts: Parts, actor: Actor, numbers: Sequence[int]) -> None:
    """Let pass where all that these notices are about is within. Raises NotFound, Refused."""
    if actor.only.whole:
        return
    for number in numbers:
        mine = await _one(parts, actor, number)
        (all_of_it,) = await listing.page(parts.database, Wanted(number), 1)
        if mine.connections != all_of_it.connections:
            reach.whole(actor, f"notice {number} is about more")


async def fuse_now(parts: Parts, actor: Actor) -> fuse.FuseState:
    """Return how the fuse is."""
    actor.needs(Right.NOTICES_READ)
    async with parts.database.read() as conn:
        return await fuse.read(conn)


async def release_fuse(parts: Parts, actor: Actor) -> None:
    """Let first mails out for an hour, however many."""
    actor.needs(Right.NOTICES_OPERATE)
    reach.whole(actor, "the fuse is the whole fleet's")
    await fuse.release(parts.database, parts.clock.now(), FUSE_STAYS_WHOLE, actor.name)
