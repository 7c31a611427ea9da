"""Who did what and when, as the audit has it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from monitor.operations.actor import Actor, Right
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
) -> Page:
    """Return lines about a subject, by somebody, of one action, since a time; all without.

    Who is restricted sees the lines about connections that there are for them.
    """
    actor.needs(Right.AUDIT_READ)
    found = await audit.page(
        parts.database, limit + 1, before=before, subject=subject, actor=by, action=action, since=since,
        only=actor.only,
    )  # fmt: skip
    more = len(found) > limit
    return Page([line for _, line in found[:limit]], found[limit - 1][0] if more else None)
