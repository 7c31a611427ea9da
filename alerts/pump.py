"""The pump: opens what is due, writes each mail with a link of its own, sends it, settles it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from alerts import fuse, ledger, outbox
from alerts.channels import Outcome
from alerts.channels.smtp import Server, Session, Unreachable
from alerts.ledger import Voice
from alerts.mail.compose import Composer, Subject
from alerts.mail.message import Logo, Sender, build
from alerts.notices import Item, Kind, Slot
from alerts.outbox import Envelope
from alerts.tables import notice
from monitor.clock import Clock
from monitor.errors import TokenHealthError
from monitor.health.causes import Cause
from monitor.metrics import Meters
from monitor.store import links
from monitor.store.engine import Database
from monitor.store.tables import connection, history, watch

log = structlog.get_logger("alerts.pump")


@dataclass(frozen=True)
class Post:
    """All that sending mail needs beside the database. `titles` names each app's provider for people."""

    voice: Voice
    composer: Composer
    sender: Sender
    server: Server
    titles: Mapping[str, str]
    public_url: str
    link_lifetime: timedelta
    max_per_hour: int
    logo: Logo | None = None


class Pump:
    """Sends what waits in the outbox, one batch at a time."""

    def __init__(self, database: Database, post: Post, clock: Clock, meters: Meters, process: str) -> None:
        self._database, self._post, self._clock = database, post, clock
        self._meters, self._process = meters, process
        self._fuse, self._cap = fuse.State(), fuse.Cap(post.max_per_hour)
        # From 0 on, or Prometheus would not see the first refusal.
        for kind in Kind:
            for outcome in Outcome:
                meters.notifications.labels("email", kind.value, outcome.value)

    async def tell(self, conn: AsyncConnection, about: Sequence[str], now: datetime) -> None:
        """Write what is to be said about these connections into their own transaction (promise 3)."""
        clients = await ledger.of_connections(conn, about)
        await ledger.bring_in_line(conn, clients, self._post.voice, now)

    async def recover(self) -> None:
        """Free what the process before us held, where there can be no other."""
        if self._database.is_sqlite:
            await outbox.free_all(self._database, self._clock.now())

    async def plan(self) -> None:
        """The timer's work: reminders, released holds, expiries, and what changed by hand."""
        now = self._clock.now()
        await outbox.plan_all(self._database, self._post.voice, now)
        self._meters.outbox_age.labels("email").set(await outbox.oldest_waiting(self._database, now))

    async def pump(self) -> int:
        """Send what may go out now; return how many envelopes were tried."""
        now = self._clock.now()
        _, state = await outbox.open_due(self._database, self._post.voice, self._cap, now)
        self._note_fuse(state)
        tried = 0
        while envelopes := await outbox.claim(self._database, self._process, now):
            tried += len(envelopes)
            await self._send(envelopes)
        return tried

    def _note_fuse(self, state: fuse.State) -> None:
        self._meters.fuse.set(1 if state.blown_at else 0)
        if state.blown_at and not self._fuse.blown_at:
            log.error("mail.fuse_blown", wanted=state.wanted, max_per_hour=self._post.max_per_hour)
        elif self._fuse.blown_at and not state.blown_at:
            log.warning("mail.fuse_whole", wanted=state.wanted)
        self._fuse = state

    async def _send(self, envelopes: Sequence[Envelope]) -> None:
        """Send a batch over one session; a session that breaks is opened anew for the rest."""
        rest = list(envelopes)
        while rest:
            try:
                async with Session(self._post.server) as session:
                    while rest:
                        envelope = rest.pop(0)
                        await self._settle(envelope, *await self._one(session, envelope))
                        if not session.open:
                            break
            except Unreachable as error:
                for envelope in rest:
                    await self._settle(envelope, Outcome.LATER, str(error))
                return

    async def _one(self, session: Session, envelope: Envelope) -> tuple[Outcome, str]:
        post = self._post
        try:
            subjects = await self._subjects(envelope)
            more = {"reason": await self._reason(envelope)}
            written = post.composer.write(
                envelope.kind, envelope.client, subjects, envelope.locale, envelope.timezone, **more
            )
            message = build(
                written,
                post.sender,
                envelope.address,
                envelope.message_id,
                self._clock.now(),
                language=envelope.locale,
                thread=envelope.thread,
                logo=post.logo,
            )
        except (TokenHealthError, ValueError) as error:
            log.error("mail.unwritable", notice=envelope.notice, kind=envelope.kind.value, detail=str(error))
            return Outcome.LATER, f"it could not be written: {error}"
        return await session.send(
            message,
            post.sender.address,
            envelope.address,
            lambda: outbox.hand_over(self._database, self._process, envelope.id),
        )

    async def _settle(self, envelope: Envelope, outcome: Outcome, answer: str) -> None:
        # What the server said is written down also when the service is being stopped at this moment.
        await asyncio.shield(self._settled(envelope, outcome, answer))

    async def _settled(self, envelope: Envelope, outcome: Outcome, answer: str) -> None:
        now = self._clock.now()
        told = await outbox.settle(self._database, self._process, envelope, outcome, answer, now)
        self._meters.notifications.labels("email", envelope.kind.value, outcome.value).inc()
        say = log.info if outcome is Outcome.SENT else log.warning
        say(
            f"mail.{outcome.value}",
            notice=envelope.notice,
            kind=envelope.kind.value,
            connections=[item.connection for item in envelope.items][:10],
            attempt=envelope.attempts,
            answer=answer.replace(envelope.address, "…") if outcome is not Outcome.SENT else None,
        )
        if told and envelope.slot in (Slot.ASK, Slot.EXPIRING):
            await self._count_mailed(envelope, now)

    async def _count_mailed(self, envelope: Envelope, now: datetime) -> None:
        async with self._database.read() as conn:
            rows = await conn.execute(
                select(connection.c.id, connection.c.provider).where(
                    connection.c.id.in_([item.connection for item in envelope.items])
                )
            )
            providers = {row.id: row.provider for row in rows}
        for item in envelope.items:
            if item.connection in providers:
                waited = (now - item.since).total_seconds() if item.since and item.since < now else 0.0
                self._meters.funnel(
                    providers[item.connection], "mailed", _cause(envelope, item), envelope.locale, waited
                )

    async def _reason(self, envelope: Envelope) -> str:
        async with self._database.read() as conn:
            return str(
                (await conn.execute(select(notice.c.reason).where(notice.c.id == envelope.notice))).scalar()
                or ""
            )

    # -- what a mail tells ------------------------------------------------------------------------

    async def _subjects(self, envelope: Envelope) -> list[Subject]:
        names = [item.connection for item in envelope.items]
        async with self._database.read() as conn:
            rows = {
                row.id: row
                for row in await conn.execute(
                    select(connection, watch.c.state, watch.c.reads)
                    .join(watch, watch.c.connection == connection.c.id)
                    .where(connection.c.id.in_(names))
                )
            }
            newest = select(func.max(history.c.id)).where(history.c.connection.in_(names))
            scopes = {
                row.connection: row.scope
                for row in await conn.execute(
                    select(history.c.connection, history.c.scope).where(
                        history.c.id.in_(newest.group_by(history.c.connection))
                    )
                )
            }
        found = []
        for item in envelope.items:
            row = rows.get(item.connection)
            if row is None:
                continue  # removed meanwhile
            cause = _cause(envelope, item)
            missing = [scopes[item.connection]] if scopes.get(item.connection) else []
            if cause in (Cause.INSUFFICIENT_SCOPE.value, Cause.ROLE_RESTRICTED.value):
                missing = [scope for scope in row.scopes if scope not in row.reads] or missing or row.scopes
            else:
                missing = row.scopes
            link, until = await self._link(envelope, item, cause)
            found.append(
                Subject(
                    connection=item.connection,
                    provider=self._post.titles.get(row.app, row.provider),
                    cause=cause,
                    account=row.account_name or "",
                    since=item.since if envelope.slot is not Slot.EXPIRING else None,
                    expires_at=item.since if envelope.slot is Slot.EXPIRING else None,
                    scopes=tuple(missing),
                    link=link,
                    link_until=until,
                    contacts=", ".join(row.contacts) if envelope.slot is Slot.HANDOVER else "",
                )
            )
        return found

    async def _link(self, envelope: Envelope, item: Item, cause: str) -> tuple[str, datetime | None]:
        """Make a link for this envelope: nothing that could open it is kept between two attempts."""
        if envelope.slot not in (Slot.ASK, Slot.REMINDER, Slot.EXPIRING):
            return "", None
        now = self._clock.now()
        until = now + self._post.link_lifetime
        secret = await links.issue(
            self._database,
            item.connection,
            locale=envelope.locale,
            now=now,
            expires_at=until,
            incident=item.incident,
            cause=cause,
            always=envelope.slot is Slot.EXPIRING,
        )
        return f"{self._post.public_url}/r/{secret.reveal()}", until


def _cause(envelope: Envelope, item: Item) -> str:
    if envelope.slot is Slot.EXPIRING:
        return "expiring"
    if envelope.kind is Kind.FIRST_AUTHORIZATION or (item.incident is None and item.cause is Cause.OK):
        return "pending"
    return item.cause.value
