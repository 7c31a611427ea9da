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

from alerts.channels import Channel, Outcome
from alerts.channels.alertmanager import Alertmanager
from alerts.mails.notices import Slot
from alerts.outbox import outbox
from alerts.outbox.envelopes import Signal
from alerts.pages import oncall
from alerts.pages.oncall import Duty
from alerts.silences import silences
from alerts.silences.windows import longest
from monitor.clock import Clock
from monitor.metrics.meters import Meters
from monitor.store.engine import Database

log = structlog.get_logger("alerts.pager")


class Pager:
    """Writes pages beside verdicts, and sends what waits."""

    def __init__(
        self,
        database: Database,
        duty: Duty,
        channels: Mapping[str, Channel],
        clock: Clock,
        meters: Meters,
        process: str,
    ) -> None:
        self._database, self._duty, self._channels = database, duty, channels
        self._clock, self._meters, self._process = clock, meters, process
        for name in channels:
            for slot in (Slot.PAGE, Slot.CLEAR):
                for outcome in (Outcome.SENT, Outcome.LATER, Outcome.FAILED):
                    meters.notifications.labels(name, slot.value, outcome.value)

    async def tell(self, conn: AsyncConnection, about: Sequence[str], now: datetime) -> None:
        """Write the pages of a batch of verdicts into their own transaction (promise 3)."""
        await oncall.bring_in_line(conn, self._duty, now, tickets=False)

    async def plan(self) -> None:
        """The timer's work: guards that came down, silences that ended, clients broken for too long."""
        now = self._clock.now()
        await oncall.plan(self._database, self._duty, now)
        age = await outbox.oldest_waiting(self._database, now, oncall=True)
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
            await oncall.open_due(self._database, self._duty, now)

    async def send(self, name: str | None) -> int:
        """Send what waits over one channel; without a name, end what waits for channels that are no more."""
        now, tried = self._clock.now(), 0
        which: dict[str, Any] = {"over": name} if name is not None else {"but": list(self._channels)}
        while signals := await outbox.claim_signals(self._database, self._process, now, **which):
            tried += len(signals)
            await self._send(signals)
        return tried

    async def _send(self, signals: Sequence[Signal]) -> None:
        """Send a batch at once; what is cut off in the middle goes out again when its lease has run out."""
        ended = await asyncio.gather(*(self._one(signal) for signal in signals), return_exceptions=True)
        for error in ended:
            if error is not None:  # the database's: a channel's own is an answer
                raise error

    async def _due(self, now: datetime) -> bool:
        async with self._database.read() as conn:
            return await oncall.any_due(conn, now)

    async def _one(self, signal: Signal) -> None:
        channel = self._channels.get(signal.channel)
        if channel is None:
            outcome, answer = Outcome.FAILED, "the configuration has no such channel any more"
        else:
            outcome, answer = await self._over(channel, signal)
        await asyncio.shield(self._settled(signal, outcome, answer))

    async def _over(self, channel: Channel, signal: Signal) -> tuple[Outcome, str]:
        """Send over a channel. Whatever it raises is this message's trouble, and is tried again.

        The error's text may hold the channel's address, its class and place do not.
        """
        over, now = signal.slot is Slot.CLEAR, self._clock.now()
        try:
            return await channel.send(signal.key, signal.matter, over=over, now=now)
        except Exception as error:
            at = traceback.extract_tb(error.__traceback__)[-1]
            why = f"{type(error).__name__} in {Path(at.filename).name}, line {at.lineno}"
            log.error("oncall.unwritable", about=signal.key, channel=signal.channel, why=why)
            return Outcome.LATER, f"it could not be written: {why}"

    async def _settled(self, signal: Signal, outcome: Outcome, answer: str) -> None:
        now = self._clock.now()
        await outbox.settle(self._database, self._process, signal, outcome, answer, now)
        self._meters.notifications.labels(signal.channel, signal.slot.value, outcome.value).inc()
        say = log.info if outcome is Outcome.SENT else log.warning
        say(
            f"oncall.{signal.slot.value}.{outcome.value}",
            about=signal.key,
            channel=signal.channel,
            attempt=signal.attempts,
            answer=answer if outcome is not Outcome.SENT else None,
        )

    async def keep_alive(self) -> None:
        """Say to each Alertmanager what still stands, and what is silent. One process does it."""
        now = self._clock.now()
        managers = {n: c for n, c in self._channels.items() if isinstance(c, Alertmanager)}
        if not managers:
            return
        async with self._database.read() as conn:
            standing = await oncall.standing_pages(conn)
            quiet = longest(await silences.holding(conn, self._duty.windows, now))
        posts = {
            name: manager.keep_alive([matter for _, matter, took in standing if name in took], quiet, now)
            for name, manager in managers.items()
        }
        for name, (outcome, answer) in zip(posts, await asyncio.gather(*posts.values()), strict=True):
            if outcome is not Outcome.SENT:
                self._meters.notifications.labels(name, "keep_alive", outcome.value).inc()
                log.warning("oncall.keep_alive.failed", channel=name, answer=answer)

    async def recover(self) -> None:
        """Free what the process before us held, where there can be no other."""
        if self._database.is_sqlite:
            await outbox.free_all(self._database, self._clock.now())
