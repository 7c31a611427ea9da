"""Refreshes a managed connection's tokens, so that a crash at any instruction is told honestly.

1. Is an older refresh of this connection unfinished? Its process died: decide what that means.
2. Write the intent. From here on, a crash leaves an open line that step 1 finds.
3. Send, on a transport that says truthfully whether the request left.
4. Make the new pair durable, then use it; or close the line with what happened.

Steps 3 and 4 run in a task of their own: a probe that is cancelled does not cut them apart.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlsplit

from sqlalchemy.exc import SQLAlchemyError

from monitor.clock import Clock
from monitor.errors import TokenHealthError
from monitor.health.evidence import Answer, Exchange, Fault, FaultKind, RefreshNote, Step
from monitor.health.rotation import Aftermath, Journal, after
from monitor.secret import Secret
from monitor.store import due, journal
from monitor.store.due import Lease, Sealed
from monitor.store.engine import Database
from monitor.tokens.messages import TokenAnswer, read_token_answer, refresh_form
from monitor.tokens.vault import Cell, Vault
from monitor.wire.answers import read
from monitor.wire.apps import App
from monitor.wire.client import Wire

# How often storing a new pair is tried when the database fails at that very moment.
STORE_TRIES = 6


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What a refresh came to: the credentials to go on with, and the evidence of it."""

    note: RefreshNote
    result: str  # the `result` label of the metric
    sealed: Sealed
    exchange: Exchange | None = None


def access_cell(connection: str) -> Cell:
    """Where a connection's access token is stored."""
    return Cell("credential", connection, "access")


def refresh_cell(connection: str) -> Cell:
    """Where a connection's refresh token is stored."""
    return Cell("credential", connection, "refresh")


