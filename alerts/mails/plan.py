"""What is said to a client, and when: rules over what is true and what was told. No clock, no I/O.

`plan` compares the two and returns what should be waiting to be sent *now*, each with its time and its
reason. It can run at any moment: in the transaction of a verdict, on a timer, and once more just before
something is sent. Planning twice plans nothing new.

Four rules carry promise 1, 'no wrong e-mail':

1. Only what re-authorizing mends is asked for (`causes.TABLE`), and only while the last probe said so.
2. The first mail waits for `delay`, and for `doubt_delay` while the fleet guard is in doubt about its group:
   what heals by itself needs no mail.
3. What the fleet guard holds is not asked for, whatever each connection says.
4. What healed, was paused or became somebody else's turn is taken back.

And nobody is reminded of what somebody has said to be on, before the time that they named. A claim only puts
reminders off: whatever was said, what is due with one is due without it, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from alerts.mails.inviting import invitation
from alerts.mails.quiet import Quiet
from alerts.mails.standing import Case, Client, Kind, Said, Slot
from alerts.outbox.envelope import Item
from monitor.health.causes import consequence, mailed_as, our_own_books
from monitor.health.lifecycle import State

NOBODY = "no address of the client takes mail"
_ASKING = (Slot.ASK, Slot.REMINDER, Slot.EXPIRING, Slot.CAMPAIGN)  # what a recovery is thanked for
_NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class MailPolicy:
    """How patient we are. All spans are counted from the first mail unless said otherwise."""

    delay: timedelta = timedelta(hours=1)  # from the confirmation to the first mail
    doubt_delay: timedelta = timedelta(
        hours=8
    )  # the same, where the fleet guard doubts that it is the client's
    reminders: tuple[timedelta, ...] = (timedelta(days=2), timedelta(days=5), timedelta(days=10))
    hand_over: timedelta = timedelta(days=3)  # from the last reminder to the operator
    expiry: tuple[timedelta, ...] = (timedelta(days=30), timedelta(days=7), timedelta(days=1))
    quiet: Quiet = field(default_factory=Quiet)
    release_delay: timedelta = timedelta(seconds=30)  # from a wave's release to the first mail of it
    again: timedelta = timedelta(hours=6)  # between two first mails about the same connection
    unconfirmed: timedelta = timedelta(days=1)  # a mail that perhaps never arrived is followed sooner
    fresh: timedelta = timedelta(minutes=15)  # how old the probe behind a mail may be
    thanks: timedelta = timedelta(days=7)  # a recovery older than this is no news any more
    together: timedelta = timedelta(days=1)  # reminders due within it are one mail


@dataclass(frozen=True, slots=True)
class Wish:
    """A notice that should be waiting. `to` is empty for the client's contacts."""

    slot: Slot
    kind: str
    items: tuple[Item, ...]
    due_at: datetime
    reason: str
    number: int = 0
    to: tuple[str, ...] = ()
    matter: dict[str, Any] | None = None  # what it says besides, as it was when it was planned


def plan(
    client: Client, cases: Sequence[Case], said: Iterable[Said], policy: MailPolicy, now: datetime
) -> tuple[Wish, ...]:
    """Return what should be waiting to be sent to this client, and about it to the operator."""
    told = sorted(said, key=lambda s: s.at)
    wishes = [
        _ask(client, cases, told, policy, now),
        _remind(client, cases, told, policy, now),
        _expiring(client, cases, told, policy, now),
        _invite(client, cases, told, policy, now),
        _thank(client, cases, told, policy, now),
        _hand_over(client, cases, told, policy),
    ]
    return tuple(wish for wish in wishes if wish is not None)


def stale(wish_items: Iterable[Item], cases: Iterable[Case], policy: MailPolicy, now: datetime) -> list[str]:
    """Return the connections of a notice whose last probe is too old to write to a client about."""
    known = {case.connection: case for case in cases}
    return [
        item.connection
        for item in wish_items
        if item.incident is not None
        and (case := known.get(item.connection)) is not None
        and not our_own_books(case.cause)  # no probe could add to what they say
        and (
            case.probed_at is None
            or case.probed_at < now - policy.fresh
            or case.seen_by_one
            or (case.changed_at is not None and case.probed_at < case.changed_at)
        )
    ]


def _asked(case: Case, told: Sequence[Said]) -> list[Said]:
    """What was said about the trouble that the case is in: mails that asked the client to act."""
    return [
        s
        for s in told
        if s.slot in (Slot.ASK, Slot.REMINDER)
        and case.connection in s.about
        and s.about[case.connection] == case.incident
        and (case.incident is not None or case.authorized_at is None or s.at > case.authorized_at)
    ]


