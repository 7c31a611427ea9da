"""Who and what is silent now: laid by a person for a time, or given by the configuration."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from alerts.silences.tables import silence
from alerts.silences.windows import Over, Silenced, Window
from monitor.errors import Conflict, NotFound, Remedy
from monitor.store import audit, published
from monitor.store.engine import Database
from monitor.store.retry import retried


@retried
async def begin(
    database: Database,
    over: Over,
    name: str,
    reason: str,
    until: datetime | None,
    now: datetime,
    by: str,
    *,
    start: datetime | None = None,
    pauses: bool = False,
) -> int:
    """Lay a silence, now or from `start` on, beside whatever lies there; return its number.

    Raises NotFound for what there is not.
    """
    async with database.write() as conn:
        if over is not Over.ALL and not await published.knows(conn, over.value, name):
            raise NotFound(f"There is no {over.value} {name!r}.", Remedy("connections.list", "shows them"))
        made = await conn.execute(
            insert(silence)
            .values(
                kind=over.value, name=name, reason=reason, by=by, begun_at=start or now, until=until,
                pauses=pauses,
            )
            .returning(silence.c.id)
        )  # fmt: skip
        await audit.record(
            conn, now, by, "silence.begin", f"{over.value} {name}".strip(), reason=reason,
            until=until.isoformat() if until else None, maintenance=pauses,
        )  # fmt: skip
        return int(made.scalar_one())


@retried
async def begin_each(
    database: Database, names: Sequence[str], reason: str, start: datetime, until: datetime | None, by: str
) -> None:
    """Lay a silence over each of these connections, all of them or none. Raises NotFound."""
    async with database.write() as conn:
        for name in names:
            if not await published.knows(conn, Over.CONNECTION.value, name):
                raise NotFound(f"There is no connection {name!r}.")
        rows = [
            {
                "kind": Over.CONNECTION.value, "name": name, "reason": reason, "by": by, "begun_at": start,
                "until": until, "pauses": False,
            }
            for name in names
        ]  # fmt: skip
        await conn.execute(insert(silence), rows)
        for name in names:
            await audit.record(
                conn, start, by, "silence.begin", f"{Over.CONNECTION.value} {name}", reason=reason,
                until=until.isoformat() if until else None, maintenance=False,
            )  # fmt: skip


@retried
async def end_each(
    database: Database, names: Sequence[str], now: datetime, by: str, begun: datetime | None = None
) -> list[Silenced]:
    """Lift what people laid over each of these connections alone; with `begun`, what `by` laid then only."""
    chosen = frozenset(names)
    async with database.write() as conn:
        mine = [
            one
            for one in await _laid(conn, now)
            if one.over is Over.CONNECTION
            and one.name in chosen
            and one.begun_at <= now
            and (begun is None or (one.by, one.begun_at) == (by, begun))
        ]
        return await _end(conn, mine, now, by) if mine else []


@retried
async def end(database: Database, over: Over, name: str, now: datetime, by: str) -> list[Silenced]:
    """Lift what lies over something now; return what that was. What is yet to begin stays.

    Where nothing lies there now, the one that is to come is called off. Raises NotFound where there is none,
    and Conflict where several are to come: then they have to be named by their numbers.
    """
    async with database.write() as conn:
        mine = [item for item in await _laid(conn, now) if (item.over, item.name) == (over, name)]
        lifted = [item for item in mine if item.begun_at <= now] or mine
        what = "everything" if over is Over.ALL else f"{over.value} {name!r}"
        if not lifted:
            raise NotFound(
                f"No silence lies over {what}. Those of the configuration end there.",
                Remedy("silences.list", "shows those that there are"),
            )
        if len(lifted) > 1 and lifted[0].begun_at > now:
            numbers = ", ".join(str(item.number) for item in lifted)
            raise Conflict(
                f"No silence lies over {what} now, and several are to come: {numbers}.",
                Remedy("silences.end", "ends the one that you name"),
            )
        return await _end(conn, lifted, now, by)


@retried
async def end_numbered(database: Database, numbers: Sequence[int], now: datetime, by: str) -> list[Silenced]:
    """Lift silences, or call them off, by their numbers; all or none. Raises NotFound."""
    async with database.write() as conn:
        laid = {item.number: item for item in await _laid(conn, now)}
        for number in numbers:
            if number not in laid:
                raise NotFound(
                    f"There is no silence {number}, or it is over.",
                    Remedy("silences.list", "shows those that are not"),
                )
        return await _end(conn, [laid[number] for number in dict.fromkeys(numbers)], now, by)


async def _end(conn: AsyncConnection, lifted: list[Silenced], now: datetime, by: str) -> list[Silenced]:
    numbers = [item.number for item in lifted]
    await conn.execute(update(silence).where(silence.c.id.in_(numbers)).values(ended_at=now))
    for item in lifted:
        await audit.record(conn, now, by, "silence.end", item.identity, number=item.number)
    return lifted


async def holding(conn: AsyncConnection, windows: Iterable[Window], now: datetime) -> list[Silenced]:
    """Return the silences that hold now, people's and the configuration's."""
    return [item for item in await _laid(conn, now) if item.begun_at <= now] + _given(windows, now)


async def standing(database: Database, windows: Iterable[Window], now: datetime) -> list[Silenced]:
    """Return the silences that hold now, and those of people that are yet to begin."""
    async with database.read() as conn:
        return await _laid(conn, now) + _given(windows, now)


async def _laid(conn: AsyncConnection, now: datetime) -> list[Silenced]:
    rows = await conn.execute(
        select(silence)
        .where(silence.c.ended_at.is_(None), or_(silence.c.until.is_(None), silence.c.until > now))
        .order_by(silence.c.id)
    )
    return [
        Silenced(Over(row.kind), row.name, row.reason, row.by, row.begun_at, row.until, row.pauses, row.id)
        for row in rows
    ]


def _given(windows: Iterable[Window], now: datetime) -> list[Silenced]:
    return [found for window in windows if (found := window.at(now)) is not None]
