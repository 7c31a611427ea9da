"""The outbox as people look at it: what wants a look, what is held and by what, what waits, what went out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import islice

from alerts.mails import fuse, reasons
from alerts.mails.fuse import FuseState
from alerts.mails.refusals import undeliverable
from alerts.mails.still import PLANNED
from alerts.mails.story import CHANNEL, MAIL
from alerts.outbox import looking
from alerts.outbox.envelope import TO_PROGRAMS
from alerts.outbox.listing import Told
from alerts.outbox.looking import MOST as MOST  # noqa: PLC0414 - doors say by these what they show
from alerts.outbox.looking import Is as Is  # noqa: PLC0414
from alerts.outbox.looking import Place as Place  # noqa: PLC0414
from alerts.outbox.looking import View
from alerts.pages import reasons as pages
from alerts.pages.story import SLOTS as PAGES
from monitor.errors import Invalid
from monitor.health.breaks import IN_DOUBT
from monitor.operations import notices, reach, withheld
from monitor.operations.actor import Actor, Right
from monitor.operations.mails import server_trouble
from monitor.operations.withheld import Held
from monitor.settings.parts import Parts
from monitor.store import published

LATELY = timedelta(days=7)  # what went wrong longer ago is behind its tab alone
MOST_ADDRESSES = 100  # that refuse mail, and are shown
TABS = {one.value: one for one in Is}


class Channel(StrEnum):
    """What a notice is, and so over what it goes."""

    MAIL = "mail"
    PAGE = "page"
    WEBHOOK = "webhook"


_SHOWN = (Is.WAITING, Is.SENDING, Is.UNCONFIRMED, Is.FAILED, Is.SENT)
_SLOTS = {Channel.MAIL: tuple(MAIL.slots), Channel.PAGE: tuple(PAGES), Channel.WEBHOOK: ()}


@dataclass(frozen=True, slots=True)
class Noted:
    """A notice, what it is to whoever looks, why in one sentence, and what may be done about it.

    `providers` are the titles of those that its connections are at; `does` are operations, such as
    "notices.send_now", "notices.retry", "notices.send_twice" and "notices.hold".
    """

    told: Told
    is_: Is
    channel: Channel
    why: str
    does: tuple[str, ...]
    providers: tuple[str, ...] = ()
    held: bool = False  # by the fuse; what else is held stands in no outbox

    @property
    def incident(self) -> int | None:
        """The incident that it is about, where it is about one alone."""
        found = {item.incident for item in self.told.items if item.incident is not None}
        return found.pop() if len(found) == 1 else None


@dataclass(frozen=True, slots=True)
class Refusing:
    """An address that refuses mail: since when, in the server's words, and which notice it refused last."""

    address: str
    since: datetime
    answer: str
    client: str
    notice: int | None
    connection: str


@dataclass(frozen=True, slots=True)
class Counts:
    """How many notices wait, are on their way, are held, want a look, and went out today; up to `MOST`."""

    waiting: int
    sending: int
    held: int
    looks: int
    unconfirmed: int
    failed: int
    sent_today: int


@dataclass(frozen=True, slots=True)
class Server:
    """The mail server: whether there is one, when it took the last mail, and since when it takes none."""

    configured: bool
    taken_at: datetime | None
    trouble: str


@dataclass(frozen=True, slots=True)
class Overview:
    """What matters of the outbox now, in the order in which a person looks at it."""

    at: datetime
    counts: Counts
    looks: tuple[Noted, ...]
    refusing: tuple[Refusing, ...]
    fuse: FuseState
    held: tuple[Held, ...]
    sending: tuple[Noted, ...]
    waiting: tuple[Noted, ...]
    sent: tuple[Noted, ...]
    server: Server


@dataclass(frozen=True, slots=True)
class Page:
    """Some notices of one kind. The next page is that `after` the place, None after the last."""

    notices: tuple[Noted, ...]
    after: Place | None


