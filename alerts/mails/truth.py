"""What is true and what was told, read from the database; and the waiting notices brought in line with it.

`bring_in_line` is called in the transaction of a verdict for the clients it changed, by the timer for all
clients with something open, and once more before a notice is sent. It plans (`alerts.notices`), compares
with the waiting notices, and writes the difference: new ones, changed ones, and those taken back.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import Row, delete, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from alerts.mails import addresses
from alerts.mails.notices import Case, Client, Item, MailPolicy, Said, Slot, Wish, plan
from alerts.outbox.tables import delivery, notice, notice_item
from alerts.silences import silences
from alerts.silences.windows import Scope, Silenced, Window, first_over
from monitor.health.breaks import DROPPED, IN_DOUBT, IN_TROUBLE
from monitor.health.causes import Cause, Owner, Subject
from monitor.health.lifecycle import State
from monitor.store import processes
from monitor.store.tables import connection, credential, held, incident, watch

log = structlog.get_logger("alerts.ledger")


@dataclass(frozen=True, slots=True)
class Voice:
    """How we speak: the policy, the operator's address, and the domain of our Message-IDs.

    `lifetimes` has the apps whose authorizations end on a known day, with how long they last in all; `apps`
    are those that are configured: of others nobody knows how they are, so their clients are told nothing.
    """

    policy: MailPolicy
    operator: str = ""
    domain: str = "localhost"
    lifetimes: Mapping[str, timedelta] = field(default_factory=dict)
    windows: tuple[Window, ...] = ()
    apps: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Standing:
    """A client with its connections as they stand, and what was said to it.

    `fault`: this could not be made out, so that nothing can be said to this client now.
    """

    client: Client
    cases: tuple[Case, ...]
    said: tuple[Said, ...]
    fault: bool = False


async def of_connections(conn: AsyncConnection, ids: Collection[str]) -> set[str]:
    """Return the clients of connections."""
    found: set[str] = set()
    listed = list(ids)
    for start in range(0, len(listed), 500):
        part = listed[start : start + 500]
        rows = await conn.execute(
            select(connection.c.client_name).where(connection.c.id.in_(part)).distinct()
        )
        found.update(rows.scalars())
    return found


async def with_open_matters(conn: AsyncConnection, voice: Voice, now: datetime) -> set[str]:
    """Return the clients that something might have to be said to: what the timer looks at."""
    lately = now - voice.policy.thanks
    broken = (
        select(connection.c.client_name)
        .join(incident, (incident.c.kind == Subject.CONNECTION.value) & (incident.c.name == connection.c.id))
        .where(
            incident.c.owner == Owner.CLIENT.value,
            or_(incident.c.closed_at.is_(None), incident.c.closed_at > lately),
        )
    )
    waiting = select(notice.c.client).where(notice.c.state == "waiting", notice.c.client != "")
    mine = select(connection.c.client_name).join(watch, watch.c.connection == connection.c.id)
    mine = mine.join(credential, credential.c.connection == connection.c.id)
    invited = mine.join(notice_item, notice_item.c.connection == connection.c.id).where(
        notice_item.c.incident.is_(None),
        or_(
            (watch.c.state == State.PENDING.value) & credential.c.access.is_(None),
            credential.c.authorized_at > lately,
        ),
    )
    soon = now + max(voice.policy.expiry, default=timedelta(0))
    without_refresh = mine.where(credential.c.refresh.is_(None), credential.c.access_expires_at <= soon)
    queries: list[Any] = [broken, waiting, invited, without_refresh]
    for app, lifetime in voice.lifetimes.items():
        queries.append(mine.where(watch.c.app == app, credential.c.authorized_at <= soon - lifetime))
    found: set[str] = set()
    for query in queries:
        found.update((await conn.execute(query.distinct())).scalars())
    return found


async def bring_in_line(conn: AsyncConnection, clients: Collection[str], voice: Voice, now: datetime) -> int:
    """Plan for these clients, and write what should be waiting; return for how many that was not possible.

    What is wrong with one client leaves its notices as they are, and stops no other.
    """
    names, failed = sorted(clients), 0
    for start in range(0, len(names), 200):
        part = names[start : start + 200]
        standing = await stand(conn, part, voice, now)
        waiting = await _waiting(conn, part)
        for key, known in standing.items():
            mine, wishes = waiting.pop(key, {}), _wishes(known, voice, now)
            if wishes is None:
                failed += 1
                continue
            await _write(conn, known.client, key, wishes, mine, voice, now)
        for rows in waiting.values():  # the client's contacts, language or connections are others now
            for row in rows.values():
                await withdraw(conn, row.id, "the client's contacts changed", now)
    return failed


def _wishes(known: Standing, voice: Voice, now: datetime) -> tuple[Wish, ...] | None:
    if known.fault:
        return None
    try:
        return plan(known.client, known.cases, known.said, voice.policy, now)
    except Exception as error:
        _say_unplanned([case.connection for case in known.cases], error)
        return None


def _say_unplanned(connections: Sequence[str], error: Exception) -> None:
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
    rows = (await conn.execute(_TRUTH.where(connection.c.client_name.in_(clients)))).all()
    silent = await silences.holding(conn, voice.windows, now)
    healed = await _healed(conn, [row.id for row in rows], voice.policy, now)
    told = await _told(conn, [row.id for row in rows], now)
    several = await processes.probing(conn) > 1
    groups: dict[str, list[Any]] = defaultdict(list)
    for row in rows:
        groups[audience(row.client_name, row.contacts, row.locale, row.timezone)].append(row)
    found = {}
    for key, members in groups.items():
        first = members[0]
        said = {number: one for row in members for number, one in told.get(row.id, {}).items()}
        client = Client(first.client_name, tuple(first.contacts), first.locale, first.timezone)
        try:
            cases = tuple(_case(row, silent, healed.get(row.id, ()), voice, several) for row in members)
        except Exception as error:  # a row that this version cannot read
            _say_unplanned([row.id for row in members], error)
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


_parent = incident.alias("parent")
_TRUTH = (
    select(
        connection.c.id, connection.c.client_name, connection.c.contacts, connection.c.locale,
        connection.c.timezone, watch.c.app, watch.c.provider, watch.c.state, watch.c.cause, watch.c.owner,
        watch.c.candidate, watch.c.good_streak, watch.c.last_probe_at, watch.c.others_asked_at,
        credential.c.authorized_at,
        credential.c.access, credential.c.refresh, credential.c.access_expires_at, credential.c.issued_at,
        incident.c.id.label("incident"), incident.c.opened_at, incident.c.updated_at, incident.c.mails,
        incident.c.told_at, incident.c.waits,
        held.c.connection.label("held"), _parent.c.wave, _parent.c.closed_at.label("parent_closed"),
    )
    .join(watch, watch.c.connection == connection.c.id)
    .join(credential, credential.c.connection == connection.c.id)
    .outerjoin(
        incident,
        (incident.c.kind == Subject.CONNECTION.value)
        & (incident.c.name == connection.c.id)
        & incident.c.closed_at.is_(None),
    )
    .outerjoin(held, held.c.connection == connection.c.id)
    .outerjoin(_parent, _parent.c.id == incident.c.parent_id)
)  # fmt: skip


def _case(
    row: Row[Any],
    silent: Sequence[Silenced],
    healed: tuple[tuple[int, datetime], ...],
    voice: Voice,
    several: bool,
) -> Case:
    expires_at, lives_for = _expiry(row, voice)
    silence = first_over(silent, Scope(row.provider, row.app, row.client_name, row.id)) if silent else None
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
        certain=row.candidate == row.cause and row.good_streak == 0,
        authorized=row.access is not None,
        probed_at=row.last_probe_at,
        seen_by_one=several and _seen_by_one(row),
        held=_held(row),
        doubted=row.waits == IN_DOUBT,
        dropped=row.mails == DROPPED,
        silenced=quiet,
        waits=row.held is not None,
        healed=healed,
        authorized_at=row.authorized_at,
        expires_at=expires_at,
        lives_for=lives_for,
    )


def _seen_by_one(row: Row[Any]) -> bool:
    """Whether no other process was asked to look since it broke, or none has looked since it was asked."""
    asked = row.others_asked_at
    return row.opened_at is not None and (
        asked is None or asked < row.opened_at or row.last_probe_at is None or row.last_probe_at <= asked
    )


def _held(row: Row[Any]) -> bool:
    """Whether a wave, or its provider's trouble, keeps the first word about a break back."""
    if row.told_at is not None or row.mails:
        return False
    return (bool(row.wave) and row.parent_closed is None) or row.waits == IN_TROUBLE


