"""What goes out about providers, apps, and the service itself."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, Field

from monitor.web.api.shapes import RemedyShown, Time
from monitor.web.api.strict import Shown


class Provider(Shown):
    """A provider that is known."""

    name: str
    title: str
    regions: list[str]


class Providers(Shown):
    """A page of providers."""

    items: list[Provider]
    next: str | None


class ProviderWhole(Shown):
    """All that is understood of a provider's file."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str
    title: str
    regions: dict[str, Any]


class Budget(Shown):
    """What a provider lets an app ask. `share` is the part of it that probing takes."""

    requests_per_minute: float
    per: str
    share: float
    free_at: Time | None


class Cost(Shown):
    """What looking at an app's connections costs at its provider, whoever's they are; 30 days are a month."""

    connections: int
    interval_seconds: int
    reads_per_month: int
    reads_per_month_limit: int | None
    limit_share: float | None = Field(description="Of the rate limit: the app's, or each token's.")
    live_access_tokens: int | None
    grants_per_user: int | None
    says: list[str]
    trouble: str | None


class Standing(Shown):
    """How a door is that clients pass when they connect; `refused` twice in a row is believed."""

    outcome: str = Field(description="`good`, `refused` or `unclear`.")
    says: str
    rule: str | None
    at: Time
    refused_since: Time | None
    refusals: int
    last_good: Time | None


class App(Shown):
    """An app as it is used, never its secret."""

    id: str
    configured: bool
    provider: str
    region: str | None
    base_url: str | None
    scopes: list[str]
    team: str | None
    callback: str | None
    connections: int
    interval_seconds: int | None
    configured_interval_seconds: int
    stretched: bool
    budget: Budget | None
    cost: Cost | None
    last_probe: Time | None
    last_success: Time | None
    secret_expires: str | None
    doors: dict[str, Standing]
    states: dict[str, int] = Field(description="How many of its connections are in each state.")
    causes: dict[str, int] = Field(description="From which cause, of those that are broken or in doubt.")


class Apps(Shown):
    """A page of apps."""

    items: list[App]
    next: str | None


class Entry(Shown):
    """A line of the audit."""

    at: Time
    actor: str
    action: str
    subject: str
    from_: str | None = Field(alias="from")
    request_id: str | None
    detail: dict[str, Any]


class Entries(Shown):
    """A page of the audit, newest first."""

    items: list[Entry]
    next: str | None


class Settings(Shown):
    """The settings as loaded, by section; of a secret it says `set`."""

    model_config = ConfigDict(extra="allow", frozen=True)


class Origins(Shown):
    """Where each setting came from: `environment`, `file` or `default`, by `section.key`."""

    origins: dict[str, str]


class Check(Shown):
    """One check; `ok` null is worth knowing, and no trouble."""

    check: str
    ok: bool | None
    says: str
    remedies: list[RemedyShown]


class Checkup(Shown):
    """What the checkup found."""

    ok: bool
    items: list[Check]
