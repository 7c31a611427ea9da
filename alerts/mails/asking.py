"""A mail that a person wants sent now."""

from __future__ import annotations

from datetime import datetime

from alerts.mails import reconcile, truth
from alerts.mails.plan import Wish
from alerts.mails.standing import Client, Kind, Slot
from alerts.mails.voice import Voice
from alerts.outbox.envelope import Envelope, Item
from monitor.errors import ConfigurationError, Remedy
from monitor.health.causes import Cause, Owner, consequence, mailed_as
from monitor.health.explain import account_remedies
from monitor.health.lifecycle import State
from monitor.store import audit, bindings, incidents
from monitor.store.connections import Known
from monitor.store.engine import Database
from monitor.store.retry import retried


@retried
async def request(database: Database, voice: Voice, known: Known, now: datetime, by: str) -> int:
    """Have a client asked now, because a person says so: no quiet hours, no hold, no fuse.

    Refused where authorizing would mend nothing: even a person cannot send a wrong mail from here.
    """
    kind, cause = _what_to_ask(known)
    await _decided(database, known.id)
    open_ones = await incidents.of_connection(database, known.id)
    number, since = (open_ones[0].id, open_ones[0].opened_at) if open_ones else (None, None)
    item = Item(known.id, number, cause.value, since)
    wish = Wish(Slot.ASK, kind, (item,), now, "asked for by a person")
    client = Client(known.client_name, known.contacts, known.locale, known.timezone)
    key = truth.audience(client.name, client.contacts, client.locale, client.timezone)
    async with database.write() as conn:
        await incidents.one_at_a_time(conn)
        made = await reconcile.write_new(conn, client, key, wish, voice, now, requested_by=by)
        await reconcile.bring_in_line(conn, {client.name}, voice, now)
        await audit.record(conn, now, by, "mail.request", known.id, kind=kind)
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


def _what_to_ask(known: Known) -> tuple[str, Cause]:
    """Return with which mail the client is asked, and for what. Raises ConfigurationError."""
    health = known.health
    if not known.contacts:
        raise ConfigurationError(f"{known.id}: no contact is on record; import it again with one.")
    if known.newcomer:
        return Kind.FIRST_AUTHORIZATION.value, Cause.OK
    mends = health.owner is Owner.CLIENT and consequence(health.cause).client_mail
    if health.state is State.BROKEN and mends:
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
