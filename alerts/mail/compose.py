"""Writes a mail: templates with what is to be told, in the client's language, as text and HTML.

MJML is compiled once, with its Jinja tags inside, and filled for each mail; so a client's name is escaped
where it stands in the finished HTML. Templates are sandboxed: an override may say what it likes and reach
nothing. A template of the operator's own folder comes before ours of the same name.
"""

from __future__ import annotations

import re
import textwrap
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import mjml
from jinja2 import BaseLoader, ChoiceLoader, FileSystemLoader, StrictUndefined, Template, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from alerts.language import Tongue, tongue
from alerts.notices import Kind
from monitor.errors import ConfigurationError
from monitor.health.causes import TABLE

HERE = Path(__file__).parent
PARTS = ("subject.txt", "body.txt", "body.mjml")
_INCLUDE = re.compile(r"<!--\s*include\s+(\w+)\s*-->")


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
class Subject:
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


@dataclass(frozen=True, slots=True)
class Written:
    """A mail as it is read."""

    subject: str
    text: str
    html: str


def clean(text: str, longest: int = 200) -> str:
    """Make a name harmless: one line, no control characters, nothing that turns the reading direction.

    Emoji and every script stay. The bidi controls of Unicode (UAX #9) could make what follows a name read
    as part of it.
    """
    text = unicodedata.normalize("NFC", text)
    kept = []
    for char in text:
        category = unicodedata.category(char)
        if category in ("Zl", "Zp", "Cc"):
            kept.append(" ")
        elif unicodedata.bidirectional(char) in _BIDI or char in _MARKS or category in ("Cs", "Co", "Cn"):
            continue
        else:
            kept.append(char)
    return " ".join("".join(kept).split())[:longest]


_BIDI = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
_MARKS = {"\u200e", "\u200f", "\u061c", "\ufeff", "\u200b", "\u2060"}


