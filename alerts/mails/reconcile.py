"""The waiting notices, brought in line with what is true.

`bring_in_line` is called in the transaction of a verdict for the clients it changed, by the timer for all
clients with something open, and once more before a notice is sent. It plans (`mails.plan`), compares with
the waiting notices, and writes the difference: new ones, changed ones, and those taken back.
"""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from alerts.mails import truth
from alerts.mails.plan import Wish, plan
from alerts.mails.standing import TO_OPERATOR, Client, Slot, Standing
from alerts.mails.story import CHANNEL
from alerts.mails.voice import Voice
from alerts.outbox import notices
from alerts.outbox.envelope import Item
from alerts.outbox.notices import Draft, To
from alerts.outbox.tables import notice, notice_item
from monitor.health import events as said
from monitor.health.events import Type
from monitor.store import events, incidents
from monitor.store.engine import Database
from monitor.store.retry import retried
from monitor.text import addresses


@retried
async def plan_all(database: Database, voice: Voice, now: datetime) -> int:
    """Bring every client's waiting notices in line with what is true: the timer's work.

    Return for how many clients that was not possible.
    """
    async with database.write() as conn:
        await incidents.one_at_a_time(conn)
        return await bring_in_line(conn, await truth.clients_to_look_at(conn, voice, now), voice, now)


async def bring_in_line(conn: AsyncConnection, clients: Collection[str], voice: Voice, now: datetime) -> int:
    """Plan for these clients, and write what should be waiting; return for how many that was not possible.

    What is wrong with one client leaves its notices as they are, and stops no other.
    """
    names, failed = sorted(clients), 0
    for start in range(0, len(names), 200):
        part = names[start : start + 200]
        standing = await truth.stand(conn, part, voice, now)
        waiting = await _waiting(conn, part)
        for key, known in standing.items():
            mine, wishes = waiting.pop(key, {}), _wishes(known, voice, now)
            if wishes is None:
                failed += 1
                continue
            await _write(conn, known.client, key, wishes, mine, voice, now)
        for rows in waiting.values():  # the client's contacts, language or connections are others now
            for row in rows.values():
                await notices.withdraw(conn, row.id, "the client's contacts changed", now)
    return failed


def _wishes(known: Standing, voice: Voice, now: datetime) -> tuple[Wish, ...] | None:
    if known.fault:
        return None
    try:
        return plan(known.client, known.cases, known.said, voice.policy, now)
    except Exception as error:
        truth.say_unplanned([case.connection for case in known.cases], error)
        return None


@dataclass(frozen=True, slots=True)
class _Waiting:
    id: int
    kind: str
    due_at: datetime
    number: int
    items: frozenset[Item]
    matter: dict[str, Any] | None


async def _waiting(conn: AsyncConnection, clients: Sequence[str]) -> dict[str, dict[Slot, _Waiting]]:
    rows = (
        await conn.execute(
            select(notice, notice_item)
            .join(notice_item, notice_item.c.notice == notice.c.id)
            .where(notice.c.client.in_(clients), notice.c.state == "waiting", notice.c.requested_by.is_(None))
        )
    ).all()
    items: dict[int, set[Item]] = defaultdict(set)
    for row in rows:
        items[row.id].add(Item(row.connection, row.incident, row.cause, row.since))
    found: dict[str, dict[Slot, _Waiting]] = defaultdict(dict)
    for row in rows:
        found[row.audience][Slot(row.slot)] = _Waiting(
            row.id, row.kind, row.due_at, row.number, frozenset(items[row.id]), row.matter
        )
    return found


async def _write(
    conn: AsyncConnection,
    client: Client,
    key: str,
    wishes: Sequence[Wish],
    waiting: dict[Slot, _Waiting],
    voice: Voice,
    now: datetime,
) -> None:
    for wish in wishes:
        known = waiting.pop(wish.slot, None)
        if known is None:
            await write_new(conn, client, key, wish, voice, now)
        elif (known.items, known.kind, known.due_at, known.number, known.matter) != (
            frozenset(wish.items), wish.kind, wish.due_at, wish.number, wish.matter,
        ):  # fmt: skip
            matter = {} if wish.matter is None else {"matter": wish.matter}
            await notices.rewrite(
                conn, known.id, wish.items,
                kind=wish.kind, due_at=wish.due_at, number=wish.number, reason=wish.reason, **matter,
            )  # fmt: skip
    for gone in waiting.values():
        await notices.withdraw(conn, gone.id, "no longer true, or held", now)


async def write_new(
    conn: AsyncConnection,
    client: Client,
    key: str,
    wish: Wish,
    voice: Voice,
    now: datetime,
    requested_by: str | None = None,
) -> int:
    """Write a notice with its items and envelopes."""
    to_operator = wish.slot in TO_OPERATOR
    if to_operator:
        recipients: tuple[str, ...] = (voice.operator,) if voice.operator else ()
    else:
        recipients = wish.to or client.contacts
    draft = Draft(
        wish.slot.value,
        wish.kind,
        key,
        recipients,
        wish.reason,
        wish.due_at,
        client=client.name,
        locale="en" if to_operator else client.locale,
        timezone="UTC" if to_operator else client.timezone,
        number=wish.number,
        requested_by=requested_by,
        content=wish.matter,
        items=wish.items,
    )
    number = await notices.add(conn, draft, now)
    envelopes = [
        To(CHANNEL, to, f"<th.{number}.{secrets.token_hex(8)}@{voice.domain}>")
        for to in addresses.once(recipients)
    ]
    await notices.address(conn, number, envelopes, wish.due_at)
    if wish.slot is Slot.EXPIRING:
        ends = {item.connection: {"expires_at": said.moment(item.since)} for item in wish.items}
        await events.concerned(conn, Type.EXPIRING, ends, now)
    return number
