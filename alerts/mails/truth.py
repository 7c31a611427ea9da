"""What is true of clients, from the store's published facts, and what they were told, from the outbox."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import Row, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from alerts.mails.standing import Case, Client, Said, Slot, Standing
from alerts.mails.voice import Voice
from alerts.outbox import notices
from alerts.outbox.tables import delivery, notice, notice_item
from alerts.silences import silences
from alerts.silences.windows import Scope, Silenced, first_over
from monitor.health.breaks import DROPPED, IN_DOUBT, IN_TROUBLE, RELEASED
from monitor.health.causes import Cause, Owner
from monitor.health.incidents import OUR_NETWORK, About, Place
from monitor.health.lifecycle import State
from monitor.store import campaigns, incidents, processes, published
from monitor.store.published import Published
from monitor.text import addresses

log = structlog.get_logger("alerts.mails")


async def clients_to_look_at(conn: AsyncConnection, voice: Voice, now: datetime) -> set[str]:
    """Return the clients that something might have to be said to: what the timer looks at."""
    lately = now - voice.policy.thanks
    soon = now + max(voice.policy.expiry, default=timedelta(0))
    waiting = select(notice.c.client).where(notice.c.state == "waiting", notice.c.client != "")
    found = set((await conn.execute(waiting.distinct())).scalars())
    found |= await published.clients_broken(conn, lately)
    found |= await campaigns.clients_asked(conn)
    found |= await published.clients_invited(conn, notices.about_no_incident(), lately)
    return found | await published.clients_running_out(conn, soon, voice.lifetimes)


def say_unplanned(connections: Sequence[str], error: Exception) -> None:
    """Log that what is true of these connections cannot be planned for."""
    detail = " ".join(str(error).split())[:200]
    log.error("mail.unplanned", connections=connections[:10], error=type(error).__name__, detail=detail)


async def stand(
    conn: AsyncConnection,
    clients: Sequence[str],
    voice: Voice,
    now: datetime,
    *,
    without: Collection[int] = (),
) -> dict[str, Standing]:
    """Return how these clients stand, by the hash of who is told; as if `without` had not been said."""
    rows = await published.standing(conn, clients)
    silent = await silences.holding(conn, voice.windows, now)
    healed = await published.healed(conn, [row.id for row in rows], now - voice.policy.thanks)
    asked = await campaigns.parts_of(conn, [row.id for row in rows])
    troubled = await incidents.troubled(conn) if asked else frozenset()
    told = await _told(conn, [row.id for row in rows], now)
    several = await processes.probing(conn) > 1
    groups: dict[str, list[Published]] = defaultdict(list)
    for row in rows:
        groups[audience(row.client, row.contacts, row.locale, row.timezone)].append(row)
    found = {}
    for key, members in groups.items():
        first = members[0]
        said = {number: one for row in members for number, one in told.get(row.id, {}).items()}
        client = Client(first.client, first.contacts, first.locale, first.timezone)
        try:
            cases = tuple(
                replace(
                    _case(row, silent, healed.get(row.id, ()), voice, several),
                    campaign=asked.get(row.id),
                    campaign_waits=in_trouble(Place(row.app, row.provider, row.region), troubled),
                )
                for row in members
            )
        except Exception as error:  # a row that this version cannot read
            say_unplanned([row.id for row in members], error)
            found[key] = Standing(client, (), (), fault=True)
            continue
        found[key] = Standing(
            client, cases, tuple(said[number] for number in sorted(said) if number not in without)
        )
    return found


def audience(name: str, contacts: Sequence[str], locale: str, timezone: str) -> str:
    """Return what identifies those who are told together."""
    text = json.dumps([name, sorted(addresses.mailbox(to) for to in contacts), locale, timezone])
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _case(
    row: Published,
    silent: Sequence[Silenced],
    healed: tuple[tuple[int, datetime], ...],
    voice: Voice,
    several: bool,
) -> Case:
    expires_at, lives_for = _expiry(row, voice)
    silence = first_over(silent, Scope(row.provider, row.app, row.client, row.id)) if silent else None
    quiet = silence.sentence if silence is not None else ""
    if row.app not in voice.apps:
        quiet = f"Nobody looks at it: app {row.app} is not configured."
    return Case(
        connection=row.id,
        state=State(row.state),
        cause=Cause(row.cause),
        owner=Owner(row.owner),
        incident=row.incident,
        opened_at=row.opened_at,
        changed_at=row.updated_at,
        certain=row.certain,
        authorized=row.authorized,
        probed_at=row.last_probe_at,
        seen_by_one=several and _seen_by_one(row),
        held=_held(row),
        doubted=row.waits == IN_DOUBT,
        dropped=row.mails == DROPPED,
        released_at=row.parent_closed if row.wave and row.mails == RELEASED else None,
        silenced=quiet,
        waits=row.waits_for_person,
        claimed_until=row.claim.until if row.claim is not None else None,
        healed=healed,
        authorized_at=row.authorized_at,
        expires_at=expires_at,
        lives_for=lives_for,
    )


def in_trouble(place: Place, troubled: Collection[About]) -> bool:
    """Whether something that a connection shares with others is in trouble: no campaign asks for it now."""
    return OUR_NETWORK in troubled or any(group in troubled for group in place.groups())


def _seen_by_one(row: Published) -> bool:
    """Whether no other process was asked to look since it broke, or none has looked since it was asked."""
    asked = row.others_asked_at
    return row.opened_at is not None and (
        asked is None or asked < row.opened_at or row.last_probe_at is None or row.last_probe_at <= asked
    )


def _held(row: Published) -> bool:
    """Whether a wave, or its provider's trouble, keeps the first word about a break back."""
    if row.told_at is not None or row.mails:
        return False
    return (row.wave and row.parent_closed is None) or row.waits == IN_TROUBLE


