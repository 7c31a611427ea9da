"""Refreshes a managed connection's tokens, so that a crash at any instruction is told honestly.

1. Is another refresh of this connection open in the journal? While its process lives, it is that one's;
   when it is gone, its answer is lost, and `health.rotation` says what that means.
2. May the token be sent at all? One in doubt may not, as long as something is left to lose.
3. Write the intent. From here on, a crash leaves an open line that step 1 finds.
4. Send, on a transport that says truthfully whether the request left.
5. Make the new pair durable, then use it; or close the line with what happened.

Steps 3 to 5 run in a task of their own: a probe that is cancelled does not cut them apart.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from monitor.clock import Clock
from monitor.errors import CannotDecrypt, KeyMissing
from monitor.health.evidence import Answer, Evidence, Exchange, Fault, FaultKind, RefreshNote, Step
from monitor.health.explain import document
from monitor.health.incidents import Place
from monitor.health.rotation import (
    Ending,
    Heard,
    Journal,
    May,
    ending,
    free_at,
    heard,
    may_send,
    never_recorded,
)
from monitor.providers.schema import OAuth
from monitor.secret import Secret
from monitor.store import due, journal, processes
from monitor.store.columns import Sealed
from monitor.store.due import Lease
from monitor.store.engine import Database
from monitor.store.journal import Line, SealedPair
from monitor.store.sealing import app_of
from monitor.tokens.insist import insist
from monitor.tokens.messages import TokenAnswer, answer_of, refresh_form
from monitor.tokens.vault import Cell, Vault
from monitor.wire.answers import read_as
from monitor.wire.apps import App
from monitor.wire.values import of_refresh

if TYPE_CHECKING:  # commands that ask no provider need not load the clients
    from monitor.wire.client import Wire

# A gateway may hold a request for longer than we wait for its answer, commonly for 30 to 60 seconds: so
# many of our own time-outs after a refresh was begun, none is believed to arrive any more.
LATE = 6
# No refresh lasts that long, whatever its process says of itself.
ABANDONED = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What a refresh came to: the credentials to go on with, and the evidence of it.

    `results` are labels of the metric. `look_at` is when a token in doubt may be sent, where it only waits
    for that.
    """

    note: RefreshNote
    results: tuple[str, ...]
    sealed: Sealed
    exchanges: tuple[Exchange, ...] = ()
    unanswered: tuple[Mapping[str, Any], ...] = ()
    look_at: datetime | None = None
    values: Mapping[str, str] = field(
        default_factory=dict
    )  # of the provider's [values], those that came anew


def taken(
    answer: Answer, document: Any, began: datetime, oauth: OAuth, *, exchange: bool = False
) -> tuple[Answer | Fault, TokenAnswer | None]:
    """Return what a token endpoint's answer to a request begun at a time comes to, and the pair in it.

    `exchange`: it answers a code.
    """
    if not answer.accepted:
        return answer, None
    pair = answer_of(oauth, document, began, exchange=exchange)
    if pair is None:
        # Not what a token endpoint says: a new pair may have been in what we cannot read.
        return Fault(FaultKind.TRUNCATED, f"{answer.status} without a readable access token"), None
    return answer, pair


def access_cell(connection: str, place: Place) -> Cell:
    """Where a connection's access token is stored, and the app that it was given to."""
    return Cell("credential", connection, "access", app_of(place))


def refresh_cell(connection: str, place: Place) -> Cell:
    """Where a connection's refresh token is stored, and the app that it was given to."""
    return Cell("credential", connection, "refresh", app_of(place))


def _nobody_waits(_connection: str) -> None:
    """Commands of the command line hand out no tokens."""


