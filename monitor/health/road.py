"""How far a client came on the road back: mailed, opened, started, approved, and the step still to come.

And what an operator had better do about it, where a rule yields that. Pure: times are passed in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

LONG_AGO = timedelta(days=1)  # who opened a link and did not start within it has put it away
COMES_BACK = timedelta(hours=1)  # a trip to the consent page that takes longer did not end there


class Fate(StrEnum):
    """How a step of the road stands."""

    DONE = "done"
    FAILED = "failed"
    AHEAD = "ahead"


@dataclass(frozen=True, slots=True)
class Step:
    """One step; `aside` is what has to be known beside it."""

    fate: Fate
    says: str
    at: datetime | None = None
    aside: str = ""


@dataclass(frozen=True, slots=True)
class Mailed:
    """A mail that asked the client. `reminder`: which of them, 0 the first mail."""

    at: datetime
    addresses: int
    reminder: int = 0
    doubtful: bool = False  # it may not have arrived


@dataclass(frozen=True, slots=True)
class Trip:
    """A trip to the consent page: how it ended, and with which account, as people know it."""

    begun_at: datetime
    ended_at: datetime | None
    outcome: str
    account: str = ""


@dataclass(frozen=True, slots=True)
class Road:
    """All that a client was asked and did about one trouble; mails and trips oldest first."""

    provider: str  # its title
    account: str = ""  # the one on record, as people know it
    contacts: int = 0
    mails: tuple[Mailed, ...] = ()
    due_at: datetime | None = None  # when they are mailed next
    reminders_left: int = 0
    handed_at: datetime | None = None  # when somebody made a link to hand over
    opened_at: datetime | None = None
    started_at: datetime | None = None
    trips: tuple[Trip, ...] = ()
    held: bool = False  # an approval waits for a person
    hindered: str = ""  # why no mail goes out now
    guarded: bool = False  # that is the fleet guard, and a person may decide

    @property
    def last(self) -> Trip | None:
        """The newest trip."""
        return self.trips[-1] if self.trips else None


# How a trip ended that mended nothing (`tokens.arrival.Arrival`).
_NOTHING = "Refused; nothing was overwritten."
_ENDED: Mapping[str, str] = {
    "wrong_account": f"Approved with another account{{with_}}. {_NOTHING}",
    "declined": "Declined at {provider}",
    "forbidden": "A setting of their administrator refuses our app",
    "born_dead": f"Approved, but not for lasting. {_NOTHING}",
    "narrower": f"Approved with less than works now. {_NOTHING}",
    "refused": "{provider} did not take the approval",
    "unreachable": "{provider} did not answer when they came back",
    "late": "Came back too late",
    "other_browser": "Came back in another browser",
    "withdrawn": "Called off: the connection moved to another app",
}


def steps(road: Road, now: datetime) -> tuple[Step, ...]:
    """Return the road as it lies behind, and what is still to come."""
    return (*_asked(road), *_went(road), *_ended(road, now), *_ahead(road, now))


def _asked(road: Road) -> list[Step]:
    found = []
    for mail in dict.fromkeys((road.mails[0], road.mails[-1]) if road.mails else ()):
        to = f"{mail.addresses} address{'es' if mail.addresses != 1 else ''}"
        says = f"Reminded, for the {_ordinal(mail.reminder)} time" if mail.reminder else f"Mailed to {to}"
        aside = "it may not have arrived" if mail.doubtful else ""
        found.append(Step(Fate.DONE, says, mail.at, aside))
    if road.handed_at is not None:
        found.append(Step(Fate.DONE, "A link was made to be handed over", road.handed_at))
    return sorted(found, key=lambda step: step.at or road.mails[0].at)


def _went(road: Road) -> list[Step]:
    found = []
    if road.opened_at is not None:
        found.append(Step(Fate.DONE, "Link opened", road.opened_at, "mail scanners open links, too"))
    if road.started_at is not None:
        found.append(Step(Fate.DONE, f"Started at {road.provider}", road.started_at))
    return found


def _ended(road: Road, now: datetime) -> list[Step]:
    """Say how the newest trip ended; those before it are said by nobody any more."""
    last = road.last
    if last is None:
        return []
    account = f": {last.account}" if last.account else ""
    if last.outcome in ("stored", "held"):
        as_ = f" as {last.account}" if last.account else ""
        return [Step(Fate.DONE, f"Approved{as_}", last.ended_at)]
    if last.ended_at is None:
        if now - last.begun_at < COMES_BACK:
            return []
        return [Step(Fate.FAILED, f"Did not come back from {road.provider}", last.begun_at)]
    says = _ENDED.get(last.outcome, "Came back in a way that mends nothing")
    return [Step(Fate.FAILED, says.format(provider=road.provider, with_=account), last.ended_at)]


def _ahead(road: Road, now: datetime) -> list[Step]:
    last = road.last
    if road.held:
        return [Step(Fate.AHEAD, "You say whether this account is theirs")]
    if last is not None and last.outcome == "stored":
        return []
    as_ = f"Approve as {road.account}" if road.account else "Approve"
    if not (road.mails or road.handed_at or road.opened_at):
        if not road.contacts:
            return [Step(Fate.AHEAD, "Nobody is mailed: no contact is on record"), Step(Fate.AHEAD, as_)]
        if road.hindered:
            return [Step(Fate.AHEAD, road.hindered), Step(Fate.AHEAD, as_)]
        return [Step(Fate.AHEAD, "Mailed when it is due", road.due_at), Step(Fate.AHEAD, as_)]
    if last is not None and last.ended_at is None and now - last.begun_at < COMES_BACK:
        return [Step(Fate.AHEAD, f"{as_}; they are at {road.provider} just now")]
    return [Step(Fate.AHEAD, as_)]


class Tip(StrEnum):
    """What an operator had better do, of which rule."""

    CALL = "call"  # they took another account
    ASK_WHY = "ask_why"  # they declined
    SEND_AGAIN = "send_again"  # opened, not started
    ANOTHER_CONTACT = "another_contact"  # no reminder is left
    ADD_CONTACT = "add_contact"  # nobody can be asked
    DECIDE = "decide"  # the fleet guard holds the mail


@dataclass(frozen=True, slots=True)
class Advice:
    """A tip, and why."""

    tip: Tip
    says: str


def advise(road: Road, now: datetime) -> Advice | None:
    """Return what had better be done about a client whose turn it is; None where waiting is as good."""
    last = road.last
    if road.held or (last is not None and last.outcome == "stored"):
        return None
    if last is not None and last.outcome == "wrong_account":
        sooner = " than the next reminder" if road.due_at is not None else ""
        return Advice(Tip.CALL, f"They tried and took the wrong account. A call is quicker{sooner}.")
    if last is not None and last.outcome == "declined":
        return Advice(Tip.ASK_WHY, f"They declined at {road.provider}. Ask them why before the next mail.")
    if road.guarded:
        return Advice(Tip.DECIDE, "Its mail is held with those of others that broke together. You decide.")
    if not road.contacts:
        return Advice(Tip.ADD_CONTACT, "Nobody can be mailed: add a contact, or hand a link over.")
    if road.mails and road.due_at is None and not road.reminders_left:
        return Advice(Tip.ANOTHER_CONTACT, "No reminder is left. Another contact may answer.")
    if (
        road.opened_at is not None
        and road.started_at is None
        and road.mails
        and now - max(road.opened_at, road.mails[-1].at) >= LONG_AGO
    ):
        return Advice(Tip.SEND_AGAIN, "The link was opened, and nothing came of it. Send it again.")
    return None


def _ordinal(number: int) -> str:
    return {1: "first", 2: "second", 3: "third"}.get(number, f"{number}th")
