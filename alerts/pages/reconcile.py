"""Pages, brought in line with what on-call has to know: beside the mails, in the same outbox.

A page is a notice whose audience is the key of a matter and whose envelopes are channels. It is told once:
while it stands, no other is written for its key. When the matter is over for a while (`calm`), whoever was
paged is told so, by a notice of its own. A page that was not sent when its matter ends is taken back.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from alerts.outbox import notices
from alerts.outbox.notices import Draft, To
from alerts.outbox.tables import delivery, notice
from alerts.pages import told, truth, wording
from alerts.pages.matters import Matter
from alerts.pages.story import Slot
from alerts.pages.truth import Oncall, Seen
from alerts.rules import catalogue
from alerts.rules.alert import Severity
from monitor.store import incidents
from monitor.store.engine import Database
from monitor.store.retry import retried
from monitor.text.tomlfile import parse_duration

log = structlog.get_logger("alerts.pages")

_PAGES = tuple(alert.name for alert in catalogue.ALL if alert.severity is Severity.PAGE)


@retried
async def plan(database: Database, oncall: Oncall, now: datetime) -> None:
    """Bring the waiting pages in line with what is true: the timer's work."""
    async with database.write() as conn:
        await incidents.one_at_a_time(conn)
        await bring_in_line(conn, oncall, now)


async def bring_in_line(
    conn: AsyncConnection, oncall: Oncall, now: datetime, *, tickets: bool = True
) -> None:
    """Write the pages that should be waiting, and take back those that should not.

    Without `tickets` only pages are looked at: in a verdict's transaction there is no time for more.
    """
    if not oncall.routes:
        return
    seen = await truth.look(conn, oncall, now, tickets=tickets)
    waiting = {at: number for at, number in (await told.waiting(conn)).items() if tickets or _is_page(at[1])}
    paged = {key: number for key, number in (await told.paged(conn)).items() if tickets or _is_page(key)}
    for key, matter in seen.told.items():
        page, clear = waiting.pop((Slot.PAGE, key), None), waiting.pop((Slot.CLEAR, key), None)
        if clear is not None:  # back before anybody was told that it was over
            await notices.withdraw(conn, clear, "it is back", now)
        if key not in paged or await _again(conn, paged[key], matter, now):
            await _page(conn, oncall, matter, page, now)
        elif page is not None:
            await notices.withdraw(conn, page, "told already", now)
    for key in paged.keys() - seen.told.keys():
        await _end(conn, oncall, seen, key, paged[key], waiting.pop((Slot.CLEAR, key), None), now)
    for (slot, key), number in waiting.items():
        if slot is Slot.PAGE:
            await notices.withdraw(conn, number, seen.quiet.get(key, "over before it was told"), now)


async def _end(
    conn: AsyncConnection, oncall: Oncall, seen: Seen, key: str, page: int, clear: int | None, now: datetime
) -> None:
    """Tell that a page is over; one that is silent now, or part of something larger, is not."""
    if key in seen.quiet:
        await notices.stop_trying(conn, page, seen.quiet[key], now)  # what did not get out stays in
        if clear is not None:
            await notices.withdraw(conn, clear, seen.quiet[key], now)
    elif clear is None:
        await _clear(conn, page, key, now + oncall.calm, now)


def _alert(key: str) -> str:
    return key.partition("/")[0]


def _is_page(key: str) -> bool:
    return _alert(key) in _PAGES


async def _again(conn: AsyncConnection, page: int, matter: Matter, now: datetime) -> bool:
    if matter.alert.again is None:
        return False
    row = (await conn.execute(select(notice.c.state, notice.c.settled_at).where(notice.c.id == page))).one()
    return row.state in ("sent", "failed") and matter.unanswered(row.settled_at, now)


async def _page(
    conn: AsyncConnection, oncall: Oncall, matter: Matter, known: int | None, now: datetime
) -> None:
    try:
        document = wording.page(matter, oncall.runbooks)
        names = [route.name for route in oncall.routes if route.takes(matter)]
    except Exception as error:  # whatever is wrong with one page, the others are told
        log.error("oncall.unwritable", about=matter.key, why=type(error).__name__)
        return
    if known is not None:
        await conn.execute(update(notice).where(notice.c.id == known).values(matter=document))
        return
    if names:
        wait = parse_duration(matter.alert.wait) if matter.alert.wait != "0s" else timedelta(0)
        assert isinstance(wait, timedelta)  # noqa: S101 - for the type checker
        await write(conn, Slot.PAGE, matter.key, names, document, max(now, matter.since + wait), now)


async def _clear(conn: AsyncConnection, page: int, key: str, due_at: datetime, now: datetime) -> None:
    document = (await conn.execute(select(notice.c.matter).where(notice.c.id == page))).scalar_one()
    rows = await conn.execute(select(delivery.c.address).where(delivery.c.notice == page))
    await write(conn, Slot.CLEAR, key, list(rows.scalars()), document, due_at, now)


async def write(
    conn: AsyncConnection,
    slot: Slot,
    key: str,
    channels: Sequence[str],
    document: dict[str, Any],
    due_at: datetime,
    now: datetime,
) -> None:
    """Write a page, or the end of one, that waits until it is due."""
    draft = Draft(
        slot.value, _alert(key), key, tuple(channels), document["summary"], due_at, content=document
    )
    number = await notices.add(conn, draft, now)
    envelopes = [To(name, name, f"oncall.{number}.{name}") for name in channels]
    await notices.address(conn, number, envelopes, due_at)
