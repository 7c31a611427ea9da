"""Moves campaigns on: what came of their mails is noted, a wave takes its clients, or the campaign stops.

One transaction: what a wave takes has its mail in the outbox, or it was not taken.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from alerts.mails import reconcile, truth
from alerts.mails.standing import Slot
from alerts.mails.voice import Voice
from alerts.outbox.tables import notice, notice_item
from alerts.silences import silences
from alerts.silences.windows import Scope, Silenced, first_over
from monitor.health import campaign as decided
from monitor.health.breaks import PROOF
from monitor.health.campaign import Member, Mishap, Phase
from monitor.health.incidents import About, Place
from monitor.health.lifecycle import State
from monitor.store import campaigns, incidents
from monitor.store.campaign_tables import campaign_member
from monitor.store.campaigns import Campaign, Row, Steps
from monitor.store.engine import Database
from monitor.store.retry import retried

log = structlog.get_logger("alerts.mails")


async def advance(database: Database, voice: Voice, now: datetime) -> int:
    """Move every campaign on; return for how many clients what is to be said could not be planned."""
    if not await campaigns.any_standing(database):
        return 0
    return await _advance(database, voice, now)


@retried
async def _advance(database: Database, voice: Voice, now: datetime) -> int:
    async with database.write() as conn:
        await incidents.one_at_a_time(conn)
        around = _Around(
            voice, await silences.holding(conn, voice.windows, now), await incidents.troubled(conn), now
        )
        changed: set[str] = set()
        for one in await campaigns.standing(conn):
            changed |= await _move_on(conn, one, around)
        return await reconcile.bring_in_line(conn, changed, voice, now)


@dataclass(frozen=True, slots=True)
class _Around:
    """What is so beside the campaigns."""

    voice: Voice
    silent: Sequence[Silenced]
    troubled: Collection[About]
    now: datetime

    def ready(self, row: Row) -> bool:
        """Whether the client of a connection could be written to at this moment."""
        if row.state != State.HEALTHY or not row.contacts or row.app not in self.voice.apps:
            return False
        if self.voice.policy.quiet.allowed(self.now, row.timezone) > self.now:
            return False
        scope = Scope(row.provider, row.app, row.client, row.connection)
        place = Place(row.app, row.provider, row.region)
        return first_over(self.silent, scope) is None and not truth.in_trouble(place, self.troubled)


async def _move_on(conn: AsyncConnection, one: Campaign, around: _Around) -> set[str]:
    """Move a campaign on; return the clients to whom something else is to be said now."""
    now = around.now
    rows = await campaigns.rows(conn, one.id)
    steps, told = await campaigns.steps(conn, one), await _told(conn, one)
    members, changes = [], []
    for row in sorted(rows, key=lambda row: _lot(one, row)):
        seen = _seen(row, one, steps, told.get(row.connection, _Told()), now)
        if seen != _known(row):
            changes.append({"connection": row.connection, **seen})
        members.append(_member(row, seen, told.get(row.connection, _Told()), ready=around.ready(row)))
    await campaigns.note(conn, one.id, changes)
    if (how := decided.finished(members, decided.ends_at(one.until), now)) is not None:
        await campaigns.end(conn, one, how, now)
        log.info("campaign.ended", campaign=one.id, how=how.value)
        return _clients(rows)
    if one.phase is not Phase.RUNNING:
        return set()
    if (trouble := decided.trouble(members, one.forgiven_until)) is not None:
        await campaigns.halt(conn, one, trouble.sentence, now)
        log.error("campaign.halted", campaign=one.id, why=trouble.sentence)
        return _clients(rows)
    return await _invite(conn, one, members, rows, now)


async def _invite(
    conn: AsyncConnection, one: Campaign, members: Sequence[Member], rows: Sequence[Row], now: datetime
) -> set[str]:
    freed = decided.let_go(members, now)
    await campaigns.take(conn, one.id, None, freed, now)
    chosen = decided.choose(members, one.pace, now)
    if chosen is not None:
        await campaigns.take(conn, one.id, chosen.wave, chosen.connections, now)
        log.info("campaign.wave", campaign=one.id, wave=chosen.wave, connections=len(chosen.connections))
    moved = {*freed, *(chosen.connections if chosen is not None else ())}
    return _clients(row for row in rows if row.connection in moved)


def _clients(rows: Any) -> set[str]:
    return {row.client for row in rows if row.known}


def _lot(of: Campaign, row: Row) -> tuple[str, str]:
    """Return the place of a connection in the order of its campaign: drawn by lot, the same each time.

    A first wave is then no sample of one letter, region or size of client.
    """
    return hashlib.sha256(f"{of.id}\x1f{row.client}".encode()).hexdigest(), row.connection


# -- what came of it --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Told:
    """What became of the first mail about a connection."""

    sent_at: datetime | None = None
    failed_at: datetime | None = None
    sending: bool = False


async def _told(conn: AsyncConnection, of: Campaign) -> Mapping[str, _Told]:
    """Return what became of the first mails, for those of which nobody knows it yet."""
    waits = select(campaign_member.c.connection).where(
        campaign_member.c.campaign == of.id,
        campaign_member.c.wave.is_not(None),
        campaign_member.c.invited_at.is_(None),
    )
    found: dict[str, _Told] = defaultdict(_Told)
    for row in await conn.execute(
        select(notice_item.c.connection, notice.c.state, notice.c.settled_at, notice.c.matter)
        .join(notice, notice.c.id == notice_item.c.notice)
        .where(
            notice_item.c.connection.in_(waits),
            notice.c.slot == Slot.CAMPAIGN.value,
            notice.c.state.in_(["sending", "sent", "failed"]),
        )
        .order_by(notice.c.id.desc())
    ):
        if (row.matter or {}).get("campaign") == of.id:
            found[row.connection] = _Told(
                row.settled_at if row.state == "sent" else None,
                row.settled_at if row.state == "failed" else None,
                row.state == "sending",
            )
    return found


def _known(row: Row) -> dict[str, Any]:
    return {
        "invited_at": row.invited_at,
        "opened_at": row.opened_at,
        "approved_at": row.approved_at,
        "mishap": row.mishap,
        "mishap_at": row.mishap_at,
        "left_at": row.left_at,
    }


def _seen(row: Row, of: Campaign, steps: Steps, told: _Told, now: datetime) -> dict[str, Any]:
    """Return what is to be on record of a connection now."""
    found = _known(row)
    if not row.known:
        return found | {"left_at": row.left_at or now}
    found["invited_at"] = row.invited_at or told.sent_at
    found["opened_at"] = row.opened_at or steps.opened.get(row.connection)
    if row.authorized_at is not None and row.authorized_at >= of.created_at:
        found["approved_at"] = row.approved_at or row.authorized_at
    wrong: list[tuple[datetime, str]] = []
    if told.failed_at is not None and found["invited_at"] is None:
        wrong.append((told.failed_at, Mishap.REFUSED.value))
    if (failed := steps.failed.get(row.connection)) is not None:
        wrong.append((failed[1], failed[0]))
    if (approved := found["approved_at"]) is not None:
        broke = [at for at in steps.broke.get(row.connection, ()) if approved <= at <= approved + PROOF]
        wrong += [(at, Mishap.BROKE.value) for at in broke]
    if wrong and (row.mishap_at is None or max(wrong)[0] > row.mishap_at):
        found["mishap_at"], found["mishap"] = max(wrong)
    return found


def _member(row: Row, seen: Mapping[str, Any], told: _Told, *, ready: bool) -> Member:
    together = truth.audience(row.client, row.contacts, row.locale, row.timezone)
    return replace(
        replace(row, **seen).member,
        client=together if row.known else row.connection,
        ready=ready,
        sending=told.sending,
    )
