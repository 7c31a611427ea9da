"""Who did what and when, as the audit has it."""

from __future__ import annotations

import contextlib
import csv
import io
import json
from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from monitor.operations.actor import Actor, Right
from monitor.operations.table import harmless
from monitor.settings.parts import Parts
from monitor.store import audit
from monitor.store.audit import Entry


@contextlib.contextmanager
def asked_by(address: str, request: str) -> Iterator[None]:
    """Have every line that is written meanwhile say where the request came from, and its id."""
    token = audit.REQUEST.set({"from": address, "request_id": request})
    try:
        yield
    finally:
        audit.REQUEST.reset(token)


MOST = 10_000  # lines of a file
_COLUMNS = ("at", "actor", "action", "subject", "from", "request_id", "detail")


class Page(NamedTuple):
    """Some lines, newest first. The next page is that `before` the number, None after the last."""

    lines: list[Entry]
    before: int | None


async def page(
    parts: Parts,
    actor: Actor,
    limit: int,
    *,
    before: int | None = None,
    subject: str = "",
    by: str = "",
    action: str = "",
    since: datetime | None = None,
    until: datetime | None = None,
) -> Page:
    """Return lines about a subject, by somebody, of one action, since a time and before another; all without.

    Who is restricted sees the lines about connections that there are for them.
    """
    actor.needs(Right.AUDIT_READ)
    found = await audit.page(
        parts.database, limit + 1, before=before, subject=subject, actor=by, action=action, since=since,
        until=until, only=actor.only,
    )  # fmt: skip
    more = len(found) > limit
    return Page([line for _, line in found[:limit]], found[limit - 1][0] if more else None)


async def as_csv(
    parts: Parts,
    actor: Actor,
    *,
    subject: str = "",
    by: str = "",
    action: str = "",
    since: datetime | None = None,
    until: datetime | None = None,
) -> str:
    """Return what `page` does as CSV, the newest 10,000 lines; no cell of it is a formula."""
    actor.needs(Right.AUDIT_READ)
    text, before, left = io.StringIO(), None, MOST
    writer = csv.writer(text)
    writer.writerow(_COLUMNS)
    while left > 0:
        found = await page(
            parts, actor, min(left, 500), before=before, subject=subject, by=by, action=action, since=since,
            until=until,
        )  # fmt: skip
        writer.writerows(_cells(line) for line in found.lines)
        left -= len(found.lines)
        if (before := found.before) is None:
            break
    return text.getvalue()


def _cells(line: Entry) -> list[object]:
    detail = dict(line.detail)
    known = [str(detail.pop(name, None) or "") for name in ("from", "request_id")]
    rest = json.dumps(detail, ensure_ascii=False, sort_keys=True) if detail else ""
    at = line.at.isoformat(timespec="seconds").replace("+00:00", "Z")
    cells = (at, line.actor, line.action, line.subject, *known, rest)
    return [harmless(cell) for cell in cells]
