"""What goes out and comes in about the fleet, its incidents, and what lies silent."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field

from monitor.web.api.shapes import Row, Time
from monitor.web.api.shapes_notices import Notice
from monitor.web.api.strict import Bounded, Given, Line, Moment, Shown

Over = Literal["all", "provider", "app", "client", "connection"]


class About(Shown):
    """What an incident is about."""

    kind: str
    name: str


class Acknowledged(Shown):
    """Who has taken an incident up."""

    by: str
    at: Time
    note: str | None


class Choice(Shown):
    """What a person may say about a wave: an operation, on what, and what it does."""

    model_config = ConfigDict(extra="allow", frozen=True)

    operation: str
    on: str | None
    does: str


class Question(Shown):
    """What one has to know to decide on a wave. Numbers are clients unless they say otherwise.

    `alike` and `unlike`: what those who are held share, and what not. `next`: what comes about if nobody
    decides. `choices`: what may be said besides waiting.
    """

    over: str
    since: Time
    holds: int = Field(description="Connections whose mails are held: what `held` of a decision is.")
    clients: int
    connections: int
    held: int
    held_connections: int
    asked: int
    healed: int
    mended: int
    refuted: int
    mails: str
    reasons: list[str]
    alike: list[str]
    unlike: list[str]
    next: str
    next_at: Time | None
    choices: list[Choice]


class Incident(Shown):
    """A confirmed break, of a connection or of what several share. `members` are those that one sees.

    `connections` and `notices` are there where they are asked for with `expand`, 100 at most; `question`
    where it is asked for of a wave that is open, for who has all of the fleet.
    """

    id: int
    about: About
    cause: str
    owner: str
    guard: bool
    wave: bool
    members: int
    part_of: int | None
    reasons: list[str]
    opened: Time
    updated: Time
    closed: Time | None
    ended: str | None
    mails: str | None
    told: Time | None
    acknowledged: Acknowledged | None
    connections: list[Row] | None = None
    notices: list[Notice] | None = None
    question: Question | None = None


class Incidents(Shown):
    """A page of incidents."""

    items: list[Incident]
    next: str | None


class Belonging(Shown):
    """A connection of an incident: its own incident, how it is now, and what became of its break."""

    incident: int
    id: str
    client: str
    app: str
    provider: str
    region: str
    state: str
    cause: str
    broke: Time
    closed: Time | None
    ended: str | None
    mails: str | None
    told: Time | None


class Broken(Shown):
    """A page of the connections of an incident."""

    items: list[Belonging]
    next: str | None


class Note(Given):
    """What one has to say with it."""

    note: Line = ""


class Drop(Given):
    """What is decided about; with `held` only while of so many connections the mails are held."""

    held: int | None = Field(default=None, ge=0)


class Release(Drop):
    """How what is held goes out: all of it, or `first` so many clients, and the rest is held."""

    first: int = Field(default=0, ge=0, le=1000)


class Decided(Shown):
    """Of how many connections the clients are told, or never told; or which clients are asked first."""

    connections: int | None
    clients: list[str]


class Fuse(Shown):
    """The last fuse before clients."""

    blown_since: Time | None
    wanted: int
    released_until: Time | None


class Silence(Shown):
    """What nobody is told about for a while. `number` is a person's, as the command line has it."""

    id: str
    number: int | None
    over: str
    name: str
    reason: str
    by: str
    from_: Time | None = Field(alias="from")
    until: Time | None
    maintenance: bool
    from_file: bool


class Turn(Shown):
    """Open breaks of connections whose turn is somebody's."""

    open: int
    on_their_own: int
    told: int


class Change(Shown):
    """What broke or was mended: one connection, or so many of one incident."""

    at: Time
    began: bool
    connections: int
    incident: int
    about: About
    cause: str
    owner: str
    ended: str | None
    client: str | None


class Verdict(Shown):
    """How the fleet is in numbers. `needs_operator` counts an incident that several share as one."""

    connections: int
    clients: int
    needs_operator: int
    clients_waited_for: int
    providers_down: list[str]
    looks_late_seconds: int
    states: dict[str, int]
    states_a_day_ago: dict[str, int] | None
    breaks: dict[str, Turn]
    changes: list[Change]


class Silences(Shown):
    """A page of silences."""

    items: list[Silence]
    next: str | None


class SilenceGiven(Given):
    """A silence that is to be laid: for two hours, unless said otherwise."""

    over: Over
    name: Line = ""
    for_: Bounded | None = Field(default=None, alias="for")
    from_: Moment | None = Field(default=None, alias="from")
    until: Moment | None = None
    reason: Line = ""
    maintenance: bool = False


class Fleet(Shown):
    """The fleet in sums; null is what whoever asks may not see."""

    total: int
    states: dict[str, int]
    owners: dict[str, int]
    causes: dict[str, int]
    providers: dict[str, int]
    apps: dict[str, int]
    guards: list[Incident] | None
    incidents: list[Incident] | None
    fuse: Fuse | None
    silences: list[Silence] | None