async def overview(parts: Parts, actor: Actor, channel: Channel | None = None, limit: int = 10) -> Overview:
    """Return what wants a look, what is held, what waits next, and what went out last: so many of each.

    Without any (0), it is the sums and what is held alone.
    """
    _may(actor, channel)
    now = parts.clock.now()
    held = await withheld.now_held(parts, now) if channel in (None, Channel.MAIL) else []
    blown = await notices.fuse_now(parts, actor)
    refusing = await _refusing(parts, now) if channel in (None, Channel.MAIL) else []
    views = [_view(is_, channel, now, fused=blown.blown_at is not None) for is_ in _SHOWN]
    shown = dict.fromkeys(_SHOWN, ()) if not limit else await _firsts(parts, actor, views, limit, now)
    looks = shown[Is.UNCONFIRMED] + shown[Is.FAILED]
    counts = await _counts(parts, views, held, len(refusing), blown)
    return Overview(
        now, counts, looks, tuple(refusing[:limit]), blown, tuple(held), shown[Is.SENDING], shown[Is.WAITING],
        shown[Is.SENT], await _server(parts, actor),
    )  # fmt: skip


async def _firsts(
    parts: Parts, actor: Actor, views: Sequence[View], limit: int, now: datetime
) -> dict[Is, tuple[Noted, ...]]:
    found = await looking.firsts(parts.database, views, limit)
    noted = iter(await _noted(parts, actor, [one for some in found for one in some], now))
    return {is_: tuple(islice(noted, len(some))) for is_, some in zip(_SHOWN, found, strict=True)}


async def page(
    parts: Parts,
    actor: Actor,
    is_: Is,
    limit: int,
    *,
    channel: Channel | None = None,
    client: str = "",
    after: Place | None = None,
) -> Page:
    """Return notices that are so: what waits, the next first; the rest, the newest first."""
    _may(actor, channel)
    now = parts.clock.now()
    view = _view(is_, channel, now, client=client, every=True)
    found = await looking.page(parts.database, view, limit + 1, after)
    shown = await _noted(parts, actor, found[:limit], now)
    return Page(shown, looking.place_of(found[limit - 1]) if len(found) > limit else None)


async def held(parts: Parts, actor: Actor) -> list[Held]:
    """Return what is held back, and by what."""
    _may(actor, None)
    return await withheld.now_held(parts, parts.clock.now())


async def show(parts: Parts, actor: Actor, number: int) -> Noted:
    """Return one notice, why it is as it is, and what may be done about it. Raises NotFound."""
    actor.needs(Right.NOTICES_READ)
    sees_programs = Right.WEBHOOKS_READ in actor.may and actor.only.whole
    told = await looking.to_programs(parts.database, number) if sees_programs else None
    told = told or await notices.show(parts, actor, number)
    return (await _noted(parts, actor, [told], parts.clock.now()))[0]


def channel_of(word: str) -> Channel | None:
    """Read a channel; empty for mails and pages together. Raises Invalid."""
    try:
        return Channel(word) if word else None
    except ValueError:
        known = ", ".join(one.value for one in Channel)
        raise Invalid("channel", f"{word!r} is none; those are {known}") from None


def is_of(word: str) -> Is:
    """Read what a notice is. Raises Invalid."""
    if word not in TABS:
        raise Invalid("is", f"{word!r} is none; those are {', '.join(TABS)}")
    return TABS[word]


# -- how it is put together ---------------------------------------------------------------------------


def _may(actor: Actor, channel: Channel | None) -> None:
    actor.needs(Right.NOTICES_READ)
    if channel is Channel.WEBHOOK:
        actor.needs(Right.WEBHOOKS_READ)
    reach.whole(actor, "what waits is of more")


def _view(
    is_: Is,
    channel: Channel | None,
    now: datetime,
    *,
    client: str = "",
    every: bool = False,
    fused: bool = False,
) -> View:
    """Return which notices are meant: of today, or lately, unless `every` one; not what the fuse holds."""
    since = None
    if not every and is_ is Is.SENT:
        since = now.replace(hour=0, minute=0, second=0, microsecond=0)
    elif not every and is_ in (Is.UNCONFIRMED, Is.FAILED):
        since = now - LATELY
    slots = _SLOTS[channel] if channel is not None else ()
    but = fuse.held_now(now) if fused and is_ is Is.WAITING else None
    return View(is_, slots, channel is Channel.WEBHOOK, client, since, but)


