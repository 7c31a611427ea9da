"""Sends what endpoints are to be told, each endpoint for itself: one that hangs keeps no other waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

import structlog
from sqlalchemy import or_, select

from alerts.outbox import claims, settling
from alerts.outbox.envelope import TO_PROGRAMS, Envelope, Outcome
from alerts.outbox.tables import delivery, notice
from alerts.webhooks import deliveries, endpoints, fanout, signing
from alerts.webhooks.endpoints import Endpoint, State
from alerts.webhooks.story import SLOTS, WEBHOOK
from monitor.clock import Clock
from monitor.health.events import Type, message
from monitor.metrics.meters import Meters
from monitor.secret import Secret
from monitor.store import events
from monitor.store.engine import Database
from monitor.store.retry import retried
from monitor.text.ids import new_id
from monitor.wire.endpoints import Posted, Poster

log = structlog.get_logger("alerts.webhooks")

GONE = 410  # RFC 9110 15.5.11: what was there will not come back
# Opens the secrets that sign for an endpoint now, the newest first.
Opened = Callable[[Endpoint, datetime], Sequence[Secret]]


class Caller:
    """Puts events in order, and sends them to the endpoints that want them."""

    def __init__(
        self,
        database: Database,
        poster: Poster,
        opened: Opened,
        clock: Clock,
        meters: Meters,
        process: str,
    ) -> None:
        self._database, self._poster, self._opened = database, poster, opened
        self._clock, self._meters, self._process = clock, meters, process
        self._busy: dict[str, asyncio.Task[int]] = {}
        self._flying: set[int] = set()
        for outcome in (Outcome.SENT, Outcome.LATER, Outcome.FAILED):
            meters.webhook_deliveries.labels(outcome.value)

    async def plan(self) -> None:
        """Put new events in the feed, with what they bring. One process at a time does it."""
        await fanout.put_in_order(self._database, self._clock.now())

    async def forget(self) -> None:
        """Drop what is older than it is kept for."""
        await fanout.forget(self._database, self._clock.now())

    async def begin(self) -> None:
        """Begin to send to each endpoint that something is due for, and return."""
        now = self._clock.now()
        due = await _due(self._database, now)
        if not due:
            return
        async with self._database.read() as conn:
            known = {one.id: one for one in await endpoints.active(conn)}
        for name in due:
            if name not in known:
                await _end(self._database, name, now)
            elif name not in self._busy:
                task = asyncio.create_task(self._send_to(known[name]))
                self._busy[name] = task
                task.add_done_callback(lambda done, name=name: self._ended(name, done))  # type: ignore[misc]

    async def pump(self) -> None:
        """Do all that is due now, to its end."""
        await self.plan()
        await self.begin()
        await asyncio.gather(*self._busy.values(), return_exceptions=True)

    async def stop(self) -> None:
        """Send nothing more. What is cut off is sent again by whoever is next: at least once."""
        for task in self._busy.values():
            task.cancel()
        if self._busy:
            await asyncio.wait(set(self._busy.values()))
        await claims.give_back(self._database, self._process, sorted(self._flying))

    async def recover(self) -> None:
        """Free what the process before us held, where there can be no other."""
        if self._database.is_sqlite:
            await claims.free_all(self._database, self._clock.now())

    def _ended(self, name: str, task: asyncio.Task[int]) -> None:
        self._busy.pop(name, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._meters.tick_errors.labels("webhooks.send").inc()
            log.error("webhook.failed", webhook=name, error=type(error).__name__)

    async def _send_to(self, endpoint: Endpoint) -> int:
        """Send what is due for one endpoint, over a few slots; return how much was tried."""
        return sum(await asyncio.gather(*(self._slot(endpoint.id) for _ in range(SLOTS))))

    async def _slot(self, name: str) -> int:
        tried = 0
        while True:
            found = await claims.claim(
                self._database, WEBHOOK, self._process, self._clock.now(), 1, over=name
            )
            if not found:
                return tried
            tried += 1
            if not await self._one(found[0]):
                return tried

    async def _one(self, envelope: Envelope) -> bool:
        """Make one attempt; False where the endpoint takes nothing now."""
        self._flying.add(envelope.id)
        endpoint = await endpoints.known(self._database, envelope.address)
        event = (await events.of_ids(self._database, [envelope.audience])).get(envelope.audience)
        if endpoint is None or endpoint.state is not State.ACTIVE or event is None:
            why = "the event is kept no longer" if event is None else "the endpoint gets nothing any more"
            posted, outcome, answer = Posted(None, why), Outcome.FAILED, why
        else:
            posted = await self._post(endpoint, event.id, event.type, event.at, event.data)
            outcome = Outcome.SENT if posted.taken else Outcome.LATER
            answer = "" if posted.taken else said(posted)
        await asyncio.shield(self._settled(endpoint, envelope, posted, outcome, answer))
        return outcome is not Outcome.LATER

    async def test(self, endpoint: Endpoint) -> Posted:
        """Send a test to an endpoint at once, past the outbox; it is in no feed."""
        data = {"webhook": endpoint.id}
        return await self._post(endpoint, new_id("evt"), Type.WEBHOOK_TEST.value, self._clock.now(), data)

    async def _post(
        self, endpoint: Endpoint, event_id: str, of: str, at: datetime, data: Mapping[str, object]
    ) -> Posted:
        now = self._clock.now()
        keys = self._opened(endpoint, now)
        if not keys:
            return Posted(None, "not sent: its secret is lost with its key; rotate it")
        body = message(of, at, data)
        return await self._poster.post(endpoint.url, body, signing.headers(event_id, body, keys, now), now)

    async def _settled(
        self,
        endpoint: Endpoint | None,
        envelope: Envelope,
        posted: Posted,
        outcome: Outcome,
        answer: str,
    ) -> None:
        now = self._clock.now()
        await settling.settle(
            self._database, WEBHOOK, self._process, envelope, outcome, answer, now, not_before=posted.retry_at
        )
        self._flying.discard(envelope.id)
        self._meters.webhook_deliveries.labels(outcome.value).inc()
        if endpoint is None:
            return
        if outcome is Outcome.SENT:
            if endpoint.failing_since is not None:
                await endpoints.note_success(self._database, endpoint.id)
            return
        log.warning(
            "webhook.not_taken",
            webhook=endpoint.id,
            type=envelope.kind,
            attempt=envelope.attempts,
            answer=answer,
        )
        if posted.status == GONE:
            await self._disable(endpoint, State.GONE, "it answered 410", now)
        elif outcome is Outcome.LATER and await endpoints.note_failure(self._database, endpoint.id, now):
            await self._disable(endpoint, State.FAILING, "it took nothing for five days", now)

    async def _disable(self, endpoint: Endpoint, state: State, why: str, now: datetime) -> None:
        if await endpoints.disable(self._database, endpoint.id, state, why, now):
            log.error("webhook.disabled", webhook=endpoint.id, why=why)


def said(posted: Posted) -> str:
    """Return what became of an attempt, for people."""
    if posted.status is None:
        return posted.said
    return f"{posted.status} {posted.said}".strip()


async def _due(database: Database, now: datetime) -> list[str]:
    """Return the endpoints that something is due for."""
    waiting = (notice.c.state == "sending") & (delivery.c.state == "waiting") & (delivery.c.next_at <= now)
    left = delivery.c.state.in_(["sending", "handed"]) & (delivery.c.lease_until <= now)
    rows = (
        select(delivery.c.channel)
        .join(notice, notice.c.id == delivery.c.notice)
        .where(notice.c.slot == TO_PROGRAMS, or_(waiting, left))
        .distinct()
    )
    async with database.read() as conn:
        return sorted((await conn.execute(rows)).scalars())


@retried
async def _end(database: Database, name: str, now: datetime) -> None:
    """Give up what waits for an endpoint that is not there, or gets nothing any more."""
    async with database.write() as conn:
        await deliveries.end_all(conn, name, "the endpoint gets nothing any more", now)