def _expiry(row: Published, voice: Voice) -> tuple[datetime | None, timedelta | None]:
    """When the authorization ends whatever is done, and how long it lasts in all."""
    lifetime = voice.lifetimes.get(row.app)
    if row.grant_ends_at is not None:
        return row.grant_ends_at, row.grant_ends_at - row.authorized_at if row.authorized_at else lifetime
    if lifetime is not None and row.authorized_at is not None:
        return row.authorized_at + lifetime, lifetime
    if not row.renews and row.access_expires_at is not None:
        return row.access_expires_at, row.access_expires_at - row.issued_at if row.issued_at else None
    return None, None


_SAID = ("sending", "sent", "failed")


async def _told(conn: AsyncConnection, ids: Sequence[str], now: datetime) -> dict[str, dict[int, Said]]:
    """Return by connection what was said about it, or is being said at this moment.

    What is on its way counts as said now, however long it takes: nobody is reminded of what did not arrive.
    What a person asked for counts as said already while it waits: no rule says it again beside it.
    """
    mine = select(notice_item.c.notice).where(notice_item.c.connection.in_(ids))
    asked_for = (notice.c.state == "waiting") & notice.c.requested_by.is_not(None)
    rows = await conn.execute(
        select(notice, notice_item)
        .join(notice_item, notice_item.c.notice == notice.c.id)
        .where(notice.c.id.in_(mine), or_(notice.c.state.in_(_SAID), asked_for))
        .order_by(notice.c.id)
    )
    by_notice: dict[int, list[Row[Any]]] = defaultdict(list)
    for row in rows:
        by_notice[row.id].append(row)
    sent = await _sent(conn, by_notice)
    found: dict[str, dict[int, Said]] = defaultdict(dict)
    for number, items in by_notice.items():
        said = _said(items, sent.get(number, ()), now)
        for item in items:
            found[item.connection][number] = said
    return found


async def _sent(conn: AsyncConnection, numbers: Collection[int]) -> dict[int, list[tuple[str, str]]]:
    """Return the envelopes of notices: address and state."""
    found: dict[int, list[tuple[str, str]]] = defaultdict(list)
    if numbers:
        rows = await conn.execute(
            select(delivery.c.notice, delivery.c.address, delivery.c.state).where(
                delivery.c.notice.in_(list(numbers))
            )
        )
        for number, to, state in rows:
            found[number].append((to, state))
    return found


def _said(rows: Sequence[Row[Any]], sent: Sequence[tuple[str, str]], now: datetime) -> Said:
    first = rows[0]
    states = [state for _, state in sent]
    arrived: bool | None = True
    if first.state == "failed":
        arrived = False
    elif states and "sent" not in states and "unconfirmed" in states:
        arrived = None
    return Said(
        slot=Slot(first.slot),
        at=now if first.state == "sending" else first.settled_at or first.due_at,
        about={row.connection: row.incident for row in rows},
        number=first.number,
        arrived=arrived,
        why=first.outcome if arrived is False else "",
        addresses=tuple(to for to, state in sent if state in ("sent", "unconfirmed")),
        expiries={row.connection: row.since for row in rows if first.slot == Slot.EXPIRING and row.since},
        campaign=(first.matter or {}).get("campaign", "") if first.slot == Slot.CAMPAIGN else "",
    )
