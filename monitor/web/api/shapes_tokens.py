"""What goes out about tokens, and comes in as signals, as models."""

from __future__ import annotations

from pydantic import Field

from monitor.health.signals import Kind
from monitor.web.api.shapes import Time
from monitor.web.api.strict import Given, Line, Moment, Name, Prose, Shown


class Account(Shown):
    """Whose data a token reaches."""

    id: str | None
    name: str | None


class HealthShown(Shown):
    """How a connection is, beside its token: it may serve all the same."""

    state: str
    cause: str | None
    owner: str
    since: Time | None


class Shortfall(Shown):
    """Why a token has less life left than was wished for."""

    code: str
    cause: str | None
    retry_at: Time | None


class Token(Shown):
    """An access token. `expires_in` is what to count from, on a clock that nobody sets."""

    connection: str
    access_token: str
    token_type: str
    expires_at: Time | None
    expires_in: int | None
    expiry: str
    generation: int
    refreshed: bool
    base_url: str | None
    account: Account
    values: dict[str, str]
    scopes: list[str]
    health: HealthShown
    shortfall: Shortfall | None


class Answered(Given):
    """What the provider answered a program. Of the headers few are kept, of the body 400 characters."""

    status: int = Field(ge=100, le=599)
    headers: dict[Line, Line] = Field(default_factory=dict, max_length=100)
    body: Prose = Field(default="", max_length=4096)


class SignalGiven(Given):
    """What a program saw. Which token is meant is said by `generation`, or by the hash of its text."""

    kind: Kind
    at: Moment | None = Field(default=None, strict=False)
    generation: int | None = Field(default=None, ge=0, le=999_999_999)
    access_token_sha256: str | None = Field(default=None, pattern="^[0-9a-fA-F]{64}$")
    asked: Line = ""
    scope: Line | None = None
    expires_at: Moment | None = Field(default=None, strict=False)
    answer: Answered | None = None


class SignalOf(SignalGiven):
    """What a program saw of the connection that it names."""

    connection: Name


class SignalsGiven(Given):
    """Several signals at once."""

    items: tuple[SignalOf, ...] = Field(min_length=1, max_length=100)


class LookedShown(Shown):
    """What our own look found."""

    cause: str
    at: Time | None


class SignalHeard(Shown):
    """What was done about a signal."""

    connection: str
    effect: str
    why: str | None
    probe_at: Time | None
    generation: int | None
    server_time: Time
    looked: LookedShown | None = None


class SignalsHeard(Shown):
    """What was done about each of several signals, in their order."""

    items: list[SignalHeard]


class SignalShown(Shown):
    """A signal as it is kept: what a program says, redacted."""

    id: str
    connection: str
    received_at: Time
    at: Time | None
    key: str
    kind: str
    generation: int | None
    asked: str | None
    scope: str | None
    status: int | None
    headers: dict[str, str] | None
    says: str | None
    effect: str
    why: str | None
    times: int


class SignalsShown(Shown):
    """The newest signals of a connection; no more are kept."""

    items: list[SignalShown]
    next: str | None
