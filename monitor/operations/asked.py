"""What a client was asked about a connection, what they did, and which mails wait."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from alerts.mails.plan import MailPolicy
from alerts.mails.standing import TO_OPERATOR, Kind, Slot
from alerts.mails.told import what
from alerts.outbox.listing import Told
from monitor.health.breaks import DROPPED
from monitor.health.causes import Owner, consequence
from monitor.health.coming import Mail
from monitor.health.lifecycle import State
from monitor.health.road import Advice, Mailed, Road, Step, Trip, advise, steps
from monitor.operations.gathered import Gathered
from monitor.settings.parts import Parts
from monitor.store import campaigns
from monitor.store import links as stored
from monitor.store.connections import Known
from monitor.store.links import Link
from monitor.text.names import one_line
from monitor.tokens.arrival import Arrival

LATELY = timedelta(days=7)  # for so long it is told how a client who approved came there
_BY_ITSELF = ("expiring", campaigns.LINKS)  # what links of mails are made for that ask while all is well


@dataclass(frozen=True, slots=True)
class Asked:
    """The road back as it lies, what had better be done, and the mails that wait."""

    steps: tuple[Step, ...] = ()
    advice: Advice | None = None
    mails: tuple[Mail, ...] = ()
    hand_over_at: datetime | None = None
    link_ends: datetime | None = None
    tried: tuple[str, str] | None = None  # the other account of the newest approval: its number, and named


async def of(parts: Parts, record: Gathered) -> Asked:
    """Tell what was asked about a connection and what came of it."""
    known, found, told, own = record.known, record.links, record.told, record.own
    held, now = record.grant is not None, parts.clock.now()
    waiting = tuple(_mail(one) for one in reversed(told) if one.state == "waiting" and one.slot in list(Slot))
    ends = max((one.expires_at for one in found if one.used_at is None), default=None)
    turn = held or _clients_turn(known)
    since = own.opened_at if own is not None else _since(known, found, now)
    if since is None or not (turn or _healed(known, found, now)):
        return Asked(mails=waiting)
    trips = await stored.trips_of(parts.database, known.id)
    policy = parts.loaded.settings.mail_policy
    road = _road(parts, known, told, found, trips, since, policy, held=held)
    road = replace(road, hindered=_hindered(parts, record), guarded=_guarded(record))
    return Asked(
        steps(road, now),
        advise(road, now) if turn else None,
        waiting,
        _hand_over(road, told, policy) if turn and not held else None,
        ends if turn else None,
        _tried(trips[0]) if trips else None,
    )


def _guarded(record: Gathered) -> bool:
    """Whether the fleet guard holds the first mail about a break."""
    own = record.own
    larger = record.open_ones[1] if len(record.open_ones) > 1 else None
    return larger is not None and larger.wave and own is not None and not (own.told_at or own.mails)


def _hindered(parts: Parts, record: Gathered) -> str:
    if not parts.loaded.settings.smtp.sender:
        return "No mail goes out: [smtp] has no `from`"
    if record.silences:
        return "Muted: no mail goes out meanwhile"
    if record.own is not None and record.own.mails == DROPPED:
        return "No mail goes out: a person had it dropped"
    return "The fleet guard holds the mail" if _guarded(record) else ""


def _clients_turn(known: Known) -> bool:
    health = known.health
    mends = health.owner is Owner.CLIENT and consequence(health.cause).client_mail
    return known.newcomer or (health.state is State.BROKEN and mends)


def _since(known: Known, found: Sequence[Link], now: datetime) -> datetime | None:
    """Return since when the client was asked, without an incident: the beginning, or the last link."""
    if known.newcomer:
        return known.created_at
    used = [one for one in found if one.used_at is not None and now - one.used_at < LATELY]
    return min((one.made_at for one in used if one.incident == used[0].incident), default=None)


def _healed(known: Known, found: Sequence[Link], now: datetime) -> bool:
    return known.health.state is State.HEALTHY and _since(known, found, now) is not None


def _road(
    parts: Parts,
    known: Known,
    told: Sequence[Told],
    found: Sequence[Link],
    trips: Sequence[stored.Trip],
    since: datetime,
    policy: MailPolicy,
    *,
    held: bool,
) -> Road:
    app = parts.apps.get(known.place.app)
    asking = (Slot.ASK, Slot.REMINDER)
    mails = [one for one in reversed(told) if one.slot in asking and one.planned_at >= since]
    sent = tuple(_mailed(one) for one in mails if one.state == "sent" and one.settled_at is not None)
    due = [one.due_at for one in mails if one.state == "waiting"]
    mine = [one for one in found if one.made_at >= since]
    handed = [one.made_at for one in mine if one.always and one.cause not in _BY_ITSELF]
    went = tuple(_trip(one) for one in reversed(trips) if one.begun_at >= since)
    asks = consequence(known.health.cause).asks
    most = len(policy.reminders)
    most = most if asks is None or asks.reminders is None else min(most, asks.reminders)
    return Road(
        provider=app.provider.title if app is not None else known.place.provider,
        account=_named(known.account_name, known.account_id),
        contacts=len(known.contacts),
        mails=sent,
        due_at=min(due, default=None),
        reminders_left=most - sum(1 for one in sent if one.reminder),
        handed_at=max(handed, default=None),
        opened_at=max((one.opened_at for one in mine if one.opened_at is not None), default=None),
        started_at=max((one.started_at for one in mine if one.started_at is not None), default=None),
        trips=went,
        held=held,
    )


def _tried(newest: stored.Trip) -> tuple[str, str] | None:
    """Return the account of an approval that was refused because it is another one."""
    if newest.outcome != Arrival.WRONG_ACCOUNT or not newest.account_id:
        return None
    return newest.account_id, _named(newest.account_name, newest.account_id)


def _mailed(one: Told) -> Mailed:
    taken = [sent for sent in one.envelopes if sent.state in ("sent", "unconfirmed")]
    number = one.number if one.slot == Slot.REMINDER else 0
    doubtful = any(sent.state == "unconfirmed" for sent in taken)
    return Mailed(one.settled_at or one.due_at, len(taken), number, doubtful)


def _trip(one: stored.Trip) -> Trip:
    return Trip(one.begun_at, one.spent_at, one.outcome, _named(one.account_name, one.account_id))


def _named(name: str | None, number: str | None) -> str:
    return ", ".join(one_line(text) for text in (name, number) if text)


def _mail(one: Told) -> Mail:
    return Mail(what(one), one.due_at, one.slot not in TO_OPERATOR, one.id)


def _hand_over(road: Road, told: Sequence[Told], policy: MailPolicy) -> datetime | None:
    """Return when it comes back to the operator, if the reminders that are planned bring nothing."""
    if not road.mails or any(one.kind == Kind.HANDOVER and one.state != "withdrawn" for one in told):
        return None
    first, last = road.mails[0].at, road.mails[-1].at
    reminders = policy.reminders[-road.reminders_left :] if road.reminders_left > 0 else ()
    return max([last, *(first + after for after in reminders)]) + policy.hand_over
