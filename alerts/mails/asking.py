"""A mail that a person wants sent now."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select

from alerts.mails import reconcile, truth
from alerts.mails.plan import Wish
from alerts.mails.standing import Client, Kind, Slot
from alerts.mails.voice import Voice
from alerts.outbox.envelope import Envelope, Item
from alerts.outbox.tables import notice, notice_item
from monitor.errors import ConfigurationError, Remedy
from monitor.health.acting import Stand, mends
from monitor.health.causes import Cause, mailed_as
from monitor.health.explain import account_remedies
from monitor.health.lifecycle import State
from monitor.store import audit, bindings, incidents
from monitor.store.connections import Known
from monitor.store.engine import Database
from monitor.store.retry import retried

PART = 500  # names in one statement


async def request(database: Database, voice: Voice, known: Known, now: datetime, by: str) -> int:
    """Have a client asked now, because a person says so: no quiet hours, no hold, no fuse.

    Refused where authorizing would mend nothing: even a person cannot send a wrong mail from here.
    """
    return await request_together(database, voice, [known], now, by)


@retried
async def request_together(
    database: Database, voice: Voice, known: Sequence[Known], now: datetime, by: str
) -> int:
    """Do the same with one mail for connections whose clients are told together (`told_together`)."""
    asked = [(one, *_what_to_ask(one)) for one in known]
    items = []
    for one, _, cause in asked:
        await _decided(database, one.id)
        open_ones = await incidents.of_connection(database, one.id)
        number, since = (open_ones[0].id, open_ones[0].opened_at) if open_ones else (None, None)
        items.append(Item(one.id, number, cause.value, since))
    first, kind = known[0], asked[0][1] if len(asked) == 1 else Kind.DIGEST.value
    wish = Wish(Slot.ASK, kind, tuple(items), now, "asked for by a person")
    client = Client(first.client_name, first.contacts, first.locale, first.timezone)
    key = truth.audience(client.name, client.contacts, client.locale, client.timezone)
    async with database.write() as conn:
        await incidents.one_at_a_time(conn)
        made = await reconcile.write_new(conn, client, key, wish, voice, now, requested_by=by)
        await reconcile.bring_in_line(conn, {client.name}, voice, now)
        for one in known:
            await audit.record(conn, now, by, "mail.request", one.id, kind=kind)
    return made


async def unsent(database: Database, known: Known, now: datetime) -> Envelope:
    """Return the mail that `request` would have written, addressed to nobody; nothing is written.

    Raises ConfigurationError where that would be refused.
    """
    kind, cause = _what_to_ask(known)
    await _decided(database, known.id)
    open_ones = await incidents.of_connection(database, known.id)
    number, since = (open_ones[0].id, open_ones[0].opened_at) if open_ones else (None, None)
    return Envelope(
        0, 0, Slot.ASK.value, kind, "", known.client_name, known.locale, known.timezone, 0, "", "", "", "", 0,
        now, None, {}, (Item(known.id, number, cause.value, since),),
    )  # fmt: skip


def told_together(stands: Sequence[Stand]) -> list[list[Stand]]:
    """Return connections as mails about them go out: those that broke in one to each client.

    A newcomer has a mail of its own, which says what the connection is for.
    """
    groups: dict[tuple[str, str], list[Stand]] = {}
    for one in stands:
        facts = one.facts
        key = truth.audience(one.row.client_name, facts.contacts, facts.locale, facts.timezone)
        groups.setdefault((key, one.id if one.row.newcomer else ""), []).append(one)
    return list(groups.values())


async def lately(database: Database, ids: Sequence[str], since: datetime) -> set[str]:
    """Return the connections about which a person has had a mail sent since a time."""
    found: set[str] = set()
    asked = (
        select(notice_item.c.connection)
        .join(notice, notice.c.id == notice_item.c.notice)
        .where(
            notice.c.requested_by.is_not(None),
            notice.c.planned_at >= since,
            notice.c.state.in_(("waiting", "sending", "sent")),
        )
    )
    async with database.read() as conn:
        for start in range(0, len(ids), PART):
            part = asked.where(notice_item.c.connection.in_(ids[start : start + PART]))
            found.update((await conn.execute(part)).scalars())
    return found


def _what_to_ask(known: Known) -> tuple[str, Cause]:
    """Return with which mail the client is asked, and for what. Raises ConfigurationError."""
    health = known.health
    if not known.contacts:
        raise ConfigurationError(f"{known.id}: no contact is on record; import it again with one.")
    if known.newcomer:
        return Kind.FIRST_AUTHORIZATION.value, Cause.OK
    if mends(health):
        return mailed_as(health.cause), health.cause
    why = f"it is {health.state.value}"
    if health.state is State.BROKEN:
        why += f" ({health.cause.value}), which the client cannot mend"
    raise ConfigurationError(
        f"{known.id}: the client is not mailed, since {why}.",
        Remedy("links.new", "makes a link to hand over", known.id),
    )


async def _decided(database: Database, connection: str) -> None:
    """Refuse to ask whoever has approved already, and waits for a person. Raises ConfigurationError."""
    if (grant := await bindings.of_connection(database, connection)) is not None:
        raise ConfigurationError(
            f"{connection}: the client is not mailed, since its approval waits for you.",
            *account_remedies(connection, grant.account.ids),
        )
