"""What people ask of the outbox: what was said and what waits, and a mail that a person wants sent now."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, func, select

from alerts.mails import ledger
from alerts.mails.addresses import needs_utf8
from alerts.mails.ledger import Voice
from alerts.mails.notices import Client, Item, Kind, Slot, Wish
from alerts.mails.told import Sent, Told
from alerts.outbox.tables import address, delivery, notice, notice_item
from monitor.errors import ConfigurationError, Remedy
from monitor.health.causes import Cause, Owner, consequence
from monitor.health.lifecycle import State
from monitor.store import audit, bindings, incidents
from monitor.store.connections import Known
from monitor.store.engine import Database
from monitor.store.retry import retried
from monitor.store.tables import connection


async def about_connection(database: Database, connection_id: str, limit: int = 20) -> list[Told]:
    """Return what was said, or waits to be said, about a connection; newest first."""
    mine = select(notice_item.c.notice).where(notice_item.c.connection == connection_id)
    return await _read(database, notice.c.id.in_(mine), limit)


async def listing(database: Database, limit: int, *, everything: bool = False) -> list[Told]:
    """Return what waits, is being sent, or could not be sent; or everything. Newest first."""
    open_ones = notice.c.state.in_(["waiting", "sending", "failed"])
    return await _read(database, open_ones if not everything else notice.c.id > 0, limit)


async def page(
    database: Database,
    limit: int,
    *,
    before: int | None = None,
    number: int | None = None,
    states: Collection[str] = (),
    client: str = "",
    connection_id: str = "",
) -> list[Told]:
    """Return what was said or waits, newest first, before a number; all, or what is asked for."""
    which: list[ColumnElement[bool]] = [notice.c.id > 0]
    if before is not None:
        which.append(notice.c.id < before)
    if number is not None:
        which.append(notice.c.id == number)
    if states:
        which.append(notice.c.state.in_(states))
    if client:
        which.append(notice.c.client == client)
    if connection_id:
        mine = select(notice_item.c.notice).where(notice_item.c.connection == connection_id)
        which.append(notice.c.id.in_(mine))
    return await _read(database, and_(*which), limit)


async def counted(database: Database) -> dict[str, int]:
    """Return how many notices are in each state that there is."""
    async with database.read() as conn:
        rows = await conn.execute(select(notice.c.state, func.count().label("n")).group_by(notice.c.state))
        return {row.state: row.n for row in rows}


async def _read(database: Database, which: Any, limit: int) -> list[Told]:
    async with database.read() as conn:
        rows = (
            await conn.execute(select(notice).where(which).order_by(notice.c.id.desc()).limit(limit))
        ).all()
        numbers = [row.id for row in rows]
        items: dict[int, list[str]] = defaultdict(list)
        for row in await conn.execute(
            select(notice_item.c.notice, notice_item.c.connection)
            .where(notice_item.c.notice.in_(numbers))
            .order_by(notice_item.c.connection)
        ):
            items[row.notice].append(row.connection)
        sent: dict[int, list[Sent]] = defaultdict(list)
        for row in await conn.execute(
            select(delivery).where(delivery.c.notice.in_(numbers)).order_by(delivery.c.id)
        ):
            sent[row.notice].append(Sent(row.address, row.state, row.attempts, row.answer, row.settled_at))
    return [_told(row, items[row.id], sent[row.id]) for row in rows]


def _told(row: Row[Any], items: Sequence[str], sent: Sequence[Sent]) -> Told:
    return Told(
        row.id, Slot(row.slot), row.kind, row.client, row.state, row.outcome, row.reason, row.number,
        row.requested_by, row.planned_at, row.due_at, row.settled_at, tuple(items), tuple(sent),
    )  # fmt: skip


async def undeliverable(database: Database) -> list[tuple[str, datetime, str]]:
    """Return the addresses that refused mail: address, since, the server's words."""
    async with database.read() as conn:
        rows = await conn.execute(select(address).order_by(address.c.refused_at.desc()))
        return [(row.address, row.refused_at, row.answer) for row in rows]


async def needing_utf8(database: Database) -> list[tuple[str, str]]:
    """Return connections and contacts that only a mail server with SMTPUTF8 can be handed."""
    async with database.read() as conn:
        rows = await conn.execute(select(connection.c.id, connection.c.contacts).order_by(connection.c.id))
        return [(row.id, to) for row in rows for to in row.contacts if needs_utf8(to)]


@retried
async def request(database: Database, voice: Voice, known: Known, now: datetime, by: str) -> int:
    """Have a client asked now, because a person says so: no quiet hours, no hold, no fuse.

    Refused where authorizing would mend nothing: even a person cannot send a wrong mail from here.
    """
    health = known.health
    if not known.contacts:
        raise ConfigurationError(f"{known.id}: no contact is on record; import it again with one.")
    if known.newcomer:
        kind, cause = Kind.FIRST_AUTHORIZATION, Cause.OK
    elif (
        health.state is State.BROKEN
        and health.owner is Owner.CLIENT
        and consequence(health.cause).client_mail
    ):
        kind, cause = Kind(health.cause.value), health.cause
    else:
        why = f"it is {health.state.value}"
        if health.state is State.BROKEN:
            why += f" ({health.cause.value}), which the client cannot mend"
        raise ConfigurationError(
            f"{known.id}: the client is not mailed, since {why}.",
            Remedy("links.make", "makes a link to hand over", known.id),
        )
    client = Client(known.client_name, known.contacts, known.locale, known.timezone)
    key = ledger.audience(client.name, client.contacts, client.locale, client.timezone)
    if (grant := await bindings.of_connection(database, known.id)) is not None:
        decided = f"{known.id} {grant.account.id}"
        raise ConfigurationError(
            f"{known.id}: the client is not mailed, since its approval waits for you.",
            Remedy("connections.accept_account", "takes it", decided),
            Remedy("connections.refuse_account", "gives it back", known.id),
        )
    open_ones = await incidents.of_connection(database, known.id)
    item = Item(
        known.id, open_ones[0].id if open_ones else None, cause, open_ones[0].opened_at if open_ones else None
    )
    wish = Wish(Slot.ASK, kind, (item,), now, "asked for by a person")
    async with database.write() as conn:
        await incidents.one_at_a_time(conn)
        number = await ledger.write_new(conn, client, key, wish, voice, now, requested_by=by)
        await ledger.bring_in_line(conn, {client.name}, voice, now)
        await audit.record(conn, now, by, "mail.request", known.id, kind=kind.value)
    return number
