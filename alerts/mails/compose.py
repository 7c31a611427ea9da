"""Writes a mail: templates with what is to be told, in the client's language, as text and HTML."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from alerts.mails.language import Tongue, tongue
from alerts.mails.standing import KINDS
from alerts.mails.templates import templates
from monitor.errors import ConfigurationError
from monitor.health.causes import TABLE
from monitor.providers.phrases import Phrases
from monitor.text.names import one_line

PARTS = ("subject.txt", "body.txt", "body.mjml")


@dataclass(frozen=True, slots=True)
class Brand:
    """Who writes. `logo` is a `cid:` or an https URL; colours are `#rrggbb`."""

    name: str
    colour: str = "#16324f"
    on_colour: str = "#ffffff"
    logo: str = ""
    footer: str = ""
    support: str = ""


@dataclass(frozen=True, slots=True)
class Topic:
    """One connection as a mail tells it. `scopes` are what is missing, or what is asked for."""

    connection: str
    provider: str
    cause: str
    account: str = ""
    since: datetime | None = None
    expires_at: datetime | None = None
    scopes: tuple[str, ...] = ()
    link: str = ""
    link_until: datetime | None = None
    contacts: str = ""
    client_id: str = ""  # of our app at the provider
    refusal: str = ""  # what the provider answered
    phrases: Phrases = field(default_factory=Phrases)
    authorized_by: str = ""  # who approved last, as the provider names them


@dataclass(frozen=True, slots=True)
class Written:
    """A mail as it is read."""

    subject: str
    text: str
    html: str


class Composer:
    """Writes mails with our templates, or those of `overrides` where it has them."""

    def __init__(self, brand: Brand, overrides: Path | None = None) -> None:
        self.brand = brand
        self._templates = templates(overrides)

    def check(self) -> None:
        """Compile every template. Raises ConfigurationError that names the one that does not."""
        for kind in KINDS:
            self._templates.check(f"kinds/{kind}/body.mjml")

    def write(
        self,
        kind: str,
        client: str,
        topics: Sequence[Topic],
        locale: str,
        timezone: str,
        **more: object,
    ) -> Written:
        """Write a mail. Raises ConfigurationError where a template (an override) cannot be used."""
        speak = tongue(locale, timezone)
        context = self._context(client, topics, speak) | more
        try:
            return self._filled(f"kinds/{kind}", context, speak)
        except ConfigurationError as error:
            # What a template stumbled over may be the link, which is a secret until it was followed.
            said = str(error)
            for link in {topic.link for topic in topics} - {""}:
                said = said.replace(link, "…")
            raise ConfigurationError(said) from None

    def _filled(self, folder: str, context: dict[str, Any], speak: Tongue) -> Written:
        templates = self._templates
        context["subject"] = one_line(templates.text(f"{folder}/subject.txt", context, speak), 250)
        body = templates.text(f"{folder}/body.txt", context, speak)
        text = templates.text("layout.txt", context | {"body": _wrapped(body)}, speak)
        html = templates.html(f"{folder}/body.mjml", context, speak)
        return Written(context["subject"], text.strip() + "\n", html)

    def _context(self, client: str, topics: Sequence[Topic], speak: Tongue) -> dict[str, Any]:
        _ = speak.gettext
        name = one_line(client)
        items = [_told(topic, speak) for topic in topics]
        first = topics[0] if topics else None
        account = one_line(first.account) if first is not None and len(topics) == 1 else ""
        if account:
            check = _("Please make sure that you are signed in to the right account: %(account)s.")
        else:
            check = _("Please make sure that you are signed in to the account of %(client)s.")
        support = one_line(self.brand.support)
        whom = (
            _("Reply to this email or write to %(support)s.") if support else _("Just reply to this email.")
        )
        note = _("If you did not expect this email, ask us before you click.")
        until = first.link_until if first is not None else None
        if until is not None:
            note = (
                _("The link works until %(until)s, and only for this.") % {"until": speak.day(until)}
                + " " + note
            )  # fmt: skip
        own = dict.fromkeys(topic.phrases.check for topic in topics if topic.phrases.check)
        return {
            "lang": speak.language,
            "brand": self.brand,
            "client": name,
            "items": items,
            "item": items[0] if items else {},
            "check": " ".join([check % {"account": account, "client": name}, *own]),
            "admin_pages": _admin_pages(topics),
            "elsewhere": any(item["first"] for item in items),
            "whom_to_ask": whom % {"support": support},
            "link_note": note,
            "reason": "",
            "reminds": False,
        }


def _admin_pages(topics: Sequence[Topic]) -> list[dict[str, str]]:
    """Return where administrators see which apps are connected, each page once."""
    pages = {topic.phrases.admin_page: one_line(topic.provider) for topic in topics}
    return [{"provider": provider, "url": page} for page, provider in pages.items() if page]


ASKS = {cause.value: row.asks for cause, row in TABLE.items() if row.asks}
SHORT = {cause.value: row.asks.short for cause, row in TABLE.items() if row.asks} | {
    "pending": "it was never connected",
    "expiring": "the permission ends on %(day)s",
    "campaign": "works; please approve again by %(day)s",
}


def _told(topic: Topic, speak: Tongue) -> dict[str, Any]:
    """Return one connection as templates use it, every text cleaned."""
    _ = speak.gettext
    provider = one_line(topic.provider)
    account = one_line(topic.account)
    day = speak.day(topic.expires_at) if topic.expires_at else ""
    short = _(SHORT.get(topic.cause, topic.cause)) % {"day": day}
    action = _("Reconnect %(provider)s")
    if topic.cause == "pending":
        action = _("Connect %(provider)s")
    elif topic.cause in ("expiring", "campaign"):
        action = _("Renew %(provider)s")
    asks = ASKS.get(topic.cause)
    first = _(asks.first) % {"provider": provider} if asks is not None and asks.first else ""
    said = topic.phrases
    return {
        "first": first,
        "leads_to": said.leads_to,
        "setting": said.setting if first else "",
        "setting_do": said.setting_do if first else "",
        "setting_page": said.setting_page if first else "",
        "client_id": one_line(topic.client_id),
        "refusal": one_line(topic.refusal, 300),
        "connection": topic.connection,
        "provider": provider,
        "cause": topic.cause,
        "title": f"{provider} – {account}" if account else provider,
        "account": account,
        "authorized_by": one_line(topic.authorized_by),
        "short": short,
        "since": speak.moment(topic.since) if topic.since else "",
        "day": day,
        "scopes": speak.join([one_line(scope.replace("_", " ")) for scope in topic.scopes]),
        "link": topic.link,
        "action": action % {"provider": provider},
        "contacts": one_line(topic.contacts, 500),
    }


def _wrapped(text: str) -> str:
    """Break long lines of text parts at 76, but never a link."""
    lines = []
    for line in text.strip().splitlines():
        if "://" in line or len(line) <= 76:
            lines.append(line.rstrip())
        else:
            indent = "  " if line.startswith(("*", "  ")) else ""
            lines += textwrap.wrap(
                line, 76, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
            )
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines))