class Refresher:
    """Refreshes, one at a time per connection across all processes.

    `on_stored` hears of each pair that this process made durable.
    """

    def __init__(
        self, database: Database, wire: Wire, vault: Vault, clock: Clock, process: str, timeout: timedelta
    ) -> None:
        self._database, self._wire, self._vault = database, wire, vault
        self._clock, self._process, self._timeout = clock, process, timeout
        self._running: dict[str, asyncio.Task[Refreshed]] = {}
        self._draining = False
        self.on_stored: Callable[[str], None] = _nobody_waits

    async def refresh(
        self,
        lease: Lease,
        app: App,
        sealed: Sealed,
        turn: Callable[[], Awaitable[None]],
        *,
        ended: bool = False,
    ) -> Refreshed:
        """Refresh the pair of a leased connection. `turn` waits for the app's budget.

        `ended` says that the access token ran out or was refused: nothing is left to lose. Raises
        CannotDecrypt or KeyMissing when the stored refresh token does not open.
        """
        if sealed.lost:
            return await self._lost(lease, sealed)
        if sealed.refresh is None or app.endpoints is None:
            return Refreshed(RefreshNote.NO_TOKEN, ("no_token",), sealed)
        self._vault.open(
            sealed.refresh, refresh_cell(lease.id, app.place)
        )  # before anything is decided or sent
        before = sealed
        found = await self._left_behind(lease, app, sealed)
        if isinstance(found, Refreshed):
            return found
        sealed = found
        began = ("in_doubt",) if sealed.doubt is not None and before.doubt is None else ()
        match self._may(app, sealed, ended):
            case May.LOST:
                return await self._lost(lease, sealed)
            case May.KEEP:
                return Refreshed(RefreshNote.IN_DOUBT, began, sealed)
            case May.WAIT:
                return Refreshed(RefreshNote.IN_DOUBT, began, sealed, look_at=self._free_at(sealed))
        done = await self._send(lease, app, sealed, turn)
        if sealed.doubt is None and self._may(app, done.sealed, ended) is May.AGAIN:
            # The answer was lost just now, and the provider takes a replaced token back for a while: at once.
            again = await self._send(lease, app, done.sealed, turn)
            done = replace(
                again, results=done.results + again.results, exchanges=done.exchanges + again.exchanges
            )
        waits = ended and done.note is RefreshNote.IN_DOUBT
        return replace(
            done, results=began + done.results, look_at=self._free_at(done.sealed) if waits else None
        )

    async def drain(self) -> None:
        """Begin no more, and wait for the refreshes that are under way."""
        self._draining = True
        while self._running:
            await asyncio.wait(set(self._running.values()))

    def _may(self, app: App, sealed: Sealed, ended: bool) -> May:
        rotation, now = app.provider.oauth.habit, self._clock.now()
        return may_send(sealed.doubt, rotation, now, ended=ended, late=self._timeout * LATE)

    def _free_at(self, sealed: Sealed) -> datetime | None:
        return free_at(sealed.doubt, self._timeout * LATE) if sealed.doubt is not None else None

    async def _left_behind(self, lease: Lease, app: App, sealed: Sealed) -> Sealed | Refreshed:
        """Judge a line that is open; return the credentials to go on with, or why not to go on.

        That we hold the lease is no proof that nobody refreshes: an import, a pause or a burial frees it in
        the middle. Only a process that is gone, or ourselves, left a line behind.
        """
        entry = await journal.unfinished(self._database, lease.id)
        if entry is None:
            return sealed
        if await self._is_running(entry):
            return await self._as_stored(lease, sealed)
        stored = await due.reread(self._database, lease.id)
        if stored is None or stored.version != sealed.version:
            return await self._as_stored(lease, sealed)
        now = self._clock.now()
        if entry.version != stored.version:
            await journal.close(self._database, entry, Ending(Journal.SUPERSEDED), now)
            return stored
        assert app.endpoints is not None  # noqa: S101 - checked by refresh()
        evidence = never_recorded(f"POST {app.endpoints.token}", entry.begun_at)
        end = ending(Heard.UNCLEAR, stored.doubt, entry.begun_at, app.provider.oauth.habit)
        closed = await journal.close(self._database, entry, end, now, evidence=evidence)
        stored = await due.reread(self._database, lease.id)
        if not closed or stored is None or stored.version != sealed.version:
            return await self._as_stored(lease, sealed)
        return await self._lost(lease, stored, "lost") if stored.lost else stored

    async def _is_running(self, entry: Line) -> bool:
        """Whether somebody is at an open line, so that its answer may still come."""
        if entry.process == self._process:
            return entry.connection in self._running
        now = self._clock.now()
        if now - entry.begun_at > ABANDONED:
            return False
        return await processes.lives(self._database, entry.process, now)

    async def _as_stored(self, lease: Lease, sealed: Sealed) -> Refreshed:
        """Go on with what is stored now: another process may have refreshed in the meantime."""
        stored = await due.reread(self._database, lease.id)
        if stored is not None and stored.version != sealed.version:
            return Refreshed(RefreshNote.ELSEWHERE, ("elsewhere",), stored)
        return Refreshed(RefreshNote.BUSY, ("busy",), stored or sealed)

    async def _lost(self, lease: Lease, sealed: Sealed, *results: str) -> Refreshed:
        unanswered = await self._unanswered(lease.id, sealed)
        return Refreshed(RefreshNote.LOST, results, sealed, unanswered=unanswered)

    async def _unanswered(self, connection: str, sealed: Sealed) -> tuple[Mapping[str, Any], ...]:
        if sealed.doubt is None:
            return ()
        return tuple(await journal.unanswered(self._database, connection, sealed.doubt.since))

    async def _send(
        self, lease: Lease, app: App, sealed: Sealed, turn: Callable[[], Awaitable[None]]
    ) -> Refreshed:
        """Send the refresh token and store what comes of it, in a task that nobody can cut apart."""
        await turn()
        # Too late to be sure that the lease outlives the request? The next probe does it.
        late = self._clock.now() > lease.until - self._timeout * 2
        if late or self._draining or lease.id in self._running:
            return await self._as_stored(lease, sealed)
        task = asyncio.create_task(self._send_and_store(lease, app, sealed))
        self._running[lease.id] = task
        task.add_done_callback(lambda _task: self._running.pop(lease.id))
        return await asyncio.shield(task)

    async def _send_and_store(self, lease: Lease, app: App, sealed: Sealed) -> Refreshed:
        assert sealed.refresh is not None  # noqa: S101 - checked by refresh()
        token = self._vault.open(sealed.refresh, refresh_cell(lease.id, app.place))
        # Made before the intent is written: what fails here has begun nothing.
        form, authorization = refresh_form(
            app.client_id, app.client_secret, token, app.provider.oauth.client_auth
        )
        now = self._clock.now()
        entry = await journal.begin(
            self._database, lease.id, self._process, lease.epoch, sealed.version, now, sealed.doubt
        )
        if entry is None:
            return await self._as_stored(lease, sealed)
        exchange, pair, document = await self._ask(app, form, authorization)
        if pair is not None:
            brought = of_refresh(app.provider, document, lease.values, app.own) if app.provider.values else {}
            return await self._keep(lease, app, entry, pair, exchange, sealed, token, brought)
        return await self._without_pair(lease, app, sealed, entry, exchange, token)

    async def _ask(
        self, app: App, form: Secret, authorization: Secret | None
    ) -> tuple[Exchange, TokenAnswer | None, Any]:
        assert app.endpoints is not None  # noqa: S101 - checked by refresh()
        url, began = app.endpoints.token, self._clock.now()
        reply = await self._wire.post_form(url, form, authorization, app.token_headers)
        now = self._clock.now()
        answer: Answer | Fault
        pair: TokenAnswer | None = None
        document: Any = None
        if isinstance(reply, Fault):
            answer = reply
        else:
            said, document = read_as(Step.REFRESH, reply, app.provider.errors, app.rules, now)
            answer, pair = taken(said, document, began, app.provider.oauth)
        host, seconds = urlsplit(url).hostname or "", (now - began).total_seconds()
        return Exchange(Step.REFRESH, f"POST {url}", host, began, seconds, answer), pair, document

    async def _keep(
        self,
        lease: Lease,
        app: App,
        entry: Line,
        pair: TokenAnswer,
        exchange: Exchange,
        sealed: Sealed,
        token: Secret,
        brought: Mapping[str, str],
    ) -> Refreshed:
        """Store the new pair. The database failing just now is no reason to lose it: try again."""
        now = self._clock.now()
        stored = SealedPair(
            access=self._vault.seal(pair.access, access_cell(lease.id, app.place)),
            refresh=self._vault.seal(pair.refresh, refresh_cell(lease.id, app.place))
            if pair.refresh
            else None,
            issued_at=now,
            access_expires_at=pair.expires_at,
            granted=pair.granted,
            assumed=pair.assumed,
            refresh_ends_at=pair.refresh_ends_at,
            grant_ends_at=pair.grant_ends_at,
            values=brought,
        )

        async def put() -> Sealed | None:
            if not await journal.store_pair(self._database, entry, stored, now):
                over = await self._resting_on(entry, app, token)
                if over is not None:
                    await journal.store_pair(self._database, entry, stored, now, over=over)
            return await due.reread(self._database, lease.id)

        reread = await insist(self._clock, lease.id, put)
        self.on_stored(lease.id)
        result = "recovered" if sealed.doubt is not None else "ok"
        return Refreshed(RefreshNote.DONE, (result,), reread or sealed, (exchange,), values=brought)

    async def _resting_on(self, entry: Line, app: App, token: Secret) -> int | None:
        """Return the stored version, if it is a newer one with the very refresh token that we sent.

        An import or an authorization that brought no new one leaves that: what became of it counts there.
        """
        stored = await due.reread(self._database, entry.connection)
        if stored is None or stored.refresh is None or stored.version == entry.version:
            return None
        try:
            same = self._vault.open(stored.refresh, refresh_cell(entry.connection, app.place)) == token
        except (CannotDecrypt, KeyMissing):
            return None
        return stored.version if same else None

    async def _without_pair(
        self, lease: Lease, app: App, sealed: Sealed, entry: Line, exchange: Exchange, token: Secret
    ) -> Refreshed:
        now, what = self._clock.now(), heard(exchange.outcome, app.rules)
        end = ending(what, sealed.doubt, entry.begun_at, app.provider.oauth.habit)
        kept = document(Evidence(now, (exchange,)), app.rules)[0] if what is Heard.UNCLEAR else None

        async def put() -> tuple[Sealed | None, int | None]:
            over = await self._resting_on(entry, app, token)
            await journal.close(self._database, entry, end, now, evidence=kept, over=over)
            return await due.reread(self._database, lease.id), over

        stored, over = await insist(self._clock, lease.id, put)
        if stored is not None and stored.version not in (sealed.version, over):
            # A lost race looks like a refusal: if the stored pair changed meanwhile, it is none.
            return Refreshed(RefreshNote.ELSEWHERE, ("elsewhere",), stored, (exchange,))
        return await self._told(lease, stored or sealed, end, exchange, sealed)

    async def _told(
        self, lease: Lease, stored: Sealed, end: Ending, exchange: Exchange, before: Sealed
    ) -> Refreshed:
        """Say how a refresh without a pair ended, by how its line was closed."""
        unanswered = await self._unanswered(lease.id, stored) if end.lost else ()
        match end.outcome:
            case Journal.LOST:
                note, result = RefreshNote.LOST, "lost"
            case Journal.UNCLEAR:
                note, result = RefreshNote.IN_DOUBT, "in_doubt" if before.doubt is None else "unclear"
            case Journal.RETRIED:
                note, result = RefreshNote.FAILED, "unclear"
            case Journal.NOT_SENT:
                note, result = RefreshNote.FAILED, "not_sent"
            case _:
                note, result = RefreshNote.FAILED, "refused"
        return Refreshed(note, (result,), stored, (exchange,), unanswered)
