"""What on-call is told, brought in line with what is true: beside the mails' ledger, in the same tables.

A page is a notice whose audience is the key of a matter and whose envelopes are channels. It is told once:
while it stands, no other is written for its key. When the matter is over for a while (`calm`), whoever was
paged is told so, by a notice of its own. A page that was not sent when its matter ends is taken back.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import delete, exists, false, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from alerts.mails.notices import Slot
from alerts.outbox.tables import delivery, fuse, notice
from alerts.pages.matters import Fact, Incident, Matter, Patience, facts_of, standing, worth_telling
from alerts.pages.routes import Route
from alerts.rules import catalogue, fleet, own
from alerts.rules.alert import RUNBOOKS, TEAM, Severity
from alerts.silences import silences
from alerts.silences.windows import Window
from monitor.health.causes import TABLE, Cause, Owner, Subject
from monitor.store import bindings, incidents
from monitor.store.engine import Database
from monitor.store.retry import retried
from monitor.store.tables import connection, incident
from monitor.text.tomlfile import parse_duration

log = structlog.get_logger("alerts.oncall")

SLOTS = (Slot.PAGE.value, Slot.CLEAR.value)
STUCK = timedelta(minutes=15)  # how long a mail may be on its way
# Causes that are a single connection's own: on-call is told of those that page, and while the operator has
# to act before the client. What is shared is told once, for what it is shared by.
_OWN = {cause: row for cause, row in TABLE.items() if row.subject is Subject.CONNECTION}
_PAGED = [cause.value for cause, row in _OWN.items() if row.page]
_CLIENTS = [cause.value for cause, row in _OWN.items() if row.owner is Owner.CLIENT]
_PAGES = tuple(alert.name for alert in catalogue.ALL if alert.severity is Severity.PAGE)


@dataclass(frozen=True, slots=True)
class Duty:
    """How on-call is told: over which channels, how patiently, and what is silent."""

    routes: tuple[Route, ...]
    apps: Mapping[str, str]  # app -> provider
    teams: Mapping[str, str] = field(default_factory=dict)  # app -> team
    team: str = TEAM
    calm: timedelta = timedelta(minutes=2)
    patience: Patience = field(default_factory=Patience)
    runbooks: str = RUNBOOKS
    windows: tuple[Window, ...] = ()

    @property
    def asks_labels(self) -> bool:
        """Whether a route looks at the labels of connections."""
        return any(route.labels for route in self.routes)


@dataclass(frozen=True, slots=True)
class Watch:
    """What is to be told now, and why the rest is not."""

    told: Mapping[str, Matter]
    quiet: Mapping[str, str]


async def look(conn: AsyncConnection, duty: Duty, now: datetime, *, tickets: bool = True) -> Watch:
    """Gather what on-call has to know now; without `tickets`, what clients have not mended is left out."""
    facts = [
        fact
        for found in await _incidents(conn, duty, now, tickets)
        for fact in facts_of(found, duty.teams, duty.patience, now)
    ]
    facts += await _conditions(conn, now)
    if tickets:
        facts += await _waiting_accounts(conn, duty)
    silent = await silences.holding(conn, duty.windows, now)
    told, quiet = worth_telling(standing(facts, duty.team), silent)
    return Watch(told, quiet)


async def _incidents(conn: AsyncConnection, duty: Duty, now: datetime, tickets: bool) -> list[Incident]:
    held = {row[1]: int(row[4]) for row in await conn.execute(incidents.held())}
    looked_at = await _looked_at(conn, duty)
    found = []
    for known in await incidents.shared(conn):
        if known.members and known.id not in looked_at:
            continue  # all of apps that are not configured any more: nobody knows whether it is over
        kind, name = known.about.kind, known.about.name
        app = name if kind is Subject.APP else ""
        provider = duty.apps.get(app, "") if app else name.partition("/")[0]
        found.append(
            Incident(
                kind,
                name,
                known.cause,
                known.owner,
                known.opened_at,
                known.wave,
                held.get(name, 0) if known.wave else 0,
                known.members,
                provider if kind is not Subject.NETWORK else "",
                app,
                marks=await _shared_labels(conn, known.id) if duty.asks_labels else {},
                reasons=known.reasons,
                answered_at=known.spoken_at,
            )
        )
    return found + await _of_connections(conn, duty, now, tickets)


async def _looked_at(conn: AsyncConnection, duty: Duty) -> set[int]:
    """Return the shared incidents that a connection of a configured app belongs to."""
    rows = await conn.execute(
        select(incident.c.parent_id)
        .join(connection, connection.c.id == incident.c.name)
        .where(
            incident.c.kind == Subject.CONNECTION.value,
            incident.c.closed_at.is_(None),
            connection.c.app.in_(duty.apps),
        )
        .distinct()
    )
    return set(rows.scalars())


async def _shared_labels(conn: AsyncConnection, parent: int) -> dict[str, str]:
    """Return the labels that all connections of an incident have alike."""
    rows = await conn.execute(
        select(connection.c.labels)
        .join(incident, (incident.c.kind == Subject.CONNECTION.value) & (incident.c.name == connection.c.id))
        .where(incident.c.parent_id == parent, incident.c.closed_at.is_(None))
    )
    common: dict[str, str] | None = None
    for labels in rows.scalars():
        common = dict(labels) if common is None else {k: v for k, v in common.items() if labels.get(k) == v}
        if not common:
            break
    return common or {}


async def _of_connections(conn: AsyncConnection, duty: Duty, now: datetime, tickets: bool) -> list[Incident]:
    """Return incidents of single connections that are on-call's: of ours, or of clients broken too long."""
    waits = (incident.c.owner == Owner.CLIENT.value) & (incident.c.opened_at < now - duty.patience.shortest)
    parent = incident.alias("parent")
    rows = await conn.execute(
        select(
            incident,
            connection.c.provider,
            connection.c.app,
            connection.c.client_name,
            connection.c.labels,
            (parent.c.wave & incident.c.told_at.is_(None) & (incident.c.mails == "")).label("in_wave"),
        )
        .join(connection, connection.c.id == incident.c.name)
        .outerjoin(parent, (parent.c.id == incident.c.parent_id) & parent.c.closed_at.is_(None))
        .where(
            incident.c.kind == Subject.CONNECTION.value,
            incident.c.closed_at.is_(None),
            connection.c.app.in_(duty.apps),
            or_(
                incident.c.cause.in_(_PAGED),
                incident.c.cause.in_(_CLIENTS) & (incident.c.owner == Owner.OPERATOR.value),
                waits if tickets else false(),
            ),
        )
        .order_by(incident.c.id)
    )
    return [
        Incident(
            Subject.CONNECTION,
            row.name,
            Cause(row.cause),
            Owner(row.owner),
            row.opened_at,
            held=1 if row.in_wave else 0,
            members=1,
            provider=row.provider,
            app=row.app,
            client=row.client_name,
            marks=row.labels,
            reasons=tuple(row.reasons),
        )
        for row in rows
    ]


