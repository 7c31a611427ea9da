"""The ticks of one process: what is done every so many seconds, from the first time to the last.

APScheduler holds ticks, and no job a connection. A tick only starts work and returns; the work runs in our
own tasks, which are drained at the end, since APScheduler's shutdown cancels its jobs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import structlog
from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_MISSED, JobExecutionEvent
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.schedulers.base import STATE_RUNNING, STATE_STOPPED

from monitor.clock import Clock
from monitor.host.shutdown import DRAIN, DRAIN_REFRESHES, LAST_WORDS, Shutdown
from monitor.metrics.meters import Meters
from monitor.store.processes import BEAT
from monitor.text.spans import span
from monitor.watching.admission import Admission
from monitor.watching.comparing import Comparing
from monitor.watching.loop import Loop
from monitor.watching.presence import Presence
from monitor.watching.tasks import Tasks
from monitor.watching.upkeep import Upkeep

log = structlog.get_logger("monitor.loop")

SETTLE_EVERY = 0.25  # seconds
LARGEST_SKEW = timedelta(seconds=5)  # between our clock and the database's; leases are times


class Tick(NamedTuple):
    """What has to be done every so many seconds."""

    name: str
    work: Callable[[], Awaitable[object]]
    seconds: float


class Ticks:
    """Lets the loop, the beats and the upkeep have their turns, and ends them in order.

    `interval` is the configured time between two probes of a connection: how late probes may be.
    """

    def __init__(
        self,
        loop: Loop,
        presence: Presence,
        admission: Admission,
        upkeep: Upkeep,
        comparing: Comparing,
        tasks: Tasks,
        clock: Clock,
        meters: Meters,
        *,
        interval: timedelta,
    ) -> None:
        self._loop, self._presence, self._admission = loop, presence, admission
        self._comparing, self._upkeep, self._tasks = comparing, upkeep, tasks
        self._clock, self._meters = clock, meters
        self._interval = interval
        self._scheduler = AsyncIOScheduler(
            timezone=UTC,
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )
        self._attending: list[asyncio.Task[None]] = []
        self.ticked_at: datetime | None = None
        meters.loop_tick.set_function(lambda: self.ticked_at.timestamp() if self.ticked_at else 0.0)

    def standing(self) -> list[Tick]:
        """Return the ticks of every process that probes."""
        return [
            Tick("claim", self._loop.pull, 1.0),
            Tick("settle", self._loop.settle, SETTLE_EVERY),
            Tick("beat", self.beat, BEAT.total_seconds()),
            Tick("compare", self._comparing.compare, 5.0),
            Tick("guard", self._upkeep.guard, 60.0),
            Tick("sums", self._upkeep.note_sums, 300.0),
            Tick("retention", self._upkeep.forget, 3600.0),
        ]

    async def beat(self) -> None:
        """Say that this process lives, keep or take the fleet's duty, and look at the fleet's size."""
        await self._presence.beat()
        await self._admission.resize()

    async def prepare(self) -> None:
        """Enter the list of processes, and look at the fleet once."""
        await self._presence.live()
        await self._admission.prepare()

    async def start(self, others: Iterable[Tick] = ()) -> None:
        """Begin to tick; `others` are what else has to be done now and then in this process."""
        await self.prepare()
        await self.beat()
        now = datetime.now(UTC)
        for tick in (*self.standing(), *others):
            self._scheduler.add_job(
                self._begin,
                "interval",
                seconds=tick.seconds,
                args=(tick,),
                id=tick.name,
                next_run_time=now,
            )
        self._scheduler.add_listener(self._missed, EVENT_JOB_ERROR | EVENT_JOB_MISSED)
        self._scheduler.start()

    async def attend(self, others: Iterable[Tick] = ()) -> None:
        """Stay on the list of processes without probing, for what looks at a connection now and then."""
        await self._presence.live()
        beat = Tick("beat", self._presence.live, BEAT.total_seconds())
        self._attending = [asyncio.create_task(self._again(tick)) for tick in (beat, *others)]

    async def _again(self, tick: Tick) -> None:
        while True:
            await asyncio.sleep(tick.seconds)
            await self._tasks.guarded(tick.work(), tick.name)

    async def _begin(self, tick: Tick) -> None:
        """Start a tick's work, unless it is still at it from the last time."""
        self.ticked_at = self._clock.now()
        if not self._tasks.runs(tick.name):
            self._tasks.start(tick.work(), tick.name)

    def _missed(self, event: JobExecutionEvent) -> None:
        self._meters.tick_errors.labels(event.job_id).inc()
        log.error("tick.missed", tick=event.job_id)

    def halt(self) -> None:
        """Begin nothing more."""
        self._loop.halt()
        if self._scheduler.state == STATE_RUNNING:
            self._scheduler.pause()

    async def stop(self, shutdown: Shutdown | None = None) -> None:
        """Begin nothing more, let what runs finish, write it, and only then give back the rest.

        A lease that is given back, or a name taken off the list, while a refresh of ours runs would let
        another process judge it. `shutdown` goes on with an end that has begun; without one, what failed is
        raised.
        """
        self.halt()
        steps = shutdown or Shutdown()
        if running := self._loop.running:
            await asyncio.wait(running, timeout=max(0.0, steps.left(DRAIN)))
        await steps.step("refreshes", self._loop.drain(), DRAIN_REFRESHES)
        await steps.step("verdicts", self._loop.settle(), LAST_WORDS)
        await self._end_scheduler()
        await steps.step("leases", self._loop.release(), LAST_WORDS)
        await steps.step("process", self._presence.leave(), LAST_WORDS)
        if shutdown is None:
            steps.check()

    async def _end_scheduler(self) -> None:
        if self._scheduler.state != STATE_STOPPED:
            self._scheduler.shutdown(wait=False)
            await asyncio.sleep(0)
        for attending in self._attending:
            attending.cancel()

    def trouble(self, now: datetime) -> str | None:
        """Return why this process does not watch as it should, None while it does."""
        if self.ticked_at is None:
            return "the loop has not started"
        if now - self.ticked_at > timedelta(seconds=30):
            return "the loop has stopped ticking"
        if self._presence.skew > LARGEST_SKEW:
            return f"our clock is {span(self._presence.skew)} off the database's; run NTP on both"
        late = timedelta(seconds=self._presence.lag)
        if late > max(timedelta(minutes=1), 2 * self._interval):
            return f"probes are {span(late)} late"
        return None