def _expiry(row: Row[Any], voice: Voice) -> tuple[datetime | None, timedelta | None]:
    """When the authorization ends whatever is done, and how long it lasts in all."""
    lifetime = voice.lifetimes.get(row.app)
    if lifetime is not None and row.authorized_at is not None:
        return row.authorized_at + lifetime, lifetime
    if row.refresh is None and row.access_expires_at is not None:
        return row.access_expires_at, row.access_expires_at - row.issued_at if row.issued_at else None
    return None, None


async def _healed(
    conn: AsyncConnection, ids: Sequence[str], policy: MailPolicy, now: datetime
) -> dict[str, tuple[tuple[int, datetime], ...]]:
    found: dict[str, list[tuple[int, datetime]]] = defaultdict(list)
    rows = await conn.execute(
        select(incident.c.id, incident.c.name, incident.c.closed_at)
        .where(
            incident.c.kind == Subject.CONNECTION.value,
            incident.c.name.in_(ids),
            incident.c.closed_at > now - policy.thanks,
        )
        .order_by(incident.c.id)
    )
    for row in rows:
        found[row.name].append((row.id, row.closed_at))
    return {name: tuple(items) for name, items in found.items()}


_SAID = ("sending", "sent", "failed")


async def _told(conn: AsyncConnection, ids: Sequence[str], now: datetime) -> dict[str, dict[int, Said]]:
    """Return by connection what was said about it, or is being said at this moment.

    What is on its way counts as said now, however long it takes: nobody is reminded of what did not arrive.
    What a person asked for counts as said already while it waits: no rule says it again beside it.
    """
    mine = select(notice_item.c.notice).where(notice_item.c.connection.in_(ids))
    rows = (
        await conn.execute(
            select(notice, notice_item)
            .join(notice_item, notice_item.c.notice == notice.c.id)
            .where(
                notice.c.id.in_(mine),
                or_(
                    notice.c.state.in_(_SAID),
                    (notice.c.state == "waiting") & notice.c.requested_by.is_not(None),
                ),
            )
            .order_by(notice.c.id)
        )
    ).all()
    addresses: dict[int, list[tuple[str, str]]] = defaultdict(list)
    if rows:
        sent = await conn.execute(
            select(delivery.c.notice, delivery.c.address, delivery.c.state).where(
                delivery.c.notice.in_({row.id for row in rows})
            )
        )
        for number, to, state in sent:
            addresses[number].append((to, state))
    by_notice: dict[int, list[Row[Any]]] = defaultdict(list)
    for row in rows:
        by_notice[row.id].append(row)
    found: dict[str, dict[int, Said]] = defaultdict(dict)
    for number, items in by_notice.items():
        said = _said(items, addresses[number], now)
        for item in items:
            found[item.connection][number] = said
    return found


