"""What the console says of incidents: what they are, how they ended, and what was done about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from monitor.health.breaks import ALONE, AUTHORIZED, CANARY, DROPPED, RELEASED
from monitor.health.causes import Subject, consequence
from monitor.health.pattern import Pattern
from monitor.health.wave import Outcome
from monitor.operations.blocks import Block, Sample
from monitor.operations.board import Decision, Ended
from monitor.operations.incident_story import Belongs, Story, Told
from monitor.operations.incidents import Seen
from monitor.web.console.cause_words import cause_words
from monitor.web.console.growth import area as area  # noqa: PLC0414 - templates say by it how it goes
from monitor.web.console.growth import sentence as sentence  # noqa: PLC0414 - and in words
from monitor.web.console.render import short
from monitor.web.console.texts import N_, ngettext
from monitor.web.console.texts import gettext as _

SEVERAL = 4  # values of a trait that are told

_OUTCOMES = {
    Outcome.HELD: N_("is held"),
    Outcome.ASKED: N_("was asked, and has not authorized yet"),
    Outcome.MENDED: N_("authorized again, and works"),
    Outcome.REFUTED: N_("authorized again, and is still refused"),
    Outcome.HEALED: N_("healed by itself"),
    Outcome.GONE: N_("is no longer looked at"),
}
_STATES = {
    "waiting": N_("Waiting"), "sending": N_("Being sent"), "sent": N_("Sent"), "failed": N_("Failed"),
    "withdrawn": N_("Taken back"), "unconfirmed": N_("Unconfirmed"), "held": N_("Held"),
}  # fmt: skip
_ENDED = {ALONE: N_("healed by itself"), AUTHORIZED: N_("mended by authorizing again")}
_TRAITS = {"cause": N_("cause"), "rule": N_("rule"), "region": N_("region"), "app": N_("app")}
_DONE = {
    "wave.begin": N_("The fleet guard began to hold its clients' mails"),
    "wave.end": N_("The hold ended"),
    "mails.canary": N_("Asked first: %(clients)s"),
    "mails.released": N_("Released the mails of %(connections)s connections"),
    "mails.dropped": N_("Dropped the mails of %(connections)s connections"),
    "mails.hold": N_("Held the mails of %(connections)s connections again"),
    "incident.acknowledge": N_("Took it up"),
    "incident.unacknowledge": N_("Laid it down"),
    "silence.begin": N_("Laid a silence over it"),
    "silence.end": N_("Ended a silence over it"),
}


def what(block: Block) -> str:
    """Name what an incident is about."""
    about = block.shown.seen.about
    match about.kind:
        case Subject.APP if not block.title:
            return _("App %(app)s", app=about.name)
        case Subject.APP:
            return _("%(provider)s, app %(app)s", provider=block.title, app=about.name)
        case Subject.REGION:
            return _("%(provider)s, %(region)s", provider=block.title, region=about.name.partition("/")[2])
        case Subject.PROVIDER:
            return block.title
    return _("Our own network")


def heading(block: Block) -> str:
    """Say in a line what is the matter."""
    return f"{what(block)}: {cause_words(block.shown.seen.cause)}"


def together(decision: Decision) -> str:
    """Say in a line how many broke together, and where."""
    where = place(decision)
    return ngettext(
        "%(where)s: %(n)s connection turned bad", "%(where)s: %(n)s connections turned bad together",
        decision.question.connections, where=where,
    )  # fmt: skip


def place(decision: Decision) -> str:
    """Name where those who are held are, as narrowly as they have it alike."""
    about, title = decision.where, decision.block.title
    if about.kind is Subject.REGION:
        return _("%(provider)s, %(region)s", provider=title, region=about.name.partition("/")[2])
    return (
        _("%(provider)s, app %(app)s", provider=title, app=about.name) if about.kind is Subject.APP else title
    )


def share_of(decision: Decision) -> str:
    """Say how many are broken where they are, and how many elsewhere at the same provider."""
    found = decision.beside
    said = ngettext(
        "%(broken)s of the %(n)s connection there is broken.",
        "%(broken)s of the %(n)s connections there are broken.",
        found.connections, broken=f"{found.broken:,}",
    )  # fmt: skip
    if not found.elsewhere:
        return said
    beyond = ngettext(
        "Of the %(n)s other one of %(title)s, %(broken)s.", "Of the %(n)s others of %(title)s, %(broken)s.",
        found.elsewhere, broken=f"{found.broken_elsewhere:,}", title=decision.block.title,
    )  # fmt: skip
    return f"{said} {beyond}"


def letters(decision: Decision) -> str:
    """Say how many mails to how many addresses are held."""
    found = decision.letters
    return ngettext(
        "%(n)s mail to %(of)s addresses is held.", "%(n)s mails to %(of)s addresses are held.",
        found.mails, of=f"{found.addresses:,}",
    )  # fmt: skip


def alike(pattern: Pattern) -> list[tuple[str, str]]:
    """Return the traits that all have: what, and which."""
    return [(_(_TRAITS[one.name]), one.values[0][0]) for one in pattern.traits if one.shared]


def unlike(pattern: Pattern) -> list[tuple[str, str]]:
    """Return the traits that differ: what, and how many have which."""
    found = []
    for one in pattern.traits:
        if not one.shared:
            said = [f"{value} {count:,}" for value, count in one.values[:SEVERAL]]
            rest = len(one.values) - SEVERAL
            said += [ngettext("%(n)s more", "%(n)s more", rest)] if rest > 0 else []
            found.append((_(_TRAITS[one.name]), ", ".join(said)))
    return found


def outcome(found: Outcome) -> str:
    """Say what became of a client who was asked first."""
    return _(_OUTCOMES[found])


def answered(sample: Sample | None) -> dict[str, str]:
    """Return what was asked and answered, in words; empty where nothing is kept."""
    one = sample.telling if sample is not None else None
    if one is None:
        return {}
    code = str(one.get("fault") or one.get("status", ""))
    rest = [one.get("error") or "", f"“{one['description']}”" if one.get("description") else ""]
    if one.get("fault"):
        rest = [one.get("detail", "")]
    elif not any(rest) and one.get("sample"):
        rest = [f"“{one['sample']}”"]
    return {"asked": str(one.get("asked", "")), "code": code, "rest": " ".join(filter(None, rest))}


def few(decision: Decision) -> int:
    """Return how many are asked first, unless somebody says another number."""
    return max(1, min(3, decision.question.held))


def share(block: Block) -> str:
    """Say how many connections it has of how many."""
    seen, beside, grown = block.shown.seen, block.beside, block.growth
    if seen.closed_at is not None:
        return ngettext("%(n)s connection", "%(n)s connections", block.tally.members)
    of = f"{beside.connections:,}"
    said = ngettext("%(n)s of %(of)s connections", "%(n)s of %(of)s connections", seen.members, of=of)
    if not beside.connections:  # our network has no provider
        said = ngettext("%(n)s connection", "%(n)s connections", seen.members)
    if grown is not None and grown.most[1] > seen.members:
        return _("%(share)s, down from %(most)s", share=said, most=f"{grown.most[1]:,}")
    return said


def cause(seen: Seen) -> str:
    """Say a cause in short."""
    return cause_words(seen.cause)


def meaning(seen: Seen) -> str:
    """Say what a cause means, as a sentence."""
    text = _(consequence(seen.cause).meaning)
    return f"{text[:1].upper()}{text[1:]}."


def advice(seen: Seen) -> str:
    """Say what mends it."""
    return _(consequence(seen.cause).advice)


def looked(block: Block) -> str:
    """Say what the service does about it by itself, and when on-call hears of it again."""
    said = _("The service looks again by itself, a few connections at a time; no client is mailed.")
    call = block.call
    if call is None or call.told_at is None:
        return said
    if call.again is not None:
        return f"{said} {_('On-call is told again every %(span)s while it stands.', span=short(call.again))}"
    return f"{said} {_('On-call is told once more, when it is over.')}"


def said(told: Told) -> str:
    """Say what a notice is, as the outbox calls it."""
    name = told.kind.replace("_", " ")
    return f"{name} {told.number}" if told.number else name


def state_of(told: Told) -> str:
    """Say how a notice is."""
    return _(_STATES.get(told.state, told.state))


def became(one: Belongs, story: Story) -> str:
    """Say what became of a connection of an incident."""
    if one.closed_at is not None:
        return _(_ENDED.get(one.ended, N_("changed by a person")))
    if one.told_at is not None:
        return _("asked on trial") if one.mails == CANARY else _("its client was told")
    if one.mails == DROPPED:
        return _("dropped: its client is not told")
    if one.mails == RELEASED:
        return _("released: its client is told next")
    if one.mails == CANARY:
        return _("asked on trial next")
    held = story.seen.wave and story.seen.closed_at is None
    return _("its mail is held") if held else _("stands")


def verdict(story: Story, now: datetime) -> str:
    """Say an incident in one sentence."""
    seen = story.seen
    if seen.closed_at is not None:
        lasted = short(seen.closed_at - seen.opened_at)
        return _("Incident %(number)s is over; it lasted %(span)s.", number=seen.id, span=lasted)
    span = short(now - seen.opened_at)
    if seen.wave:
        return _("Incident %(number)s waits for a decision, for %(span)s now.", number=seen.id, span=span)
    return _("Incident %(number)s has been open for %(span)s.", number=seen.id, span=span)


def how_it_ended(one: Ended) -> str:
    """Say how an incident ended."""
    seen, tally = one.shown.seen, one.tally
    if seen.mails == RELEASED:
        return _("A person released it: %(told)s of %(n)s were told.", told=tally.told, n=tally.members)
    if seen.mails == DROPPED:
        return _("A person dropped it: none of %(n)s was told.", n=tally.members)
    if seen.about.kind is not Subject.CONNECTION:
        mended = ngettext("%(n)s connection", "%(n)s connections", tally.members)
        if tally.told:
            return _("%(what)s; the clients of %(told)s were told.", what=mended, told=tally.told)
        return _("%(what)s; no client was told.", what=mended)
    told = _("it was told") if seen.told_at is not None else _("nobody was told")
    if seen.ended == ALONE:
        return _("It healed by itself; %(told)s.", told=told)
    if seen.ended == AUTHORIZED:
        return _("The client authorized again.")
    return _("A person changed or paused the connection; %(told)s.", told=told)


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that came about with an incident, when, and by whom; empty: by itself."""

    at: datetime
    said: str
    by: str = ""
    note: str = ""


