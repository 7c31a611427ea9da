"""Whether anybody could still connect: what the endpoints of a first authorization answer to a question.

Nobody is signed in, and the code that is sent does not exist: what is asked is whether our app would get so
far at all. Only the provider's own words are a refusal; whatever is unclear is never an alarm.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from urllib.parse import parse_qs, urlsplit

from monitor.health.cadence import fraction
from monitor.health.causes import Cause
from monitor.health.evidence import Answer, Fault, Step
from monitor.health.rules import Rule, first_match

# A refusal is asked for again this soon: one alone tells nobody anything.
AGAIN = timedelta(hours=1)
CONFIRMED = 2  # refusals in a row that are believed
# Errors by which a server that knows our app says somebody has to be there (OpenID Connect Core 3.1.2.6).
_NOBODY_THERE = frozenset({"login_required", "interaction_required", "consent_required", "access_denied"})


class Door(StrEnum):
    """Where a client passes on the way to an authorization."""

    AUTHORIZE = "authorize"
    TOKEN = "token"


class Outcome(StrEnum):
    """What a door's answer means for our app."""

    GOOD = "good"
    REFUSED = "refused"
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True)
class Seen:
    """What came of asking at a door: what it means, in a sentence, and by which rule."""

    door: Door
    outcome: Outcome
    says: str
    rule: str = ""


@dataclass(frozen=True, slots=True)
class Standing:
    """How a door is: the last answer, how many refusals there were in a row, and since when."""

    seen: Seen
    at: datetime
    refusals: int = 0
    since: datetime | None = None  # the first of them
    well_at: datetime | None = None  # when it last was good

    @property
    def shut(self) -> bool:
        """Whether our app is believed to be refused there."""
        return self.refusals >= CONFIRMED


def after(known: Standing | None, seen: Seen, at: datetime) -> Standing:
    """Return how a door stands after another answer; an unclear one changes nothing of what is believed."""
    refusals, since = (known.refusals, known.since) if known else (0, None)
    well_at = known.well_at if known else None
    match seen.outcome:
        case Outcome.GOOD:
            return Standing(seen, at, 0, None, at)
        case Outcome.REFUSED:
            return Standing(seen, at, refusals + 1, since or at, well_at)
        case Outcome.UNCLEAR:
            return Standing(seen, at, refusals, since, well_at)


def next_at(app: str, every: timedelta, now: datetime, standing: Collection[Standing] = ()) -> datetime:
    """Return when to ask an app's doors next: apps are spread over the span, each at its own moment in it.

    A refusal that is not confirmed yet is asked for again soon.
    """
    if any(0 < one.refusals < CONFIRMED for one in standing):
        return now + min(AGAIN, every)
    if not standing:  # never asked: many that are new are not asked at once
        return now + every * fraction(app, "door")
    return now + every * (0.9 + 0.2 * fraction(app, now.date()))


def token_door(rules: tuple[Rule, ...], outcome: Answer | Fault) -> Seen:
    """Return what the token endpoint's answer to a code that does not exist means (RFC 6749 5.2)."""
    door = Door.TOKEN
    if isinstance(outcome, Fault):
        return Seen(door, Outcome.UNCLEAR, f"The token endpoint gave no answer: {outcome.kind.value}.")
    said = _said(outcome)
    rule = first_match(rules, Step.EXCHANGE, outcome)
    if rule is not None and rule.cause is Cause.APP_MISCONFIGURED:
        return Seen(door, Outcome.REFUSED, f"The token endpoint refuses our app: {said}.", rule.name)
    if rule is not None and rule.cause is Cause.REVOKED and rule.step is Step.EXCHANGE:
        says = f"The token endpoint takes our app, and refuses only the made-up code: {said}."
        return Seen(door, Outcome.GOOD, says, rule.name)
    return Seen(
        door, Outcome.UNCLEAR, f"The token endpoint leaves it open: {said}.", rule.name if rule else ""
    )


def authorize_door(
    rules: tuple[Rule, ...], outcome: Answer | Fault, location: str, redirect_uri: str, hosts: Collection[str]
) -> Seen:
    """Return what the authorize endpoint's answer to nobody in particular means (RFC 6749 4.1.2.1).

    `location` is where it redirects to, `hosts` are the provider's own. A redirect back to us says that
    client id and redirect URI are good, whatever else it says.
    """
    door = Door.AUTHORIZE
    if isinstance(outcome, Fault):
        return Seen(door, Outcome.UNCLEAR, f"The authorize endpoint gave no answer: {outcome.kind.value}.")
    said = _said(outcome)
    rule = first_match(rules, Step.AUTHORIZE, outcome)
    if rule is not None and rule.cause is Cause.APP_MISCONFIGURED:
        return Seen(door, Outcome.REFUSED, f"The authorize endpoint refuses our app: {said}.", rule.name)
    if 300 <= outcome.status < 400:
        return _redirected(outcome, location, redirect_uri, hosts)
    if outcome.status == 200 and outcome.error is None:
        return Seen(door, Outcome.GOOD, "The authorize endpoint shows a page, as far as one can see.")
    return Seen(door, Outcome.UNCLEAR, f"The authorize endpoint leaves it open: {said}.")


def words_of(location: str) -> tuple[str | None, str | None]:
    """Return the error and its description that stand in the address of a redirect."""
    try:
        query = parse_qs(urlsplit(location).query)
    except ValueError:
        return None, None
    return query.get("error", [None])[0], query.get("error_description", [None])[0]


def _redirected(answer: Answer, location: str, redirect_uri: str, hosts: Collection[str]) -> Seen:
    door, host = Door.AUTHORIZE, answer.redirect or ""
    if _same_place(location, redirect_uri):
        if answer.error in _NOBODY_THERE:
            says = f"The authorize endpoint takes our app, and says that nobody is there: {answer.error}."
            return Seen(door, Outcome.GOOD, says)
        said = f"The authorize endpoint sends back to us: {_said(answer)}."
        return Seen(door, Outcome.UNCLEAR, said)
    where = _path(location)
    if answer.error is not None or "error" in where.lower():
        return Seen(door, Outcome.UNCLEAR, f"The authorize endpoint leads to an error: {_said(answer)}.")
    if not host or host in hosts or any(_site(host) == _site(own) for own in hosts):
        return Seen(door, Outcome.GOOD, f"The authorize endpoint leads to a sign-in at {host or 'its host'}.")
    return Seen(
        door, Outcome.UNCLEAR, f"The authorize endpoint leads to {host}, which is not the provider's."
    )


def _same_place(location: str, redirect_uri: str) -> bool:
    return location.partition("?")[0].partition("#")[0] == redirect_uri


def _path(location: str) -> str:
    try:
        return urlsplit(location).path
    except ValueError:
        return "error"


def _site(host: str) -> str:
    """Return a host's last two labels; it only ever makes 'cannot tell' a 'good', so no list is needed."""
    return host if host.replace(".", "").isdigit() or ":" in host else ".".join(host.split(".")[-2:])


def _said(answer: Answer) -> str:
    return ": ".join(filter(None, (f"{answer.status} {answer.error or ''}".strip(), answer.description)))
