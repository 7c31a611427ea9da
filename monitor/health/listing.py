"""A list of connections as values: which ones, in which order, a page of it, and its sums."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import NamedTuple

from monitor.health.claim import Claim
from monitor.health.incidents import Place
from monitor.health.lifecycle import Health, State
from monitor.health.restriction import UNRESTRICTED, Restriction
from monitor.health.rotation import Doubt

MOST = 500  # rows of a page
WORST = (State.BROKEN, State.SUSPECT, State.PENDING, State.PAUSED, State.HEALTHY)
ALWAYS = datetime(1970, 1, 1, tzinfo=UTC)  # since when it is so, where nobody knows


class Sort(StrEnum):
    """In which order."""

    WORST = "worst"  # broken first, the longest broken at the top
    ID = "id"
    SINCE = "since"  # what changed last at the top


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
    since_before: datetime | None = None
    in_doubt: bool = False  # a refresh whose answer was lost
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


class Key(NamedTuple):
    """Where a page ends: the last row's place in the order."""

    rank: int
    since: datetime
    id: str


class Page(NamedTuple):
    """A page of the list, and after which key the next one begins; None at the end."""

    rows: list[Listed]
    after: Key | None


class Counts(NamedTuple):
    """How many connections there are, in all and by what they are."""

    total: int
    states: Mapping[str, int]
    owners: Mapping[str, int]  # of those that are broken
    causes: Mapping[str, int]  # of those that are broken
    providers: Mapping[str, int]
    apps: Mapping[str, int]
