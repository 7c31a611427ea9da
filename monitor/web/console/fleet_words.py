"""What the fleet's page says: its verdict, what changed, why a connection is so, what was said of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from monitor.health.breaks import ALONE, AUTHORIZED
from monitor.health.causes import Owner, Subject
from monitor.health.lifecycle import State
from monitor.health.pauses import Pause
from monitor.operations.actor import LOOPBACK
from monitor.operations.overview import Line, Many
from monitor.operations.telling import What, Word
from monitor.operations.verdict import Change, Verdict
from monitor.web.console.cause_words import cause_words
from monitor.web.console.render import at, part, short
from monitor.web.console.texts import N_, ngettext
from monitor.web.console.texts import gettext as _

LATE = timedelta(minutes=5)
LONGEST_REASON = 60  # letters of it that a row shows


# -- the verdict ---------------------------------------------------------------------------------------


def headline(found: Verdict, titles: Mapping[str, str], *, acts: bool) -> str:
    """Say how the fleet is, in a sentence or two, with numbers."""
    counts = found.counts
    first = _ours(found.ours, acts=acts)
    told = [
        _down([titles.get(one, one) for one in found.down]),
        ngettext("%(n)s client has to reconnect", "%(n)s clients have to reconnect", found.waiting_clients)
        if found.waiting_clients
        else "",
    ]
    rest = [one for one in told if one]
    if rest:
        joined = _("%(one)s, and %(other)s", one=rest[0], other=rest[1]) if len(rest) == 2 else rest[0]
        return f"{first} {joined}." if first else f"{joined}."
    if first:
        return first
    doubted, healthy = counts.states.get("suspect", 0), counts.states.get("healthy", 0)
    if doubted:
        return ngettext(
            "Nothing is broken; %(n)s is in doubt.", "Nothing is broken; %(n)s are in doubt.", doubted
        )
    if healthy == counts.total:
        return ngettext("The one connection is healthy.", "All %(n)s are healthy.", healthy)
    left = counts.total - healthy
    return ngettext(
        "Nothing is broken; %(n)s is pending or paused.",
        "Nothing is broken; %(n)s are pending or paused.",
        left,
    )


def _ours(number: int, *, acts: bool) -> str:
    if not number:
        return ""
    if acts:
        return ngettext("%(n)s thing needs you.", "%(n)s things need you.", number)
    return ngettext("%(n)s thing needs an operator.", "%(n)s things need an operator.", number)


def _down(names: Sequence[str]) -> str:
    if not names:
        return ""
    if len(names) == 1:
        return _("%(name)s is down", name=names[0])
    if len(names) == 2:
        return _("%(one)s and %(other)s are down", one=names[0], other=names[1])
    return ngettext("%(n)s provider is down", "%(n)s providers are down", len(names))


def beneath(found: Verdict) -> str:
    """Say it in numbers: how many there are, of how many clients, how well, and how lately looked at."""
    counts = found.counts
    of = ngettext("%(n)s connection", "%(n)s connections", counts.total)
    clients = ngettext("of %(n)s client", "of %(n)s clients", found.clients)
    share = _("%(share)s healthy", share=percent(counts.states.get("healthy", 0), counts.total))
    if found.late > LATE:
        looks = _("looks are %(span)s late", span=short(found.late))
    else:
        looks = _("every look is on time")
    return f"{of} {clients}. {share}; {looks}."


def percent(some: int, every: int) -> str:
    """Write a share, never 100 % where one is left out."""
    if not every or some in (0, every):
        return "100 %" if every and some == every else "0 %"
    return f"{min(99.9, max(0.1, round(100 * some / every, 1))):.1f} %"


def difference(number: int | None) -> str:
    """Write by how many there are more, or fewer, than a day ago."""
    if number is None:
        return ""
    return f"+{number:,}" if number > 0 else f"−{-number:,}" if number < 0 else "0"


# -- what changed --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class News:
    """A line of what changed: its sentence has the link's words in it."""

    at: datetime
    sign: str
    before: str
    link: str
    href: str
    after: str


def _came_back(one: Change, place: str) -> str:
    if one.ended == ALONE:
        return ngettext(
            "of %(what)s recovered by itself", "of %(what)s recovered by themselves", one.count, what=place
        )
    if one.ended == AUTHORIZED:
        return _("of %(what)s reconnected", what=place)
    return ngettext("of %(what)s works again", "of %(what)s work again", one.count, what=place)


def change(one: Change, titles: Mapping[str, str]) -> News:
    """Say one change."""
    place = about(one.about.kind, one.about.name, titles)
    alone = one.about.kind is Subject.CONNECTION
    href = f"/connections/{part(one.about.name)}" if alone else f"/incidents/{one.incident}"
    if not one.began:
        ends = {ALONE: _("recovered by itself"), AUTHORIZED: _("reconnected")}
        if alone:
            return News(
                one.at,
                "healthy",
                "",
                one.client or one.about.name,
                href,
                ends.get(one.ended, _("works again")),
            )
        words = _came_back(one, place)
        return News(
            one.at, "healthy", "", ngettext("%(n)s connection", "%(n)s connections", one.count), href, words
        )
    if alone:
        return News(
            one.at, "broken", "", one.client or one.about.name, href, f": {_lower(cause_words(one.cause))}"
        )
    broke = ngettext("%(n)s connection broke", "%(n)s connections broke", one.count)
    if one.wave:
        return News(one.at, "guard", f"{_('The guard came up over')} ", place, href, f": {broke}")
    return News(one.at, "broken", "", place, href, f": {_lower(cause_words(one.cause))}; {broke}")


