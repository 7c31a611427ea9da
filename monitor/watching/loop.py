"""The loop: claims what is due, looks at it concurrently, and settles the verdicts in batches.

    claim (store.due) -> look (probe) -> judge -> settle (store.verdicts)

What may be claimed is `admission`'s to say, and when is `ticks`'; what a look means is `judge`'s.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import structlog
from sqlalchemy.exc import DataError, SQLAlchemyError

from monitor.clock import Clock
from monitor.health.lifecycle import Policy
from monitor.metrics.meters import Meters
from monitor.store import due, verdicts
from monitor.store.due import Lease
from monitor.store.engine import Database
from monitor.store.verdicts import Settlement, Terms
from monitor.watching import settled
from monitor.watching.admission import Admission, Pace
from monitor.watching.hosts import Hosts
from monitor.watching.judge import judge, set_aside
from monitor.watching.probe import Prober
from monitor.watching.tasks import Tasks
from monitor.wire.apps import App

log = structlog.get_logger("monitor.loop")

BATCH = 500
AT_ONCE, MORE_AFTER = 8, 0.02  # workers that are started together, and seconds until the next


class Loop:
    """All connections, looked at on time by as many probes at once as the pace allows."""

    def __init__(
        self,
        database: Database,
        prober: Prober,
        admission: Admission,
        apps: Mapping[str, App],
        clock: Clock,
        meters: Meters,
        tasks: Tasks,
        *,
        policy: Policy,
        pace: Pace,
        terms: Terms,
    ) -> None:
        self._database, self._prober, self._admission = database, prober, admission
        self._apps, self._clock, self._meters, self._tasks = apps, clock, meters, tasks
        self._policy, self._pace, self._terms = policy, pace, terms
        self._hosts, self.sight = Hosts(), admission.sight
        self._queue: deque[Lease] = deque()
        self._workers: set[asyncio.Task[None]] = set()
        self._judged: list[Settlement] = []
        self._collected: list[list[Settlement]] = []
        self._pulling, self._settling = asyncio.Lock(), asyncio.Lock()
        self._claims = False  # whether what is worked off was claimed here, and more may be
        self._halted = False
        self._starting: asyncio.TimerHandle | None = None
        meters.in_flight.set_function(lambda: len(self._workers))

    async def pull(self) -> int:
        """Claim what is due, up to what fits, and hand it to the workers; return how many."""
        async with self._pulling:
            if self._halted:
                return 0
            self._claims = True
            now = self._clock.now()
            room = min(BATCH, self._pace.concurrency * 5) - len(self._queue)
            claimed: list[Lease] = []
            for apps, limit in await self._admission.admit(room, now):
                claimed += await due.claim(
                    self._database, self._terms.process, apps, limit, now, self._pace.lease
                )
            self._admission.began(len(claimed))
            self.begin(claimed)
            return len(claimed)

    def begin(self, leases: Iterable[Lease]) -> None:
        """Hand leased connections to the workers, in time as many of these as the pace allows."""
        self._queue.extend(leases)
        if self._starting is not None:
            self._starting.cancel()
        self._start_some()

    def _start_some(self) -> None:
        """Start a few workers now, and more in a moment where there is work left for them.

        All at once would hold up whoever else is served here: programs wait for their tokens.
        """
        self._starting = None
        room = min(self._pace.concurrency - len(self._workers), len(self._queue))
        for _ in range(min(room, AT_ONCE)):
            worker = asyncio.create_task(self._work())
            self._workers.add(worker)
            worker.add_done_callback(self._workers.discard)
        if room > AT_ONCE:
            self._starting = asyncio.get_running_loop().call_later(MORE_AFTER, self._start_some)

    async def _work(self) -> None:
        """Take leases from the queue until it is empty."""
        while self._queue and not self._halted:
            lease = self._queue.popleft()
            try:
                judged = await self.look(lease)
            except Exception as error:
                # Ours, not the provider's: say so, leave the lease to run out, go on with the others.
                self._tasks.failed("probe", "probe.failed", error, connection=lease.id)
                continue
            self._judged.append(judged)  # only now: while it looked, a batch was taken off the list
            if len(self._judged) >= BATCH:
                self._tasks.start(self.settle(), "settle")
            if self._claims and len(self._queue) < self._pace.concurrency and not self._tasks.runs("claim"):
                self._tasks.start(self.pull(), "claim")  # while the last ones are still being looked at

    async def look(self, lease: Lease) -> Settlement:
        """Look at one leased connection and judge it; nothing is written yet."""
        app, cadence = self._apps[lease.place.app], self._admission.cadences[lease.place.app]
        began = self._clock.now()
        looked = await self._prober.look(lease, app, cadence)
        now = self._clock.now()
        ruling = judge(
            lease.id,
            lease.health,
            looked.evidence,
            rules=app.rules,
            reach=self._hosts.reach(looked.evidence, now),
            policy=self._policy,
            cadence=cadence,
            now=now,
            refresh_at=looked.refresh_at,
        )
        believed = self.sight.believes(lease, looked.evidence, ruling.finding, now)
        if not believed:
            ruling = set_aside(ruling, lease.health, cadence)
        settled.measure(self._meters, app, looked, lease.id)
        return Settlement(
            lease,
            ruling,
            seconds=(now - began).total_seconds(),
            scope_cursor=looked.scope_cursor,
            scope_checked_at=looked.scope_checked_at,
            scopes_all=looked.scopes_all,
            reads=looked.reads,
            refused=looked.refused if believed else None,
            values=looked.values,
        )

    async def settle(self) -> None:
        """Write the verdicts that are ready, in one transaction a batch.

        A batch that failed is tried again; what of it was written all the same has used its numbers up.
        """
        async with self._settling:
            while self._judged:
                batch, self._judged = self._judged[:BATCH], self._judged[BATCH:]
                try:
                    await self.write(batch)
                except SQLAlchemyError:
                    self._judged = batch + self._judged  # the next tick tries again
                    raise

    async def write(self, batch: Sequence[Settlement]) -> None:
        """Write a batch. A row that the database does not take must not hold up the others."""
        try:
            written = await verdicts.settle(self._database, batch, self._terms, self._clock.now())
        except (DataError, ValueError) as error:
            if len(batch) > 1:
                half = len(batch) // 2
                await self.write(batch[:half])
                await self.write(batch[half:])
                return
            self._meters.tick_errors.labels("settle").inc()
            log.error("verdict.refused", connection=batch[0].lease.id, error=type(error).__name__)
        else:
            self._meters.fenced.inc(len(batch) - len(written))
            settled.note(self._meters, written)
            for collected in self._collected:
                collected.extend(written)

    @contextmanager
    def collecting(self) -> Iterator[list[Settlement]]:
        """Collect what is written meanwhile."""
        collected: list[Settlement] = []
        self._collected.append(collected)
        try:
            yield collected
        finally:
            self._collected.remove(collected)

    async def idle(self) -> None:
        """Wait until nothing runs and everything is written."""
        while self.running or self._judged:
            if running := self.running:
                await asyncio.wait(running)
            else:
                await self.settle()

    @property
    def running(self) -> set[asyncio.Task[None]]:
        """What is under way: looks, and work that was started beside them."""
        return self._workers | self._tasks.running

    def halt(self) -> None:
        """Begin nothing more."""
        self._halted = True
        self._queue.clear()

    async def drain(self) -> None:
        """Wait for the refreshes that are under way: they outlive the looks that began them."""
        await self._prober.drain()

    async def release(self) -> None:
        """Give back all leases, at the end: what was looked at is written, or will not be."""
        await due.release(self._database, self._terms.process)
