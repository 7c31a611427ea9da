"""The loop: claims what is due, looks at it concurrently, and settles the verdicts in batches.

APScheduler holds ticks, and no job a connection. A tick only starts work and returns; the work runs in our
own tasks, which are drained at the end, since APScheduler's shutdown cancels its jobs.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog
from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_MISSED, JobExecutionEvent
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.schedulers.base import STATE_RUNNING, STATE_STOPPED
from sqlalchemy.exc import DataError, SQLAlchemyError

from monitor import __version__
from monitor.clock import Clock
from monitor.health.cadence import Cadence, next_probe, stretched
from monitor.health.classify import EXHAUSTED, Reach, classify
from monitor.health.explain import document
from monitor.health.guard import GuardPolicy
from monitor.health.lifecycle import Policy, State, Verdict, step
from monitor.host.shutdown import Shutdown
from monitor.metrics.meters import Meters
from monitor.store import budgets, connections, due, guarding, history, processes, verdicts, waves
from monitor.store.bindings import AS_USUAL, Binding
from monitor.store.due import Lease
from monitor.store.engine import Database
from monitor.store.expected import Ordinary
from monitor.store.history import Kept
from monitor.store.processes import BEAT
from monitor.store.verdicts import Outcome, Tell
from monitor.text.spans import span
from monitor.watching import settled
from monitor.watching.hosts import Heard
from monitor.watching.pacing import Pacer
from monitor.watching.probe import Looked, Prober
from monitor.wire.apps import App

log = structlog.get_logger("monitor.loop")

BATCH = 500
SETTLE_EVERY = 0.25  # seconds
LARGEST_SKEW = timedelta(seconds=5)  # between our clock and the database's; leases are times
# Seconds from the beginning of the end, of which the whole service has ten: for probes that run to finish,
# for refreshes, and for what has to be written then.
DRAIN, DRAIN_REFRESHES, LAST_WORDS = 7.0, 8.0, 9.0
FLEET_DUTY = "fleet"


@dataclass(frozen=True)
class Pace:
    """How the loop works: `per_second` is the most probes begun in a second, None for the usual."""

    concurrency: int = 100
    per_second: float | None = None
    lease: timedelta = timedelta(seconds=120)
    count_interval: timedelta = timedelta(days=1)


# What has to be done now and then: its name, the work, and every how many seconds.
Tick = tuple[str, Callable[[], Awaitable[object]], float]


class Loop:
    """All connections, looked at on time by as many probes at once as the pace allows."""

    def __init__(
        self,
        database: Database,
        prober: Prober,
        pacer: Pacer,
        apps: Mapping[str, App],
        clock: Clock,
        meters: Meters,
        *,
        process: str,
        role: str,
        cadence: Cadence,
        policy: Policy,
        guard: GuardPolicy,
        pace: Pace,
        kept: Kept,
        tell: Tell | None = None,
        binding: Binding = AS_USUAL,
    ) -> None:
        self._database, self._prober, self._pacer, self._apps = database, prober, pacer, dict(apps)
        self._clock, self._meters = clock, meters
        self._process, self._role = process, role
        self._policy, self._guard, self._pace, self._kept = policy, guard, pace, kept
        self._tell_others, self._binding = tell, binding
        self._ordinary = Ordinary()
        self._cadence = cadence
        self._cadences = dict.fromkeys(apps, cadence)
        self._heard = Heard()
        self._queue: deque[Lease] = deque()
        self._workers: set[asyncio.Task[None]] = set()
        self._done: list[Outcome] = []
        self._settled: list[Outcome] = []
        self._keep_settled = False
        self._settling = asyncio.Lock()
        self._pulling = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._calm = asyncio.Event()
        self._refilling = False
        self._only_named = False
        self._stopping = False
        self._allowance = 0.0
        self._allowed_at: datetime | None = None
        self._fleet_size = 0
        self.lag = 0.0
        self.leads = False
        self.alive = 1
        self.skew = timedelta(0)
        self.ticked_at: datetime | None = None
        self._scheduler: AsyncIOScheduler | None = None
        self._attending: asyncio.Task[None] | None = None
        meters.in_flight.set_function(lambda: len(self._workers))
        meters.loop_tick.set_function(lambda: self.ticked_at.timestamp() if self.ticked_at else 0.0)

    async def pull(self) -> int:
        """Claim what is due, up to what fits, and hand it to the workers; return how many."""
        async with self._pulling:
            if self._stopping:
                return 0
            now = self._clock.now()
            room = min(BATCH, self._pace.concurrency * 5) - len(self._queue)
            room = min(room, self._allow(now))
            claimed: list[Lease] = []
            for group, limit in await self._groups(room):
                claimed += await due.claim(self._database, self._process, group, limit, now, self._pace.lease)
            self._allowance -= len(claimed)
            self._begin(claimed)
            return len(claimed)

    def _allow(self, now: datetime) -> int:
        """How many probes may begin now.

        Three times the fleet's steady rate, and at least `concurrency` a second: after a standstill the
        backlog is worked off quickly and yet not all at once.
        """
        usual = 3 * self._fleet_size / self._cadence.interval.total_seconds()
        rate = self._pace.per_second or max(float(self._pace.concurrency), usual)
        elapsed = (now - self._allowed_at).total_seconds() if self._allowed_at else 1.0
        self._allowed_at = now
        self._allowance = min(self._allowance + rate * max(0.0, elapsed), rate * 2)
        return int(self._allowance)

    async def _groups(self, room: int) -> list[tuple[list[str], int]]:
        """Apps with an app-wide limit are claimed on their own, no more than their turns allow."""
        free = [app.id for app in self._apps.values() if app.limits.app_wide is None]
        groups = [(free, room)] if free else []
        for app in self._apps.values():
            if app.limits.app_wide is not None and room > 0:
                groups.append(([app.id], await self._pacer.reserve(app, room)))
        return groups

    def _begin(self, leases: Iterable[Lease]) -> None:
        self._queue.extend(leases)
        while self._queue and len(self._workers) < min(
            self._pace.concurrency, len(self._queue) + len(self._workers)
        ):
            worker = asyncio.create_task(self._work())
            self._workers.add(worker)
            worker.add_done_callback(self._ended)

    async def _work(self) -> None:
        """Take leases from the queue until it is empty."""
        while self._queue and not self._stopping:
            lease = self._queue.popleft()
            try:
                outcome = await self._one(lease)
            except Exception as error:
                # Ours, not the provider's: say so, leave the lease to run out, go on with the others.
                self._meters.tick_errors.labels("probe").inc()
                log.error(
                    "probe.failed",
                    connection=lease.id,
                    error=type(error).__name__,
                    detail=settled.brief(error),
                )
                continue
            self._done.append(outcome)
            if len(self._done) >= BATCH:
                self._start(self.settle(), "settle")
            if len(self._queue) < self._pace.concurrency and not self._refilling and not self._only_named:
                self._refilling = True
                self._start(self._refill(), "claim")

    async def _refill(self) -> None:
        """Claim more while the last ones are still being looked at."""
        try:
            await self.pull()
        finally:
            self._refilling = False

    async def _one(self, lease: Lease) -> Outcome:
        app = self._apps[lease.place.app]
        cadence = self._cadences[app.id]
        began = self._clock.now()
        looked = await self._prober.look(lease, app, cadence)
        return self._judge(lease, app, cadence, looked, began)

    def _judge(self, lease: Lease, app: App, cadence: Cadence, looked: Looked, began: datetime) -> Outcome:
        """From evidence to what is written: classify, step, and when to look again."""
        now, evidence = self._clock.now(), looked.evidence
        self._heard.note(evidence)
        quiet = all(exchange.outcome.ok for exchange in evidence.exchanges)
        finding = classify(evidence, app.rules, Reach() if quiet else self._heard.view(now))
        verdict = step(lease.health, finding, self._policy, now)
        # No recovery where what was in doubt could not be looked at, or a refresh is not ours or not due;
        # nor any verdict where the account may be another client's, or where we lacked descriptors or memory.
        unseen = finding.ok and not looked.complete and lease.health.state is not State.PENDING
        if unseen or evidence.undecided or looked.held or finding.rule == EXHAUSTED:
            verdict = Verdict(lease.health, changed=False)
        settled.measure(self._meters, app, looked, lease.id)
        # The account is put on record by the first good probe, and its name with every recovery.
        first = finding.ok and (lease.account_id is None or verdict.changed)
        who = evidence.identity
        return Outcome(
            lease=lease,
            verdict=verdict,
            finding=finding,
            probed_at=now,
            seconds=(now - began).total_seconds(),
            next_probe_at=next_probe(
                lease.id,
                verdict.health,
                cadence,
                now,
                retry_at=evidence.retry_at,
                refresh_at=looked.refresh_at,
            ),
            scope_cursor=looked.scope_cursor,
            scope_checked_at=looked.scope_checked_at,
            scopes_all=looked.scopes_all,
            reads=looked.reads,
            account=(who.account_id or "", who.account_name, who.user) if first and who else None,
            evidence=document(evidence) if verdict.changed else (),
        )

    async def settle(self) -> None:
        """Write the verdicts that are ready, in one transaction a batch."""
        async with self._settling:
            while self._done:
                batch, self._done = self._done[:BATCH], self._done[BATCH:]
                try:
                    await self._write(batch)
                except SQLAlchemyError:
                    self._done = batch + self._done  # nothing was written; the next tick tries again
                    raise

    async def _write(self, batch: list[Outcome]) -> None:
        """Write a batch. A row that the database does not take must not hold up the others."""
        try:
            ours = await verdicts.settle(
                self._database,
                self._process,
                batch,
                self._guard,
                self._clock.now(),
                self._pace.count_interval,
                self._tell_others,
                self._ordinary,
                self._binding,
            )
        except (DataError, ValueError) as error:
            if len(batch) > 1:
                half = len(batch) // 2
                await self._write(batch[:half])
                await self._write(batch[half:])
                return
            self._meters.tick_errors.labels("settle").inc()
            log.error("verdict.refused", connection=batch[0].lease.id, error=type(error).__name__)
        else:
            self._tell(batch, ours)

    def _tell(self, batch: Sequence[Outcome], ours: Sequence[Outcome]) -> None:
        """After the commit: count, and log what changed."""
        if len(ours) < len(batch):
            self._meters.fenced.inc(len(batch) - len(ours))
        settled.note(self._meters, ours)
        if self._keep_settled:
            self._settled.extend(ours)

    async def beat(self) -> None:
        """Say that this process lives, keep or take the fleet's duty, and look at the fleet's size."""
        await self.live()
        now = self._clock.now()
        self.leads = await processes.hold_duty(self._database, FLEET_DUTY, self._process, now, BEAT * 3)
        self.lag = await due.lag(self._database, self._apps, now)
        await self.resize()

    async def live(self) -> None:
        """Say that this process lives: while it does, a refresh that it has begun is its own."""
        now = self._clock.now()
        pulse = await processes.beat(
            self._database, self._process, self._role, __version__, now, processes.GONE
        )
        self.alive, self.skew = pulse.alive, pulse.skew
        if pulse.freed:
            log.warning("process.buried", leases=pulse.freed)

    async def resize(self) -> None:
        """Fit each app's interval to how many connections it has, and to its limit."""
        sizes = await connections.per_app(self._database)
        self._fleet_size = sum(sizes.get(app, 0) for app in self._apps)
        for app in self._apps.values():
            interval = stretched(self._cadence.interval, sizes.get(app.id, 0), app.limits.app_wide)
            if interval != self._cadences[app.id].interval:
                self._cadences[app.id] = Cadence(
                    interval, self._cadence.jitter, self._cadence.recheck, self._cadence.refresh_ahead
                )
                if interval > self._cadence.interval:
                    log.warning(
                        "interval.stretched",
                        app=app.id,
                        connections=sizes.get(app.id, 0),
                        interval_seconds=round(interval.total_seconds()),
                        configured_seconds=round(self._cadence.interval.total_seconds()),
                    )

    def intervals(self) -> dict[str, timedelta]:
        """Return each app's interval as it is now."""
        return {app: cadence.interval for app, cadence in self._cadences.items()}

    async def keep_house(self) -> None:
        """Let guards come down and waves go on, also when no verdict changes. One process does it.

        Some of what a wave holds is looked at as often as the healthy: it shows what the others do, too.
        """
        if not self.leads:
            return
        now = self._clock.now()
        await guarding.judge_again(self._database, self._guard, now, self._ordinary)
        if closely := await waves.watched_closely(self._database):
            await due.keep_close(self._database, closely, self._cadences, now)

    async def forget(self) -> None:
        """Drop what is older than it is kept for. One process does it."""
        if self.leads:
            await history.forget(self._database, self._kept, self._clock.now())

    async def prepare(self) -> None:
        """Make the rows that the loop needs, and look at the fleet once."""
        await self.live()
        for app in self._apps.values():
            if app.limits.app_wide is not None:
                await budgets.ensure(self._database, app.id, self._clock.now())
        await self.resize()

    async def attend(self) -> None:
        """Stay on the list of processes without ticking, for what looks at a connection now and then."""
        await self.live()
        self._attending = asyncio.create_task(self._beats())

    async def _beats(self) -> None:
        while True:
            await asyncio.sleep(BEAT.total_seconds())
            await self._guarded(self.live(), "beat")

    async def start(self, others: Iterable[Tick] = ()) -> None:
        """Begin to tick; `others` are what else has to be done now and then in this process."""
        await self.prepare()
        await self.beat()
        scheduler = AsyncIOScheduler(
            timezone=UTC,
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )
        now = datetime.now(UTC)
        for name, work, seconds in (
            ("claim", self.pull, 1.0),
            ("settle", self.settle, SETTLE_EVERY),
            ("beat", self.beat, BEAT.total_seconds()),
            ("guard", self.keep_house, 60.0),
            ("retention", self.forget, 3600.0),
            *others,
        ):
            scheduler.add_job(
                self._tick, "interval", seconds=seconds, args=(work, name), id=name, next_run_time=now
            )
        scheduler.add_listener(self._missed, EVENT_JOB_ERROR | EVENT_JOB_MISSED)
        scheduler.start()
        self._scheduler = scheduler

    async def _tick(self, work: object, name: str) -> None:
        self.ticked_at = self._clock.now()
        if not any(task.get_name() == name for task in self._tasks):
            self._start(work(), name)  # type: ignore[operator]

    def _start(self, work: object, name: str) -> None:
        task = asyncio.create_task(self._guarded(work, name), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    async def _guarded(self, work: object, name: str) -> None:
        try:
            with self._meters.tick_seconds.labels(name).time():
                await work  # type: ignore[misc]
        except Exception as error:
            self._meters.tick_errors.labels(name).inc()
            log.error("tick.failed", tick=name, error=type(error).__name__, detail=settled.brief(error))

    def _missed(self, event: JobExecutionEvent) -> None:
        self._meters.tick_errors.labels(event.job_id).inc()
        log.error("tick.missed", tick=event.job_id)

    async def run_named(self, ids: Sequence[str]) -> list[Outcome]:
        """Look at these connections now, all of them, and return what was settled."""
        await self.prepare()
        self._keep_settled, self._settled, self._only_named = True, [], True
        leases = await self._claim_named(ids)
        self._begin(leases)
        await self._idle()
        return self._settled

    async def _claim_named(self, ids: Sequence[str]) -> list[Lease]:
        now = self._clock.now()
        return await due.claim_named(
            self._database, self._process, ids, now, self._pace.lease, apps=self._apps
        )

    async def look_now(self, connection: str) -> Outcome | None:
        """Look at one connection at once, beside whatever else runs; None where another process is at it."""
        leases = await self._claim_named([connection])
        if not leases:
            return None
        outcome = await self._one(leases[0])
        await self._write([outcome])
        return outcome

    async def run_due(self) -> list[Outcome]:
        """Look at all that is due at this moment, and return what was settled."""
        self._keep_settled, self._settled = True, []
        while await self.pull():
            await self._idle()
        await self._idle()
        return self._settled

    async def _idle(self) -> None:
        """Wait until nothing runs and everything is written."""
        while self._workers or self._tasks or self._done:
            if self._workers or self._tasks:
                self._calm.clear()
                await self._calm.wait()
            else:
                await self.settle()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._workers.discard(task)
        self._tasks.discard(task)
        if not self._workers and not self._tasks:
            self._calm.set()

    def halt(self) -> None:
        """Begin nothing more."""
        self._stopping = True
        if self._scheduler is not None and self._scheduler.state == STATE_RUNNING:
            self._scheduler.pause()
        self._queue.clear()

    async def stop(self, shutdown: Shutdown | None = None) -> None:
        """Begin nothing more, let what runs finish, write it, and only then give back the rest.

        A lease that is given back, or a name taken off the list, while a refresh of ours runs would let
        another process judge it. `shutdown` goes on with an end that has begun; without one, what failed is
        raised.
        """
        self.halt()
        steps = shutdown or Shutdown()
        if running := self._workers | self._tasks:
            await asyncio.wait(running, timeout=max(0.0, steps.left(DRAIN)))
        await steps.step("refreshes", self._prober.drain(), DRAIN_REFRESHES)
        await steps.step("verdicts", self.settle(), LAST_WORDS)
        if self._scheduler is not None and self._scheduler.state != STATE_STOPPED:
            self._scheduler.shutdown(wait=False)
            await asyncio.sleep(0)
        if self._attending is not None:
            self._attending.cancel()
        await steps.step("leases", due.release(self._database, self._process), LAST_WORDS)
        await steps.step("process", processes.leave(self._database, self._process), LAST_WORDS)
        if shutdown is None:
            steps.check()

    def healthy(self, now: datetime) -> str | None:
        """Return why the loop is not well, None while it is."""
        if self.ticked_at is None:
            return "the loop has not started"
        if now - self.ticked_at > timedelta(seconds=30):
            return "the loop has stopped ticking"
        if self.skew > LARGEST_SKEW:
            return f"our clock is {span(self.skew)} off the database's; run NTP on both"
        limit = max(60.0, 2 * self._cadence.interval.total_seconds())
        if self.lag > limit:
            return f"probes are {span(timedelta(seconds=self.lag))} late"
        return None
