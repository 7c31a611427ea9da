"""Settles a batch of verdicts: states, history, counts and incidents in one transaction.

1. Take the gates, and keep what is still ours: the lease's fencing number has to be the row's. A verdict that
   lost its lease (a pause, an import, another process) is thrown away here, before anything is written.
2. Write how each connection is, and when it is looked at next; give the lease back.
3. Count the probes.
4. For what changed: the history with its evidence, and the incident opened, updated or closed.
5. If a break began, changed or ended: let the fleet guard judge, before anybody is told.
6. Tell: what is to be said about the changed incidents is written in this same transaction (promise 3).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Double, Integer, Text, bindparam, insert, literal, or_, select, true, update
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.health.classify import Finding
from monitor.health.guard import GuardPolicy
from monitor.health.lifecycle import Verdict
from monitor.store import bindings, gates, guarding, incidents
from monitor.store.bindings import AS_USUAL, Account, Binding
from monitor.store.bulk import Columns, packed, unpacked
from monitor.store.due import Lease, health_columns
from monitor.store.engine import Database, UtcDateTime
from monitor.store.expected import Ordinary
from monitor.store.fence import Held
from monitor.store.retry import retried
from monitor.store.tables import connection, history, probe_count, watch

# Writes what is to be said about these connections into the transaction it is handed.
Tell = Callable[[AsyncConnection, Sequence[str], datetime], Awaitable[None]]


class Outcome(NamedTuple):
    """What one probe comes to, ready to be written. `evidence` is given where the verdict changed."""

    lease: Lease
    verdict: Verdict
    finding: Finding
    probed_at: datetime
    seconds: float
    next_probe_at: datetime | None
    scope_cursor: int = 0
    scope_checked_at: datetime | None = None
    scopes_all: bool = False
    reads: Mapping[str, datetime] | None = None
    account: tuple[str, str | None, str | None] | None = None  # the first seen, its name, and the user's
    evidence: Sequence[Mapping[str, Any]] = ()


_WRITE = (
    update(watch)
    .where(watch.c.connection == bindparam("_id"))
    .values(
        {
            name: bindparam(name)
            for name in (
                "state",
                "since",
                "cause",
                "owner",
                "confidence",
                "rule",
                "candidate",
                "streak",
                "streak_since",
                "bad_since",
                "good_streak",
                "flaps",
                "flaps_at",
                "last_probe_at",
                "last_success_at",
                "last_seconds",
                "next_probe_at",
                "scope_cursor",
                "scope_checked_at",
                "scopes_all",
                "judged_by",
            )
        }
        | {"lease_by": None, "lease_until": None}
    )
)
# A healthy probe of a healthy connection changes few columns; most writes are this one.
_QUIET: Columns = {
    "id": Text, "last_probe_at": UtcDateTime, "last_success_at": UtcDateTime, "last_seconds": Double,
    "next_probe_at": UtcDateTime,
}  # fmt: skip


def _write_quiet(is_sqlite: bool) -> Any:
    given = unpacked(_QUIET, is_sqlite)
    return (
        update(watch)
        .where(watch.c.connection == given.c.id)
        .values(
            last_probe_at=given.c.last_probe_at, last_success_at=given.c.last_success_at,
            last_seconds=given.c.last_seconds, next_probe_at=given.c.next_probe_at, lease_by=None,
            lease_until=None,
        )
    )  # fmt: skip


_COUNTS: Columns = {"connection": Text, "bucket": Integer, "cause": Text, "seconds": Double}


def _add_counts(is_sqlite: bool) -> Any:
    given = unpacked(_COUNTS, is_sqlite)
    added: Any = (sqlite_insert if is_sqlite else postgres_insert)(probe_count).from_select(
        ["connection", "bucket", "cause", "probes", "seconds"],
        # `WHERE true` keeps SQLite from reading ON CONFLICT as a join condition.
        select(given.c.connection, given.c.bucket, given.c.cause, literal(1), given.c.seconds).where(true()),
    )
    return added.on_conflict_do_update(
        index_elements=["connection", "bucket", "cause"],
        set_={
            "probes": probe_count.c.probes + added.excluded.probes,
            "seconds": probe_count.c.seconds + added.excluded.seconds,
        },
    )


_IDS: Columns = {"id": Text}


def _still_ours(is_sqlite: bool) -> Any:
    given = unpacked(_IDS, is_sqlite)
    return (
        select(watch.c.connection, watch.c.lease_epoch)
        .join(given, given.c.id == watch.c.connection)
        .where(watch.c.lease_by == bindparam("process"))
        .order_by(watch.c.connection)
        .with_for_update(of=watch)
    )


_BULK = {
    is_sqlite: (_write_quiet(is_sqlite), _add_counts(is_sqlite), _still_ours(is_sqlite))
    for is_sqlite in (True, False)
}


@retried
async def settle(
    database: Database,
    process: str,
    outcomes: Sequence[Outcome],
    guard: GuardPolicy,
    now: datetime,
    bucket: timedelta,
    tell: Tell | None = None,
    ordinary: Ordinary | None = None,
    binding: Binding = AS_USUAL,
) -> list[Outcome]:
    """Write a batch; return the outcomes that were still ours to write.

    `ordinary` is what this process knows of the fleet's past, for the guard; `binding` how a first account
    is taken: the tokens of one that has to wait for a person are held, and their outcome is not written.
    """
    first = any(_is_first(o) for o in outcomes)
    async with database.write() as conn:
        if first:
            await gates.one_binding(conn)
        if first or any(o.verdict.changed for o in outcomes):
            await incidents.one_at_a_time(conn)
        ids = packed(_IDS, [(o.lease.id,) for o in outcomes], database.is_sqlite)
        rows = await conn.execute(_BULK[database.is_sqlite][2], ids | {"process": process})
        epochs: dict[str, int] = {row[0]: row[1] for row in rows}
        ours = [o for o in outcomes if epochs.get(o.lease.id) == o.lease.epoch]
        if first:
            ours = await _bound(conn, ours, binding, now)
        if not ours:
            return []
        await _write_watch(conn, process, ours, database.is_sqlite)
        await _count(conn, ours, bucket, database.is_sqlite)
        changed = [o for o in ours if o.verdict.changed]
        if changed:
            await conn.execute(insert(history), [_history(o) for o in changed])
            await incidents.apply(conn, [_incident_change(o) for o in changed], now)
            about = [o.lease.id for o in changed if o.verdict.incident is not None]
            await guarding.guard(conn, guard, now, ordinary, breaks=bool(about))
            if tell is not None and about:
                await tell(conn, about, now)
    return ours


def _is_first(outcome: Outcome) -> bool:
    return outcome.account is not None and bool(outcome.account[0]) and outcome.lease.account_id is None


async def _bound(
    conn: AsyncConnection, outcomes: Sequence[Outcome], rules: Binding, now: datetime
) -> list[Outcome]:
    """Put first accounts on record, one after the other; leave out those that have to wait for a person."""
    kept: list[Outcome] = []
    for outcome in outcomes:
        lease, account = outcome.lease, outcome.account
        if account is None or not _is_first(outcome):
            kept.append(outcome)
            continue
        why = await bindings.why_held(conn, lease.id, lease.place, account[0], rules)
        if why is None:
            await _record(conn, [outcome])
            kept.append(outcome)
        else:
            was = Held(lease.health, authorized=True, rests=None, app=lease.place.app)
            await bindings.take_out(conn, lease.id, was, why, Account(*account), now)
    return kept


async def _write_watch(
    conn: AsyncConnection, process: str, outcomes: Sequence[Outcome], is_sqlite: bool
) -> None:
    quiet: list[tuple[Any, ...]] = []
    full: list[dict[str, Any]] = []
    for outcome in outcomes:
        lease = outcome.lease
        success = outcome.probed_at if outcome.finding.ok else lease.last_success_at
        if (
            outcome.verdict.health is lease.health
            and outcome.scope_checked_at == lease.scope_checked_at
            and outcome.scopes_all == lease.scopes_all
        ):
            quiet.append((lease.id, outcome.probed_at, success, outcome.seconds, outcome.next_probe_at))
        else:
            full.append(
                {
                    "_id": lease.id, "last_probe_at": outcome.probed_at, "last_success_at": success,
                    "last_seconds": outcome.seconds, "next_probe_at": outcome.next_probe_at,
                    "judged_by": process,
                } | _columns(outcome)
            )  # fmt: skip
    if quiet:
        await conn.execute(_BULK[is_sqlite][0], packed(_QUIET, quiet, is_sqlite))
    if full:
        await conn.execute(_WRITE, full)
    await _write_reads_and_accounts(conn, outcomes)


def _columns(outcome: Outcome) -> dict[str, Any]:
    return health_columns(outcome.verdict.health) | {
        "scope_cursor": outcome.scope_cursor,
        "scope_checked_at": outcome.scope_checked_at,
        "scopes_all": outcome.scopes_all,
    }


async def _write_reads_and_accounts(conn: AsyncConnection, outcomes: Sequence[Outcome]) -> None:
    reads = [
        {"_id": o.lease.id, "reads": {scope: at.isoformat() for scope, at in o.reads.items()}}
        for o in outcomes
        if o.reads is not None
    ]
    if reads:
        await conn.execute(
            update(watch).where(watch.c.connection == bindparam("_id")).values(reads=bindparam("reads")),
            reads,
        )
    await _record(conn, [o for o in outcomes if not _is_first(o)])


async def _record(conn: AsyncConnection, outcomes: Sequence[Outcome]) -> None:
    accounts = [
        {"_id": o.lease.id, "account": o.account[0], "name": o.account[1]} for o in outcomes if o.account
    ]
    if accounts:
        # Never another than the one on record: the first authorization says which account is expected.
        await conn.execute(
            update(connection)
            .where(
                connection.c.id == bindparam("_id"),
                or_(connection.c.account_id.is_(None), connection.c.account_id == bindparam("account")),
            )
            .values(account_id=bindparam("account"), account_name=bindparam("name")),
            accounts,
        )


async def _count(
    conn: AsyncConnection, outcomes: Sequence[Outcome], bucket: timedelta, is_sqlite: bool
) -> None:
    size = int(bucket.total_seconds())
    rows = [
        (o.lease.id, int(o.probed_at.timestamp()) // size * size, o.finding.cause.value, o.seconds)
        for o in outcomes
    ]
    await conn.execute(_BULK[is_sqlite][1], packed(_COUNTS, rows, is_sqlite))


def _history(outcome: Outcome) -> dict[str, Any]:
    health, finding = outcome.verdict.health, outcome.finding
    return {
        "connection": outcome.lease.id,
        "at": outcome.probed_at,
        "state": health.state.value,
        "cause": health.cause.value,
        "owner": health.owner.value,
        "confidence": finding.confidence,
        "rule": finding.rule,
        "scope": finding.scope,
        "reasons": list(finding.reasons),
        "evidence": [dict(item) for item in outcome.evidence],
    }


def _incident_change(outcome: Outcome) -> incidents.Change:
    health = outcome.verdict.health
    return incidents.Change(
        connection=outcome.lease.id,
        place=outcome.lease.place,
        change=outcome.verdict.incident,
        cause=health.cause,
        owner=health.owner,
        at=outcome.probed_at,
        reasons=outcome.finding.reasons,
    )
