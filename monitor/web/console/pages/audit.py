"""The audit: who did what, when, over which door, and from where."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NamedTuple
from urllib.parse import urlencode

from monitor.errors import ConfigurationError
from monitor.operations import audit, records
from monitor.operations.actor import Right
from monitor.web.console.answers import Sent, Shown
from monitor.web.console.declared import page
from monitor.web.console.texts import gettext
from monitor.web.console.visit import Visit

A_PAGE = 50
FIELDS = ("actor", "action", "subject", "since", "until")


class Asked(NamedTuple):
    """What is asked of the audit; days are whole ones of UTC."""

    by: str
    action: str
    subject: str
    since: datetime | None
    until: datetime | None


@page("/audit", Right.AUDIT_READ)
async def show_audit(visit: Visit) -> Shown:
    """Show who did what, newest first."""
    asked = _asked(visit)
    found = await audit.page(visit.parts, visit.actor, A_PAGE, before=_before(visit), **asked._asdict())
    rows = [_row(visit, one) for one in found.lines]
    given = {name: visit.query.get(name, "").strip() for name in FIELDS}
    return Shown(
        "audit.html.j2",
        gettext("Who did what"),
        "/audit",
        rows=rows,
        given=given,
        filtered=any(given.values()),
        first=_url(visit) if "before" in visit.query else "",
        after=_url(visit, before=str(found.before)) if found.before is not None else "",
        csv_url=_url(visit).replace("/audit", "/audit.csv", 1),
        csv_most=audit.MOST,
    )


@page("/audit.csv", Right.AUDIT_READ)
async def save_audit(visit: Visit) -> Sent:
    """Send the same lines as CSV."""
    text = await audit.as_csv(visit.parts, visit.actor, **_asked(visit)._asdict())
    return Sent(text, "text/csv", "audit.csv")


def _asked(visit: Visit) -> Asked:
    until = _day(visit, "until")
    return Asked(
        visit.query.get("actor", "").strip(),
        visit.query.get("action", "").strip(),
        visit.query.get("subject", "").strip(),
        _day(visit, "since"),
        until + timedelta(days=1) if until is not None else None,
    )


def _day(visit: Visit, name: str) -> datetime | None:
    given = visit.query.get(name, "").strip()
    if not given:
        return None
    try:
        on = date.fromisoformat(given)
    except ValueError:
        raise ConfigurationError(gettext("A day is written as 2026-12-24.")) from None
    if on.year >= 9999:
        raise ConfigurationError(gettext("That day is beyond the years that there are."))
    return datetime.combine(on, time(), UTC)


def _before(visit: Visit) -> int | None:
    given = visit.query.get("before", "")
    if not given:
        return None
    if not (given.isascii() and given.isdecimal() and len(given) <= 18):
        raise ConfigurationError(gettext("This page of the list is none; begin with the first."))
    return int(given)


def _url(visit: Visit, **other: str) -> str:
    pairs = sorted((name, value) for name in FIELDS if (value := visit.query.get(name, "").strip()))
    pairs += [(name, value) for name, value in other.items() if value]
    return f"/audit?{urlencode(pairs)}" if pairs else "/audit"


def _row(visit: Visit, line: Any) -> dict[str, Any]:
    """Return a line as it is shown; addresses as whoever asks may see them."""
    shown = records.for_eyes(visit.actor, records.entry(line))
    return {
        "at": line.at,
        "actor": line.actor,
        "action": line.action,
        "subject": line.subject,
        "from": shown["from"] or "",
        "request": shown["request_id"] or "",
        "detail": [
            (name, _said(value)) for name, value in shown["detail"].items() if value not in (None, "", [])
        ],
        "href": f"/audit?{urlencode({'subject': line.subject})}",
    }


def _said(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_said, value))
    if isinstance(value, dict):
        return ", ".join(f"{name} {_said(one)}" for name, one in value.items())
    return str(value)