def timeline(story: Story) -> list[Moment]:
    """Return what came about with an incident, oldest first."""
    seen, found = story.seen, []
    if story.block is not None and story.block.tally.first_at is not None:
        found.append(Moment(story.block.tally.first_at, _("The first connection of it broke")))
    found.append(Moment(seen.opened_at, _("The incident began")))
    call = story.block.call if story.block is not None else story.single.call if story.single else None
    if call is not None and call.told_at is not None:
        found.append(Moment(call.told_at, _("On-call was told over %(over)s", over=", ".join(call.channels))))
    if seen.told_at is not None:
        found.append(Moment(seen.told_at, _("The client was told")))
    found += [_moment(line.at, line.action, line.actor, line.detail) for line in story.lines]
    if seen.closed_at is not None:
        found.append(Moment(seen.closed_at, _("It ended")))
    return sorted(found, key=lambda one: one.at)


def _moment(at: datetime, action: str, by: str, detail: Any) -> Moment:
    clients = detail.get("clients", ())
    values = {"connections": detail.get("connections", ""), "clients": _some(clients)}
    said = _(_DONE[action], **values) if action in _DONE else action
    note = detail.get("note") or detail.get("reason") or ""
    why = detail.get("why", "")
    return Moment(at, said, by if by != "service" else "", note or (why if isinstance(why, str) else ""))


def _some(names: Sequence[str]) -> str:
    rest = len(names) - 5
    return ", ".join(names[:5]) + (_(" and %(n)s more", n=rest) if rest > 0 else "")


def moment(seconds: float) -> datetime:
    """Return a moment from Unix seconds. Raises ValueError, OverflowError, OSError."""
    return datetime.fromtimestamp(seconds, UTC)
