"""One connection: why it is as it is, who acts, and what comes next."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError

from monitor.health.causes import Owner, consequence, operator_first
from monitor.health.explain import Story
from monitor.health.lifecycle import State
from monitor.health.pauses import Pause
from monitor.health.timeline import Span
from monitor.operations import closeup, explain, records
from monitor.operations.actor import Right
from monitor.operations.closeup import CloseUp
from monitor.operations.explain import Explained
from monitor.text.names import one_line
from monitor.text.spans import span
from monitor.web.console import charts
from monitor.web.console.answers import Sent, Shown
from monitor.web.console.declared import page
from monitor.web.console.render import at, part
from monitor.web.console.texts import N_, _
from monitor.web.console.visit import Visit

PATH = "/connections/{connection}"
SPANS = {Span.DAY: N_("24 h"), Span.FORTNIGHT: N_("14 d"), Span.QUARTER: N_("90 d")}
TITLES = {
    Span.DAY: N_("The last 24 hours"), Span.FORTNIGHT: N_("The last 14 days"),
    Span.QUARTER: N_("The last 90 days"),
}  # fmt: skip
WAS = {
    State.HEALTHY: N_("healthy"), State.SUSPECT: N_("in doubt"), State.BROKEN: N_("broken"),
    State.PENDING: N_("never authorized"), State.PAUSED: N_("paused"), None: N_("not known"),
}  # fmt: skip
_NOW = {
    State.HEALTHY: N_("%(name)s has been healthy%(since)s."),
    State.SUSPECT: N_("%(name)s has been in doubt%(since)s: %(meaning)s."),
    State.BROKEN: N_("%(name)s has been broken%(since)s: %(meaning)s."),
    State.PENDING: N_("%(name)s has not been looked at yet."),
    State.PAUSED: N_("%(name)s has been paused%(since)s; it is not looked at."),
}
_DID = {
    "connection.pause": N_("Paused"), "connection.resume": N_("Resumed"), "connection.claim": N_("Taken up"),
    "connection.unclaim": N_("Let go"), "connection.create": N_("Added"),
    "connection.change": N_("Changed"), "mail.request": N_("A mail was asked for"),
    "connection.handout": N_("Hand-out switched"), "link.made": N_("A link was made"),
    "connection.accept_account": N_("The account was accepted"),
    "connection.refuse_account": N_("The account was refused"),
    "account.held": N_("The account waits for a person"),
    "consent.stored": N_("Authorized"), "consent.wrong_account": N_("Another account was refused"),
    "consent.held": N_("Authorized; the account waits for a person"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Line:
    """One line of what was before: a change of the verdict, or what somebody did."""

    at: datetime
    says: str = ""
    state: str = ""
    aside: str = ""


@page(PATH, Right.CONNECTIONS_READ)
async def show_connection(visit: Visit) -> Shown:
    """Show one connection."""
    given = visit.query.get("span", "")
    over = Span(given) if given in list(Span) else None
    found = await closeup.of(visit.parts, visit.actor, visit.path["connection"], over)
    one = found.explained
    headline = _headline(one, visit.now)
    values: dict[str, Any] = {
        "headline": headline,
        "owner": acts(one)[0],
        "who_acts": acts(one)[1],
        "log": _log(one)[:10],
        **_told(one),
        **_record(found, visit.now),
    }
    return Shown(
        "connection.html.j2",
        records.for_eyes(visit.actor, headline),
        "/",
        id=one.known.id,
        base=base(one.known.id),
        state=one.known.health.state.value,
        bad=one.known.health.state in (State.BROKEN, State.SUSPECT),
        may_do=_may_do(visit, found),
        others=found.others,
        more_others=found.more,
        timeline=found.timeline,
        drawn=charts.drawn(found.timeline),
        spans=SPANS,
        span_title=TITLES[found.timeline.span],
        was=WAS,
        cause=one.known.health.cause.value,
        by_their_clock=by_their_clock,
        silences=one.silences,
        incidents=one.incidents if visit.may(Right.INCIDENTS_READ) else (),
        **records.for_eyes(visit.actor, values),
    )


@page(f"{PATH}/evidence.json", Right.CONNECTIONS_READ)
async def show_evidence(visit: Visit) -> Sent:
    """Show all of it as the API has it."""
    found = await explain.explained(visit.parts, visit.actor, visit.path["connection"])
    document = records.for_eyes(visit.actor, found.document())
    return Sent(json.dumps(document, ensure_ascii=False, indent=2), "application/json")


def base(connection: str) -> str:
    """Return the path of a connection's page."""
    return f"/connections/{part(connection)}"


