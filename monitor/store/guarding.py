"""The fleet guard at work: it judges what a transaction sees, before anybody is told, and writes it down.

Two rules: shares, for what no client mends (`monitor.health.guard`), and surprise, for what clients mend
(`monitor.health.holding`).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.health.breaks import MAILABLE, Break
from monitor.health.causes import Cause, Owner, Subject, consequence
from monitor.health.events import Type
from monitor.health.guard import GuardPolicy, Hold, Tally, judge
from monitor.health.holding import Result, run
from monitor.health.incidents import About, Place
from monitor.health.lifecycle import State
from monitor.health.question import reasons
from monitor.health.surprise import Judgement, Usual
from monitor.health.surprise import judge as judge_surprise
from monitor.store import events, waves
from monitor.store.engine import Database
from monitor.store.expected import BEFORE_HOLDING, OLDEST, Ordinary
from monitor.store.incidents import close_empty, is_open, one_at_a_time
from monitor.store.retry import retried
from monitor.store.tables import incident, watch

_WATCHED = [state.value for state in (State.HEALTHY, State.SUSPECT, State.BROKEN)]
_CLIENTS_OWN = sorted(cause.value for cause in MAILABLE)


async def guard(
    conn: AsyncConnection,
    policy: GuardPolicy,
    now: datetime,
    ordinary: Ordinary | None = None,
    *,
    breaks: bool = True,
) -> tuple[Hold, ...]:
    """Judge the fleet as this transaction sees it, and write what follows; return the guards over outages.

    `ordinary` is what this process knows of the fleet's past; without it that is read anew. `breaks` says
    whether any began, changed or ended: a mere doubt about a client's connection is nothing to be held.
    """
    holds = await _share(conn, policy, now)
    if breaks:
        await _surprise(conn, policy, now, ordinary or Ordinary())
    return holds


@retried
async def judge_again(
    database: Database, policy: GuardPolicy, now: datetime, ordinary: Ordinary | None = None
) -> None:
    """Let guards come down and waves go on, also when no verdict changes."""
    async with database.write() as conn:
        await one_at_a_time(conn)
        await guard(conn, policy, now, ordinary)


# -- surprise: what clients mend -------------------------------------------------------------------------


async def _surprise(conn: AsyncConnection, policy: GuardPolicy, now: datetime, ordinary: Ordinary) -> None:
    breaks, standing = await waves.read(conn, now)
    if not breaks and not standing:
        return
    judgement, usual = await _judge(conn, breaks, policy, now, ordinary)
    settle = policy.surprise.settle
    troubles = await waves.troubles(conn, settle, now) if any(one.untold for one in breaks) else []
    held = {provider: known.held for provider, known in standing.items()}
    result = run(breaks, held, troubles, judgement, usual, policy, now)
    await _write(conn, result, standing, now)


async def _judge(
    conn: AsyncConnection, breaks: Sequence[Break], policy: GuardPolicy, now: datetime, ordinary: Ordinary
) -> tuple[Judgement, Mapping[About, Usual]]:
    """Judge by what is usual; before mails are held because of it, that is read once more.

    Right after an import the fleet is larger than an hour ago, and three breaks are no surprise any more.
    """
    usual = await ordinary.usual(conn, now, OLDEST)
    found = judge_surprise(breaks, usual, policy.surprise, now)
    again = await ordinary.usual(conn, now, BEFORE_HOLDING) if found.surprised else usual
    return (found if again is usual else judge_surprise(breaks, again, policy.surprise, now)), again


async def _write(
    conn: AsyncConnection, result: Result, standing: Mapping[str, waves.Standing], now: datetime
) -> None:
    for made in result.runs:
        await waves.write(conn, made, standing.get(made.provider), reasons(made.up), now)
    await waves.wait(conn, result.waits)


# -- shares: what no client mends ------------------------------------------------------------------------


async def _share(conn: AsyncConnection, policy: GuardPolicy, now: datetime) -> tuple[Hold, ...]:
    standing = await _standing(conn)
    lately = await _lately(conn, policy, now)
    if not lately and not standing:
        return ()
    holds = judge(await _tallies(conn, lately) if lately else (), frozenset(standing), policy)
    for hold in holds:
        await _raise(conn, hold, standing.get(hold.about), policy, now)
    for about, number in standing.items():
        if about not in {hold.about for hold in holds}:
            await conn.execute(
                update(incident).where(incident.c.id == number).values(guard=False, updated_at=now)
            )
            await events.of_incidents(conn, Type.GUARD_LOWERED, [number], now)
    await close_empty(conn, now)
    return holds


async def _standing(conn: AsyncConnection) -> dict[About, int]:
    rows = await conn.execute(
        select(incident.c.id, incident.c.kind, incident.c.name).where(
            incident.c.guard.is_(True), incident.c.wave.is_(False), incident.c.closed_at.is_(None)
        )
    )
    return {About(Subject(row.kind), row.name): row.id for row in rows}


async def _lately(conn: AsyncConnection, policy: GuardPolicy, now: datetime) -> dict[Place, dict[Cause, int]]:
    place = (watch.c.app, watch.c.provider, watch.c.region)
    rows = await conn.execute(
        select(*place, watch.c.candidate, func.count().label("n"))
        .where(
            watch.c.bad_since >= now - policy.window,
            watch.c.candidate.not_in(_CLIENTS_OWN),
            watch.c.state.in_(_WATCHED),
        )
        .group_by(*place, watch.c.candidate)
    )
    found: dict[Place, dict[Cause, int]] = defaultdict(dict)
    for row in rows:
        found[Place(row.app, row.provider, row.region)][Cause(row.candidate)] = int(row.n)
    return found


async def _tallies(conn: AsyncConnection, lately: Mapping[Place, Mapping[Cause, int]]) -> list[Tally]:
    place = (watch.c.app, watch.c.provider, watch.c.region)
    total: Counter[Place] = Counter()
    for row in await conn.execute(
        select(*place, func.count().label("n")).where(watch.c.state.in_(_WATCHED)).group_by(*place)
    ):
        total[Place(row.app, row.provider, row.region)] = row.n
    return [Tally(where, total[where], lately.get(where, {})) for where in total.keys() | lately.keys()]


async def _raise(
    conn: AsyncConnection, hold: Hold, standing: int | None, policy: GuardPolicy, now: datetime
) -> None:
    values = {
        "cause": hold.cause.value,
        "owner": consequence(hold.cause).owner.value,
        "reasons": [hold.sentence],
        "updated_at": now,
        "guard": True,
    }
    up_already = standing is not None
    if standing is None:
        row = (await conn.execute(select(incident.c.id).where(is_open(hold.about)))).one_or_none()
        standing = int(row.id) if row is not None else None
    if standing is None:
        made = await conn.execute(
            insert(incident)
            .values(kind=hold.about.kind.value, name=hold.about.name, opened_at=now, **values)
            .returning(incident.c.id)
        )
        standing = int(made.scalar_one())
        await events.of_incidents(conn, Type.INCIDENT_OPENED, [standing], now)
    else:
        await conn.execute(update(incident).where(incident.c.id == standing).values(**values))
    if not up_already:
        await events.of_incidents(conn, Type.GUARD_RAISED, [standing], now)
    # Only what failed with it is part of it: neither what is older, nor what its own client has to mend.
    await conn.execute(
        update(incident)
        .where(
            incident.c.kind == Subject.CONNECTION.value,
            incident.c.closed_at.is_(None),
            incident.c.owner != Owner.CLIENT.value,
            incident.c.turned_at > now - policy.window,
            incident.c.name.in_(_members(hold.about)),
            or_(incident.c.parent_id.is_(None), incident.c.parent_id != standing),
        )
        .values(parent_id=standing, updated_at=now)
    )


def _members(about: About) -> Any:
    chosen = select(watch.c.connection)
    match about.kind:
        case Subject.APP:
            return chosen.where(watch.c.app == about.name)
        case Subject.REGION:
            provider, _, region = about.name.partition("/")
            return chosen.where(watch.c.provider == provider, watch.c.region == region)
        case Subject.PROVIDER:
            return chosen.where(watch.c.provider == about.name)
        case Subject.NETWORK:
            return chosen.where(watch.c.cause == Cause.NETWORK.value)
        case Subject.CONNECTION:
            return chosen.where(watch.c.connection == about.name)
