"""What goes out and comes in about what clients are told, and about a single connection's past."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from monitor.web.api.shapes import Time
from monitor.web.api.strict import Bounded, Given, Line, Shown


class Sent(Shown):
    """One envelope of a notice."""

    address: str
    state: str
    attempts: int
    answer: str | None
    at: Time | None


class Notice(Shown):
    """Something that was said to somebody, or waits to be."""

    id: int
    slot: str
    kind: str
    client: str
    connections: list[str]
    state: str
    outcome: str
    reason: str
    reminder: int | None
    requested_by: str | None
    planned_at: Time
    due_at: Time
    settled_at: Time | None
    to: list[Sent]


class Notices(Shown):
    """A page of notices."""

    items: list[Notice]
    next: str | None


class Preview(Shown):
    """A mail as it would be written now; its links lead nowhere."""

    subject: str
    html: str
    text: str


class Hold(Given):
    """What is to be held: without `for` until it is released."""

    over: Literal["all", "provider", "app", "client", "connection"]
    name: Line = ""
    for_: Bounded | None = Field(default=None, alias="for")
    reason: Line = ""


class Held(Shown):
    """A hold: a silence over what was named."""

    id: str
    number: int


class Unhold(Given):
    """What is to be released."""

    over: Literal["all", "provider", "app", "client", "connection"]
    name: Line = ""


class Released(Shown):
    """How many holds were lifted."""

    released: int


class Change(Shown):
    """A change of a verdict, with what it rested on."""

    id: int
    at: Time
    state: str
    cause: str
    owner: str
    confidence: float
    rule: str
    scope: str | None
    reasons: list[str]
    evidence: list[dict[str, Any]]


class Changes(Shown):
    """A page of changes, newest first."""

    items: list[Change]
    next: str | None


class StateShown(Shown):
    """How a connection was from a time to a time; null: not known yet."""

    from_: Time = Field(alias="from")
    until: Time
    state: str | None
    cause: str | None


class AnswerTimes(Shown):
    """How fast good probes were answered from a time to a time; null: none was good."""

    from_: Time = Field(alias="from")
    until: Time
    mean_seconds: float | None
    probes: int
    good: int


class WordShown(Shown):
    """What was said to the client, or done by them."""

    at: Time
    what: str


class Timeline(Shown):
    """A connection over a time, up to now."""

    span: str
    from_: Time = Field(alias="from")
    until: Time
    states: list[StateShown]
    answer_times: list[AnswerTimes]
    said: list[WordShown]


class Link(Shown):
    """A link on which a client authorizes again, never what opens it."""

    id: str
    incident: int | None
    cause: str | None
    made: Time
    expires_at: Time
    opened: Time | None
    started: Time | None
    used: Time | None


class Links(Shown):
    """A page of links, newest first."""

    items: list[Link]
    next: str | None


class LetterShown(Shown):
    """A mail that was not sent."""

    subject: str
    text: str
    language: str
    to: list[str]


class LinkGiven(Given):
    """Whether the link is mailed to the client, or handed over by whoever asks."""

    send: bool = False


class LinkMade(Shown):
    """A new link; its URL is told this once."""

    id: str
    url: str
    expires_at: Time


class LinkAsked(Shown):
    """The number of the notice that goes to the client."""

    notice: int


class Looked(Shown):
    """What came of asking for a probe. `verdict`: it is there; `coalesced`: of a probe just before."""

    id: str
    verdict: bool
    coalesced: bool
    state: str
    cause: str
    owner: str
    found: str | None
    last_probe: Time | None
