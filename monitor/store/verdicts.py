"""Settles a batch of verdicts: states, history, counts and incidents in one transaction.

1. Take the gates, and keep what may still be written: the fencing number that a verdict carries has to be the
   row's. Each number is good for one verdict, as writing raises it. So nothing else is asked: whoever changes
   what a verdict rests on (another claim, a pause, an import, a verdict before it) has raised the number, and
   whoever still has the row's number has seen the row as it is, with a lease, with one that was given back,
   or without any. What comes too late is thrown away here, before anything is written.
2. Write how each connection is, and when it is looked at next; free it of whoever had a lease. Whether the
   provider's API takes its access token is kept, too.
3. Count the probes.
4. For what changed: the history with its evidence, the incident opened, updated or closed, and the event.
5. If a break began, changed or ended: let the fleet guard judge, before anybody is told.
6. Tell: what is to be said about the changed incidents is written in this same transaction (promise 3).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, NamedTuple

from sqlalchemy import Double, Text, bindparam, false, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.health import events as said
from monitor.health import paces
from monitor.health.events import Type
from monitor.health.guard import GuardPolicy
from monitor.health.lifecycle import IncidentChange
from monitor.health.ruling import Ruling
from monitor.store import bindings, counting, events, gates, guarding, incidents, provider_values
from monitor.store.bindings import AS_USUAL, Account, Binding
from monitor.store.bulk import Columns, packed, unpacked
from monitor.store.columns import HEALTH, health_columns
from monitor.store.due import Lease
from monitor.store.engine import Database, UtcDateTime
from monitor.store.expected import Ordinary
from monitor.store.fence import FENCED, Gated
from monitor.store.retry import retried
from monitor.store.tables import connection, credential, history, watch

# Writes what is to be said about these connections into the transaction it is handed.
Tell = Callable[[AsyncConnection, Sequence[str], datetime], Awaitable[None]]


_NO_VALUES: Mapping[str, str] = MappingProxyType({})


class Refused(NamedTuple):
    """Whether the provider's API refused the access token of a version, or took it."""

    version: int
    yes: bool


class Settlement(NamedTuple):
    """A ruling ready to be written: of which connection, and what its look leaves for the next.

    `lease` is the connection as it was judged, and its number is what fences the ruling. The lease itself
    may have run out, or have been given back.
    """

    lease: Lease
    ruling: Ruling
    seconds: float
    scope_cursor: int = 0
    scope_checked_at: datetime | None = None
    scopes_all: bool = False
    reads: Mapping[str, datetime] | None = None
    refused: Refused | None = None
    values: Mapping[str, str] = _NO_VALUES  # of the provider's [values], those that whoami brought anew


@dataclass(frozen=True, slots=True)
class Terms:
    """What verdicts are settled by, the same for every batch of a process.

    `bucket` is the time that one count of probes covers; `ordinary` is what this process knows of the
    fleet's past, for the guard; `binding` says how a first account is taken.
    """

    process: str  # who judged
    guard: GuardPolicy
    bucket: timedelta = timedelta(days=1)
    tell: Tell | None = None
    ordinary: Ordinary | None = None
    binding: Binding = AS_USUAL


_WRITE = (
    update(watch)
    .where(watch.c.connection == bindparam("_id"))
    .values(
        **{column.name: bindparam(column.name) for column in HEALTH},
        last_probe_at=bindparam("last_probe_at"),
        last_success_at=bindparam("last_success_at"),
        last_seconds=bindparam("last_seconds"),
        paces=bindparam("paces"),
        next_probe_at=bindparam("next_probe_at"),
        scope_cursor=bindparam("scope_cursor"),
        scope_checked_at=bindparam("scope_checked_at"),
        scopes_all=bindparam("scopes_all"),
        judged_by=bindparam("judged_by"),
        spared=false(),
        **FENCED,
    )
)
# A healthy probe of a healthy connection changes few columns; most writes are this one.
_QUIET: Columns = {
    "id": Text, "last_probe_at": UtcDateTime, "last_success_at": UtcDateTime, "last_seconds": Double,
    "next_probe_at": UtcDateTime, "paces": Text,
}  # fmt: skip


def _write_quiet(is_sqlite: bool) -> Any:
    given = unpacked(_QUIET, is_sqlite)
    return (
        update(watch)
        .where(watch.c.connection == given.c.id)
        .values(
            last_probe_at=given.c.last_probe_at, last_success_at=given.c.last_success_at,
            last_seconds=given.c.last_seconds, next_probe_at=given.c.next_probe_at, paces=given.c.paces,
            spared=false(), **FENCED,
        )
    )  # fmt: skip


_IDS: Columns = {"id": Text}


