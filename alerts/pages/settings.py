"""[oncall] of token-health.toml: who is told what an engineer has to mend. Channels bring keys of theirs."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field, create_model, model_validator

from alerts.channels.channel import http_address
from alerts.channels.registry import CHANNELS, PAGING
from alerts.pages.matters import Patience
from alerts.rules.alert import RUNBOOKS, TEAM, Severity
from monitor.health.causes import Owner
from monitor.text.tomlfile import Duration, Positive, Section


def _team(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", text):
        raise ValueError("is a short name of letters, digits, dots and dashes, such as integrations")
    return text


TeamName = Annotated[str, AfterValidator(_team)]


class RouteSettings(Section):
    """[[oncall.routes]]: a channel of its own for part of what on-call is told."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=60)]
    url: str = ""
    url_env: str | None = None
    url_file: Path | None = None
    severity: tuple[Severity, ...] = (Severity.PAGE,)
    owner: tuple[Owner, ...] = ()
    provider: tuple[str, ...] = ()
    app: tuple[str, ...] = ()
    team: tuple[str, ...] = ()
    labels: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_address(self) -> RouteSettings:
        if sum(1 for given in (self.url, self.url_env, self.url_file) if given) != 1:
            raise ValueError(f"route {self.name!r} needs exactly one of url_file, url_env or url")
        return self


# What to set for a channel, in the order in which people are told: its first key.
WAYS = tuple(f"oncall.{next(iter(channel.Settings.model_fields))}" for channel in PAGING.values())
_Channels: Any = create_model("_Channels", __base__=tuple(channel.Settings for channel in PAGING.values()))


class OncallSettings(_Channels):
    """[oncall]: who is told what an engineer has to mend."""

    routes: tuple[RouteSettings, ...] = ()
    team: TeamName = TEAM
    calm: Duration = timedelta(minutes=2)
    patience: Positive = timedelta(days=3)
    tiers: dict[str, Positive] = Field(default_factory=dict)
    tier_label: str = "tier"
    runbooks: Annotated[str, AfterValidator(http_address)] = RUNBOOKS

    @model_validator(mode="after")
    def _names_once(self) -> OncallSettings:
        names = [route.name for route in self.routes]
        taken = [name for name in names if names.count(name) > 1 or name in CHANNELS.keys() - PAGING.keys()]
        if taken:
            raise ValueError(f"routes: {sorted(taken)[0]!r} is taken; give each route a name of its own")
        return self

    @property
    def waits(self) -> Patience:
        """For how long a client of each tier may be broken."""
        return Patience(self.tier_label, {"default": self.patience, **self.tiers})
