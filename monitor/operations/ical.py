"""The calendar as other calendars read it: iCalendar (RFC 5545), one event an end.

Events keep their UID while their moment moves, so whoever subscribed sees one that moved and not another.
Nothing secret and no address is in it: what ends, of which connection, app, provider or key, and who acts.
"""

from __future__ import annotations

from collections.abc import AsyncIterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from monitor.health.calendar import Entry, Kind, uid
from monitor.operations import calendar
from monitor.operations.actor import Actor, Right
from monitor.operations.calendar import Asked
from monitor.settings.parts import Parts

if TYPE_CHECKING:
    from icalendar import Event

MEDIA = "text/calendar"
MOST = 2000  # events of a file: the soonest
AGAIN = timedelta(hours=1)  # how often a calendar that subscribed may ask
_WHOLE_DAYS = frozenset({Kind.CLIENT_SECRET, Kind.PROVIDER_END})


async def written(parts: Parts, actor: Actor, asked: Asked) -> bytes:
    """Return the calendar as a file; of everybody who acts, unless it is said whose: the soonest 2,000."""
    actor.needs(Right.CONNECTIONS_READ)
    needs = asked.needs or calendar.WHO_ACTS
    entries = calendar.every(parts, actor, replace(asked, needs=needs), MOST)
    host = urlsplit(parts.loaded.settings.web.public_url).hostname or "token-health"
    return await _file(entries, host, parts.clock.now())


async def _file(entries: AsyncIterable[Entry], host: str, now: datetime) -> bytes:
    from icalendar import Calendar  # a fifth of a second, and of use to this alone

    found = Calendar()
    found.add("prodid", "-//Token Health//Calendar//EN")
    found.add("version", "2.0")
    found.add("name", "Token Health: what ends")  # RFC 7986 5.1, and as clients knew it before
    found.add("x-wr-calname", "Token Health: what ends")
    found.add("refresh-interval", AGAIN, parameters={"VALUE": "DURATION"})
    async for entry in entries:
        found.add_component(_event(entry, host, now))
    return bytes(found.to_ical())


def _event(entry: Entry, host: str, now: datetime) -> Event:
    from icalendar import Event

    event = Event()
    event.add("uid", f"{uid(entry)}@{host}")
    event.add("dtstamp", now.replace(microsecond=0))
    event.add("dtstart", entry.at.date() if entry.kind in _WHOLE_DAYS else entry.at.replace(microsecond=0))
    event.add("summary", entry.title)
    event.add("description", _text(entry))
    event.add("categories", [entry.kind.value])
    event.add("transp", "TRANSPARENT")
    if entry.page:
        event.add("url", entry.page)
    return event


def _text(entry: Entry) -> str:
    lines = [entry.what]
    if entry.connections is not None:
        lines.append(f"Connections: {entry.connections}.")
    if entry.prevented_by is not None:
        lines.append(f"Prevented at {entry.prevented_by.at:%Y-%m-%d %H:%M} UTC: {entry.prevented_by.what}")
    lines.append(f"Who acts: {entry.needs.value}.")
    return "\n".join(lines)