def about(kind: Subject, name: str, titles: Mapping[str, str]) -> str:
    """Name what an incident is about."""
    if kind is Subject.NETWORK:
        return _("Our network")
    if kind is Subject.APP:
        return _("App %(name)s", name=name)
    provider, _slash, region = name.partition("/")
    return f"{titles.get(provider, provider)}{f', {region.upper()}' if region else ''}"


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


# -- a row ---------------------------------------------------------------------------------------------


def why(line: Line) -> tuple[str, str]:
    """Say why a connection is as it is, and the code that one searches for."""
    one, health = line.one, line.one.health
    match health.state:
        case State.HEALTHY:
            return _("Works"), ""
        case State.PENDING:
            return (_("Never authorized") if one.newcomer else _("Waits for its first look")), "pending"
        case State.PAUSED:
            return _paused(line), "paused"
    cause = health.cause if health.state is State.BROKEN else health.candidate
    return cause_words(cause, line.told.scope), cause.value


def seen(line: Line) -> str:
    """Say how often a doubt was seen; nothing of what is confirmed."""
    health = line.one.health
    if health.state is not State.SUSPECT or not health.streak:
        return ""
    return ngettext("seen once", "seen %(n)s times", health.streak)


def _paused(line: Line) -> str:
    pause = line.told.pause
    if pause is None:
        return _("In maintenance")
    reason = pause.reason if len(pause.reason) <= LONGEST_REASON else f"{pause.reason[:LONGEST_REASON]}…"
    who = _by(pause)
    return _("%(who)s: %(reason)s", who=who, reason=reason) if reason else who


def _by(pause: Pause) -> str:
    if pause.by == LOOPBACK:
        return _("By somebody on this machine")
    return _("By %(who)s", who=pause.who) if pause.by else _("By a person")


def why_many(one: Many) -> tuple[str, str]:
    """Say why what an incident stands for is as it is."""
    shared = one.shared
    if shared.wave:
        return ngettext(
            "%(n)s client turned bad with others", "%(n)s clients turned bad together", shared.clients
        ), shared.cause.value
    return cause_words(shared.cause), shared.cause.value


_SAYS: Mapping[What, str] = {
    What.NOTHING: N_("Nobody was told"),
    What.UNCONFIRMED_BREAK: N_("Nobody, until it is confirmed"),
    What.PAGED: N_("On-call was told %(at)s"),
    What.SILENCED: N_("Silent until %(at)s"),
    What.PAUSED: N_("Muted with it"),
    What.GUARD_HOLDS: N_("The guard holds its mail"),
    What.DROPPED: N_("Its mail was dropped"),
    What.WAITS_FOR_PERSON: N_("Approved: which account?"),
    What.MAIL_WAITS: N_("Mail due %(at)s"),
    What.MAILED: N_("Mailed %(at)s, not opened"),
    What.INVITED: N_("Invited %(at)s, not opened"),
    What.REMINDED: N_("Reminder %(number)s sent, not opened"),
    What.THANKED: N_("Thanked %(at)s"),
    What.PERHAPS_MAILED: N_("Perhaps mailed, no receipt"),
    What.MAIL_FAILED: N_("Its mail could not be sent"),
    What.OPENED: N_("Mailed, opened"),
    What.STARTED: N_("Opened, not finished"),
    What.APPROVED: N_("Approved %(at)s"),
    What.DECLINED: N_("Opened, declined"),
    What.FORBIDDEN: N_("Their administrator forbids it"),
    What.OTHER_ACCOUNT: N_("Approved with another account"),
    What.LOOKED_AT_FIRST: N_("after one more look"),
    What.REMINDER: N_("reminder %(number)s %(at)s"),
    What.MAIL: N_("mail %(at)s"),
    What.HANDOVER: N_("comes back to you %(at)s"),
    What.CLAIMED: N_("%(who)s is on it until %(at)s"),
    What.DECIDE: N_("waits for a decision"),
    What.RESUMES: N_("resumes %(at)s"),
    What.CLIENT_HEARS_NOTHING: N_("client hears nothing"),
}


def says(word: Word | None, now: datetime) -> str:
    """Say what was said, or what follows."""
    if word is None:
        return ""
    if word.what is What.SILENCED and word.at is None:
        return _("Silent until it is lifted")
    moment = at(word.at, now) if word.at is not None else ""
    return _(_SAYS[word.what], at=moment, number=word.number, who=word.who.partition(":")[2] or word.who)


def said_of(line: Line, now: datetime) -> tuple[str, str]:
    """Say what was said of a connection, and what follows."""
    told = line.told
    if told.said.what is What.NOTHING and line.one.health.state is State.HEALTHY:
        return "", says(told.follows, now)
    return says(told.said, now), says(told.follows, now)


def said_of_many(one: Many, now: datetime) -> tuple[str, str]:
    """Say what was said of what an incident stands for, and what follows."""
    shared = one.shared
    if shared.wave and shared.held:
        held = ngettext("The mail of %(n)s is held", "The mails of %(n)s are held", shared.held)
        return held, _("release or drop them")
    if one.paged_at is not None:
        return _("On-call was told %(at)s", at=at(one.paged_at, now)), _("one page for all of them")
    if shared.owner is Owner.CLIENT:
        return _("Their clients are being asked"), ""
    return _("Nobody was told"), _("clients hear nothing")
