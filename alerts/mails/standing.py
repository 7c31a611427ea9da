"""A client with its connections as they stand, and what was said to it: what plans compare. Values alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from monitor.health.campaign import Part
from monitor.health.causes import TABLE, Cause, Owner, consequence
from monitor.health.lifecycle import State


class Slot(StrEnum):
    """What a notice is for. Of each, one at most waits for a client."""

    ASK = "ask"
    REMINDER = "reminder"
    EXPIRING = "expiring"
    CAMPAIGN = "campaign"  # asked ahead of time, while it works
    RESOLVED = "resolved"
    HANDOVER = "handover"  # to the operator: mails brought nothing
    FUSE = "fuse"  # to the operator: too many mails at once
    ACCESS = "access"  # to the operator: who may come in by a key


TO_OPERATOR = frozenset({Slot.HANDOVER, Slot.FUSE, Slot.ACCESS})


class Kind(StrEnum):
    """Mails that are about more than one cause, or none: one folder each below `alerts/mails/kinds`.

    What a client is asked for one cause is written with the mail of the cause's own row (`causes.Asks`).
    """

    FIRST_AUTHORIZATION = "first_authorization"
    EXPIRING_SOON = "expiring_soon"
    CAMPAIGN = "campaign"
    REMINDER = "reminder"
    DIGEST = "digest"
    RESOLVED = "resolved"
    HANDOVER = "handover"
    FUSE = "fuse"
    ACCESS = "access"


# Every mail there is, those of causes first.
KINDS = (*(row.asks.mail for row in TABLE.values() if row.asks is not None), *(kind.value for kind in Kind))


@dataclass(frozen=True, slots=True)
class Client:
    """Who is told: connections with the same client, contacts, language and zone are told together."""

    name: str
    contacts: tuple[str, ...]
    locale: str
    timezone: str


@dataclass(frozen=True, slots=True)
class Case:
    """One connection of a client as it stands.

    `incident` is its open incident, `healed` those that closed lately. `certain`: the last probe found
    the cause that the state rests on. `held`, `doubted` and `dropped` come from the fleet guard and the
    operator, `silenced` says why nobody is told: which silence lies over it, or that nobody looks at it
    any more. `waits`: the client has approved, and a person decides whether with the right account.
    `authorized`: it has tokens, so that its client is no newcomer. `claimed_until`: somebody has said that
    they are on it, and the client is not reminded before. `campaign`: what it is asked ahead of time, while
    it works.
    """

    connection: str
    state: State
    cause: Cause
    owner: Owner
    incident: int | None = None
    opened_at: datetime | None = None
    changed_at: datetime | None = None
    certain: bool = True
    authorized: bool = False
    probed_at: datetime | None = None
    seen_by_one: bool = False  # another process could look, and has not since it broke
    held: bool = False
    doubted: bool = False
    dropped: bool = False
    released_at: datetime | None = None  # when a person released the wave that held it
    silenced: str = ""
    waits: bool = False
    claimed_until: datetime | None = None
    healed: tuple[tuple[int, datetime], ...] = ()
    authorized_at: datetime | None = None
    campaign: Part | None = None
    campaign_waits: bool = False  # its provider, app or region is in trouble, or our network
    expires_at: datetime | None = None
    lives_for: timedelta | None = None

    @property
    def asks(self) -> bool:
        """Whether the client is the one who must act on this, now."""
        return (
            self.incident is not None
            and self.state is State.BROKEN
            and self.owner is Owner.CLIENT
            and consequence(self.cause).client_mail
            and self.certain
            and not (self.held or self.dropped or self.silenced or self.waits)
        )

    @property
    def invited(self) -> bool:
        """Whether the client, if it was asked to connect for the first time, still has to."""
        newcomer = self.state is State.PENDING and not self.authorized
        return newcomer and self.incident is None and not (self.silenced or self.waits)

    @property
    def asked_ahead(self) -> bool:
        """Whether the client is the one whom a campaign asks, now: it works, and was not approved since."""
        part = self.campaign
        return (
            part is not None
            and self.state is State.HEALTHY
            and self.incident is None
            and (self.authorized_at is None or self.authorized_at < part.began_at)
            and not (self.campaign_waits or self.silenced or self.waits)
        )


@dataclass(frozen=True, slots=True)
class Said:
    """A notice that was sent, or could not be. `about` maps connections to incidents (None: no incident).

    `arrived` is None where it is not known, because the answer to it was lost; `why` says why it did not.
    """

    slot: Slot
    at: datetime
    about: dict[str, int | None]
    number: int = 0
    arrived: bool | None = True
    why: str = ""
    addresses: tuple[str, ...] = ()
    expiries: dict[str, datetime] = field(default_factory=dict)
    campaign: str = ""


@dataclass(frozen=True, slots=True)
class Standing:
    """A client with its connections as they stand, and what was said to it.

    `fault`: this could not be made out, so that nothing can be said to this client now.
    """

    client: Client
    cases: tuple[Case, ...]
    said: tuple[Said, ...]
    fault: bool = False
