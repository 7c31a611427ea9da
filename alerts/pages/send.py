"""The pager: tells on-call what stands and what is over, through the outbox that clients' mails go through.

Pages are sent at least once where a mail is sent at most once: a channel that was told and whose answer was
lost is told again, since a page that is missing costs more than one that comes twice. Alertmanager and
services with a key make one of two.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from alerts.channels.channel import Channel, KeptAlive
from alerts.outbox import claims, delays, settling
from alerts.outbox.envelope import Envelope, Outcome
from alerts.pages import opening, reconcile, told, wording
from alerts.pages.story import PAGE, Slot
from alerts.pages.truth import Oncall
from alerts.silences import silences
from alerts.silences.windows import longest
from monitor.clock import Clock
from monitor.metrics.meters import Meters
from monitor.store.engine import Database

log = structlog.get_logger("alerts.pages")


class Pager:
    """Writes pages beside verdicts, and sends what waits."""

    def __init__(
        self,
        database: Database,
        oncall: Oncall,
        channels: Mapping[str, Channel],
        clock: Clock,
        meters: Meters,
        process: str,
    ) -> None:
        self._database, self._oncall, self._channels = database, oncall, channels
        self._clock, self._meters, self._process = clock, meters, process
        for name in channels:
            for slot in (Slot.PAGE, Slot.CLEAR):
                for outcome in (Outcome.SENT, Outcome.LATER, Outcome.FAILED):
                    meters.notifications.labels(name, slot.value, outcome.value)

    async def tell(self, conn: AsyncConnection, about: Sequence[str], now: datetime) -> None:
        """Write the pages of a batch of verdicts into their own transaction (promise 3)."""
        await reconcile.bring_in_line(conn, self._oncall, now, tickets=False)

    async def plan(self) -> None:
        """The timer's work: guards that came down, silences that ended, clients broken for too long."""
        now = self._clock.now()
        await reconcile.plan(self._database, self._oncall, now)
        age = await delays.oldest_waiting(self._database, PAGE, now)
        self._meters.outbox_age.labels("oncall").set(age)

    async def pump(self) -> int:
        """Send what is due over every channel; return how many messages were tried."""
        await self.open_due()
        return sum(await asyncio.gather(*(self.send(name) for name in (*self._channels, None))))

    def ticks(self) -> list[tuple[str, Callable[[], Awaitable[object]]]]:
        """Return what `pump` does as works that wait for nothing of each other: a slow channel is one."""
        works: list[tuple[str, Callable[[], Awaitable[object]]]] = [("oncall.due", self.open_due)]
        works += [(f"oncall.send.{name}", partial(self.send, name)) for name in self._channels]
        return [*works, ("oncall.send", partial(self.send, None))]

    async def open_due(self) -> None:
        """Turn what is due into messages, after one more look: what was over meanwhile is not told."""
        now = self._clock.now()
        if await self._due(now):
            await opening.open_due(self._database, self._oncall, now)

    async def send(self, name: str | None) -> int:
        """Send what waits over one channel; without a name, end what waits for channels that are no more."""
        now, tried = self._clock.now(), 0
        which: dict[str, Any] = {"over": name} if name is not None else {"but": list(self._channels)}
        while pages := await claims.claim(self._database, PAGE, self._process, now, **which):
            tried += len(pages)
            await self._send(pages)
        return tried

    async def _send(self, pages: Sequence[Envelope]) -> None:
        """Send a batch at once; what is cut off in the middle goes out again when its lease has run out."""
        ended = await asyncio.gather(*(self._one(page) for page in pages), return_exceptions=True)
        for error in ended:
            if error is not None:  # the database's: a channel's own is an answer
                raise error

    async def _due(self, now: datetime) -> bool:
        async with self._database.read() as conn:
            return await told.any_due(conn, now)

    async def _one(self, page: Envelope) -> None:
        channel = self._channels.get(page.channel)
        if channel is None:
            outcome, answer = Outcome.FAILED, "the configuration has no such channel any more"
        else:
            outcome, answer = await self._over(channel, page)
        await asyncio.shield(self._settled(page, outcome, answer))

    async def _over(self, channel: Channel, page: Envelope) -> tuple[Outcome, str]:
        """Send over a channel. Whatever it raises is this message's trouble, and is tried again.

        The error's text may hold the channel's address, its class and place do not.
        """
        over, now = page.slot == Slot.CLEAR, self._clock.now()
        try:
            return await channel.send(page.audience, page.content, over=over, now=now)
        except Exception as error:
            at = traceback.extract_tb(error.__traceback__)[-1]
            why = f"{type(error).__name__} in {Path(at.filename).name}, line {at.lineno}"
            log.error("oncall.unwritable", about=page.audience, channel=page.channel, why=why)
            return Outcome.LATER, f"it could not be written: {why}"

    async def _settled(self, page: Envelope, outcome: Outcome, answer: str) -> None:
        now = self._clock.now()
        await settling.settle(self._database, PAGE, self._process, page, outcome, answer, now)
        self._meters.notifications.labels(page.channel, page.slot, outcome.value).inc()
        say = log.info if outcome is Outcome.SENT else log.warning
        say(
            f"oncall.{page.slot}.{outcome.value}",
            about=page.audience,
            channel=page.channel,
            attempt=page.attempts,
            answer=answer if outcome is not Outcome.SENT else None,
        )

    async def keep_alive(self) -> None:
        """Say to channels that forget what still stands, and what is silent. One process does it."""
        now = self._clock.now()
        forgetful = {n: c for n, c in self._channels.items() if isinstance(c, KeptAlive)}
        if not forgetful:
            return
        async with self._database.read() as conn:
            standing = await told.standing_pages(conn)
            quiet = longest(await silences.holding(conn, self._oncall.windows, now))
        silent = [wording.silenced(silence, now) for silence in quiet]
        posts = {
            name: channel.keep_alive(
                [*(matter for _, matter, took in standing if name in took), *silent], now
            )
            for name, channel in forgetful.items()
        }
        for name, (outcome, answer) in zip(posts, await asyncio.gather(*posts.values()), strict=True):
            if outcome is not Outcome.SENT:
                self._meters.notifications.labels(name, "keep_alive", outcome.value).inc()
                log.warning("oncall.keep_alive.failed", channel=name, answer=answer)

    async def recover(self) -> None:
        """Free what the process before us held, where there can be no other."""
        if self._database.is_sqlite:
            await claims.free_all(self._database, self._clock.now())
