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


class Retry(Given):
    """Whether one of which nobody knows whether it arrived is sent again: then it may arrive twice."""

    twice: bool = False


class Holding(Shown):
    """What one thing holds back, and how many first mails. `over` and `name`: what a hold lies over."""

    by: str
    count: int
    over: str | None
    name: str | None
    since: Time | None
    until: Time | None
    incident: int | None
    why: str


class Undeliverable(Shown):
    """An address that refuses mail, and the notice that it refused last."""

    address: str
    since: Time
    answer: str
    notice: int | None


class MailServer(Shown):
    """The mail server: whether there is one, when it took the last mail, and what is wrong with it."""

    configured: bool
    last_taken: Time | None
    trouble: str | None


class Outbox(Shown):
    """The outbox in sums, each counted up to `counted_up_to`, and what holds something back."""

    at: Time
    waiting: int
    sending: int
    held: int
    looks: int
    unconfirmed: int
    failed: int
    sent_today: int
    counted_up_to: int
    holds: list[Holding]
    undeliverable: list[Undeliverable]
    mail_server: MailServer


class Mail(Shown):
    """A kind of mail: who gets it and when, and which of its files are one's own."""

    kind: str
    to: str
    when: str
    own: list[str]


class Mails(Shown):
    """Every kind of mail, and the languages that each is written in."""

    items: list[Mail]
    languages: list[str]
    trouble: str | None


class TestMail(Given):
    """Who gets a test mail."""

    address: Line


class Tried(Shown):
    """What became of a test mail: which server, whether it took it, and what it answered."""

    server: str
    taken: bool
    outcome: str
    answer: str


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
    probes: int | None
    good: int | None


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