async def _conditions(conn: AsyncConnection, now: datetime) -> list[Fact]:
    """Return what is wrong with our own telling."""
    found = []
    blown = (await conn.execute(select(fuse.c.blown_at).where(fuse.c.blown_at.is_not(None)))).scalar()
    if blown is not None:
        found.append(Fact(fleet.FUSE_BLOWN, blown))
    oldest = await oldest_sending(conn, notice.c.slot.not_in(SLOTS))
    if oldest is not None and now - oldest > STUCK:
        found.append(Fact(own.OUTBOX_STUCK, oldest, (now - oldest).total_seconds(), channel="email"))
    return found


async def _waiting_accounts(conn: AsyncConnection, duty: Duty) -> list[Fact]:
    """Return the first authorizations that a person has to decide on."""
    return [
        Fact(
            own.ACCOUNT_WAITS,
            grant.held_at,
            provider=grant.place.provider,
            app=grant.place.app,
            team=duty.teams.get(grant.place.app, ""),
            connection=grant.connection,
            client=grant.client,
            reasons=(f"{grant.connection}: {grant.sentence}",),
        )
        for grant in await bindings.waiting_now(conn)
    ]


async def oldest_sending(conn: AsyncConnection, which: Any) -> datetime | None:
    """Return since when the oldest message of these that should be out has been waiting."""
    found = await conn.execute(
        select(func.min(notice.c.settled_at)).where(notice.c.state == "sending", which)
    )
    oldest: datetime | None = found.scalar()
    return oldest


# -- the notices --------------------------------------------------------------------------------------


@retried
async def plan(database: Database, duty: Duty, now: datetime) -> None:
    """Bring the waiting pages in line with what is true: the timer's work."""
    async with database.write() as conn:
        await incidents.one_at_a_time(conn)
        await bring_in_line(conn, duty, now)


@retried
async def open_due(database: Database, duty: Duty, now: datetime) -> int:
    """Turn the pages and clearings that are due into messages to be sent; return how many."""
    async with database.write() as conn:
        await incidents.one_at_a_time(conn)
        # Once more, just before it is said: what was over meanwhile is not told.
        await bring_in_line(conn, duty, now)
        return await _open_due(conn, now)


