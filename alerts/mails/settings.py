"""[email] and [brand] of token-health.toml: what clients are sent and when, and whom it is from."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from alerts.channels.smtp import Sender
from alerts.mails.compose import Brand
from alerts.mails.message import LOGO, Logo
from alerts.mails.plan import MailPolicy
from alerts.mails.quiet import Quiet
from monitor.errors import ConfigurationError
from monitor.text import addresses
from monitor.text.tomlfile import Duration, Positive, Section

LARGEST_LOGO = 200 * 1024
_IMAGES = {b"\x89PNG": "png", b"\xff\xd8\xff": "jpeg", b"GIF8": "gif"}


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


AddressText = Annotated[str, AfterValidator(_address)]


class EmailSettings(Section):
    """[email]: what clients are sent, and when."""

    delay: Duration | None = None  # without: an hour, and a whole round of probes at least
    release_delay: Duration = timedelta(
        seconds=30
    )  # in which a wave's release is taken back, and nobody knows
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
            release_delay=self.release_delay,
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
