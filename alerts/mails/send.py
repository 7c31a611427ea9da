"""Sends what is due: opens it, hands each mail to the mail server, and settles it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from alerts.channels.smtp import Interrupted, Session, Unreachable
from alerts.mails import again, campaigning, fuse, opening, reconcile
from alerts.mails.letters import Unwritable, Writer, told_cause
from alerts.mails.mailserver import LONGEST_DROPPING, Blame, Dropping, MailServer, Whose
from alerts.mails.standing import KINDS, Slot
from alerts.mails.story import CHANNEL, MAIL
from alerts.mails.voice import Post
from alerts.outbox import claims, delays, settling
from alerts.outbox.envelope import Envelope, Outcome
from monitor.clock import Clock
from monitor.metrics.meters import Meters
from monitor.store import published
from monitor.store.engine import Database
from monitor.text import addresses

log = structlog.get_logger("alerts.mails")


class Pump:
    """Sends what waits in the outbox, one batch at a time."""

    def __init__(self, database: Database, post: Post, clock: Clock, meters: Meters, process: str) -> None:
        self._database, self._post, self._clock = database, post, clock
        self._meters, self._process = meters, process
        self._fuse, self._cap = fuse.FuseState(), fuse.Cap(post.max_per_hour)
        self._blame = Blame()
        self._writer = Writer(database, post, clock)
        self.mail_server = MailServer(post.server, post.sender, database, clock, meters, process)
        # From 0 on, or Prometheus would not see the first refusal.
        for kind in KINDS:
            for outcome in Outcome:
                meters.notifications.labels(CHANNEL, kind, outcome.value)

    async def tell(self, conn: AsyncConnection, about: Sequence[str], now: datetime) -> None:
        """Write what is to be said about these connections into their own transaction (promise 3)."""
        clients = await published.clients_of(conn, about)
        self._note_unplanned(await reconcile.bring_in_line(conn, clients, self._post.voice, now))

    async def recover(self) -> None:
        """Free what the process before us held, where there can be no other."""
        if self._database.is_sqlite:
            await claims.free_all(self._database, self._clock.now())

    async def plan(self) -> None:
        """The timer's work: reminders, released holds, expiries, and what changed by hand."""
        now = self._clock.now()
        self._note_unplanned(await reconcile.plan_all(self._database, self._post.voice, now))
        self._meters.outbox_age.labels(CHANNEL).set(await delays.oldest_waiting(self._database, MAIL, now))

    async def campaigns(self) -> None:
        """Move campaigns on: who is asked ahead of time now, and which of them went wrong."""
        self._note_unplanned(await campaigning.advance(self._database, self._post.voice, self._clock.now()))

    async def pump(self) -> int:
        """Send what may go out now; return how many envelopes were settled."""
        now = self._clock.now()
        if await self._may_send(now):
            # Before anything is opened beside it: what is not true any more was not said.
            await again.reconsider(self._database, self._post.voice, now)
        _, state = await opening.open_due(self._database, self._post.voice, self._cap, now)
        self._note_fuse(state)
        if not await self._may_send(now):
            return 0
        tried = 0
        while envelopes := await claims.claim(self._database, MAIL, self._process, now):
            rest = sorted(envelopes, key=lambda e: e.id in self._blame.lost)
            await self._send(rest)
            tried += len(envelopes) - len(rest)
            if rest:
                break  # the server takes nothing now
        return tried

    async def _may_send(self, now: datetime) -> bool:
        return await claims.has_work(self._database, MAIL, now) and await self.mail_server.ready()

    def _note_unplanned(self, clients: int) -> None:
        self._meters.tick_errors.labels("mails.plan").inc(clients)

    def _note_fuse(self, state: fuse.FuseState) -> None:
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
                await claims.give_back(self._database, self._process, names, until=until)

    async def _work_off(self, session: Session, rest: list[Envelope]) -> None:
        """Send over one session, for as long as it lasts."""
        fresh = True
        while rest and session.open:
            envelope, heard = rest[0], False
            try:
                letter = await self._writer.letter(envelope)
                outcome, answer = await session.send(letter, self._handing_over(envelope))
            except Unwritable as error:
                log.error("mail.unwritable", notice=envelope.notice, kind=envelope.kind, why=str(error))
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
        return lambda: settling.hand_over(self._database, self._process, envelope.id)

    async def _settle(self, envelope: Envelope, outcome: Outcome, answer: str) -> None:
        # What the server said is written down also when the service is being stopped at this moment.
        await asyncio.shield(self._settled(envelope, outcome, answer))

    async def _settled(self, envelope: Envelope, outcome: Outcome, answer: str) -> None:
        now = self._clock.now()
        told = await settling.settle(self._database, MAIL, self._process, envelope, outcome, answer, now)
        self._meters.notifications.labels(CHANNEL, envelope.kind, outcome.value).inc()
        say = log.info if outcome is Outcome.SENT else log.warning
        say(
            f"mail.{outcome.value}",
            notice=envelope.notice,
            kind=envelope.kind,
            connections=[item.connection for item in envelope.items][:10],
            attempt=envelope.attempts,
            answer=_without(envelope.address, answer) if outcome is not Outcome.SENT else None,
        )
        if told and envelope.slot in (Slot.ASK, Slot.EXPIRING):
            await self._count_mailed(envelope, now)

    async def _count_mailed(self, envelope: Envelope, now: datetime) -> None:
        async with self._database.read() as conn:
            providers = await published.providers_of(conn, [item.connection for item in envelope.items])
        for item in envelope.items:
            if item.connection in providers:
                waited = (now - item.since).total_seconds() if item.since and item.since < now else 0.0
                self._meters.funnel(
                    providers[item.connection], "mailed", told_cause(envelope, item), envelope.locale, waited
                )


def _without(address: str, text: str) -> str:
    """Return a server's words without the client's address, as people or the wire spell it."""
    return text.replace(address, "…").replace(addresses.mailbox(address), "…")
