"""A list of connections as values: which ones, in which order, a page of it, and its sums."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import NamedTuple

from monitor.health.causes import Owner
from monitor.health.claim import Claim
from monitor.health.incidents import Place
from monitor.health.lifecycle import Health, State
from monitor.health.restriction import UNRESTRICTED, Restriction
from monitor.health.rotation import Doubt

MOST = 500  # rows of a page
WORST = (State.BROKEN, State.SUSPECT, State.PENDING, State.PAUSED, State.HEALTHY)
TURNS = (Owner.OPERATOR, Owner.CLIENT, Owner.PROVIDER, Owner.NOBODY)  # whose turn it is, ours first
ALWAYS = datetime(1970, 1, 1, tzinfo=UTC)  # since when it is so, where nobody knows
NOT_HEALTHY = frozenset(state.value for state in State if state is not State.HEALTHY)


class Sort(StrEnum):
    """In which order."""

    WORST = "worst"  # broken first; of these what is ours to mend, then the clients'; the longest at the top
    ID = "id"
    SINCE = "since"  # what changed last at the top
    CLIENT = "client"


@dataclass(frozen=True, slots=True)
class Filter:
    """Which connections: each that is given has to hold, and of several values one."""

    states: frozenset[str] = frozenset()
    causes: frozenset[str] = frozenset()
    owners: frozenset[str] = frozenset()
    providers: frozenset[str] = frozenset()
    apps: frozenset[str] = frozenset()
    clients: frozenset[str] = frozenset()
    custodies: frozenset[str] = frozenset()
    ids: frozenset[str] = frozenset()
    labels: Mapping[str, str] = field(default_factory=dict)
    text: str = ""  # in the id, the client's name or the account's
    begins: bool = False  # the text is the beginning of the id or the client's name
    since_before: datetime | None = None
    in_doubt: bool = False  # a refresh whose answer was lost
    incidents: frozenset[int] = frozenset()  # part of one of these, which are open
    within: Restriction = UNRESTRICTED  # what there is for whoever asks


@dataclass(frozen=True, slots=True)
class Listed:
    """A connection as a row of a list."""

    id: str
    place: Place
    client_name: str
    scopes: tuple[str, ...]
    labels: Mapping[str, str]
    health: Health
    last_probe_at: datetime | None
    next_probe_at: datetime | None
    doubt: Doubt | None
    newcomer: bool  # never authorized
    custody: str = "managed"
    revision: int = 1
    claim: Claim | None = None
    paused_until: datetime | None = None  # when a person's pause ends by itself
    rests: bool = False  # for a maintenance window

    @property
    def paused(self) -> bool:
        """Whether a person paused it."""
        return self.health.state is State.PAUSED and not self.rests


def rank(state: str, owner: str) -> int:
    """Return how bad something is, and whose turn: the smaller, the sooner it is looked at."""
    return [one.value for one in WORST].index(state) * len(TURNS) + [one.value for one in TURNS].index(owner)


class Key(NamedTuple):
    """A row's place in every order. An empty id is before all connections of that rank and time."""

    rank: int
    since: datetime
    id: str
    client: str = ""


class Page(NamedTuple):
    """A page of the list, after which key the next one begins, and each row's place.

    Read backwards, `after` is before which key the page before ends. None at the end.
    """

    rows: list[Listed]
    after: Key | None
    keys: list[Key]


class Counts(NamedTuple):
    """How many connections there are, in all and by what they are."""

    total: int
    states: Mapping[str, int]
    owners: Mapping[str, int]  # of those that are broken
    causes: Mapping[str, int]  # of those that are broken
    providers: Mapping[str, int]
    apps: Mapping[str, int]


class Sum(NamedTuple):
    """How many connections are alike in what they are counted by."""

    state: str
    cause: str
    owner: str
    provider: str
    app: str
    number: int


def counted(sums: Iterable[Sum]) -> Counts:
    """Add up how many there are."""
    found: tuple[dict[str, int], ...] = ({}, {}, {}, {}, {})
    total = 0
    for one in sums:
        total += one.number
        broken = (one.owner, one.cause) if one.state == State.BROKEN.value else ()
        for sums_of, value in zip(found, (one.state, one.provider, one.app, *broken), strict=False):
            sums_of[value] = sums_of.get(value, 0) + one.number
    states, providers, apps, owners, causes = found
    return Counts(total, states, owners, causes, providers, apps)
