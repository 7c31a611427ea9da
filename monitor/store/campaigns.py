"""Campaigns as they are remembered. Whoever writes them holds lock 2 (`incidents.one_at_a_time`)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Select, and_, bindparam, case, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.errors import Conflict, NotFound, Remedy
from monitor.health.campaign import OF_TRIP, Member, Mishap, Part, Phase
from monitor.health.causes import TABLE, Subject
from monitor.health.events import Type
from monitor.store import audit, events, incidents
from monitor.store.campaign_tables import campaign, campaign_member
from monitor.store.consent_tables import consent, link
from monitor.store.engine import Database
from monitor.store.retry import retried
from monitor.store.tables import connection, credential, incident, watch


@dataclass(frozen=True, slots=True)
class Campaign:
    """A campaign as it stands. `chosen` is the filter that found its members, as its door gave it."""

    id: str
    reason: str
    chosen: Mapping[str, Any]
    pace: int
    until: date
    phase: Phase
    why: str
    halted: bool  # by itself, and no person has said anything since
    created_at: datetime
    created_by: str
    changed_at: datetime
    changed_by: str
    resumed_at: datetime | None

    @property
    def waits_for_person(self) -> bool:
        """Whether it stopped by itself, and nobody has said anything since."""
        return self.halted and self.phase is Phase.PAUSED

    @property
    def forgiven_until(self) -> datetime:
        """What went wrong before this a person has answered."""
        return self.resumed_at or self.created_at


@dataclass(frozen=True, slots=True)
class Row:
    """A connection of a campaign, as it is on record and as it stands; `known`: it was not removed."""

    connection: str
    wave: int | None
    chosen_at: datetime | None
    invited_at: datetime | None
    opened_at: datetime | None
    approved_at: datetime | None
    mishap: str
    mishap_at: datetime | None
    left_at: datetime | None
    known: bool
    client: str
    contacts: tuple[str, ...]
    locale: str
    timezone: str
    app: str
    provider: str
    region: str
    state: str
    authorized: bool
    authorized_at: datetime | None

    @property
    def member(self) -> Member:
        """Return it as decisions have it; who is told together is its client alone here."""
        return Member(
            self.connection, self.client, self.wave, self.chosen_at, self.invited_at, self.opened_at,
            self.approved_at, Mishap(self.mishap) if self.mishap else None, self.mishap_at,
            left=self.left_at is not None,
        )  # fmt: skip


# -- begun, moved, looked at ----------------------------------------------------------------------------


@retried
async def begin(
    database: Database, made: Campaign, ids: Collection[str], now: datetime, by: str
) -> tuple[int, int]:
    """Begin a campaign with these connections; return how many it has, and how many another one has.

    Raises Conflict where none is left.
    """
    async with database.write() as conn:
        await incidents.one_at_a_time(conn)
        taken = set(
            (
                await conn.execute(select(campaign_member.c.connection).where(campaign_member.c.standing))
            ).scalars()
        )
        mine = sorted(set(ids) - taken)
        if not mine:
            raise Conflict("None of these connections is free: each is in another campaign.")
        await conn.execute(
            insert(campaign).values(
                id=made.id, reason=made.reason, chosen=dict(made.chosen), pace=made.pace, until=made.until,
                phase=made.phase.value, created_at=now, created_by=by, changed_at=now, changed_by=by,
            )
        )  # fmt: skip
        rows = [{"campaign": made.id, "connection": name} for name in mine]
        await conn.execute(insert(campaign_member), rows)
        await audit.record(conn, now, by, "campaign.begin", made.id, connections=len(mine), pace=made.pace)
    return len(mine), len(set(ids) & taken)


@retried
async def move(database: Database, name: str, to: Phase, now: datetime, by: str, why: str = "") -> Campaign:
    """Pause, resume or stop a campaign, because a person says so. Raises NotFound, Conflict."""
    async with database.write() as conn:
        await incidents.one_at_a_time(conn)
        stood = await find(conn, name)
        _may_move(stood, to)
        values: dict[str, Any] = {"halted": False}
        if to is Phase.RUNNING:
            values["resumed_at"] = now
        await _change(conn, name, to, why, now, by, **values)
        word = {Phase.RUNNING: "resume", Phase.PAUSED: "pause"}.get(to, "stop")
        await audit.record(conn, now, by, f"campaign.{word}", name, **({"why": why} if why else {}))
        return await find(conn, name)


def _may_move(stood: Campaign, to: Phase) -> None:
    if stood.phase.ended:
        raise Conflict(f"Campaign {stood.id} is {stood.phase.value}: nothing comes after that.")
    if stood.phase is to:
        raise Conflict(f"Campaign {stood.id} is {stood.phase.value} already.")


async def _change(
    conn: AsyncConnection, name: str, to: Phase, why: str, now: datetime, by: str, **more: Any
) -> None:
    values = {"phase": to.value, "why": why, "changed_at": now, "changed_by": by, **more}
    await conn.execute(update(campaign).where(campaign.c.id == name).values(**values))
    if to.ended:
        over = update(campaign_member).where(campaign_member.c.campaign == name)
        await conn.execute(over.values(standing=False))


async def find(conn: AsyncConnection, name: str) -> Campaign:
    """Return a campaign. Raises NotFound."""
    row = (await conn.execute(select(campaign).where(campaign.c.id == name))).one_or_none()
    if row is None:
        raise NotFound(f"There is no campaign {name!r}.", Remedy("campaigns.every", "shows those there are"))
    return _campaign(row)


async def show(database: Database, name: str) -> Campaign:
    """Return a campaign. Raises NotFound."""
    async with database.read() as conn:
        return await find(conn, name)


async def every(database: Database) -> list[Campaign]:
    """Return all campaigns, newest first."""
    async with database.read() as conn:
        rows = await conn.execute(select(campaign).order_by(campaign.c.created_at.desc(), campaign.c.id))
        return [_campaign(row) for row in rows]


async def elsewhere(database: Database) -> dict[str, str]:
    """Return the connections that are in a campaign which is not over, with its name."""
    async with database.read() as conn:
        rows = await conn.execute(
            select(campaign_member.c.connection, campaign_member.c.campaign).where(campaign_member.c.standing)
        )
        return {row.connection: row.campaign for row in rows}


def _campaign(row: Any) -> Campaign:
    return Campaign(
        row.id, row.reason, row.chosen, row.pace, row.until, Phase(row.phase), row.why, bool(row.halted),
        row.created_at, row.created_by, row.changed_at, row.changed_by, row.resumed_at,
    )  # fmt: skip


# -- its connections ------------------------------------------------------------------------------------

_M = campaign_member.c
_ROWS = (
    select(
        campaign_member, connection.c.id.label("known"), connection.c.client_name, connection.c.contacts,
        connection.c.locale, connection.c.timezone, watch.c.app, watch.c.provider, watch.c.region,
        watch.c.state, credential.c.access.is_not(None).label("authorized"), credential.c.authorized_at,
    )
    .outerjoin(connection, connection.c.id == _M.connection)
    .outerjoin(watch, watch.c.connection == _M.connection)
    .outerjoin(credential, credential.c.connection == _M.connection)
)  # fmt: skip


async def rows(conn: AsyncConnection, name: str, after: str = "", limit: int | None = None) -> list[Row]:
    """Return the connections of a campaign by their ids, all or those that follow one."""
    query: Select[Any] = _ROWS.where(_M.campaign == name, _M.connection > after).order_by(_M.connection)
    return [_row(row) for row in await conn.execute(query.limit(limit))]


async def of_connection(database: Database, connection_id: str) -> tuple[Campaign, Row] | None:
    """Return the campaign that a connection is in and that is not over, and how far it is there."""
    async with database.read() as conn:
        row = (await conn.execute(_ROWS.where(_M.connection == connection_id, _M.standing))).one_or_none()
        return None if row is None else (await find(conn, row.campaign), _row(row))


def _row(row: Any) -> Row:
    return Row(
        row.connection, row.wave, row.chosen_at, row.invited_at, row.opened_at, row.approved_at, row.mishap,
        row.mishap_at, row.left_at, row.known is not None, row.client_name or "", tuple(row.contacts or ()),
        row.locale or "", row.timezone or "UTC", row.app or "", row.provider or "", row.region or "",
        row.state or "", bool(row.authorized), row.authorized_at,
    )  # fmt: skip


_TAKEN = and_(
    _M.standing,
    _M.wave.is_not(None),
    _M.approved_at.is_(None),
    _M.left_at.is_(None),
    campaign.c.phase == Phase.RUNNING.value,
)


async def parts_of(conn: AsyncConnection, ids: Sequence[str]) -> dict[str, Part]:
    """Return what the clients of connections are asked by campaigns, for those whose turn it is."""
    found = await conn.execute(
        select(_M.connection, _M.chosen_at, campaign)
        .join(campaign, campaign.c.id == _M.campaign)
        .where(_M.connection.in_(ids), _TAKEN)
    )
    return {
        row.connection: Part(row.id, row.reason, row.until, row.created_at, row.chosen_at) for row in found
    }


async def clients_asked(conn: AsyncConnection) -> set[str]:
    """Return the clients of those connections whose turn it is."""
    found = await conn.execute(
        select(connection.c.client_name)
        .join(campaign_member, _M.connection == connection.c.id)
        .join(campaign, campaign.c.id == _M.campaign)
        .where(_TAKEN)
        .distinct()
    )
    return set(found.scalars())


async def asked_by(database: Database, connection_id: str) -> Part | None:
    """Return what the client of a connection was asked by the newest campaign that took it."""
    async with database.read() as conn:
        row = (
            await conn.execute(
                select(_M.chosen_at, campaign)
                .join(campaign, campaign.c.id == _M.campaign)
                .where(_M.connection == connection_id, _M.wave.is_not(None))
                .order_by(campaign.c.created_at.desc())
                .limit(1)
            )
        ).one_or_none()
    return None if row is None else Part(row.id, row.reason, row.until, row.created_at, row.chosen_at)


# -- in the transaction that moves it on ------------------------------------------------------------------


async def standing(conn: AsyncConnection) -> list[Campaign]:
    """Return the campaigns that are not over, the oldest first."""
    going = campaign.c.phase.in_([Phase.RUNNING.value, Phase.PAUSED.value])
    found = await conn.execute(select(campaign).where(going).order_by(campaign.c.created_at, campaign.c.id))
    return [_campaign(row) for row in found]


async def any_standing(database: Database) -> bool:
    """Whether there is a campaign that is not over."""
    going = campaign.c.phase.in_([Phase.RUNNING.value, Phase.PAUSED.value])
    async with database.read() as conn:
        return (await conn.execute(select(campaign.c.id).where(going).limit(1))).first() is not None


async def note(conn: AsyncConnection, name: str, seen: Sequence[Mapping[str, Any]]) -> None:
    """Write what came of connections of a campaign: each with its `connection`, and the same members."""
    if not seen:
        return
    members = sorted(seen[0].keys() - {"connection"})
    given = [{"of": one["connection"], **{f"new_{m}": one[m] for m in members}} for one in seen]
    await conn.execute(
        update(campaign_member)
        .where(_M.campaign == name, _M.connection == bindparam("of"))
        .values({m: bindparam(f"new_{m}") for m in members}),
        given,
    )


async def take(
    conn: AsyncConnection, name: str, wave: int | None, ids: Collection[str], now: datetime
) -> None:
    """Let a wave take connections; None gives them back to a later one."""
    chosen = {"wave": wave, "chosen_at": now if wave is not None else None}
    await note(conn, name, [{"connection": one, **chosen} for one in sorted(ids)])


async def halt(conn: AsyncConnection, of: Campaign, why: str, now: datetime) -> None:
    """Pause a campaign whose wave went wrong: programs and on-call hear of it, and a person goes on."""
    await _change(conn, of.id, Phase.PAUSED, why, now, audit.SERVICE, halted=True)
    told = {"campaign": of.id, "reason": of.reason, "why": why}
    await events.general(conn, Type.CAMPAIGN_STOPPED, now, told)
    await audit.record(conn, now, audit.SERVICE, "campaign.halt", of.id, why=why)


async def end(conn: AsyncConnection, of: Campaign, how: Phase, now: datetime) -> None:
    """End a campaign whose clients have all approved, or whose time has run out."""
    why = "all have approved" if how is Phase.DONE else f"its last day was {of.until.isoformat()}"
    await _change(conn, of.id, how, why, now, audit.SERVICE, halted=False)
    await audit.record(conn, now, audit.SERVICE, f"campaign.{how.value}", of.id)


async def halted(conn: AsyncConnection) -> list[Campaign]:
    """Return the campaigns that stopped by themselves and wait for a person."""
    waits = (campaign.c.phase == Phase.PAUSED.value) & campaign.c.halted
    return [_campaign(row) for row in await conn.execute(select(campaign).where(waits))]


_STANDING = case(
    (_M.left_at.is_not(None), "gone"),
    (_M.approved_at.is_not(None), "approved"),
    (_M.mishap != "", _M.mishap),
    (_M.opened_at.is_not(None), "opened"),
    (_M.invited_at.is_not(None), "invited"),
    else_="to_come",
)


async def sums(database: Database) -> list[tuple[str, str, int]]:
    """Return name, how far (`health.campaign.how_far`) and how many connections of campaigns not over."""
    async with database.read() as conn:
        found = await conn.execute(
            select(_M.campaign, _STANDING, func.count()).where(_M.standing).group_by(_M.campaign, _STANDING)
        )
        return [(row[0], row[1], int(row[2])) for row in found]


# -- what came of its mails' links ------------------------------------------------------------------------

LINKS = "campaign"  # what the link of a campaign's mail is made for
_OWN_CAUSES = [cause.value for cause, row in TABLE.items() if row.subject is Subject.CONNECTION]


@dataclass(frozen=True, slots=True)
class Steps:
    """How far clients went on their links: the first opening, and how the newest trip that failed ended."""

    opened: Mapping[str, datetime]
    failed: Mapping[str, tuple[str, datetime]]
    broke: Mapping[str, Sequence[datetime]]  # breaks of their own since the campaign began


async def steps(conn: AsyncConnection, of: Campaign) -> Steps:
    """Return how far the clients of a campaign went."""
    mine = select(_M.connection).where(_M.campaign == of.id)
    its = (link.c.connection.in_(mine), link.c.cause == LINKS, link.c.made_at >= of.created_at)
    first = select(link.c.connection, func.min(link.c.opened_at)).where(*its, link.c.opened_at.is_not(None))
    opened = {row[0]: row[1] for row in await conn.execute(first.group_by(link.c.connection))}
    trips = await conn.execute(
        select(consent.c.connection, consent.c.outcome, consent.c.spent_at)
        .join(link, link.c.id == consent.c.link)
        .where(*its, consent.c.outcome.in_(list(OF_TRIP)), consent.c.spent_at.is_not(None))
        .order_by(consent.c.spent_at)
    )
    failed = {row[0]: (OF_TRIP[row[1]].value, row[2]) for row in trips}
    breaks = await conn.execute(
        select(incident.c.name, incident.c.opened_at).where(
            incident.c.kind == Subject.CONNECTION.value,
            incident.c.name.in_(mine),
            incident.c.opened_at >= of.created_at,
            incident.c.cause.in_(_OWN_CAUSES),
        )
    )
    broke: dict[str, list[datetime]] = defaultdict(list)
    for row in breaks:
        broke[row[0]].append(row[1])
    return Steps(opened, failed, broke)
