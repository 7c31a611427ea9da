"""How a trip to the consent page ends, and what decides that about the grant that came. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from monitor.health.lifecycle import State
from monitor.providers.schema import OAuth, Provider
from monitor.secret import Secret
from monitor.store.connections import Known
from monitor.store.links import Trip
from monitor.tokens.messages import TokenAnswer


class Arrival(StrEnum):
    """How a trip to the consent page ended; each has a page of its own."""

    STORED = "stored"
    HELD = "held"  # a person decides first whether the account is this client's
    DECLINED = "declined"
    FORBIDDEN = "forbidden"  # a setting of the client's administrator refuses our app
    WRONG_ACCOUNT = "wrong_account"
    BORN_DEAD = "born_dead"  # an access token that ends, and no refresh token where there should be one
    NARROWER = "narrower"  # what works reads more than what came
    TAMPERED = "tampered"  # a state that we never gave out, or none
    OTHER_BROWSER = "other_browser"
    REUSED = "reused"
    LATE = "late"
    MIXED_UP = "mixed_up"  # RFC 9207: the answer is another server's
    REFUSED = "refused"  # the provider says no to our request or code
    UNREACHABLE = "unreachable"  # the provider does not answer just now


@dataclass(frozen=True, slots=True)
class Departure:
    """Where the browser goes, and what it takes along."""

    url: str
    state: Secret
    browser: Secret


@dataclass(frozen=True, slots=True)
class Forbidden:
    """A setting of the client's administrator refuses our app: by which rule we know, and what was said."""

    rule: str
    answered: str


@dataclass(frozen=True, slots=True)
class Arrived:
    """What came of a callback: the account that was seen, who approved, and the account on record.

    `missing` are the scopes that are needed and were not granted. `forbidden`: a setting of the client's
    administrator refuses our app.
    """

    arrival: Arrival
    trip: Trip | None = None
    account: str | None = None
    expected: str | None = None
    user: str | None = None
    missing: tuple[str, ...] = ()
    forbidden: Forbidden | None = None


def born_dead(oauth: OAuth, pair: TokenAnswer) -> bool:
    """Whether a grant ends with its first access token, though the provider could have given more."""
    return oauth.gives_refresh_token and pair.refresh is None and pair.expires_at is not None


def not_granted(provider: Provider, known: Known, granted: Collection[str] | None) -> tuple[str, ...]:
    """Return the scopes that a connection needs and an answer's `scope` does not have.

    None of them where the answer has no `scope`, which is as asked (RFC 6749 5.1); nor where it names nothing
    that was asked for, or the grant before could read what its list did not have: then its words are others.
    """
    if granted is None or not known.scopes:
        return ()
    asked = (*provider.oauth.default_scopes, *known.scopes)
    if not any(_in(provider, scope, granted) for scope in asked):
        return ()
    before = known.sealed.granted
    return tuple(
        scope
        for scope in known.scopes
        if not _in(provider, scope, granted)
        and not (before is not None and scope in known.reads and not _in(provider, scope, before))
    )


def lost_by(provider: Provider, known: Known, missing: Collection[str]) -> tuple[str, ...]:
    """Return what a connection that works would lose with a grant in which these scopes are missing."""
    if known.health.state is not State.HEALTHY:
        return ()
    before = known.sealed.granted
    return tuple(
        scope
        for scope in missing
        if (_in(provider, scope, before) if before is not None else scope in known.reads)
    )


def _in(provider: Provider, scope: str, granted: Collection[str]) -> bool:
    check = provider.scopes.get(scope)
    return any(name in granted for name in (scope, *(check.also if check is not None else ())))