class Composer:
    """Writes mails with our templates, or those of `overrides` where it has them."""

    def __init__(self, brand: Brand, overrides: Path | None = None) -> None:
        self.brand = brand
        if overrides is not None and not overrides.is_dir():
            raise ConfigurationError(f"email.templates: {overrides} is no folder.")
        folders = [HERE] if overrides is None else [overrides, HERE]
        self._loader: BaseLoader = ChoiceLoader([FileSystemLoader(folder) for folder in folders])
        self._compiled: dict[Kind, str] = {}

    @cached_property
    def _text(self) -> ImmutableSandboxedEnvironment:
        return self._environment(autoescape=False)

    @cached_property
    def _html(self) -> ImmutableSandboxedEnvironment:
        return self._environment(autoescape=True)

    def _environment(self, *, autoescape: bool) -> ImmutableSandboxedEnvironment:
        # Text parts are plain text: HTML escapes would be read as they stand.
        return ImmutableSandboxedEnvironment(
            loader=self._loader,
            autoescape=autoescape,
            undefined=StrictUndefined,
            extensions=["jinja2.ext.i18n"],
            trim_blocks=False,
        )

    def source(self, name: str) -> str:
        """Return a template's text. Raises ConfigurationError where there is none."""
        try:
            return self._loader.get_source(self._text, name)[0]
        except TemplateError:
            raise ConfigurationError(f"{name}: there is no such mail template.") from None

    def check(self) -> None:
        """Compile every template. Raises ConfigurationError that names the one that does not."""
        for kind in Kind:
            self._mjml(kind)

    def write(
        self,
        kind: Kind,
        client: str,
        subjects: Sequence[Subject],
        locale: str,
        timezone: str,
        **more: object,
    ) -> Written:
        """Write a mail. Raises ConfigurationError where a template (an override) cannot be used."""
        speak = tongue(locale, timezone)
        context = self._context(client, subjects, speak) | more
        subject = self._fill(self._text, f"kinds/{kind.value}/subject.txt", context, speak)
        context["subject"] = clean(subject, 250)
        body = self._fill(self._text, f"kinds/{kind.value}/body.txt", context, speak)
        text = self._fill(self._text, "layout.txt", context | {"body": _wrapped(body)}, speak)
        html = self._render(self._html, self._mjml(kind), f"kinds/{kind.value}/body.mjml", context, speak)
        return Written(context["subject"], text.strip() + "\n", html)

    def _context(self, client: str, subjects: Sequence[Subject], speak: Tongue) -> dict[str, Any]:
        _ = speak.gettext
        name = clean(client)
        items = [_told(subject, speak) for subject in subjects]
        first = subjects[0] if subjects else None
        account = clean(first.account) if first is not None and len(subjects) == 1 else ""
        if account:
            check = _("Please make sure that you are signed in to the right account: %(account)s.")
        else:
            check = _("Please make sure that you are signed in to the account of %(client)s.")
        support = clean(self.brand.support)
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
        return {
            "lang": speak.language,
            "brand": self.brand,
            "client": name,
            "items": items,
            "item": items[0] if items else {},
            "check": check % {"account": account, "client": name},
            "whom_to_ask": whom % {"support": support},
            "link_note": note,
            "reason": "",
        }

    def _mjml(self, kind: Kind) -> str:
        """Return a kind's HTML with its Jinja tags, compiled once."""
        if kind not in self._compiled:
            name = f"kinds/{kind.value}/body.mjml"
            body = _INCLUDE.sub(lambda m: self.source(f"parts/{m.group(1)}.mjml"), self.source(name))
            body = _INCLUDE.sub(lambda m: self.source(f"parts/{m.group(1)}.mjml"), body)
            # Jinja's own statements stand outside of MJML's elements, which would drop them.
            settings = "".join(re.findall(r"{%-?\s*set .*?%}", body))
            body = re.sub(r"{%-?\s*set .*?%}", "", body)
            whole = self.source("layout.mjml").replace("<!-- body -->", body)
            try:
                self._compiled[kind] = settings + mjml.mjml2html(whole)
            except Exception as error:
                raise ConfigurationError(f"{name}: this MJML does not compile: {error}") from None
        return self._compiled[kind]

    def _fill(
        self, env: ImmutableSandboxedEnvironment, name: str, context: Mapping[str, Any], speak: Tongue
    ) -> str:
        return self._render(env, self.source(name), name, context, speak)

    def _render(
        self,
        env: ImmutableSandboxedEnvironment,
        source: str,
        name: str,
        context: Mapping[str, Any],
        speak: Tongue,
    ) -> str:
        env.install_gettext_callables(speak.gettext, speak.ngettext, newstyle=True)  # type: ignore[attr-defined]
        try:
            template: Template = env.from_string(source)
            return template.render(context)
        except TemplateError as error:
            line = getattr(error, "lineno", None)
            where = f"{name}, line {line}" if line else name
            raise ConfigurationError(f"{where}: this mail template cannot be used: {error}") from None


_SHORT = {cause.value: row.asks.short for cause, row in TABLE.items() if row.asks} | {
    "pending": "it was never connected",
    "expiring": "the permission ends on %(day)s",
}


def _told(subject: Subject, speak: Tongue) -> dict[str, Any]:
    """Return one connection as templates use it, every text cleaned."""
    _ = speak.gettext
    provider = clean(subject.provider)
    account = clean(subject.account)
    day = speak.day(subject.expires_at) if subject.expires_at else ""
    short = _(_SHORT.get(subject.cause, subject.cause)) % {"day": day}
    action = _("Reconnect %(provider)s")
    if subject.cause == "pending":
        action = _("Connect %(provider)s")
    elif subject.cause == "expiring":
        action = _("Renew %(provider)s")
    return {
        "connection": subject.connection,
        "provider": provider,
        "cause": subject.cause,
        "title": f"{provider} – {account}" if account else provider,
        "account": account,
        "short": short,
        "since": speak.moment(subject.since) if subject.since else "",
        "day": day,
        "scopes": speak.join([clean(scope.replace("_", " ")) for scope in subject.scopes]),
        "link": subject.link,
        "action": action % {"provider": provider},
        "contacts": clean(subject.contacts, 500),
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
