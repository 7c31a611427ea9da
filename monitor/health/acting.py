"""What acting on many connections does with each of them, or why it leaves one out. No clock, no I/O.

The question and the work ask the same function: what was said would be done is what is done.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from monitor.health.causes import Owner, consequence
from monitor.health.lifecycle import Health, State
from monitor.health.listing import Listed

EVER = datetime.max.replace(tzinfo=UTC)  # the end of what nobody gave one


class Action(StrEnum):
    """What may be done with many."""

    PROBE = "probe"
    LINK = "link"  # mail the client a link to authorize again
    PAUSE = "pause"
    RESUME = "resume"
    HOLD = "hold"  # tell nobody anything about it for a while
    UNHOLD = "unhold"
    REMOVE = "remove"


class Why(StrEnum):
    """Why a connection is left out."""

    PAUSED = "paused"
    NO_APP = "app_not_configured"
    NEVER_AUTHORIZED = "never_authorized"
    NO_MAILS = "mails_not_configured"
    NO_CONTACT = "no_contact"
    WAITS_FOR_YOU = "approval_waits"
    ASKED_LATELY = "asked_lately"
    WELL = "works"
    IN_DOUBT = "in_doubt"
    OPERATORS = "operators_turn"
    PROVIDERS = "providers_turn"
    HELD_WIDER = "held_with_others"
    # As it was to be already: nothing was kept from being done.
    PAUSED_ALREADY = "paused_already"
    NOT_PAUSED = "not_paused"
    HELD_ALREADY = "held_already"
    NOT_HELD = "not_held"

    @property
    def as_wanted(self) -> bool:
        """Whether the connection is as the action would make it."""
        return self in _AS_WANTED

    @property
    def says(self) -> str:
        """Say it of one connection."""
        return _SAYS[self]


_AS_WANTED = frozenset({Why.PAUSED_ALREADY, Why.NOT_PAUSED, Why.HELD_ALREADY, Why.NOT_HELD})
_SAYS: Mapping[Why, str] = {
    Why.PAUSED: "It is paused.",
    Why.NO_APP: "Its app is not in [[apps]], so nobody can look at it.",
    Why.NEVER_AUTHORIZED: "It was never authorized, so there is nothing to look at.",
    Why.NO_MAILS: "No mails go out: smtp.from is not set.",
    Why.NO_CONTACT: "No contact is on record.",
    Why.WAITS_FOR_YOU: "The client has approved, and which account is meant waits for you.",
    Why.ASKED_LATELY: "Somebody had its client mailed within the hour.",
    Why.WELL: "It works.",
    Why.IN_DOUBT: "It is in doubt, and nobody is told before it is sure.",
    Why.OPERATORS: "It is yours to mend: a link would mend nothing.",
    Why.PROVIDERS: "It is the provider's: a link would mend nothing.",
    Why.HELD_WIDER: "The silence over it lies over more than this connection.",
    Why.PAUSED_ALREADY: "It was paused already.",
    Why.NOT_PAUSED: "It was not paused.",
    Why.HELD_ALREADY: "It was silent already, for as long or longer.",
    Why.NOT_HELD: "No silence lay over it.",
}


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a connection beside its row, as far as an action asks for it."""

    contacts: tuple[str, ...] = ()
    locale: str = "en"
    timezone: str = "UTC"
    rests: bool = False  # paused by a maintenance window, and not by a person
    waits: bool = False  # an approval of its client waits for a person
    asked: bool = False  # a person had its client mailed lately
    held: datetime | None = None  # until when it is silent by itself; EVER where that is until it is lifted
    wider: bool = False  # a silence over more than it lies over it


@dataclass(frozen=True, slots=True)
class Setup:
    """What is configured, and what is asked for."""

    apps: Collection[str]
    mails: bool = True
    until: datetime | None = None  # the end of a hold; None: until it is lifted


@dataclass(frozen=True, slots=True)
class Stand:
    """A connection as an action finds it."""

    row: Listed
    facts: Facts = field(default_factory=Facts)

    @property
    def id(self) -> str:
        """Return its id."""
        return self.row.id


def why_not(action: Action, stand: Stand, setup: Setup) -> Why | None:
    """Say why an action leaves a connection out; None where it is done."""
    row, facts = stand.row, stand.facts
    state = row.health.state
    match action:
        case Action.PROBE:
            return _not_probed(row, setup)
        case Action.LINK:
            return _not_mailed(stand, setup)
        case Action.PAUSE:
            return Why.PAUSED_ALREADY if state is State.PAUSED and not facts.rests else None
        case Action.RESUME if state is not State.PAUSED:
            return Why.NOT_PAUSED
        case Action.RESUME:
            return None if row.place.app in setup.apps else Why.NO_APP
        case Action.HOLD:
            return Why.HELD_ALREADY if facts.held is not None and _lasts(facts.held, setup.until) else None
        case Action.UNHOLD if facts.held is None:
            return Why.HELD_WIDER if facts.wider else Why.NOT_HELD
        case _:
            return None


def mends(health: Health) -> bool:
    """Whether the client would mend it by authorizing again: nobody is asked for anything else."""
    broken, clients = health.state is State.BROKEN, health.owner is Owner.CLIENT
    return broken and clients and consequence(health.cause).client_mail


def _lasts(held: datetime, until: datetime | None) -> bool:
    return held >= (until or EVER)


def _not_probed(row: Listed, setup: Setup) -> Why | None:
    if row.health.state is State.PAUSED:
        return Why.PAUSED
    if row.place.app not in setup.apps:
        return Why.NO_APP
    return Why.NEVER_AUTHORIZED if row.newcomer else None


def _not_mailed(stand: Stand, setup: Setup) -> Why | None:
    row, facts = stand.row, stand.facts
    if not (row.newcomer or mends(row.health)):
        return _not_the_clients(row.health)
    for holds, why in (
        (not setup.mails, Why.NO_MAILS),
        (row.place.app not in setup.apps, Why.NO_APP),
        (not facts.contacts, Why.NO_CONTACT),
        (facts.waits, Why.WAITS_FOR_YOU),
        (facts.asked, Why.ASKED_LATELY),
    ):
        if holds:
            return why
    return None


def _not_the_clients(health: Health) -> Why:
    match health.state:
        case State.PAUSED:
            return Why.PAUSED
        case State.HEALTHY:
            return Why.WELL
        case State.BROKEN if health.owner is Owner.PROVIDER:
            return Why.PROVIDERS
        case State.BROKEN:
            return Why.OPERATORS
        case State.SUSPECT | State.PENDING:
            return Why.IN_DOUBT
