"""Every kind of mail with a client that could be real: for previews, `doctor`, and tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from alerts.mails.compose import Composer, Topic, Written
from alerts.mails.standing import Kind
from monitor.health.causes import TABLE
from monitor.providers.phrases import Phrases

SENTENCE = "The provider replaces its broad permissions by finer ones in September 2027."
CLIENT = "Whitfield & Moreau LLP"
TIMEZONES = {"en": "America/New_York", "de": "Europe/Berlin", "fr": "Europe/Paris", "es": "Europe/Madrid"}
# What a client may be asked to mend: cause and mail; one of them, and another that is about permissions.
_ASKED = {cause.value: row.asks.mail for cause, row in TABLE.items() if row.asks is not None}
_ELSEWHERE = {cause.value for cause, row in TABLE.items() if row.asks is not None and row.asks.first}
_REFUSAL = "HTTP 400 invalid_grant “blocked by policy”"
_SETTING = Phrases(
    setting="Access for third-party apps",
    setting_page="https://admin.example.com/security/apps",
    setting_do="Set this app to “Trusted”.",
)
_SOME = next(iter(_ASKED))
_OTHER = next(cause.value for cause, row in TABLE.items() if row.asks is not None and row.about_scopes)


def sample(composer: Composer, kind: str, locale: str, now: datetime, client: str = CLIENT) -> Written:
    """Write a kind as a client of this locale would get it."""
    topics, more = _content(kind, now)
    return composer.write(
        kind, client, topics, locale, TIMEZONES.get(locale.split("_", maxsplit=1)[0], "UTC"), **more
    )


def _content(kind: str, now: datetime) -> tuple[list[Topic], Mapping[str, Any]]:
    first = Topic(
        connection="whitfield-clio",
        provider="Clio Manage",
        cause=next((cause for cause, mail in _ASKED.items() if mail == kind), kind),
        account="Whitfield & Moreau",
        since=now - timedelta(hours=3),
        scopes=("matters", "calendar_entries"),
        link="https://integrations.example.com/r/not-a-real-link",
        link_until=now + timedelta(days=14),
        authorized_by="k.moreau@whitfield.example",
    )
    second = replace(first, connection="whitfield-clio-eu", account="Whitfield & Moreau Europe")
    match kind:
        case Kind.DIGEST:
            return [replace(first, cause=_SOME), replace(second, cause=_OTHER)], {}
        case Kind.REMINDER:
            return [replace(first, cause=_SOME, since=now - timedelta(days=2))], {}
        case Kind.EXPIRING_SOON:
            return [replace(first, cause="expiring", since=None, expires_at=now + timedelta(days=7))], {}
        case Kind.CAMPAIGN:
            by = now + timedelta(days=200)
            return [replace(first, cause="campaign", since=None, expires_at=by)], {"reason": SENTENCE}
        case Kind.FIRST_AUTHORIZATION:
            return [replace(first, cause="pending", account="", since=None, authorized_by="")], {}
        case Kind.RESOLVED:
            return [replace(first, cause="ok", since=now)], {}
        case Kind.HANDOVER:
            contacts = "it@whitfield.example"
            return [replace(first, cause=_SOME, contacts=contacts)], {
                "reason": "the last reminder had no effect"
            }
        case Kind.FUSE:
            return [], {"reason": "74 first mails want out, the cap is 30"}
        case Kind.ACCESS:
            return [], {"reason": "the key 'middleware' may now read access tokens of every connection"}
        case _ if first.cause in _ELSEWHERE:
            return [replace(first, client_id="th-1f09c2", refusal=_REFUSAL, phrases=_SETTING)], {}
        case _:
            return [first], {}
