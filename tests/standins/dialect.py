"""What a provider's dialect is, as plain data and a few functions; one for each provider in `dialects`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from tests.standins.http import Reply, Request

if TYPE_CHECKING:
    from tests.standins.server import StandIn


@dataclass(frozen=True)
class Account:
    """A firm at the provider, and one of its people."""

    id: str
    name: str
    user: str = "k.moreau@moreau.example"


@dataclass
class Refresh:
    """A refresh token, and when another took its place."""

    token: str
    born: datetime
    replaced: datetime | None = None


@dataclass
class Grant:
    """What somebody granted: its tokens, and what keeps them from working."""

    accounts: list[Account]
    scopes: set[str]
    born: datetime
    refreshes: list[Refresh] = field(default_factory=list)
    access: dict[str, datetime | None] = field(default_factory=dict)  # in the order of their birth
    refused: str = ""  # the word of its dialect for why it is refused, "" where it is good
    blocked: str = ""  # the word for what its API refuses, while the token is good
    whose: Account | None = None  # for whom its tokens speak now, if not for its first account

    @property
    def account(self) -> Account:
        return self.whose or self.accounts[0]


@dataclass(frozen=True)
class Dialect:
    """Where a provider lives, what it wants to be asked, and how it answers.

    `words` are what it says, each the name of a recorded answer in tests/providers: `client`, `revoked`,
    `access`, `scope`, `limit` and whatever else may befall a grant. Places have their host first.
    """

    provider: str
    authorize: str
    token: str
    whoami: str
    words: Mapping[str, str]
    tells: Callable[[StandIn, Request, Grant], Reply]  # who the token speaks for
    auth: str = "body"
    separator: str = " "
    scope_param: str = "scope"
    file: Mapping[str, str] = field(default_factory=dict)  # what a file of one's own says in another's place
    wants: Mapping[str, str] = field(default_factory=dict)  # of the authorize request
    offline: Callable[[Mapping[str, str]], bool] = lambda asked: True  # whether a refresh token comes
    rotation: str = "none"  # none, overlapping, daily, grace, strict, family
    grace: timedelta = timedelta(0)
    access_life: timedelta = timedelta(hours=1)
    told: bool = True  # whether an answer says expires_in
    ends_access: bool = False  # a refresh ends the access token before it
    live: int = 0  # how many access tokens of a grant live at once; 0: any
    answers: Callable[[StandIn, Request, Grant, dict[str, Any]], dict[str, Any]] = lambda *a: a[3]
    callback: Callable[[Grant], Mapping[str, str]] = lambda grant: {}
    probes: Mapping[str, str] = field(default_factory=dict)  # a place, and the scope that reads it
    api: Callable[[Request, Grant], str] = lambda request, grant: ""  # the word for a request that is wrong
    calls: Mapping[str, Callable[[StandIn, Request], Reply]] = field(default_factory=dict)  # "DELETE place"
    # Its API is where an answer says, which is an address without a path: here the stand-in itself.
    told_host: bool = False