def _ask(
    client: Client, cases: Sequence[Case], told: Sequence[Said], policy: MailPolicy, now: datetime
) -> Wish | None:
    due: dict[str, datetime] = {}
    for case in cases:
        if case.asks and client.contacts and not _asked(case, told):
            since = max(t for t in (case.opened_at, case.changed_at) if t is not None)
            last = [s.at for s in told if s.slot is Slot.ASK and case.connection in s.about]
            wait = max(policy.delay, policy.doubt_delay) if case.doubted else policy.delay
            freed = [case.released_at + policy.release_delay] if case.released_at is not None else []
            due[case.connection] = max([since + wait, *freed, *(at + policy.again for at in last)])
    if not due:
        return None
    # What is due soon after the first goes along with it, and none of it before its own time.
    first = policy.quiet.allowed(min(due.values()), client.timezone)
    chosen = [c for c in cases if due.get(c.connection, _NEVER) <= max(first + policy.delay, now)]
    last_due = max(due[case.connection] for case in chosen)
    kind = mailed_as(chosen[0].cause) if len(chosen) == 1 else Kind.DIGEST.value
    return Wish(
        Slot.ASK,
        kind,
        tuple(_item(case) for case in chosen),
        policy.quiet.due(max(first, last_due), now, client.timezone),
        "confirmed broken, and the client can mend it",
    )


def _remind(
    client: Client, cases: Sequence[Case], told: Sequence[Said], policy: MailPolicy, now: datetime
) -> Wish | None:
    if not client.contacts:
        return None
    due = {
        case.connection: step for case in cases if (step := _next_reminder(case, told, policy)) is not None
    }
    if not due:
        return None
    first = min(at for at, _ in due.values())
    # What is due soon goes along, counted from now where this one is late.
    near = max(first, now) + policy.together
    goes_at = max(first, policy.quiet.due(first, now, client.timezone))
    chosen = [
        c
        for c in cases
        if c.connection in due and due[c.connection][0] <= near and not _claimed(c, max(goes_at, now))
    ]
    return Wish(
        Slot.REMINDER,
        Kind.REMINDER.value,
        tuple(_item(case) for case in chosen),
        goes_at,
        "asked before, and still broken",
        number=max(due[c.connection][1] for c in chosen) + 1,
    )


def _next_reminder(case: Case, told: Sequence[Said], policy: MailPolicy) -> tuple[datetime, int] | None:
    """Return when the next reminder is due, and how many went before it."""
    asked = _asked(case, told)
    number = sum(1 for s in asked if s.slot is Slot.REMINDER)
    if not asked or not (case.asks or case.invited) or number >= _most(case, policy):
        return None
    at, last = asked[0].at + policy.reminders[number], asked[-1]
    if last.arrived is None:
        at = min(at, last.at + policy.unconfirmed)
    # Never two within a day of each other, however long something was held.
    at = max(at, last.at + min(policy.unconfirmed, policy.reminders[0]))
    return max(at, case.claimed_until or at), number


def _most(case: Case, policy: MailPolicy) -> int:
    """How often a client is reminded: as the policy says, and no more than the cause has it."""
    asks = consequence(case.cause).asks
    planned = len(policy.reminders)
    return planned if asks is None or asks.reminders is None else min(planned, asks.reminders)


def _claimed(case: Case, at: datetime) -> bool:
    """Whether somebody is on it still, so that what goes along with another reminder then is not this."""
    return case.claimed_until is not None and at < case.claimed_until


def _expiring(
    client: Client, cases: Sequence[Case], told: Sequence[Said], policy: MailPolicy, now: datetime
) -> Wish | None:
    if not client.contacts:
        return None
    steps = {case: step for case in cases if (step := _expiry_step(case, told, policy, now)) is not None}
    if not steps:
        return None
    return Wish(
        Slot.EXPIRING,
        Kind.EXPIRING_SOON.value,
        tuple(Item(c.connection, c.incident, c.cause.value, c.expires_at) for c in steps),
        policy.quiet.allowed(max(now, min(at for at, _ in steps.values())), client.timezone),
        "the authorization runs out on a known day",
        number=max(number for _, number in steps.values()),
    )


def _expiry_step(
    case: Case, told: Sequence[Said], policy: MailPolicy, now: datetime
) -> tuple[datetime, int] | None:
    """Return since when it is time for a warning that was not given, and which of them."""
    end = case.expires_at
    if end is None or end <= now or case.state is not State.HEALTHY or case.silenced:
        return None
    before = [s.number for s in told if s.slot is Slot.EXPIRING and s.expiries.get(case.connection) == end]
    passed = {
        number: end - span
        for number, span in enumerate(policy.expiry, 1)
        if end - span <= now and (case.lives_for is None or span * 2 <= case.lives_for)
    }
    newest = max(passed, default=0)
    return (passed[newest], newest) if newest > max(before, default=0) else None