# -- what it says ---------------------------------------------------------------------------------------


def _headline(one: Explained, now: datetime) -> str:
    story, health = one.story, one.known.health
    name = _("%(client)s on %(provider)s", client=story.client, provider=story.provider)
    if not story.configured:
        return _("%(name)s is not watched: its app %(app)s is not configured.", name=name, app=story.app)
    if story.held:
        return _("%(name)s has been authorized, and waits for you: is it the right account?", name=name)
    if one.known.newcomer:
        return _("%(name)s has never been authorized.", name=name)
    if health.state is State.PAUSED and story.rests:
        since = _for(health.since, now)
        return _("%(name)s has rested%(since)s: maintenance of %(what)s.", name=name, since=since,
                 what=story.rests)  # fmt: skip
    if health.unseen:
        return _("%(name)s has to be looked at: what was known of it is believed no more.", name=name)
    if story.pause is not None and story.pause.until is not None:
        return _paused(story.pause, story.pause.until, name, now)
    return _(_NOW[health.state], name=name, since=_for(health.since, now), meaning=meaning(one))


def _paused(pause: Pause, until: datetime, name: str, now: datetime) -> str:
    if not pause.by:
        return _("%(name)s is paused until %(until)s; it is not looked at.", name=name, until=at(until, now))
    return _("%(name)s is paused by %(who)s until %(until)s; it is not looked at.",
             name=name, who=called(pause.by), until=at(until, now))  # fmt: skip


def _for(since: datetime | None, now: datetime) -> str:
    return _(" for %(span)s", span=span(now - since)) if since is not None else ""


def meaning(one: Explained) -> str:
    """Say in a few words what is wrong with it."""
    row, scope = consequence(one.known.health.cause), one.story.scope
    return _(row.short_of_scope, scope=scope) if scope and row.short_of_scope else _(row.short)


def acts(one: Explained) -> tuple[str, str]:
    """Return who acts, and how."""
    story, says = one.story, one.text.who
    owner = _owner(story)
    for prefix in (f"{owner.value.capitalize()}. ", f"{owner.value.capitalize()}: "):
        says = says.removeprefix(prefix)
    return owner.value, says


def _owner(story: Story) -> Owner:
    health = story.health
    if not story.configured or story.held or operator_first(health.cause, health.owner):
        return Owner.OPERATOR
    if health.state is State.PENDING:
        return Owner.CLIENT
    if health.state is State.PAUSED:
        by_itself = story.rests or (story.pause is not None and story.pause.until is not None)
        return Owner.NOBODY if by_itself else Owner.OPERATOR
    return health.owner if health.state is State.BROKEN else Owner.NOBODY


def _told(one: Explained) -> dict[str, Any]:
    return {
        "steps": one.asked.steps,
        "advice": one.asked.advice,
        "coming": one.coming,
        "proof": one.proof,
        "why": one.text.why,
        "evidence_at": one.story.evidence_at,
        "probed": one.text.probed,
        "spoken": [replace(said, what=said.what[:1].upper() + said.what[1:]) for said in one.spoken[:8]],
        "paged": one.paged,
        "middleware": one.story.middleware,
        "held": one.story.held,
        "accounts": one.story.accounts,
        "claim": one.known.claim,
        "pause": one.story.pause,
        "doubt": one.known.doubt is not None,
    }


# -- what is on record ----------------------------------------------------------------------------------


