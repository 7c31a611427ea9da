"""What a program is told that asks for a connection's access token: from our own books alone.

No provider is asked here, and nothing that a program says counts. The rows of the answer stand in `decided`
in their order, the first that fits; what cannot be had by renewing either is `without_renewal`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from monitor.health.causes import Cause, Owner, consequence
from monitor.health.evidence import RefreshNote
from monitor.health.finding import Finding
from monitor.health.lifecycle import Health, State

# Nobody makes a token be renewed before this part of its life is over, however much life he wishes for.
LARGEST_PART = 0.5
NEVER_AUTHORIZED = "never_authorized"
OBSERVED = "observed"


@dataclass(frozen=True, slots=True)
class Books:
    """What is written of a connection that bears on its access token.

    `generation` counts the pairs that were stored; `refused` is the one whose access token the provider's own
    API refused. `expires_at` is None where nobody knows when it ends. `not_before`: no renewal on demand
    before, since the last one failed. `next_look`: when our loop looks next, and may settle a doubt.
    """

    health: Health
    authorized: bool = True  # there is an access token
    renewable: bool = True  # there is a refresh token, and it is not lost
    lost: bool = False  # the refresh token is spent or given up
    generation: int = 0
    refused: int | None = None
    issued_at: datetime | None = None
    expires_at: datetime | None = None
    not_before: datetime | None = None
    next_look: datetime | None = None
    custody: str = "managed"
    handout: bool = True


@dataclass(frozen=True, slots=True)
class Wish:
    """How much life a token should have left, and with how little it is taken when it cannot be renewed."""

    min_ttl: timedelta = timedelta(minutes=5)
    accept_ttl: timedelta = timedelta(seconds=60)


class Trouble(StrEnum):
    """Why a token cannot be renewed just now, in the word that programs compare."""

    CANNOT_RENEW = "cannot_renew_now"
    UNDER_WAY = "refresh_under_way"
    REFUSED_ONCE = "refresh_refused_once"  # a doubt, until it is confirmed
    STOPPING = "stopping"


@dataclass(frozen=True, slots=True)
class NotNow:
    """A renewal that did not come about: why, whose doing it seems to be, and when to ask again."""

    trouble: Trouble
    cause: Cause | None = None
    retry_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Give:
    """The token is handed out; with a shortfall, it has less life left than was wished for."""

    shortfall: NotNow | None = None


@dataclass(frozen=True, slots=True)
class NeedsPerson:
    """There is no token until a person acts: why, who, and since when."""

    cause: str
    owner: Owner
    since: datetime | None
    confidence: float
    why: Cause | None = None  # None: it was never authorized


@dataclass(frozen=True, slots=True)
class Renew:
    """The token has to be renewed first."""


@dataclass(frozen=True, slots=True)
class Later:
    """No token now; it passes by itself."""

    why: NotNow


@dataclass(frozen=True, slots=True)
class NotCustodian:
    """Others keep this connection's tokens; we only look."""


@dataclass(frozen=True, slots=True)
class HandoutOff:
    """An operator does not let this connection's token out."""


Decision = Give | NeedsPerson | Renew | Later | NotCustodian | HandoutOff


def decided(books: Books, wish: Wish, now: datetime) -> Decision:
    """Say what follows from the books."""
    if books.custody == OBSERVED:
        return NotCustodian()
    if not books.handout:
        return HandoutOff()
    misled = _of_another_account(books)
    if misled is not None:
        return misled
    if not books.authorized:
        return NeedsPerson(NEVER_AUTHORIZED, Owner.CLIENT, books.health.since, 1.0)
    if _has(books, applied(books, wish), now):
        return Give()
    if ended_by_the_books(books):
        why = _needs_person(books)
        if _has(books, wish.accept_ttl, now):
            return Give(NotNow(Trouble.CANNOT_RENEW, why.why))
        return why
    if books.not_before is not None and now < books.not_before:
        trouble = _trouble(books)
        retry_at = ask_again(trouble, books.not_before, books.next_look)
        return without_renewal(books, wish, now, NotNow(trouble, None, retry_at))
    return Renew()


