"""What goes out about tokens, and comes in as signals, as models."""

from __future__ import annotations

from monitor.web.api.shapes import Time
from monitor.web.api.strict import Shown


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
    scopes: list[str]
    health: HealthShown
    shortfall: Shortfall | None
