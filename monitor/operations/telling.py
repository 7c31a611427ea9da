"""Of each connection of a page: what was said about it, and what follows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from alerts.mails import lately
from alerts.mails.lately import Mail
from alerts.mails.standing import Kind, Slot
from alerts.pages import told as pages
from alerts.silences import silences
from alerts.silences.windows import Scope, Silenced, first_over
from monitor.health.causes import Owner
from monitor.health.lifecycle import State
from monitor.health.listing import Listed
from monitor.health.pauses import Pause
from monitor.operations import pauses
from monitor.operations.actor import Actor, Right
from monitor.operations.documents import iso
from monitor.settings.parts import Parts
from monitor.store import steps
from monitor.store.steps import Steps
from monitor.tokens.arrival import Arrival


class What(StrEnum):
    """What was said, or follows; in the words of each door."""

    NOTHING = "nothing"
    UNCONFIRMED_BREAK = "until_confirmed"  # nobody is told of a doubt
    PAGED = "paged"
    SILENCED = "silenced"
    PAUSED = "paused"
    GUARD_HOLDS = "guard_holds"
    DROPPED = "dropped"  # a person said that it is never told
    WAITS_FOR_PERSON = "waits_for_person"
    MAIL_WAITS = "mail_waits"
    MAILED = "mailed"
    INVITED = "invited"
    REMINDED = "reminded"
    THANKED = "thanked"
    PERHAPS_MAILED = "perhaps_mailed"
    MAIL_FAILED = "mail_failed"
    OPENED = "opened"
    STARTED = "started"
    APPROVED = "approved"
    DECLINED = "declined"
    FORBIDDEN = "forbidden"
    OTHER_ACCOUNT = "other_account"
    # what follows
    LOOKED_AT_FIRST = "looked_at_first"
    REMINDER = "reminder"
    MAIL = "mail"
    HANDOVER = "handover"
    CLAIMED = "claimed"
    DECIDE = "decide"
    RESUMES = "resumes"  # by itself
    CLIENT_HEARS_NOTHING = "client_hears_nothing"


class Word(NamedTuple):
    """One of it: when, the how-maniest, and who."""

    what: What
    at: datetime | None = None
    number: int = 0
    who: str = ""


@dataclass(frozen=True, slots=True)
class Telling:
    """What was said of a connection, and what follows; `scope` is what it may not read, where that is why."""

    said: Word
    follows: Word | None = None
    scope: str = ""
    part_of: int | None = None  # the shared incident
    pause: Pause | None = None  # of a person


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known beside a connection's row."""

    mails: Sequence[Mail]
    steps: Steps
    paged_at: datetime | None
    silence: Silenced | None
    pause: Pause | None = None


_ENDED = {
    Arrival.DECLINED.value: What.DECLINED,
    Arrival.FORBIDDEN.value: What.FORBIDDEN,
    Arrival.WRONG_ACCOUNT.value: What.OTHER_ACCOUNT,
}
_FOLLOWS = {Slot.REMINDER: What.REMINDER, Slot.HANDOVER: What.HANDOVER}


def telling(row: Listed, facts: Facts, now: datetime) -> Telling:
    """Say it of one connection. Pure."""
    said, follows = _told(row, facts, now)
    if row.claim is not None and row.claim.until > now:
        follows = Word(What.CLAIMED, row.claim.until, who=row.claim.who)
    return Telling(said, follows, facts.steps.scope, facts.steps.part_of, facts.pause)


def _told(row: Listed, facts: Facts, now: datetime) -> tuple[Word, Word | None]:
    state, owner = row.health.state, row.health.owner
    if state is State.PAUSED:
        until = facts.pause.until if facts.pause is not None else None
        by = facts.pause.by if facts.pause is not None else ""
        return Word(What.PAUSED, who=by), Word(What.RESUMES, until) if until is not None else None
    if state is State.HEALTHY:
        thanks = [one for one in facts.mails if one.slot == Slot.RESOLVED and one.state == "sent"]
        return (Word(What.THANKED, thanks[0].settled_at) if thanks else Word(What.NOTHING)), None
    if state is State.SUSPECT:
        return Word(What.UNCONFIRMED_BREAK), None
    if facts.silence is not None:
        return Word(What.SILENCED, facts.silence.until, who=facts.silence.by), None
    if facts.steps.waits:
        return Word(What.WAITS_FOR_PERSON), Word(What.DECIDE)
    if state is State.PENDING or owner is Owner.CLIENT:
        return _clients(facts, now)
    if facts.paged_at is not None:
        return Word(What.PAGED, facts.paged_at), Word(What.CLIENT_HEARS_NOTHING)
    return Word(What.NOTHING), Word(What.CLIENT_HEARS_NOTHING)


