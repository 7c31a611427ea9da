"""[smtp], [email], [brand], [oncall] and [[silences]] of token-health.toml."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, AwareDatetime, Field, model_validator

from alerts.mails import addresses
from alerts.mails.compose import Brand
from alerts.mails.message import LOGO, Logo, Sender
from alerts.mails.notices import MailPolicy, Quiet
from alerts.pages.matters import Patience
from alerts.rules.alert import RUNBOOKS, TEAM, Severity
from alerts.silences.windows import Over, Weekly, Window
from monitor.errors import ConfigurationError
from monitor.health.causes import Owner
from monitor.text.tomlfile import Duration, Section, positive

LARGEST_LOGO = 200 * 1024
_IMAGES = {b"\x89PNG": "png", b"\xff\xd8\xff": "jpeg", b"GIF8": "gif"}


def _sender(text: str) -> str:
    if text:
        addresses.read(Sender.parse(text).address)
    return text


def _address(text: str) -> str:
    return addresses.read(text) if text else ""


def _quiet(text: str) -> str:
    Quiet.parse(text)
    return text


def _colour(text: str) -> str:
    if not re.fullmatch(r"#[0-9a-fA-F]{6}", text):
        raise ValueError(f'{text!r} is no colour; write "#16324f"')
    return text.lower()


def _ascending(spans: tuple[timedelta, ...]) -> tuple[timedelta, ...]:
    if any(span <= timedelta(0) for span in spans) or list(spans) != sorted(set(spans)):
        raise ValueError('are spans in rising order, such as ["2d", "5d", "10d"]')
    return spans


def _descending(spans: tuple[timedelta, ...]) -> tuple[timedelta, ...]:
    if any(span <= timedelta(0) for span in spans) or list(spans) != sorted(set(spans), reverse=True):
        raise ValueError('are spans in falling order, such as ["30d", "7d", "1d"]')
    return spans


def _http(url: str) -> str:
    if url and (urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname):
        raise ValueError("is a URL such as http://alertmanager.example:9093")
    return url.rstrip("/")


def _team(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", text):
        raise ValueError("is a short name of letters, digits, dots and dashes, such as integrations")
    return text


TeamName = Annotated[str, AfterValidator(_team)]
AddressText = Annotated[str, AfterValidator(_address)]
Positive = Annotated[Duration, AfterValidator(positive)]


class SmtpSettings(Section):
    """[smtp]: where mails go out. Without `from` none does."""

    url: str = "smtp://127.0.0.1:1025"
    url_file: Path | None = None
    url_env: str | None = None
    sender: Annotated[str, AfterValidator(_sender)] = Field(default="", alias="from")
    starttls: Literal["auto", "always", "never"] = "auto"
    username: str = ""
    password_file: Path | None = None
    password_env: str | None = None
    ca_file: Path | None = None
    timeout: Positive = timedelta(seconds=30)


class EmailSettings(Section):
    """[email]: what clients are sent, and when."""

    delay: Duration | None = None  # without: an hour, and a whole round of probes at least
    reminders: Annotated[tuple[Duration, ...], AfterValidator(_ascending)] = (
        timedelta(days=2),
        timedelta(days=5),
        timedelta(days=10),
    )
    hand_over: Positive = timedelta(days=3)
    expiry: Annotated[tuple[Duration, ...], AfterValidator(_descending)] = (
        timedelta(days=30),
        timedelta(days=7),
        timedelta(days=1),
    )
    quiet_hours: Annotated[str, AfterValidator(_quiet)] = "20:00-07:00"
    operator: AddressText = ""
    max_per_hour: int = Field(default=30, ge=1)
    link_lifetime: Positive = timedelta(days=14)
    templates: Path | None = None

    def policy(self, interval: timedelta, recheck: timedelta, doubt_delay: timedelta) -> MailPolicy:
        """Return the rules that follow.

        By itself the first mail waits for an hour, in which much heals by itself, and until every connection
        was looked at once more, with its doubts settled: only then can the fleet guard know whether it is one
        client's break.
        """
        whole_round = interval * 1.2 + recheck * 4
        return MailPolicy(
            delay=max(timedelta(hours=1), whole_round) if self.delay is None else self.delay,
            doubt_delay=doubt_delay,
            reminders=self.reminders,
            hand_over=self.hand_over,
            expiry=self.expiry,
            quiet=Quiet.parse(self.quiet_hours),
        )


class BrandSettings(Section):
    """[brand]: whom the mails and pages are from, as clients see it."""

    name: str = ""
    colour: Annotated[str, AfterValidator(_colour)] = "#16324f"
    logo: Path | None = None
    reply_to: AddressText = ""
    footer: str = ""
    support: str = ""

    def read_logo(self, folder: Path) -> Logo | None:
        """Read the logo's file. Raises ConfigurationError."""
        if self.logo is None:
            return None
        try:
            data = (folder / self.logo).read_bytes()
        except OSError as error:
            raise ConfigurationError(f"brand.logo: cannot read {self.logo}: {error.strerror}.") from None
        kind = next((kind for magic, kind in _IMAGES.items() if data.startswith(magic)), None)
        if kind is None or len(data) > LARGEST_LOGO:
            raise ConfigurationError(
                f"brand.logo: {self.logo} is no PNG, JPEG or GIF of at most {LARGEST_LOGO // 1024} KiB."
            )
        return Logo(data, kind)

    def brand(self, sender: str, *, logo: bool) -> Brand:
        """Return what templates know of us; the sender's name where no other is given."""
        name = self.name or (Sender.parse(sender).name if sender else "") or "Token Health"
        return Brand(
            name,
            self.colour,
            self.on_colour,
            f"cid:{LOGO}" if logo else "",
            self.footer,
            self.support,
        )

    @property
    def on_colour(self) -> str:
        """Black or white, whichever reads better on the brand's colour (WCAG 2.2, contrast)."""
        red, green, blue = (int(self.colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
        light = sum(
            weight * (c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4)
            for weight, c in ((0.2126, red), (0.7152, green), (0.0722, blue))
        )
        return "#ffffff" if 1.05 / (light + 0.05) >= (light + 0.05) / 0.05 else "#101a24"


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


class OncallSettings(Section):
    """[oncall]: who is told what an engineer has to mend."""

    alertmanager_url: Annotated[str, AfterValidator(_http)] = ""
    alertmanager_url_env: str | None = None
    alertmanager_url_file: Path | None = None
    ca_file: Path | None = None
    urls: tuple[str, ...] = ()
    urls_env: str | None = None
    urls_file: Path | None = None
    routes: tuple[RouteSettings, ...] = ()
    team: TeamName = TEAM
    calm: Duration = timedelta(minutes=2)
    patience: Positive = timedelta(days=3)
    tiers: dict[str, Positive] = Field(default_factory=dict)
    tier_label: str = "tier"
    runbooks: Annotated[str, AfterValidator(_http)] = RUNBOOKS

    @model_validator(mode="after")
    def _names_once(self) -> OncallSettings:
        names = [route.name for route in self.routes]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice or "email" in names:
            raise ValueError(
                f"routes: {(twice or ['email'])[0]!r} is taken; give each route a name of its own"
            )
        return self

    @property
    def waits(self) -> Patience:
        """For how long a client of each tier may be broken."""
        return Patience(self.tier_label, {"default": self.patience, **self.tiers})


class SilenceSettings(Section):
    """[[silences]]: what nobody is told about, once or every week; with `pause`, a maintenance window."""

    name: str = Field(min_length=1)
    all: bool = False
    provider: str = ""
    app: str = ""
    client: str = ""
    connection: str = ""
    begin: AwareDatetime | None = Field(default=None, alias="from")
    until: AwareDatetime | None = None
    weekly: str = ""
    timezone: str = "UTC"
    reason: str = ""
    pause: bool = False

    @model_validator(mode="after")
    def _makes_sense(self) -> SilenceSettings:
        if len(self._given) != 1:
            raise ValueError(
                f"silence {self.name!r} lies over one of: provider, app, client, connection, or all = true"
            )
        if bool(self.weekly) == bool(self.until):
            raise ValueError(f"silence {self.name!r} needs either weekly, or until (and perhaps from)")
        if self.begin and self.until and self.begin >= self.until:
            raise ValueError(f"silence {self.name!r} ends before it begins")
        try:
            ZoneInfo(self.timezone)
        except (KeyError, ValueError, OSError):
            raise ValueError(
                f"silence {self.name!r}: {self.timezone!r} is no time zone; write Europe/Berlin"
            ) from None
        if self.weekly:
            Weekly.parse(self.weekly, self.timezone)
        return self

    @property
    def _given(self) -> list[tuple[Over, str]]:
        named = [(over, str(getattr(self, over.value))) for over in Over if over is not Over.ALL]
        return [item for item in named if item[1]] + ([(Over.ALL, "")] if self.all else [])

    def window(self) -> Window:
        """Return it as a value."""
        ((over, name),) = self._given
        weekly = Weekly.parse(self.weekly, self.timezone) if self.weekly else None
        begin: datetime | None = self.begin
        return Window(self.name, over, name, self.reason, self.pause, begin, self.until, weekly)
