"""What may be done with a refresh token once the answer to it was lost. Pure: times are passed in.

Where refresh tokens are reused, asking again is free. Where they rotate, an answer that we did not read may
have replaced the pair, and a server that detects reuse ends the whole grant when the old token comes back
(RFC 9700 4.14.2). The request may also never have arrived, and then the old token is as good as it was. Which
of the two it is, only sending it again can tell. So it is sent when that costs nothing:

* within the provider's grace for replaced tokens: at once;
* else when nothing is left to lose, because the access token that came with it has ended: the *last try*.

Until then the connection works with that access token, and nobody is told. Only a last try that is *refused*
says that the pair is lost. One whose answer is lost again has cost nothing and said nothing, so it is made
again later: what was not answered is the only thing that is ever sent once more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from monitor.health.causes import Cause, Subject, consequence
from monitor.health.evidence import Answer, Content, Fault, Step
from monitor.health.rules import Rule, first_match


class Journal(StrEnum):
    """How a journaled refresh ended."""

    OPEN = "open"  # intended; nothing is known of the answer
    STORED = "stored"  # the new pair is durable
    REFUSED = "refused"  # the provider said no; the old pair is what it was
    NOT_SENT = "not_sent"  # it certainly never reached the provider
    UNCLEAR = "unclear"  # its answer was lost, so that the refresh token is in doubt
    RETRIED = "retried"  # its answer was lost, and asking again is free
    LOST = "lost"  # its answer was lost or it was refused, and nothing is left to try
    SUPERSEDED = "superseded"  # another pair was stored meanwhile: it says nothing about that one


class AfterLost(StrEnum):
    """What a provider allows after a lost answer (`after_lost_answer` of its file)."""

    RETRY = "retry"  # asking again is free at any time
    LAST_TRY = "last_try"  # once nothing is left to lose
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Rotation:
    """How a provider treats a used refresh token; `grace` is how long it takes an old one back."""

    rotates: bool
    grace: timedelta = timedelta(0)
    after_lost: AfterLost | None = None

    @property
    def habit(self) -> AfterLost:
        """What its file says, or what follows from whether it rotates."""
        return self.after_lost or (AfterLost.LAST_TRY if self.rotates else AfterLost.RETRY)


@dataclass(frozen=True, slots=True)
class Doubt:
    """A stored refresh token that may be spent.

    `since` is when the refresh was begun whose answer was lost, `tried_at` when the token was last sent again
    without an answer.
    """

    since: datetime
    tried_at: datetime | None = None


class Heard(StrEnum):
    """What came of one sending of a refresh token."""

    PAIR = "pair"
    REFUSED = "refused"  # the provider looked at the token and does not take it
    NOT_DONE = "not_done"  # answered without taking the token: it is what it was
    NOT_SENT = "not_sent"
    UNCLEAR = "unclear"  # the provider may have acted on it, and nobody read the answer


def heard(outcome: Answer | Fault, rules: tuple[Rule, ...]) -> Heard:
    """Say what an outcome without a pair means for the token that was sent.

    What the token endpoint itself says is an answer: JSON with a status below 500, or what a provider's rule
    knows. A 5xx, a page of a gateway or an unreadable 200 says only that nobody read the answer.
    """
    if isinstance(outcome, Fault):
        return Heard.UNCLEAR if outcome.perhaps_sent else Heard.NOT_SENT
    rule = first_match(rules, Step.REFRESH, outcome)
    cause = rule.cause if rule is not None else None
    if cause is Cause.POLICY_BLOCKED:  # until an administrator changes a setting; then it is good again
        return Heard.NOT_DONE
    if cause is not None and consequence(cause).elsewhere:  # whatever the token is worth, we may not use it
        return Heard.NOT_DONE
    if cause is not None and consequence(cause).subject is Subject.CONNECTION:  # it speaks of this grant
        return Heard.REFUSED
    if cause is Cause.RATE_LIMITED:  # RFC 6585 4: asked too often, so not done
        return Heard.NOT_DONE
    if cause is Cause.PROVIDER_OUTAGE or (rule is None and outcome.content is not Content.JSON):
        return Heard.UNCLEAR
    said_no = 400 <= outcome.status < 500 or (outcome.status == 200 and not outcome.accepted)
    return Heard.NOT_DONE if said_no else Heard.UNCLEAR


@dataclass(frozen=True, slots=True)
class Ending:
    """How a journal line is closed, and what is believed of the stored refresh token from then on."""

    outcome: Journal
    doubt: Doubt | None = None
    lost: bool = False


def ending(what: Heard, doubt: Doubt | None, begun_at: datetime, rotation: Rotation) -> Ending:
    """Say what a refresh that was begun at `begun_at` leaves behind. A dead process's is `UNCLEAR`."""
    match what:
        case Heard.PAIR:
            return Ending(Journal.STORED)
        case Heard.NOT_SENT:
            return Ending(Journal.NOT_SENT, doubt)
        case Heard.NOT_DONE:
            return Ending(Journal.REFUSED, doubt)
        case Heard.REFUSED if doubt is None or rotation.habit is AfterLost.RETRY:
            return Ending(Journal.REFUSED)
        case Heard.REFUSED:
            return Ending(Journal.LOST, doubt, lost=True)
        case Heard.UNCLEAR:
            return _unclear(doubt, begun_at, rotation)