def _clients(facts: Facts, now: datetime) -> tuple[Word, Word | None]:
    """Say it of what a client has to mend."""
    of = facts.steps.incident
    mine = [one for one in facts.mails if one.incident == of and one.slot != Slot.RESOLVED]
    waiting = min((one for one in mine if one.state == "waiting"), key=lambda one: one.due_at, default=None)
    last = next((one for one in mine if one.state != "waiting"), None)
    if last is None:
        if facts.steps.held:
            return Word(What.GUARD_HOLDS), Word(What.DECIDE)
        if facts.steps.dropped:
            return Word(What.DROPPED), None
        if waiting is not None:
            return Word(What.MAIL_WAITS, waiting.due_at), Word(What.LOOKED_AT_FIRST) if of else None
        return _step(facts.steps) or Word(What.NOTHING), None
    follows = None
    if waiting is not None:
        follows = Word(_FOLLOWS.get(Slot(waiting.slot), What.MAIL), waiting.due_at, waiting.number)
    return _mailed(last, facts.steps), follows


def _mailed(last: Mail, came: Steps) -> Word:
    if last.state == "failed":
        return Word(What.MAIL_FAILED, last.settled_at)
    if (step := _step(came)) is not None:
        return step
    if last.unconfirmed:
        return Word(What.PERHAPS_MAILED, last.settled_at)
    if last.slot == Slot.REMINDER:
        return Word(What.REMINDED, last.settled_at, last.number)
    return Word(What.INVITED if last.kind == Kind.FIRST_AUTHORIZATION else What.MAILED, last.settled_at)


def _step(came: Steps) -> Word | None:
    """Return how far the client came with a link, since it broke."""
    since = came.broke_at
    if came.outcome in _ENDED and came.outcome_at and (since is None or came.outcome_at >= since):
        return Word(_ENDED[came.outcome], came.outcome_at)
    for moment, what in (
        (came.used_at, What.APPROVED),
        (came.started_at, What.STARTED),
        (came.opened_at, What.OPENED),
    ):
        if moment is not None and (since is None or moment >= since):
            return Word(what, moment)
    return None


async def of_rows(parts: Parts, actor: Actor, rows: Sequence[Listed]) -> dict[str, Telling]:
    """Return it for the rows of a page: so many statements, however many rows."""
    actor.needs(Right.CONNECTIONS_READ)
    now, ids = parts.clock.now(), [row.id for row in rows]
    if not ids:
        return {}
    mails = await lately.about(parts.database, ids)
    came = await steps.of_connections(parts.database, ids)
    paused = await pauses.of(parts, rows)
    standing = [
        one
        for one in await silences.standing(parts.database, parts.loaded.settings.windows, now)
        if one.begun_at <= now
    ]
    told = await paged(parts, actor)
    found = {}
    for row in rows:
        scope = Scope(row.place.provider, row.place.app, row.client_name, row.id)
        facts = Facts(
            mails.get(row.id, ()), came.get(row.id, Steps()),
            paged_of(told, row.place.provider, row.place.app, row.id, row.health.cause.value),
            first_over(standing, scope), paused.get(row.id),
        )  # fmt: skip
        found[row.id] = telling(row, facts, now)
    return found


Paged = Sequence[tuple[dict[str, Any], datetime]]


async def paged(parts: Parts, actor: Actor) -> Paged:
    """Return what on-call was told that still stands; to who sees a part, of single connections only."""
    actor.needs(Right.CONNECTIONS_READ)
    async with parts.database.read() as conn:
        found = await pages.told_since(conn)
    return found if actor.only.whole else [one for one in found if one[0].get("connection")]


def paged_of(told: Paged, provider: str, app: str, connection: str, cause: str) -> datetime | None:
    """Return when on-call was told of this; empty is what it is not about alone."""
    mine = {"provider": provider, "app": app, "connection": connection}
    for labels, at in told:
        places = [name for name in mine if labels.get(name)]
        same = labels.get("cause", cause) == cause and all(labels[name] == mine[name] for name in places)
        if places and same:
            return at
    return None


def document(one: Telling) -> dict[str, Any]:
    """Return what was said of a connection, and what follows."""
    return {"said": _word(one.said), "follows": _word(one.follows) if one.follows is not None else None}


def _word(word: Word) -> dict[str, Any]:
    return {
        "what": word.what.value,
        "at": iso(word.at),
        "number": word.number or None,
        "who": word.who or None,
    }
