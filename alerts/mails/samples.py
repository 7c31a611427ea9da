"""Every kind of mail with a client that could be real: for previews, `doctor`, and tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from alerts.mails.compose import Composer, Subject, Written
from alerts.mails.notices import Kind

CLIENT = "Whitfield & Moreau LLP"
TIMEZONES = {"en": "America/New_York", "de": "Europe/Berlin", "fr": "Europe/Paris", "es": "Europe/Madrid"}


def sample(composer: Composer, kind: Kind, locale: str, now: datetime, client: str = CLIENT) -> Written:
    """Write a kind as a client of this locale would get it."""
    subjects, more = _content(kind, now)
    return composer.write(
        kind, client, subjects, locale, TIMEZONES.get(locale.split("_", maxsplit=1)[0], "UTC"), **more
    )


def _content(kind: Kind, now: datetime) -> tuple[list[Subject], Mapping[str, Any]]:
    first = Subject(
        connection="whitfield-clio",
        provider="Clio Manage",
        cause=kind.value,
        account="Whitfield & Moreau",
        since=now - timedelta(hours=3),
        scopes=("matters", "calendar_entries"),
        link="https://integrations.example.com/r/not-a-real-link",
        link_until=now + timedelta(days=14),
    )
    second = replace(first, connection="whitfield-clio-eu", account="Whitfield & Moreau Europe")
    match kind:
        case Kind.DIGEST:
            return [replace(first, cause="revoked"), replace(second, cause="insufficient_scope")], {}
        case Kind.REMINDER:
            return [replace(first, cause="revoked", since=now - timedelta(days=2))], {}
        case Kind.EXPIRING_SOON:
            return [replace(first, cause="expiring", since=None, expires_at=now + timedelta(days=7))], {}
        case Kind.FIRST_AUTHORIZATION:
            return [replace(first, cause="pending", account="", since=None)], {}
        case Kind.RESOLVED:
            return [replace(first, cause="ok", since=now)], {}
        case Kind.HANDOVER:
            contacts = "it@whitfield.example"
            return [replace(first, cause="revoked", contacts=contacts)], {
                "reason": "the last reminder had no effect"
            }
        case Kind.FUSE:
            return [], {"reason": "74 first mails want out, the cap is 30"}
        case _:
            return [first], {}