async def _counts(
    parts: Parts, views: Sequence[View], held: Sequence[Held], refusing: int, blown: FuseState
) -> Counts:
    waiting, sending, unconfirmed, failed, sent = await looking.count(parts.database, views)
    looks = unconfirmed + failed + refusing + (blown.blown_at is not None)
    return Counts(waiting, sending, withheld.total(held), looks, unconfirmed, failed, sent)


async def _server(parts: Parts, actor: Actor) -> Server:
    configured = bool(parts.loaded.settings.smtp.sender)
    taken = await looking.last_taken(parts.database, CHANNEL) if configured else None
    return Server(configured, taken, await server_trouble(parts, actor))


async def _refusing(parts: Parts, now: datetime) -> list[Refusing]:
    """Return addresses that refuse mail, but those whose notice failed by it and wants a look itself."""
    rows = (await undeliverable(parts.database))[:MOST_ADDRESSES]
    by = await looking.refused_by(parts.database, [address for address, _, _ in rows])
    found = []
    for address, since, answer in rows:
        last = by.get(address)
        if last is None:
            found.append(Refusing(address, since, answer, "", None, ""))
        elif last.state != "failed" or last.settled_at < now - LATELY:
            found.append(Refusing(address, since, answer, last.client, last.id, last.connection or ""))
    return found


async def _noted(parts: Parts, actor: Actor, found: Sequence[Told], now: datetime) -> tuple[Noted, ...]:
    if not found:
        return ()
    around = await _around(parts, actor, found)
    blown = (await notices.fuse_now(parts, actor)).blown_at is not None
    async with parts.database.read() as conn:
        names = await published.providers_of(conn, [name for one in found for name in one.connections])
    titles = {app.provider.name: app.provider.title for app in parts.apps.values()}
    noted = [_note(one, around, now, blown=blown) for one in found]
    return tuple(
        replace(
            one,
            providers=tuple(
                dict.fromkeys(
                    titles.get(names[name], names[name]) for name in one.told.connections if name in names
                )
            ),
        )
        for one in noted
    )


async def _around(parts: Parts, actor: Actor, found: Sequence[Told]) -> reasons.Around:
    waiting = {name for one in found if one.state == "waiting" for name in one.connections}
    async with parts.database.read() as conn:
        stand = await published.standing(conn, ids=waiting) if waiting else []
    settings = parts.loaded.settings
    return reasons.Around(
        settings.mail_policy,
        frozenset(one.incident for one in stand if one.incident is not None and one.waits == IN_DOUBT),
        {one.id: one.claim for one in stand if one.claim is not None},
        await server_trouble(parts, actor) if any(one.state == "sending" for one in found) else "",
        settings.email.operator,
    )


def _note(told: Told, around: reasons.Around, now: datetime, *, blown: bool) -> Noted:
    is_ = looking.is_of(told)
    if told.slot == TO_PROGRAMS:
        again = ("webhooks.send_again",) if is_ is Is.FAILED else ()
        return Noted(told, is_, Channel.WEBHOOK, _of_webhook(told), again)
    if told.slot in PAGES:
        return Noted(told, is_, Channel.PAGE, pages.why(told, now), ())
    fused = blown and told.slot in fuse.FUSED and told.requested_by is None
    if fused and told.state == "waiting" and told.due_at <= now:
        said = "The fuse holds it: more first mails want out than the fleet should bring."
        return Noted(told, is_, Channel.MAIL, said, _does(told, is_), held=True)
    return Noted(told, is_, Channel.MAIL, reasons.why(told, around, now), _does(told, is_))


def _does(told: Told, is_: Is) -> tuple[str, ...]:
    match is_:
        case Is.WAITING if told.slot in PLANNED and told.requested_by is None:
            return ("notices.send_now", "notices.hold") if told.client else ("notices.send_now",)
        case Is.FAILED if told.envelopes:
            return ("notices.retry",)
        case Is.UNCONFIRMED if told.slot in PLANNED:
            return ("notices.send_twice",)
    return ()


def _of_webhook(told: Told) -> str:
    answers = dict.fromkeys(one.answer for one in told.envelopes if one.answer)
    if told.state in ("waiting", "sending"):
        return f"It did not take it yet: {'; '.join(answers)}." if answers else "It goes within seconds."
    if told.state == "sent":
        return "It was taken."
    return f"{'; '.join(answers) or told.outcome or 'taken back'}."