def without_renewal(books: Books, wish: Wish, now: datetime, why: NotNow) -> Give | Later:
    """Say what is answered where a renewal was tried, or may not be tried now: what is left, or nothing."""
    if why.cause is None and books.health.cause is not Cause.OK:
        why = NotNow(why.trouble, books.health.cause, why.retry_at)
    return Give(why) if _has(books, wish.accept_ttl, now) else Later(why)


def ask_again(trouble: Trouble, not_before: datetime, next_look: datetime | None) -> datetime:
    """Return when to ask again: for a doubt when our next look may have settled it, not when we may renew."""
    if trouble is not Trouble.REFUSED_ONCE or next_look is None:
        return not_before
    return min(not_before, next_look)


def applied(books: Books, wish: Wish) -> timedelta:
    """Return how much life is asked of this token: never more than a part of its whole life."""
    if books.issued_at is None or books.expires_at is None:
        return wish.min_ttl
    return min(wish.min_ttl, (books.expires_at - books.issued_at) * LARGEST_PART)


def ended_by_the_books(books: Books) -> bool:
    """Whether no other access token can be had before a person acts.

    A break whose last look was good, or that has new tokens since, is not held against them.
    """
    health = books.health
    confirmed = health.state is State.BROKEN and health.candidate is not Cause.OK
    return not books.renewable or (confirmed and consequence(health.cause).ends_renewal)


def unreadable(since: datetime | None) -> NeedsPerson:
    """Return what is answered where the stored token opens with no key at hand."""
    return _person(Cause.APP_MISCONFIGURED, since, 1.0)


def _has(books: Books, ttl: timedelta, now: datetime) -> bool:
    """Whether the token has so much life left, as far as anybody knows, and is not refused."""
    if books.refused == books.generation:
        return False
    return books.expires_at is None or books.expires_at - now >= ttl


def _of_another_account(books: Books) -> NeedsPerson | Later | None:
    """With a token of another account a program would write into another firm's books."""
    health, wrong = books.health, Cause.WRONG_ACCOUNT
    if health.cause is not wrong and not (health.candidate is wrong and health.streak):
        return None
    if health.state is State.HEALTHY:
        return None
    if health.state is State.BROKEN and health.cause is wrong and health.candidate is wrong:
        return NeedsPerson(wrong.value, health.owner, health.since, health.confidence, wrong)
    return Later(NotNow(Trouble.CANNOT_RENEW, wrong))


def _needs_person(books: Books) -> NeedsPerson:
    health = books.health
    if health.state is State.BROKEN and consequence(health.cause).ends_renewal:
        return NeedsPerson(health.cause.value, health.owner, health.since, health.confidence, health.cause)
    if books.lost:
        return _person(Cause.REFRESH_LOST, health.since, 0.9)
    return _person(Cause.REFRESH_EXPIRED, books.expires_at or health.since, 0.9)


def _person(cause: Cause, since: datetime | None, confidence: float) -> NeedsPerson:
    return NeedsPerson(cause.value, consequence(cause).owner, since, confidence, cause)


def _trouble(books: Books) -> Trouble:
    """Say why the last renewal failed, as far as the books know: a refusal that waits for its repeat."""
    health = books.health
    doubted = health.state is not State.HEALTHY and health.streak and consequence(health.candidate).ends_grant
    return Trouble.REFUSED_ONCE if doubted else Trouble.CANNOT_RENEW


def seems_to_be(note: RefreshNote, finding: Finding | None, retry_at: datetime | None) -> NotNow:
    """Say how a renewal ended that brought no token; `finding` is what its own exchange would mean.

    It is no verdict: what the provider refuses once is a doubt, and our loop looks into it.
    """
    if finding is None:
        return NotNow(Trouble.CANNOT_RENEW, None, retry_at)
    refused = note is RefreshNote.FAILED and consequence(finding.cause).ends_grant
    return NotNow(Trouble.REFUSED_ONCE if refused else Trouble.CANNOT_RENEW, finding.cause, retry_at)


# Whoever could renew it is not there: its app is not configured, or stands for another provider now; or no
# key at hand opens its refresh token.
NOBODY_TO_ASK = NotNow(Trouble.CANNOT_RENEW, Cause.APP_MISCONFIGURED)