def _invite(
    client: Client, cases: Sequence[Case], told: Sequence[Said], policy: MailPolicy, now: datetime
) -> Wish | None:
    found = invitation(client, cases, told, policy.reminders, policy.together, policy.quiet, now)
    if found is None:
        return None
    part = found.part
    return Wish(
        Slot.CAMPAIGN,
        Kind.CAMPAIGN.value,
        found.items,
        found.due_at,
        "asked ahead of time by a campaign" if not found.number else "asked ahead of time, and not done yet",
        number=found.number,
        matter={"campaign": part.campaign, "reason": part.reason, "until": part.until.isoformat()},
    )


def _thank(
    client: Client, cases: Sequence[Case], told: Sequence[Said], policy: MailPolicy, now: datetime
) -> Wish | None:
    owed = [
        (case, incident, healed_at, asked)
        for case in cases
        if case.state is State.HEALTHY and not case.silenced
        for incident, healed_at in _recoveries(case, told)
        if (asked := _asked_until(case, told, incident, healed_at))
        and not _thanked(case, told, healed_at)
        and now - healed_at <= policy.thanks
    ]
    if not owed:
        return None
    items = [Item(case.connection, incident, case.cause.value, at) for case, incident, at, _ in owed]
    by_link = any(
        case.authorized_at is not None and case.authorized_at >= asked[0].at for case, _, _, asked in owed
    )
    # Whoever has just clicked is awake and waits for this; a recovery by itself can wait for the morning.
    at = min(healed_at for _, _, healed_at, _ in owed)
    return Wish(
        Slot.RESOLVED,
        Kind.RESOLVED.value,
        tuple({item.connection: item for item in items}.values()),
        at if by_link else policy.quiet.allowed(at, client.timezone),
        "mended, and the client had been asked",
        to=tuple(sorted({to for _, _, _, asked in owed for s in asked for to in s.addresses})),
    )


def _asked_until(case: Case, told: Sequence[Said], incident: int | None, healed_at: datetime) -> list[Said]:
    """What was said about a trouble before it healed, and has arrived as far as one knows."""
    return [
        s
        for s in told
        if s.slot in _ASKING
        and s.arrived is not False
        and case.connection in s.about
        and s.about[case.connection] == incident
        and s.at <= healed_at
    ]


def _thanked(case: Case, told: Sequence[Said], healed_at: datetime) -> bool:
    return any(s.slot is Slot.RESOLVED and case.connection in s.about and s.at >= healed_at for s in told)


def _recoveries(case: Case, told: Sequence[Said]) -> list[tuple[int | None, datetime]]:
    """When the case healed: incidents that closed, and authorizations that nobody's incident asked for."""
    found: list[tuple[int | None, datetime]] = list(case.healed)
    if case.authorized_at is not None and any(
        case.connection in s.about and s.about[case.connection] is None and s.at <= case.authorized_at
        for s in told
        if s.slot in _ASKING
    ):
        found.append((None, case.authorized_at))
    return found


def _hand_over(
    client: Client, cases: Sequence[Case], told: Sequence[Said], policy: MailPolicy
) -> Wish | None:
    due: dict[str, tuple[datetime, str]] = {}
    for case in cases:
        if not (case.asks or case.invited):
            continue
        if any(s.slot is Slot.HANDOVER and s.about.get(case.connection, -1) == case.incident for s in told):
            continue
        asked = _asked(case, told)
        if case.asks and not client.contacts and case.opened_at is not None:
            due[case.connection] = (case.opened_at + policy.delay, "no contact is on record")
        elif asked and asked[-1].arrived is False:
            due[case.connection] = (asked[-1].at, asked[-1].why or NOBODY)
        elif asked and sum(1 for s in asked if s.slot is Slot.REMINDER) >= _most(case, policy):
            due[case.connection] = (asked[-1].at + policy.hand_over, "the last reminder had no effect")
    if not due:
        return None
    first = min(at for at, _ in due.values())
    chosen = [c for c in cases if c.connection in due and due[c.connection][0] <= first + policy.together]
    return Wish(
        Slot.HANDOVER,
        Kind.HANDOVER.value,
        tuple(_item(c) for c in chosen),
        first,
        due[chosen[0].connection][1],
    )


def _item(case: Case) -> Item:
    return Item(case.connection, case.incident, case.cause.value, case.opened_at)
