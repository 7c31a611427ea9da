"""What comes next for a connection, each with its time: looks, refreshes, mails, deadlines. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from monitor.health.ages import Age
from monitor.health.claim import Claim
from monitor.health.explain import Story
from monitor.health.lifecycle import State
from monitor.text.spans import span


@dataclass(frozen=True, slots=True)
class Coming:
    """Something that comes. Without a time it comes when its words say; `theirs`: the client feels it."""

    says: str
    at: datetime | None = None
    theirs: bool = False


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail that waits: what it is, and whether it goes to the client."""

    what: str
    due_at: datetime
    to_client: bool = True
    notice: int | None = None


@dataclass(frozen=True, slots=True)
class Ahead:
    """What is known to lie ahead, beside what the story has."""

    mails: Sequence[Mail] = ()
    hand_over_at: datetime | None = None  # when it comes back to the operator, if nothing helps
    ticket_at: datetime | None = None  # when on-call is told that it takes too long
    tier: str = ""
    claim: Claim | None = None
    silent_until: datetime | None = None
    link_ends: datetime | None = None
    ages: Sequence[Age] = ()


def coming(story: Story, ahead: Ahead, now: datetime) -> tuple[Coming, ...]:
    """Return what comes next, soonest first; what has no time of its own stands at the beginning."""
    found = [*_looks(story), *_mails(ahead, now), *_people(ahead, now), *_ends(story, ahead, now)]
    return tuple(sorted(found, key=lambda one: (one.at is not None, one.at or now)))


def _looks(story: Story) -> Iterator[Coming]:
    health = story.health
    if not story.configured:
        yield Coming(f"Nothing: its app {story.app} is not configured, so nobody looks at it.")
        return
    if story.held:
        yield Coming("It waits until you have decided about the account.")
        return
    match health.state:
        case State.PAUSED if story.rests:
            yield Coming("It is looked at again when the maintenance ends.")
        case State.PAUSED if story.pause is not None and story.pause.until is not None:
            yield Coming("The pause is over, and it is looked at again.", story.pause.until)
        case State.PAUSED:
            yield Coming("Nothing, until somebody resumes it.")
        case State.PENDING:
            yield Coming("It is probed as soon as it has tokens.", story.next_probe_at)
        case State.SUSPECT if not health.unseen:
            times, over = story.policy.needs(health.candidate)
            yield Coming(
                f"Probe. Seen {health.streak} time{'s' if health.streak != 1 else ''}; {times} in a row over "
                f"{span(over)} make it a confirmed break. Until then nobody is told.",
                story.next_probe_at,
            )
        case State.BROKEN if story.next_probe_at is not None:
            yield Coming("Probe. It heals by itself as soon as one is answered well.", story.next_probe_at)
        case _ if story.next_probe_at is not None:
            yield Coming("Probe.", story.next_probe_at)
    if story.next_refresh_at is not None and health.state in (State.HEALTHY, State.SUSPECT):
        what = "The refresh that is in doubt is tried once more." if story.doubt else "Token refresh, by us."
        yield Coming(what, story.next_refresh_at)


def _mails(ahead: Ahead, now: datetime) -> Iterator[Coming]:
    for mail in ahead.mails:
        yield Coming(f"{mail.what[:1].upper()}{mail.what[1:]}.", max(mail.due_at, now), mail.to_client)


def _people(ahead: Ahead, now: datetime) -> Iterator[Coming]:
    if ahead.claim is not None and ahead.claim.until > now:
        yield Coming(f"Reminders rest until then: {ahead.claim.who} is on it.", ahead.claim.until)
    if ahead.silent_until is not None and ahead.silent_until > now:
        yield Coming("The silence over it ends.", ahead.silent_until)
    if ahead.ticket_at is not None and ahead.ticket_at > now:
        than = "is usual" if ahead.tier in ("", "default") else f"tier {ahead.tier} allows"
        yield Coming(f"A ticket for on-call: longer broken than {than}.", ahead.ticket_at)
    if ahead.hand_over_at is not None and ahead.hand_over_at > now:
        yield Coming("Handed to you, if the reminders bring nothing.", ahead.hand_over_at)


def _ends(story: Story, ahead: Ahead, now: datetime) -> Iterator[Coming]:
    if ahead.link_ends is not None and ahead.link_ends > now:
        yield Coming("The newest link ends; each mail brings another.", ahead.link_ends, theirs=True)
    if story.health.state is not State.HEALTHY:
        return
    for age in ahead.ages:
        if age.name == "Authorization" and age.ends_at is not None and age.ends_at > now:
            yield Coming("The authorization ends: the client has to approve again.", age.ends_at, theirs=True)
