"""What a campaign says to a client, and when: one invitation, and reminders. No clock, no I/O.

Whose turn it is decides `monitor.health.campaign`; here that becomes one mail to a client, whatever of its
connections are asked for. It never goes beside a request of a break: what is broken is asked for by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from alerts.mails.quiet import Quiet
from alerts.mails.standing import Case, Client, Said, Slot
from alerts.outbox.envelope import Item
from monitor.health.campaign import Part
from monitor.health.causes import Cause


@dataclass(frozen=True, slots=True)
class Invitation:
    """A mail of a campaign that should be waiting: the first (number 0), or a reminder."""

    part: Part
    number: int
    items: tuple[Item, ...]
    due_at: datetime


def invitation(
    client: Client,
    cases: Sequence[Case],
    told: Sequence[Said],
    reminders: Sequence[timedelta],
    together: timedelta,
    quiet: Quiet,
    now: datetime,
) -> Invitation | None:
    """Return what should be waiting of campaigns for this client: the mail that is due first."""
    if not client.contacts:
        return None
    due = [
        (step[0], step[1], case, case.campaign)
        for case in cases
        if case.asked_ahead
        and case.campaign is not None
        # Nobody is asked of what somebody has said to be on, before the time that they named.
        and (case.claimed_until is None or case.claimed_until <= now)
        and (step := _next(case.connection, case.campaign, told, reminders)) is not None
    ]
    if not due:
        return None
    first, number, _, part = min(due, key=lambda one: (one[0], one[1], one[2].connection))
    # What is due soon after goes along: of the same campaign, and a first mail only with first ones.
    near = max(first, now) + together
    chosen = [
        one
        for one in due
        if one[0] <= near and one[3].campaign == part.campaign and (one[1] == 0) == (number == 0)
    ]
    at = quiet.due(first, now, client.timezone)
    if at >= part.ends_at:
        return None
    items = tuple(_item(case, asked, client.timezone) for _, _, case, asked in chosen)
    return Invitation(part, max(one[1] for one in chosen), items, at)


def _next(
    connection: str, part: Part, told: Sequence[Said], reminders: Sequence[timedelta]
) -> tuple[datetime, int] | None:
    """Return when the next mail about a connection is due, and which; None where none is left to be said."""
    mine = (s for s in told if s.slot is Slot.CAMPAIGN and s.campaign == part.campaign)
    said = [s for s in mine if connection in s.about]
    if not said:
        return part.chosen_at, 0
    number = sum(1 for s in said if s.number > 0)
    if said[-1].arrived is False or number >= len(reminders):
        return None
    # Never two within a day of each other, however long something was held.
    at = max(said[0].at + reminders[number], said[-1].at + min(timedelta(days=1), reminders[0]))
    return at, number + 1


def _item(case: Case, part: Part, zone: str) -> Item:
    """Return what a mail says of a connection; by which day is noon of it where the client is."""
    noon = datetime.combine(part.until, time(12), ZoneInfo(zone)).astimezone(UTC)
    return Item(case.connection, None, Cause.OK.value, noon)
