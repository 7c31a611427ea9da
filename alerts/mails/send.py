"""The pump: opens what is due, writes each mail with a link of its own, sends it, settles it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy import func, select
from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from alerts.channels import Outcome
from alerts.channels.smtp import Interrupted, Letter, Server, Session, Unreachable
from alerts.mails import addresses, again, fuse, ledger
from alerts.mails.compose import Composer, Subject
from alerts.mails.ledger import Voice
from alerts.mails.mailserver import LONGEST_DROPPING, Blame, Dropping, MailServer, Whose
from alerts.mails.message import Logo, Sender, build
from alerts.mails.notices import Item, Kind, Slot
from alerts.outbox import outbox
from alerts.outbox.envelopes import Envelope
from alerts.outbox.tables import notice
from monitor.clock import Clock
from monitor.errors import TokenHealthError
from monitor.health.causes import Cause, consequence
from monitor.health.explain import refused_scopes
from monitor.metrics.meters import Meters
from monitor.store import links
from monitor.store.engine import Database
from monitor.store.tables import connection, history

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


class Unwritable(TokenHealthError):
    """This mail cannot be written; the text says why, with the template and the line where it is one's."""


class Pump:
    """Sends what waits in the outbox, one batch at a time."""

    def __init__(self, database: Database, post: Post, clock: Clock, meters: Meters, process: str) -> None:
        self._database, self._post, self._clock = database, post, clock
        self._meters, self._process = meters, process
        self._fuse, self._cap = fuse.State(), fuse.Cap(post.max_per_hour)
        self._blame = Blame()
        self.mail_server = MailServer(post.server, post.sender, database, clock, meters, process)
        # From 0 on, or Prometheus would not see the first refusal.
        for kind in Kind:
            for outcome in Outcome:
                meters.notifications.labels("email", kind.value, outcome.value)

    async def tell(self, conn: AsyncConnection, about: Sequence[str], now: datetime) -> None:
        """Write what is to be said about these connections into their own transaction (promise 3)."""
        clients = await ledger.of_connections(conn, about)
        self._note_unplanned(await ledger.bring_in_line(conn, clients, self._post.voice, now))

    async def recover(self) -> None:
        """Free what the process before us held, where there can be no other."""
        if self._database.is_sqlite:
            await outbox.free_all(self._database, self._clock.now())

    async def plan(self) -> None:
        """The timer's work: reminders, released holds, expiries, and what changed by hand."""
        now = self._clock.now()
        self._note_unplanned(await outbox.plan_all(self._database, self._post.voice, now))
        self._meters.outbox_age.labels("email").set(await outbox.oldest_waiting(self._database, now))

    async def pump(self) -> int:
        """Send what may go out now; return how many envelopes were settled."""
        now = self._clock.now()
        if await self._may_send(now):
            # Before anything is opened beside it: what is not true any more was not said.
            await again.reconsider(self._database, self._post.voice, now)
        _, state = await outbox.open_due(self._database, self._post.voice, self._cap, now)
        self._note_fuse(state)
        if not await self._may_send(now):
            return 0
        tried = 0
        while envelopes := await outbox.claim(self._database, self._process, now):
            rest = sorted(envelopes, key=lambda e: e.id in self._blame.lost)
            await self._send(rest)
            tried += len(envelopes) - len(rest)
            if rest:
                break  # the server takes nothing now
        return tried

    async def _may_send(self, now: datetime) -> bool:
        return await outbox.has_work(self._database, now) and await self.mail_server.ready()

    def _note_unplanned(self, clients: int) -> None:
        self._meters.tick_errors.labels("mails.plan").inc(clients)

    def _note_fuse(self, state: fuse.State) -> None:
        self._meters.fuse.set(1 if state.blown_at else 0)
        if state.blown_at and not self._fuse.blown_at:
            log.error("mail.fuse_blown", wanted=state.wanted, max_per_hour=self._post.max_per_hour)
        elif self._fuse.blown_at and not state.blown_at:
            log.warning("mail.fuse_whole", wanted=state.wanted)
        self._fuse = state

    async def _send(self, rest: list[Envelope]) -> None:
        """Send a batch. What is left of it could not be tried, and is given back as it was."""
        dropping = False
        try:
            while rest:
                async with Session(self._post.server) as session:
                    await self._work_off(session, rest)
        except Unreachable as error:
            dropping = isinstance(error, Dropping)
            await self.mail_server.failed(str(error), dropping=dropping)
        finally:
            if rest:
                await asyncio.shield(self._give_back(rest, dropping=dropping))

    async def _give_back(self, rest: Sequence[Envelope], *, dropping: bool) -> None:
        """Free what could not be tried; what a connection was dropped over lets others go first."""
        last = [e.id for e in rest if dropping and e.id in self._blame.lost]
        first = [e.id for e in rest if e.id not in last]
        for names, until in ((last, self._clock.now() + LONGEST_DROPPING), (first, None)):
            if names:
                await outbox.give_back(self._database, self._process, names, until=until)

    async def _work_off(self, session: Session, rest: list[Envelope]) -> None:
        """Send over one session, for as long as it lasts."""
        fresh = True
        while rest and session.open:
            envelope, heard = rest[0], False
            try:
                letter = await self._letter(envelope)
                outcome, answer = await session.send(letter, self._handing_over(envelope))
            except Unwritable as error:
                log.error("mail.unwritable", notice=envelope.notice, kind=envelope.kind.value, why=str(error))
                outcome, answer = Outcome.FAILED, f"it could not be written: {error}"
            except Interrupted as error:
                if not fresh:
                    return  # a server may end a session after any message: a new one tells more
                whose = self._blame.lose(envelope.id, [e.id for e in rest])
                if whose is Whose.SERVER:
                    raise Dropping(f"{self._post.server.name}: {error}") from None
                if whose is Whose.UNKNOWN:
                    rest.append(rest.pop(0))
                    return
                outcome, answer = Outcome.LATER, str(error)
            else:
                fresh, heard = False, outcome is not Outcome.UNCONFIRMED
            rest.remove(envelope)
            await self._settle(envelope, outcome, answer)
            if heard:
                self._blame.answered(envelope.id)
                await self.mail_server.works()
            elif outcome is Outcome.UNCONFIRMED and self._blame.unanswered() is Whose.SERVER:
                raise Dropping(f"{self._post.server.name}: {answer}")

    def _handing_over(self, envelope: Envelope) -> Callable[[], Awaitable[bool]]:
        return lambda: outbox.hand_over(self._database, self._process, envelope.id)

    async def _letter(self, envelope: Envelope) -> Letter:
        """Write a mail. Raises Unwritable, whatever went wrong: one mail's fault is its own."""
        post = self._post
        try:
            subjects = await self._subjects(envelope)
            if envelope.items and not subjects:
                raise Unwritable("its connections were removed")
            more = {"reason": await self._reason(envelope)}
            written = post.composer.write(
                envelope.kind, envelope.client, subjects, envelope.locale, envelope.timezone, **more
            )
            return Letter.of(
                build(
                    written,
                    post.sender,
                    envelope.address,
                    envelope.message_id,
                    self._clock.now(),
                    language=envelope.locale,
                    thread=envelope.thread,
                    logo=post.logo,
                )
            )
        except (OperationalError, InterfaceError, OSError):
            raise  # the database's, and so every mail's
        except TokenHealthError as error:
            raise Unwritable(str(error)) from None
        except Exception as error:
            said = "" if isinstance(error, SQLAlchemyError) else f": {' '.join(str(error).split())[:200]}"
            raise Unwritable(f"{type(error).__name__}{said}") from None

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
            answer=_without(envelope.address, answer) if outcome is not Outcome.SENT else None,
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
                for row in await conn.execute(select(connection).where(connection.c.id.in_(names)))
            }
            newest = select(func.max(history.c.id)).where(history.c.connection.in_(names))
            refused = {
                row.connection: refused_scopes(row.evidence)
                for row in await conn.execute(
                    select(history.c.connection, history.c.evidence).where(
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
            # What the provider refused, not what we have no good read of: that may never have been asked for.
            lacking = consequence(item.cause).about_scopes
            missing = (refused.get(item.connection) if lacking else None) or row.scopes
            link, until = await self._link(envelope, item, cause)
            found.append(
                Subject(
                    connection=item.connection,
                    provider=self._post.titles.get(row.app, row.provider),
                    cause=cause,
                    account=row.account_name or row.account_id or "",
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


def _without(address: str, text: str) -> str:
    """Return a server's words without the client's address, as people or the wire spell it."""
    return text.replace(address, "…").replace(addresses.mailbox(address), "…")


def _cause(envelope: Envelope, item: Item) -> str:
    if envelope.slot is Slot.EXPIRING:
        return "expiring"
    if envelope.kind is Kind.FIRST_AUTHORIZATION or (item.incident is None and item.cause is Cause.OK):
        return "pending"
    return item.cause.value