def _numbers(is_sqlite: bool) -> Any:
    given = unpacked(_IDS, is_sqlite)
    return (
        select(watch.c.connection, watch.c.lease_epoch, watch.c.brought_at)
        .join(given, given.c.id == watch.c.connection)
        .order_by(watch.c.connection)
        .with_for_update(of=watch)
    )


_BULK = {is_sqlite: (_write_quiet(is_sqlite), _numbers(is_sqlite)) for is_sqlite in (True, False)}


@retried
async def settle(
    database: Database, settlements: Sequence[Settlement], terms: Terms, now: datetime
) -> list[Settlement]:
    """Write a batch; return what was written: what carries its row's number, which writing uses up.

    Where a first account has to wait for a person, its tokens are held, and the ruling is not written.
    """
    first = any(_is_first(s) for s in settlements)
    async with database.write() as conn:
        if first:
            await gates.one_binding(conn)
        if first or any(s.ruling.verdict.changed for s in settlements):
            await incidents.one_at_a_time(conn)
        written = await _in_time(conn, settlements, database.is_sqlite)
        if first:
            written = await _bound(conn, written, terms.binding, now)
        if not written:
            return []
        await _write_watch(conn, terms.process, written, database.is_sqlite)
        await _write_refused(conn, written)
        found = [(s.lease.id, s.ruling.at, s.ruling.finding.cause, s.seconds) for s in written]
        await counting.add(conn, found, terms.bucket)
        changed = [s for s in written if s.ruling.verdict.changed]
        if changed:
            await conn.execute(insert(history), [_history(s) for s in changed])
            numbers = await incidents.apply(conn, [_incident_change(s) for s in changed], now)
            await _say(conn, changed, numbers, now)
            about = [s.lease.id for s in changed if s.ruling.verdict.incident is not None]
            await guarding.guard(conn, terms.guard, now, terms.ordinary, breaks=bool(about))
            if terms.tell is not None and about:
                await terms.tell(conn, about, now)
    return written


_SAYS = {
    IncidentChange.OPEN: Type.BROKEN,
    IncidentChange.UPDATE: Type.CAUSE_CHANGED,
    IncidentChange.CLOSE: Type.RECOVERED,
}


async def _say(
    conn: AsyncConnection, changed: Sequence[Settlement], numbers: Mapping[str, int], now: datetime
) -> None:
    """Write the events of what is confirmed; a doubt is none."""
    about: dict[Type, dict[str, Mapping[str, Any]]] = {}
    for settlement in changed:
        lease, change = settlement.lease, settlement.ruling.verdict.incident
        if change is None:
            continue
        more = said.was(lease.health.state.value, lease.health.cause.value)
        more["incident"] = numbers.get(lease.id)
        if change is not IncidentChange.UPDATE:
            more |= said.gap(lease.last_success_at, settlement.ruling.at)
        about.setdefault(_SAYS[change], {})[lease.id] = more
    for what, some in about.items():
        await events.moved(conn, what, some, now)


async def _in_time(
    conn: AsyncConnection, settlements: Sequence[Settlement], is_sqlite: bool
) -> list[Settlement]:
    """Take the gates, and keep what carries its row's number; of two with the same number the first."""
    ids = packed(_IDS, [(s.lease.id,) for s in settlements], is_sqlite)
    numbers = {row[0]: (row[1], row[2]) for row in await conn.execute(_BULK[is_sqlite][1], ids)}
    kept = []
    for settlement in settlements:
        lease = settlement.lease
        number, brought_at = numbers.get(lease.id, (None, None))
        if number == lease.epoch:
            del numbers[lease.id]
            kept.append(_at_once(settlement) if _came_late(settlement, brought_at) else settlement)
    return kept


def _came_late(settlement: Settlement, brought_at: datetime | None) -> bool:
    """Whether a signal asked for a look while this one was under way, which may have seen what was before."""
    ruling = settlement.ruling
    if brought_at is None or ruling.next_probe_at is None or ruling.finding.retry_at is not None:
        return False
    return brought_at > ruling.at - timedelta(seconds=settlement.seconds)


def _at_once(settlement: Settlement) -> Settlement:
    ruling = settlement.ruling
    return settlement._replace(ruling=ruling._replace(next_probe_at=ruling.at))


def _is_first(settlement: Settlement) -> bool:
    account = settlement.ruling.account
    if account is None or settlement.lease.account_id is not None:
        return False
    return bool(account.account_id or account.choice)


