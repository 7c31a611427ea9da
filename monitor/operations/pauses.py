"""What people say with a pause: until when, and why; and what is on record of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from monitor.errors import Invalid
from monitor.health.listing import Listed
from monitor.health.pauses import LONGEST, Pause
from monitor.settings.parts import Parts
from monitor.store import audit
from monitor.store.connections import Known
from monitor.text.names import one_line, unprintable

LONGEST_REASON = 300


def ending(now: datetime, length: timedelta | None, until: datetime | None) -> datetime | None:
    """Return when a pause is over that takes so long, or lasts until then; None: when somebody resumes it.

    Raises Invalid, which names the one of the two that cannot be.
    """
    end = end_of(now, length, until)
    if end is not None and end > now + LONGEST:
        said = f"is more than {LONGEST.days} days ahead; without an end it lasts until somebody resumes it"
        raise Invalid("for" if length is not None else "until", said)
    return end


def end_of(now: datetime, length: timedelta | None, until: datetime | None) -> datetime | None:
    """Return when something is over that takes so long, or lasts until then. Raises Invalid."""
    if length is not None and until is not None:
        raise Invalid("until", "is not given beside `for`")
    if length is not None and length <= timedelta(0):
        raise Invalid("for", "is no length of time")
    if until is not None and until <= now:
        raise Invalid("until", "is over already")
    try:
        return now + length if length is not None else until
    except OverflowError:
        raise Invalid("for", "is longer than there is time") from None


def reason_of(given: str) -> str:
    """Read a reason. Raises Invalid."""
    if len(given.strip()) > LONGEST_REASON or unprintable(given.strip()) is not None:
        raise Invalid("reason", f"is one line of {LONGEST_REASON} characters at most")
    return one_line(given, LONGEST_REASON)


async def of(parts: Parts, known: Iterable[Known | Listed]) -> dict[str, Pause]:
    """Return what is on record of each connection that a person paused, by id."""
    until = {one.id: one.paused_until for one in known if one.paused}
    said = await audit.newest(parts.database, {"connection.pause"}, list(until)) if until else {}
    return {name: _pause(said.get(name), end) for name, end in until.items()}


async def last(parts: Parts, ids: Sequence[str]) -> dict[str, Pause]:
    """Return how each connection was paused last, by id, whether it is paused now or not."""
    said = await audit.newest(parts.database, {"connection.pause"}, ids)
    found = {}
    for name in ids:
        end = said[name].detail.get("until") if name in said else None
        found[name] = _pause(said.get(name), datetime.fromisoformat(end) if end else None)
    return found


def _pause(said: audit.Entry | None, until: datetime | None) -> Pause:
    return Pause(said.actor, until, str(said.detail.get("reason", ""))) if said else Pause(until=until)