async def bring_in_line(conn: AsyncConnection, duty: Duty, now: datetime, *, tickets: bool = True) -> None:
    """Write the pages that should be waiting, and take back those that should not.

    Without `tickets` only pages are looked at: in a verdict's transaction there is no time for more.
    """
    if not duty.routes:
        return
    seen = await look(conn, duty, now, tickets=tickets)
    waiting = {at: number for at, number in (await _waiting(conn)).items() if tickets or _is_page(at[1])}
    paged = {key: number for key, number in (await _paged(conn)).items() if tickets or _is_page(key)}
    for key, matter in seen.told.items():
        page, clear = waiting.pop((Slot.PAGE, key), None), waiting.pop((Slot.CLEAR, key), None)
        if clear is not None:  # back before anybody was told that it was over
            await _withdraw(conn, clear, "it is back", now)
        if key not in paged or await _again(conn, paged[key], matter, now):
            await _page(conn, duty, matter, page, now)
        elif page is not None:
            await _withdraw(conn, page, "told already", now)
    for key in paged.keys() - seen.told.keys():
        clear = waiting.pop((Slot.CLEAR, key), None)
        if key in seen.quiet:
            # Silent now, or part of something larger, and so not over; what did not get out stays in.
            await _stop_trying(conn, paged[key], seen.quiet[key], now)
            if clear is not None:
                await _withdraw(conn, clear, seen.quiet[key], now)
        elif clear is None:
            await _clear(conn, paged[key], key, now + duty.calm, now)
    for (slot, key), number in waiting.items():
        if slot is Slot.PAGE:
            await _withdraw(conn, number, seen.quiet.get(key, "over before it was told"), now)


def _alert(key: str) -> str:
    return key.partition("/")[0]


def _is_page(key: str) -> bool:
    return _alert(key) in _PAGES


async def _waiting(conn: AsyncConnection) -> dict[tuple[Slot, str], int]:
    rows = await conn.execute(
        select(notice.c.id, notice.c.slot, notice.c.audience).where(
            notice.c.slot.in_(SLOTS), notice.c.state == "waiting"
        )
    )
    return {(Slot(row.slot), row.audience): row.id for row in rows}


def _standing_pages() -> Any:
    """Return the query for pages that were told, or are being told, and not taken back since."""
    later = notice.alias("later")
    return select(notice).where(
        notice.c.slot == Slot.PAGE.value,
        notice.c.state.in_(["sending", "sent", "failed"]),
        ~exists().where(
            later.c.audience == notice.c.audience,
            later.c.slot == Slot.CLEAR.value,
            later.c.id > notice.c.id,
            later.c.state.in_(["sending", "sent", "failed"]),
        ),
    )


async def _paged(conn: AsyncConnection) -> dict[str, int]:
    # The newest of each: what nobody answers is told again.
    return {row.audience: row.id for row in await conn.execute(_standing_pages().order_by(notice.c.id))}


async def _again(conn: AsyncConnection, page: int, matter: Matter, now: datetime) -> bool:
    if matter.alert.again is None:
        return False
    told = (await conn.execute(select(notice.c.state, notice.c.settled_at).where(notice.c.id == page))).one()
    return told.state in ("sent", "failed") and matter.unanswered(told.settled_at, now)


async def _page(conn: AsyncConnection, duty: Duty, matter: Matter, known: int | None, now: datetime) -> None:
    try:
        document = matter.document(duty.runbooks)
        names = [route.name for route in duty.routes if route.takes(matter)]
    except Exception as error:  # whatever is wrong with one page, the others are told
        log.error("oncall.unwritable", about=matter.key, why=type(error).__name__)
        return
    if known is not None:
        await conn.execute(update(notice).where(notice.c.id == known).values(matter=document))
        return
    if names:
        wait = parse_duration(matter.alert.wait) if matter.alert.wait != "0s" else timedelta(0)
        assert isinstance(wait, timedelta)  # noqa: S101 - for the type checker
        await _write(conn, Slot.PAGE, matter.key, names, document, max(now, matter.since + wait), now)


async def _clear(conn: AsyncConnection, page: int, key: str, due_at: datetime, now: datetime) -> None:
    document = (await conn.execute(select(notice.c.matter).where(notice.c.id == page))).scalar_one()
    rows = await conn.execute(select(delivery.c.address).where(delivery.c.notice == page))
    await _write(conn, Slot.CLEAR, key, list(rows.scalars()), document, due_at, now)