async def _bound(
    conn: AsyncConnection, settlements: Sequence[Settlement], rules: Binding, now: datetime
) -> list[Settlement]:
    """Put first accounts on record, one after the other; leave out those that have to wait for a person."""
    kept: list[Settlement] = []
    for settlement in settlements:
        lease, account = settlement.lease, settlement.ruling.account
        if account is None or not _is_first(settlement):
            kept.append(settlement)
            continue
        number = account.account_id or ""
        why = await bindings.why_held(conn, lease.id, lease.place, number, rules)
        if why is None:
            await _record(conn, [settlement])
            kept.append(settlement)
        else:
            was = Gated(lease.health, authorized=True, rests=None, app=lease.place.app)
            theirs = Account(number, account.account_name, account.user, account.choice)
            await bindings.take_out(conn, lease.id, was, why, theirs, now)
    return kept


async def _write_watch(
    conn: AsyncConnection, process: str, settlements: Sequence[Settlement], is_sqlite: bool
) -> None:
    quiet: list[tuple[Any, ...]] = []
    full: list[dict[str, Any]] = []
    for settlement in settlements:
        lease, ruling = settlement.lease, settlement.ruling
        good, seconds = ruling.finding.ok, settlement.seconds
        success = ruling.at if good else lease.last_success_at
        pace = paces.after(lease.paces, ruling.at, seconds) if good else lease.paces
        if (
            ruling.verdict.health is lease.health
            and settlement.scope_checked_at == lease.scope_checked_at
            and settlement.scopes_all == lease.scopes_all
        ):
            quiet.append((lease.id, ruling.at, success, seconds, ruling.next_probe_at, pace))
        else:
            full.append(
                {
                    "_id": lease.id, "last_probe_at": ruling.at, "last_success_at": success,
                    "last_seconds": seconds, "next_probe_at": ruling.next_probe_at, "paces": pace,
                    "judged_by": process,
                } | _columns(settlement)
            )  # fmt: skip
    if quiet:
        await conn.execute(_BULK[is_sqlite][0], packed(_QUIET, quiet, is_sqlite))
    if full:
        await conn.execute(_WRITE, full)
    await _write_reads_and_accounts(conn, settlements)


def _columns(settlement: Settlement) -> dict[str, Any]:
    return health_columns(settlement.ruling.verdict.health) | {
        "scope_cursor": settlement.scope_cursor,
        "scope_checked_at": settlement.scope_checked_at,
        "scopes_all": settlement.scopes_all,
    }


async def _write_reads_and_accounts(conn: AsyncConnection, settlements: Sequence[Settlement]) -> None:
    reads = [
        {"_id": s.lease.id, "reads": {scope: at.isoformat() for scope, at in s.reads.items()}}
        for s in settlements
        if s.reads is not None
    ]
    if reads:
        await conn.execute(
            update(watch).where(watch.c.connection == bindparam("_id")).values(reads=bindparam("reads")),
            reads,
        )
    await _record(conn, [s for s in settlements if not _is_first(s)])
    await provider_values.add(conn, {s.lease.id: s.values for s in settlements if s.values})


_REFUSED = (
    update(credential)
    .where(credential.c.connection == bindparam("_id"), credential.c.version == bindparam("_version"))
    .values(refused_version=bindparam("refused"))
)


async def _write_refused(conn: AsyncConnection, settlements: Sequence[Settlement]) -> None:
    """Keep which pair's access token the API refuses; what it takes again is no longer refused."""
    rows = [
        {
            "_id": s.lease.id,
            "_version": s.refused.version,
            "refused": s.refused.version if s.refused.yes else None,
        }
        for s in settlements
        if s.refused is not None and s.refused.yes is not (s.lease.sealed.refused == s.refused.version)
    ]
    if rows:
        await conn.execute(_REFUSED, rows)


async def _record(conn: AsyncConnection, settlements: Sequence[Settlement]) -> None:
    accounts = [
        {"_id": s.lease.id, "account": who.account_id, "name": who.account_name}
        for s in settlements
        if (who := s.ruling.account) is not None
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


def _history(settlement: Settlement) -> dict[str, Any]:
    ruling = settlement.ruling
    health, finding = ruling.verdict.health, ruling.finding
    return {
        "connection": settlement.lease.id,
        "at": ruling.at,
        "state": health.state.value,
        "cause": health.cause.value,
        "owner": health.owner.value,
        "confidence": finding.confidence,
        "rule": finding.rule,
        "scope": finding.scope,
        "reasons": list(finding.reasons),
        "evidence": [dict(item) for item in ruling.kept],
    }


def _incident_change(settlement: Settlement) -> incidents.Change:
    ruling = settlement.ruling
    return incidents.Change(
        connection=settlement.lease.id,
        place=settlement.lease.place,
        change=ruling.verdict.incident,
        cause=ruling.verdict.health.cause,
        owner=ruling.verdict.health.owner,
        at=ruling.at,
        reasons=ruling.finding.reasons,
    )