class Refresher:
    """Refreshes, one at a time per connection across all processes."""

    def __init__(
        self, database: Database, wire: Wire, vault: Vault, clock: Clock, process: str, timeout: timedelta
    ) -> None:
        self._database, self._wire, self._vault = database, wire, vault
        self._clock, self._process, self._timeout = clock, process, timeout
        self._running: set[asyncio.Task[Refreshed]] = set()

    async def refresh(
        self, lease: Lease, app: App, sealed: Sealed, turn: Callable[[], Awaitable[None]]
    ) -> Refreshed:
        """Refresh the pair of a leased connection. `turn` waits for the app's budget.

        Raises CannotDecrypt or KeyMissing when the stored refresh token does not open.
        """
        if sealed.lost:
            return Refreshed(RefreshNote.LOST, "lost", sealed)
        if sealed.refresh is None or app.endpoints is None:
            return Refreshed(RefreshNote.NO_TOKEN, "no_token", sealed)
        token = self._vault.open(sealed.refresh, refresh_cell(lease.id))
        if await self._left_behind(lease, app) is Aftermath.LOST:
            return Refreshed(RefreshNote.LOST, "lost", sealed)
        await turn()
        now = self._clock.now()
        if now > lease.until - self._timeout * 2:
            # Too late to be sure that the lease outlives the request; the next probe does it.
            return await self._as_stored(lease, sealed)
        entry = await journal.begin(self._database, lease.id, self._process, lease.epoch, sealed.version, now)
        if entry is None:
            return await self._as_stored(lease, sealed)
        task = asyncio.create_task(self._send_and_store(lease, app, sealed, token, entry))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await asyncio.shield(task)

    async def drain(self) -> None:
        """Wait for the refreshes that are under way."""
        if self._running:
            await asyncio.wait(set(self._running))

    async def _left_behind(self, lease: Lease, app: App) -> Aftermath:
        """Decide about a refresh whose process died between its intent and its end.

        We hold the lease, so nobody is at it any more.
        """
        entry = await journal.unfinished(self._database, lease.id)
        if entry is None:
            return Aftermath.OLD_PAIR
        now = self._clock.now()
        means = after(entry.outcome, entry.begun_at, app.provider.oauth.rotation, now)
        ending = Journal.LOST if means is Aftermath.LOST else Journal.RETRIED
        await journal.close(self._database, entry.id, ending, now)
        return means

    async def _as_stored(self, lease: Lease, sealed: Sealed) -> Refreshed:
        """Go on with what is stored now: another process may have refreshed in the meantime."""
        stored = await due.reread(self._database, lease.id)
        if stored is not None and stored.version != sealed.version:
            return Refreshed(RefreshNote.ELSEWHERE, "elsewhere", stored)
        return Refreshed(RefreshNote.FAILED, "busy", sealed)

    async def _send_and_store(
        self, lease: Lease, app: App, sealed: Sealed, token: Secret, entry: int
    ) -> Refreshed:
        assert app.endpoints is not None  # noqa: S101 - checked by refresh()
        form, authorization = refresh_form(
            app.client_id, app.client_secret, token, app.provider.oauth.client_auth
        )
        url, began = app.endpoints.token, self._clock.now()
        reply = await self._wire.post_form(url, form, authorization)
        now = self._clock.now()
        answer: Answer | Fault
        pair: TokenAnswer | None = None
        if isinstance(reply, Fault):
            answer = reply
        else:
            answer, document = read(reply, app.provider.errors, now)
            oauth = app.provider.oauth
            if answer.ok:
                pair = read_token_answer(document, now, oauth.access_lifetime, oauth.scope_separator)
        exchange = Exchange(
            Step.REFRESH,
            f"POST {url}",
            urlsplit(url).hostname or "",
            began,
            (now - began).total_seconds(),
            answer,
        )
        if pair is not None:
            return await self._keep(lease, entry, pair, exchange, sealed)
        if answer.ok or (isinstance(answer, Answer) and answer.status == 200 and answer.error is None):
            # 200, and not what a token endpoint says: a new pair may have been in what we cannot read.
            answer = Fault(FaultKind.TRUNCATED, "an answer of 200 without a readable access token")
            exchange = Exchange(exchange.step, exchange.asked, exchange.host, began, exchange.seconds, answer)
        return await self._without_pair(lease, app, sealed, entry, exchange, answer)

    async def _keep(
        self, lease: Lease, entry: int, pair: TokenAnswer, exchange: Exchange, sealed: Sealed
    ) -> Refreshed:
        """Store the new pair. The database failing just now is no reason to lose it: try again."""
        now = self._clock.now()
        stored = journal.SealedPair(
            access=self._vault.seal(pair.access, access_cell(lease.id)),
            refresh=self._vault.seal(pair.refresh, refresh_cell(lease.id)) if pair.refresh else None,
            issued_at=now,
            access_expires_at=pair.expires_at,
            granted=pair.granted,
        )
        for attempt in range(STORE_TRIES):
            try:
                await journal.store_pair(self._database, entry, stored, now)
                break
            except SQLAlchemyError:
                if attempt == STORE_TRIES - 1:
                    raise TokenHealthError(
                        f"{lease.id}: the database did not take a refreshed pair; its journal line is "
                        "open and will be judged at the next probe."
                    ) from None
                await self._clock.sleep(0.2 * 2**attempt)
        reread = await due.reread(self._database, lease.id)
        return Refreshed(RefreshNote.DONE, "ok", reread or sealed, exchange)

    async def _without_pair(
        self, lease: Lease, app: App, sealed: Sealed, entry: int, exchange: Exchange, answer: Answer | Fault
    ) -> Refreshed:
        now = self._clock.now()
        if isinstance(answer, Fault) and answer.perhaps_sent:
            means = after(Journal.UNCLEAR, exchange.at, app.provider.oauth.rotation, now)
            lost = means is Aftermath.LOST
            await journal.close(self._database, entry, Journal.LOST if lost else Journal.RETRIED, now)
            note = RefreshNote.LOST if lost else RefreshNote.FAILED
            return Refreshed(note, "lost" if lost else "unclear", sealed, exchange)
        not_sent = isinstance(answer, Fault)
        await journal.close(self._database, entry, Journal.NOT_SENT if not_sent else Journal.REFUSED, now)
        if not not_sent:
            # A lost race looks like a refusal: if the stored pair changed meanwhile, it is none.
            stored = await due.reread(self._database, lease.id)
            if stored is not None and stored.version != sealed.version:
                return Refreshed(RefreshNote.ELSEWHERE, "elsewhere", stored, exchange)
        return Refreshed(RefreshNote.FAILED, "not_sent" if not_sent else "refused", sealed, exchange)