async def _write(
    conn: AsyncConnection,
    slot: Slot,
    key: str,
    channels: Sequence[str],
    document: dict[str, Any],
    due_at: datetime,
    now: datetime,
) -> None:
    made = await conn.execute(
        insert(notice)
        .values(
            slot=slot.value, kind=_alert(key), client="", audience=key, locale="en",
            timezone="UTC", recipients=list(channels), number=0, reason=document["summary"],
            state="waiting", outcome="", planned_at=now, due_at=due_at, matter=document,
        )
        .returning(notice.c.id)
    )  # fmt: skip
    number = int(made.scalar_one())
    await conn.execute(
        insert(delivery),
        [
            {
                "notice": number, "channel": name, "address": name, "state": "waiting", "attempts": 0,
                "answer": "", "message_id": f"oncall.{number}.{name}", "next_at": due_at,
            }
            for name in channels
        ],
    )  # fmt: skip


async def _withdraw(conn: AsyncConnection, number: int, why: str, now: datetime) -> None:
    await conn.execute(
        update(delivery).where(delivery.c.notice == number).values(state="withdrawn", settled_at=now)
    )
    await conn.execute(
        update(notice).where(notice.c.id == number).values(state="withdrawn", outcome=why, settled_at=now)
    )


async def any_due(conn: AsyncConnection, now: datetime) -> bool:
    """Whether a page or a clearing wants out now."""
    rows = await conn.execute(
        select(notice.c.id)
        .where(notice.c.slot.in_(SLOTS), notice.c.state == "waiting", notice.c.due_at <= now)
        .limit(1)
    )
    return rows.first() is not None


async def _open_due(conn: AsyncConnection, now: datetime) -> int:
    rows = (
        await conn.execute(
            select(notice.c.id, notice.c.slot, notice.c.audience)
            .where(notice.c.slot.in_(SLOTS), notice.c.state == "waiting", notice.c.due_at <= now)
            .order_by(notice.c.id)
        )
    ).all()
    for row in rows:
        if row.slot == Slot.CLEAR and not await _only_where_paged(conn, row.id, row.audience, now):
            continue
        await conn.execute(update(delivery).where(delivery.c.notice == row.id).values(next_at=now))
        await conn.execute(
            update(notice).where(notice.c.id == row.id).values(state="sending", settled_at=now)
        )
    return len(rows)


async def _only_where_paged(conn: AsyncConnection, clear: int, key: str, now: datetime) -> bool:
    """Tell the end only to channels that took the page.

    False where no channel took it: then nobody has to be told that it is over.
    """
    page = (await _paged(conn)).get(key)
    names = await _stop_trying(conn, page, "over before any channel took it", now) if page else set()
    if not names:
        await _withdraw(conn, clear, "nobody was told", now)
        return False
    await conn.execute(delete(delivery).where(delivery.c.notice == clear, delivery.c.channel.not_in(names)))
    return True


async def _stop_trying(conn: AsyncConnection, page: int, why: str, now: datetime) -> set[str]:
    """Take back what of a page did not get out; return the channels that have it, or may have it.

    Where that is none, the page was never told, and is told anew when there is reason to.
    """
    await conn.execute(
        update(delivery)
        .where(delivery.c.notice == page, delivery.c.state == "waiting")
        .values(state="withdrawn", settled_at=now)
    )
    took = select(delivery.c.channel).where(
        delivery.c.notice == page, delivery.c.state.in_(["sent", "sending", "handed", "unconfirmed"])
    )
    names = set((await conn.execute(took)).scalars())
    if not names:
        await _withdraw(conn, page, why, now)
        return names
    still = exists().where(delivery.c.notice == page, delivery.c.state.in_(["waiting", "sending", "handed"]))
    await conn.execute(
        update(notice).where(notice.c.id == page, notice.c.state == "sending", ~still).values(state="sent")
    )
    return names


async def standing_pages(conn: AsyncConnection) -> list[tuple[str, dict[str, Any], list[str]]]:
    """Return what stands and was told: key, document, and the channels that took it."""
    rows = (await conn.execute(_standing_pages().order_by(notice.c.id))).all()
    took: dict[int, list[str]] = defaultdict(list)
    for row in await conn.execute(
        select(delivery.c.notice, delivery.c.channel).where(
            delivery.c.notice.in_([row.id for row in rows]), delivery.c.state == "sent"
        )
    ):
        took[row.notice].append(row.channel)
    return [(row.audience, row.matter, took[row.id]) for row in rows]
