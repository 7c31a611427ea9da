"""Custody of access tokens for programs: good ones from the books at once, others renewed first, once.

One flight a connection and process: however many ask, one of them leads. The leader takes the probe's lease,
so that a probe and a demand never refresh side by side, refreshes as a probe would (`tokens.refresh`: one
open line in the journal over all processes), wakes all once the new pair is durable, and returns the lease.
Where another process has the lease, it looks at the stored generation now and then. A caller who goes away
cancels nothing. What a renewal on demand finds is no verdict: after a failure the loop looks at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

import structlog

from monitor.clock import Clock
from monitor.errors import CannotDecrypt, KeyMissing, Unavailable
from monitor.health import handout
from monitor.health.classify import classify
from monitor.health.evidence import Answer, Evidence, Fault, RefreshNote, Step
from monitor.health.handout import (
    Decision,
    Give,
    Later,
    NotNow,
    Renew,
    Trouble,
    Wish,
    decided,
    without_renewal,
)
from monitor.health.rules import limited
from monitor.secret import Secret
from monitor.store import custody as books
from monitor.store.custody import Held
from monitor.store.due import Lease
from monitor.store.engine import UNWELL, Database
from monitor.tokens.desk import Desk
from monitor.tokens.refresh import Refreshed, Refresher, access_cell
from monitor.tokens.standing import grant_known
from monitor.tokens.vault import Vault
from monitor.wire.apps import App, discover

if TYPE_CHECKING:  # commands that ask no provider need not load the clients
    from monitor.wire.client import Wire

log = structlog.get_logger("monitor.tokens")

FIRST_LOOK, SLOWER, LAST_LOOK = 0.02, 1.5, 0.25  # seconds between looks at what another process does
PATIENCE = timedelta(seconds=60)  # so long a flight waits for a lease, whoever still waits for it
REST = timedelta(seconds=30)  # after a renewal that failed, before the next on demand
AGAIN = timedelta(seconds=10)  # when to ask again about a renewal that somebody is at
LARGEST_SKEW = timedelta(seconds=5)  # between our clock and the database's: expiries are times


class Turns(Protocol):
    """Whose turn it is to send something for an app with an app-wide limit."""

    async def turn(self, app: App) -> None:
        """Wait until the app may send one more request."""
        ...

    async def hold(self, app: App, until: datetime) -> None:
        """Send nothing more for the app before a time."""
        ...


@dataclass(frozen=True, slots=True)
class Handed:
    """What is answered to one caller: the decision, and the token where it is given.

    `held` is what the decision rests on; `refreshed`: it was renewed for this call.
    """

    held: Held
    decision: Decision
    access: Secret | None = None
    refreshed: bool = False


@dataclass(frozen=True, slots=True)
class _Landed:
    """How a flight ended: the books after it, and why there is no new pair."""

    held: Held | None
    why: NotNow | None = None
    away: bool = False  # the database


class Custody:
    """Hands out access tokens in one process. `skew` says how far its clock is off the database's."""

    def __init__(
        self,
        database: Database,
        wire: Wire,
        vault: Vault,
        refresher: Refresher,
        turns: Turns,
        apps: Mapping[str, App],
        clock: Clock,
        process: str,
        lease: timedelta,
        skew: Callable[[], timedelta],
        refreshed: Callable[[App, Refreshed, str], None] = lambda _app, _done, _connection: None,
    ) -> None:
        self._database, self._wire, self._vault, self._refresher = database, wire, vault, refresher
        self._turns, self._apps, self._clock = turns, apps, clock
        self._process, self._lease, self._skew, self._refreshed = process, lease, skew, refreshed
        self._flights: dict[str, asyncio.Future[_Landed]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._discovered: dict[str, App] = {}
        self._stopping = False
        self.desk = Desk(self._marks, clock)

    async def read(self, connection: str) -> Held | None:
        """Return what is written about a connection's token, None where there is no such connection.

        Raises Unavailable where the database refuses, or its clock is another than ours; one that says
        nothing is noticed by whoever serves us (`operations.pulse`).
        """
        if self._skew() > LARGEST_SKEW:
            raise Unavailable("clock_skewed", "This process's clock is off the database's.", AGAIN)
        try:
            return await books.held(self._database, connection)
        except UNWELL:
            raise Unavailable("database_unavailable", "The database does not answer.") from None

    async def have(self, held: Held, wish: Wish, wait: timedelta) -> Handed | None:
        """Answer from the books, renewing first where they say so; None where the connection went away.

        `wait` is how long the caller waits for a renewal.
        """
        now = self._clock.now()
        decision = decided(held.books, wish, now)
        if not isinstance(decision, Renew):
            return self._handed(held, decision)
        landed = await self._renewed(held, wait)
        if landed.away:
            raise Unavailable("database_unavailable", "The database does not answer.")
        after, now = landed.held, self._clock.now()
        if after is None:
            return None
        decision = decided(after.books, wish, now)
        why = landed.why or NotNow(Trouble.CANNOT_RENEW)
        if isinstance(decision, Renew | Later) or (isinstance(decision, Give) and decision.shortfall):
            decision = without_renewal(after.books, wish, now, why)
        return self._handed(after, decision, refreshed=after.books.generation != held.books.generation)

    async def changed(self, held: Held, until: datetime) -> None:
        """Wait until the answer about a token may be another than from these books, or for the time."""
        mark = (
            held.books.generation, held.books.refused, held.books.lost, held.books.handout,
            held.books.custody, held.books.health.state.value, held.books.health.cause.value,
            held.books.health.candidate.value,
        )  # fmt: skip
        await self.desk.wait(held.id, mark, until)

    def stop(self) -> None:
        """Begin nothing more, and let nobody wait for another token: this process ends."""
        self._stopping = True
        self.desk.close()

    async def drain(self) -> None:
        """Wait for the renewals that are under way."""
        self.stop()
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    def _handed(self, held: Held, decision: Decision, *, refreshed: bool = False) -> Handed:
        if not isinstance(decision, Give):
            return Handed(held, decision)
        assert held.access is not None  # noqa: S101 - the decision rests on it
        try:
            access = self._vault.open(held.access, access_cell(held.id, held.place))
        except (CannotDecrypt, KeyMissing):
            return Handed(held, handout.unreadable(held.books.health.since))
        return Handed(held, decision, access, refreshed)

    async def _marks(self, ids: Collection[str]) -> Mapping[str, tuple[Any, ...]]:
        return await books.marks(self._database, ids)

    # -- one renewal for all who ask ---------------------------------------------------------------------

    async def _renewed(self, held: Held, wait: timedelta) -> _Landed:
        app = self._apps.get(held.place.app)
        if app is None or app.place != held.place:
            return _Landed(held, handout.NOBODY_TO_ASK)
        landing = self._flights.get(held.id)
        if landing is None:
            if self._stopping:
                return _Landed(held, NotNow(Trouble.STOPPING))
            landing = self._take_off(held, app)
        timer = asyncio.create_task(_after(self._clock, wait))
        try:
            await asyncio.wait((landing, timer), return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.cancel()
        if landing.done():
            return landing.result()
        return _Landed(held, NotNow(Trouble.UNDER_WAY, None, self._clock.now() + AGAIN))

    def _take_off(self, held: Held, app: App) -> asyncio.Future[_Landed]:
        landing: asyncio.Future[_Landed] = asyncio.get_running_loop().create_future()
        self._flights[held.id] = landing
        task = asyncio.create_task(self._fly(held, app, landing))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return landing

    def _land(self, landing: asyncio.Future[_Landed], connection: str, landed: _Landed) -> None:
        if landing.done():
            return
        landing.set_result(landed)
        del self._flights[connection]  # who asks from now on begins anew
        self.desk.changed(connection)

    async def _fly(self, held: Held, app: App, landing: asyncio.Future[_Landed]) -> None:
        def land(landed: _Landed) -> None:
            self._land(landing, held.id, landed)

        try:
            await self._lead_or_follow(held, app, land)
        except Exception as error:
            log.error("token.not_renewed", connection=held.id, error=type(error).__name__)
            land(_Landed(held, NotNow(Trouble.CANNOT_RENEW), away=isinstance(error, UNWELL)))
        finally:
            land(_Landed(held, NotNow(Trouble.STOPPING)))  # where it was cancelled

    async def _lead_or_follow(self, held: Held, app: App, land: Callable[[_Landed], None]) -> None:
        """Renew where the lease is free, else look until somebody else has."""
        generation, pause = held.books.generation, FIRST_LOOK
        until, free = self._clock.now() + PATIENCE, True
        while True:
            now = self._clock.now()
            if free:
                lease = await books.claim(
                    self._database, self._process, held.id, generation, now, self._lease
                )
                if lease is not None and await self._lead(lease, app, held, land):
                    return
            found = await books.standing(self._database, held.id)
            now = self._clock.now()
            if found is None or found.generation != generation:
                land(_Landed(await books.held(self._database, held.id)))
                return
            if found.not_before is not None and found.not_before > now:
                why = NotNow(Trouble.CANNOT_RENEW, None, found.not_before)
                land(_Landed(await books.held(self._database, held.id), why))
                return
            if now >= until or self._stopping:
                trouble = Trouble.STOPPING if self._stopping else Trouble.UNDER_WAY
                land(_Landed(held, NotNow(trouble, None, now + AGAIN)))
                return
            free = found.leased_until is None or found.leased_until <= now
            await self._clock.sleep(pause)
            pause = min(pause * SLOWER, LAST_LOOK)

    async def _lead(self, lease: Lease, app: App, held: Held, land: Callable[[_Landed], None]) -> bool:
        """Renew with the lease; False where somebody else is at it all the same, so that one looks again."""
        not_before = None
        try:
            landed = await self._refresh(lease, app, held)
            if landed is None:
                return False
            if landed.why is not None:
                now = self._clock.now()
                # The loop looks at once, but not before the time that the provider asked for.
                look_at = landed.why.retry_at or now
                not_before = max(now + REST, look_at)
                retry_at = handout.ask_again(landed.why.trouble, not_before, look_at)
                landed = replace(landed, why=replace(landed.why, retry_at=retry_at))
                await books.give_back(self._database, lease, self._process, not_before, look_at)
            land(landed)
        finally:
            if not_before is None:
                with suppress(*UNWELL):  # a lease that is not given back runs out
                    await books.give_back(self._database, lease, self._process)
        return True

    async def _refresh(self, lease: Lease, app: App, held: Held) -> _Landed | None:
        now, sealed = self._clock.now(), lease.sealed
        if held.place != lease.place:
            return None
        if app.endpoints is None:
            ready = await self._endpoints(app)
            if ready is None:
                return _Landed(held, NotNow(Trouble.CANNOT_RENEW))
            app = ready
        app = app.at(lease.values, lease.account_id)
        if app.endpoints is None or not app.endpoints.token:
            return _Landed(held, NotNow(Trouble.CANNOT_RENEW))
        expires = sealed.access_expires_at
        ended = (expires is not None and expires <= now) or sealed.refused == sealed.version
        try:
            done = await self._refresher.refresh(
                lease, app, sealed, lambda: self._turns.turn(app), ended=ended
            )
        except (CannotDecrypt, KeyMissing):
            return _Landed(held, handout.NOBODY_TO_ASK)
        self._refreshed(app, done, lease.id)
        if done.note is RefreshNote.BUSY:
            return None
        after = await books.held(self._database, lease.id)
        if done.note in (RefreshNote.DONE, RefreshNote.ELSEWHERE):
            return _Landed(after)
        return _Landed(after, await self._why(lease, app, done))

    async def _why(self, lease: Lease, app: App, done: Refreshed) -> NotNow:
        """Say what a refresh without a pair would mean; what the provider asks for is heeded."""
        outcome = done.exchanges[-1].outcome if done.exchanges else None
        retry_at = outcome.retry_at if isinstance(outcome, Answer) else None
        if isinstance(outcome, Answer) and retry_at and limited(app.rules, Step.REFRESH, outcome):
            await self._turns.hold(app, retry_at)
        if outcome is None:
            return handout.seems_to_be(done.note, None, done.look_at)
        seen = Evidence(
            self._clock.now(), done.exchanges, refresh=done.note, grant=grant_known(lease, lease.sealed, app)
        )
        return handout.seems_to_be(done.note, classify(seen, app.rules), done.look_at or retry_at)

    async def _endpoints(self, app: App) -> App | None:
        """Return an app with the endpoints that its server's metadata names; None while it cannot be read."""
        if app.id not in self._discovered:
            await self._turns.turn(app)
            found = await discover(app, self._wire)
            if isinstance(found, Fault) or not isinstance(found, App):
                return None
            self._discovered[app.id] = found
        return self._discovered[app.id]


async def _after(clock: Clock, span: timedelta) -> None:
    await clock.sleep(span.total_seconds())