def _unclear(doubt: Doubt | None, begun_at: datetime, rotation: Rotation) -> Ending:
    again = Doubt(doubt.since, begun_at) if doubt is not None else Doubt(begun_at)
    match rotation.habit:
        case AfterLost.RETRY:
            return Ending(Journal.RETRIED)
        case AfterLost.LAST_TRY:
            return Ending(Journal.UNCLEAR, again)
        case AfterLost.NEVER:
            return Ending(Journal.LOST, again, lost=True)


class May(StrEnum):
    """What may be done with the stored refresh token now."""

    SEND = "send"  # it is in no doubt, or asking again is free
    AGAIN = "again"  # in doubt, and within the provider's grace
    LAST_TRY = "last_try"  # in doubt, and nothing is left to lose
    WAIT = "wait"  # a last try, but not yet: the request before it may still be on its way
    KEEP = "keep"  # in doubt, and the access token is worth more than an answer
    LOST = "lost"  # in doubt, and the provider's file says that it is never sent again


def may_send(doubt: Doubt | None, rotation: Rotation, now: datetime, *, ended: bool, late: timedelta) -> May:
    """Say what may be done with a refresh token. `ended`: the access token ran out, or was refused.

    `late` is how long a gateway may still hold the request before this one: were the two to arrive in the
    wrong order, the old one would end the grant that the new one had saved.
    """
    if doubt is None or rotation.habit is AfterLost.RETRY:
        return May.SEND
    if rotation.habit is AfterLost.NEVER:
        return May.LOST
    if now - doubt.since < rotation.grace:
        return May.AGAIN
    if not ended:
        return May.KEEP
    return May.WAIT if now < free_at(doubt, late) else May.LAST_TRY


def free_at(doubt: Doubt, late: timedelta) -> datetime:
    """Return from when on no request with the doubted token is under way any more."""
    return (doubt.tried_at or doubt.since) + late


def next_send(
    doubt: Doubt, rotation: Rotation, access_ends: datetime | None, now: datetime
) -> datetime | None:
    """Return when a doubted token is to be sent next; None: when a whoami refuses the access token."""
    return now if now - doubt.since < rotation.grace else access_ends


def never_recorded(asked: str, begun_at: datetime) -> dict[str, Any]:
    """Return the evidence of a refresh whose process died, as evidence of requests is kept."""
    return {
        "step": Step.REFRESH.value,
        "asked": asked,
        "at": begun_at.isoformat(timespec="seconds"),
        "seconds": 0.0,
        "fault": "never_recorded",
        "detail": "the process that sent it ended",
    }


def brief(kept: Mapping[str, Any]) -> str:
    """Say in a few words what came back, of evidence as it is kept."""
    if "fault" in kept:
        return f"{kept['fault']}" + (f" ({kept['detail']})" if kept.get("detail") else "")
    what = str(kept["status"])
    if kept.get("error"):
        what += f" {kept['error']}"
    return what + (f", {kept['content']}" if kept.get("content") not in ("json", None) else "")