def _said(rows: Sequence[Row[Any]], addresses: Sequence[tuple[str, str]], now: datetime) -> Said:
    first = rows[0]
    states = [state for _, state in addresses]
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
        addresses=tuple(to for to, state in addresses if state in ("sent", "unconfirmed")),
        expiries={row.connection: row.since for row in rows if first.slot == Slot.EXPIRING and row.since},
    )


@dataclass(frozen=True, slots=True)
class _Waiting:
    id: int
    kind: str
    due_at: datetime
    number: int
    items: frozenset[Item]


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
        items[row.id].add(Item(row.connection, row.incident, Cause(row.cause), row.since))
    found: dict[str, dict[Slot, _Waiting]] = defaultdict(dict)
    for row in rows:
        found[row.audience][Slot(row.slot)] = _Waiting(
            row.id, row.kind, row.due_at, row.number, frozenset(items[row.id])
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
        elif (known.items, known.kind, known.due_at, known.number) != (
            frozenset(wish.items), wish.kind.value, wish.due_at, wish.number,
        ):  # fmt: skip
            await conn.execute(
                update(notice)
                .where(notice.c.id == known.id)
                .values(kind=wish.kind.value, due_at=wish.due_at, number=wish.number, reason=wish.reason)
            )
            await conn.execute(delete(notice_item).where(notice_item.c.notice == known.id))
            await _write_items(conn, known.id, wish.items)
    for gone in waiting.values():
        await withdraw(conn, gone.id, "no longer true, or held", now)


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
    to_operator = wish.slot in (Slot.HANDOVER, Slot.FUSE)
    if to_operator:
        recipients: tuple[str, ...] = (voice.operator,) if voice.operator else ()
    else:
        recipients = wish.to or client.contacts
    made = await conn.execute(
        insert(notice)
        .values(
            slot=wish.slot.value, kind=wish.kind.value, client=client.name, audience=key,
            locale="en" if to_operator else client.locale,
            timezone="UTC" if to_operator else client.timezone,
            recipients=list(recipients), number=wish.number, reason=wish.reason, requested_by=requested_by,
            state="waiting", outcome="", planned_at=now, due_at=wish.due_at,
        )
        .returning(notice.c.id)
    )  # fmt: skip
    number = int(made.scalar_one())
    await _write_items(conn, number, wish.items)
    if recipients:
        await conn.execute(
            insert(delivery),
            [
                {
                    "notice": number, "address": to, "state": "waiting", "attempts": 0, "answer": "",
                    "message_id": f"<th.{number}.{secrets.token_hex(8)}@{voice.domain}>",
                    "next_at": wish.due_at,
                }
                for to in addresses.once(recipients)
            ],
        )  # fmt: skip
    return number


async def _write_items(conn: AsyncConnection, number: int, items: Sequence[Item]) -> None:
    if items:
        await conn.execute(
            insert(notice_item),
            [
                {
                    "notice": number, "connection": item.connection, "incident": item.incident,
                    "cause": item.cause.value, "since": item.since,
                }
                for item in items
            ],
        )  # fmt: skip


async def withdraw(
    conn: AsyncConnection, number: int, why: str, now: datetime, state: str = "withdrawn"
) -> None:
    """Take back a notice that was not sent."""
    await conn.execute(
        update(delivery)
        .where(delivery.c.notice == number, delivery.c.state == "waiting")
        .values(state="withdrawn", settled_at=now)
    )
    await conn.execute(
        update(notice)
        .where(notice.c.id == number, notice.c.state == "waiting")
        .values(state=state, outcome=why, settled_at=now)
    )
