"""What goes out and comes in about connections, as models: the document, and the check of it."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field

from monitor.operations.intake import Client, Tokens
from monitor.web.api.strict import Bounded, Given, Line, Moment, Name, Shown

Time = Annotated[str, Field(json_schema_extra={"format": "date-time"})]


class Claim(Shown):
    """Who said that they are on what is open: until then the client is not reminded."""

    who: str
    until: Time


class Word(Shown):
    """Something that was said, or follows: when, the how-maniest, and who."""

    what: str
    at: Time | None
    number: int | None
    who: str | None


class Telling(Shown):
    """What was said of a connection, and what follows."""

    said: Word
    follows: Word | None


class Row(Shown):
    """A connection as a row of a list; `telling` is there where it is asked for with `expand`."""

    id: str
    app: str
    client: str
    state: str
    cause: str | None
    owner: str
    since: Time | None
    last_probe: Time | None
    next_probe: Time | None
    confidence: float
    refresh_in_doubt_since: Time | None
    claim: Claim | None
    paused_until: Time | None
    provider: str
    region: str
    custody: str
    labels: dict[str, str]
    revision: int
    telling: Telling | None = None


class Rows(Shown):
    """A page of connections."""

    items: list[Row]
    next: str | None


class ClientShown(Shown):
    """Whose connection it is."""

    name: str
    contacts: list[str]
    locale: str
    timezone: str


class Connection(Shown):
    """What people configured of a connection."""

    id: str
    app: str
    client: ClientShown
    scopes: list[str]
    account_id: str | None
    labels: dict[str, str]
    values: dict[str, str]
    custody: str
    handout: bool
    paused: bool
    paused_until: Time | None
    account_name: str | None
    created: Time
    updated: Time | None
    revision: int


class TokensKnown(Shown):
    """What is known of the tokens, never the tokens."""

    access_token: str | None
    refresh_token: str | None
    access_expires_at: Time | None
    refresh_last_used_at: Time | None
    refresh_expires_at: Time | None
    grant_ends_at: Time | None
    authorized_at: Time | None
    authorized_by: str | None
    pairs_stored: int
    refresh_in_doubt_since: Time | None
    refresh_last_tried_at: Time | None
    refresh_lost: bool


class Status(Row):
    """How a connection is."""

    account_id: str | None
    account_name: str | None
    values: dict[str, str]
    last_success: Time | None
    tokens: TokensKnown
    incidents: list[int]


class RemedyShown(Shown):
    """What mends something: an operation, and what it is done to."""

    model_config = ConfigDict(extra="allow", frozen=True)

    operation: str
    on: str | None
    does: str


class RoadStep(Shown):
    """A step of a client on the way back: done, failed, or ahead."""

    step: str
    says: str
    at: Time | None
    aside: str | None


class AdviceShown(Shown):
    """What an operator had better do, where a rule yields that."""

    tip: str
    says: str


class ComingShown(Shown):
    """What comes next, and when."""

    at: Time | None
    says: str


class DoneShown(Shown):
    """What somebody did with it, for whoever operates it or reads the audit."""

    at: Time
    actor: str
    action: str


class PauseShown(Shown):
    """A person's pause: whose, where whoever asks may know, until when, else until resumed, and why."""

    by: str | None
    until: Time | None
    reason: str


class Explanation(Shown):
    """Why a connection is as it is."""

    model_config = ConfigDict(extra="allow", frozen=True)

    id: str
    headline: str
    why: list[str]
    who_acts: str
    told: list[str]
    next: list[str]
    remedies: list[RemedyShown]
    pause: PauseShown | None
    rule: str
    evidence: list[dict[str, Any]]
    evidence_at: Time | None
    road: list[RoadStep]
    advice: AdviceShown | None
    coming: list[ComingShown]
    done: list[DoneShown]


class ConnectionPut(Given):
    """A connection as it should be. What GET shows may be sent back; what is read only has to be the same."""

    app: Name
    client: Client
    scopes: tuple[Line, ...] = ()
    account_id: Name | None = None
    labels: dict[Line, Line] = Field(default_factory=dict)
    values: dict[Line, Line] | None = None
    tokens: Tokens | None = None
    handout: bool | None = None
    id: Line | None = None
    custody: Line | None = None
    paused: bool | None = None
    paused_until: Line | None = None
    account_name: str | None = None
    created: Line | None = None
    updated: Line | None = None
    revision: int | None = None


class ConnectionNew(ConnectionPut):
    """A connection to be added."""

    id: Name


class ClientChange(Given):
    """What changes of a client."""

    name: Name | None = None
    contacts: tuple[Line, ...] | None = None
    locale: Line | None = None
    timezone: Line | None = None


class ConnectionChange(Given):
    """What changes of a connection; null takes out."""

    app: Name | None = None
    client: ClientChange | None = None
    scopes: tuple[Line, ...] | None = None
    account_id: Name | None = None
    labels: dict[Line, Line | None] | None = None
    values: dict[Line, Line | None] | None = None
    tokens: Tokens | None = None
    handout: bool | None = None


class ClaimGiven(Given):
    """Who is on it, and until when: at most 90 days."""

    who: Name
    until: Moment


class PauseGiven(Given):
    """Until when it is not looked at, `for` so long or `until` then: at most a year; else until resumed."""

    for_: Bounded | None = Field(default=None, alias="for")
    until: Moment | None = None
    reason: Line = ""


class AccountGiven(Given):
    """An account at the provider."""

    account_id: Name