def _record(found: CloseUp, now: datetime) -> dict[str, Any]:
    known = found.explained.known
    return {
        "client": one_line(known.client_name),
        "provider": found.explained.story.provider,
        "app": known.place.app,
        "since": known.health.since,
        "labels": dict(known.labels),
        "ages": found.explained.ages,
        "custody": known.custody,
        "handout": known.handout,
        "by": one_line(known.authorized_by or ""),
        "reads": sorted(known.reads.items()),
        "scopes": list(known.scopes),
        "account": [one_line(text) for text in (known.account_name, known.account_id) if text],
        "contacts": list(known.contacts),
        "language": language(known.locale),
        "place": where(known.timezone),
        "there": now.astimezone(ZoneInfo(known.timezone)),
        "zone": known.timezone,
        "wants": dict(known.values),
        "created": known.created_at,
        "last_probe": known.last_probe_at,
        "last_success": known.last_success_at,
    }


def language(locale: str) -> str:
    """Say a language in English."""
    try:
        return Locale.parse(locale.replace("-", "_")).english_name or locale
    except (ValueError, UnknownLocaleError):
        return locale


def where(zone: str) -> str:
    """Say a time zone by its place."""
    return zone.rpartition("/")[2].replace("_", " ")


def by_their_clock(at: datetime, zone: str) -> datetime:
    """Return a moment by a client's clock."""
    return at.astimezone(ZoneInfo(zone))


def _log(one: Explained) -> list[Line]:
    lines = [_change(change, earlier) for change, earlier in _pairs(one.before)]
    for entry in one.audit:
        did = _(_DID[entry.action]) if entry.action in _DID else entry.action
        says = _("%(did)s by %(who)s", did=did, who=called(entry.actor))
        if (entry.actor, entry.action) == ("service", "connection.resume"):
            says = _("Resumed by itself: the pause was over")
        lines.append(Line(entry.at, says))
    return sorted(lines, key=lambda line: line.at, reverse=True)


def _pairs(before: Sequence[Any]) -> list[tuple[Any, Any]]:
    """Return each change but the newest, which the whole page is about, with the one before it."""
    return list(zip(before[1:], [*before[2:], None], strict=False))


def _change(change: Any, earlier: Any) -> Line:
    aside = change.cause.value if change.state in (State.BROKEN, State.SUSPECT) else ""
    if change.state is State.HEALTHY and earlier is not None and change.at - earlier.at < timedelta(days=1):
        aside = _("after %(span)s, %(cause)s", span=span(change.at - earlier.at), cause=earlier.cause.value)
    return Line(change.at, state=change.state.value, aside=aside)


def called(actor: str) -> str:
    """Say who it was, without the door's name where that says nothing."""
    door, _sep, name = actor.partition(":")
    return name if door in ("user", "cli") and name else actor


# -- what may be done -----------------------------------------------------------------------------------


def _may_do(visit: Visit, found: CloseUp) -> dict[str, bool]:
    """Return which actions make sense now for whoever looks."""
    one, known = found.explained, found.explained.known
    configured, held = one.story.configured, found.held is not None
    asleep = known.health.state is State.PAUSED
    operates = visit.may(Right.CONNECTIONS_OPERATE)
    mends = known.health.owner is Owner.CLIENT and consequence(known.health.cause).client_mail
    turn = known.newcomer or (known.health.state is State.BROKEN and mends)
    links = visit.may(Right.LINKS_CREATE) and configured
    mine = [one for one in one.silences if one.number is not None and one.over.value == "connection"]
    return {
        "operate": operates,
        "decide": operates and held and configured,
        "resume": operates and asleep and not one.story.rests and configured,
        "send": links and turn and not held and one.story.mails and bool(known.contacts),
        "turn": turn and not held,
        "link": links,
        "probe": operates and configured and not asleep and not known.newcomer and not held,
        "pause": operates and not known.paused,
        "pause_anew": operates and known.paused,
        "claim": operates and known.claim is None and (bool(one.incidents) or known.newcomer),
        "unclaim": operates and known.claim is not None,
        "mute": visit.may(Right.SILENCES_WRITE),
        "unmute": visit.may(Right.SILENCES_WRITE) and bool(mine),
        "account": operates and configured and not held and not known.newcomer,
        "edit": visit.may(Right.CONNECTIONS_WRITE),
        "outbox": visit.may(Right.NOTICES_READ),
        "audit": visit.may(Right.AUDIT_READ),
    }
