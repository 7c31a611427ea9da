"""Looks at one connection: refresh if it is due, whoami, a scope check, and what became of a dead token.

Finds out; decides nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from monitor.clock import Clock
from monitor.errors import CannotDecrypt, KeyMissing
from monitor.health.cadence import Cadence, scope_due
from monitor.health.causes import at_scopes, consequence
from monitor.health.classify import leaves_open, told_before
from monitor.health.evidence import (
    Answer,
    Evidence,
    Exchange,
    Fault,
    Identity,
    Introspection,
    RefreshNote,
    Step,
)
from monitor.health.lifecycle import State
from monitor.health.rules import bad_weather, limited, refuses_token
from monitor.secret import Secret
from monitor.store.columns import Sealed
from monitor.store.due import Lease
from monitor.store.verdicts import Refused
from monitor.tokens.calls import asking
from monitor.tokens.introspect import Introspector
from monitor.tokens.refresh import Refresher, access_cell, refresh_cell
from monitor.tokens.standing import grant_known, next_refresh
from monitor.tokens.vault import Vault
from monitor.watching.pacing import Pacer
from monitor.wire.answers import read, read_as
from monitor.wire.apps import App, discover
from monitor.wire.values import of_whoami
from monitor.wire.whose import identity

if TYPE_CHECKING:  # commands that ask no provider need not load the clients
    from monitor.wire.client import Wire


class Looked(NamedTuple):
    """What one look found, beside the evidence: what to remember for the next."""

    evidence: Evidence
    refresh_at: datetime | None  # when the pair is due to be refreshed
    scope_cursor: int
    scope_checked_at: datetime | None
    scopes_all: bool
    reads: Mapping[str, datetime] | None  # None: nothing new
    refresh_results: tuple[str, ...] = ()
    refused: Refused | None = None  # what the provider's API said of the stored access token
    values: Mapping[str, str] = MappingProxyType({})  # what whoami said that stands in its URLs from now on


@dataclass(slots=True)
class _Look:
    """One look under way."""

    lease: Lease
    app: App
    sealed: Sealed
    cadence: Cadence
    refresh_at: datetime | None
    exchanges: list[Exchange] = field(default_factory=list)
    note: RefreshNote | None = None
    identity: Identity | None = None
    refresh_results: tuple[str, ...] = ()
    unanswered: tuple[Mapping[str, Any], ...] = ()
    look_at: datetime | None = None  # when a refresh token in doubt may be sent
    scope_cursor: int = 0
    scope_checked_at: datetime | None = None
    scopes_all: bool = False
    reads: dict[str, datetime] | None = None
    complete: bool = True
    held: bool = False
    introspection: Introspection | None = None
    refused: Refused | None = None
    base: App | None = None  # the app as it is for all its connections
    known: Mapping[str, str] = field(default_factory=dict)  # the connection's own values
    values: dict[str, str] = field(default_factory=dict)  # those that whoami brought
    lacks: tuple[str, ...] = ()


async def _never(_lease: Lease, _account: str) -> bool:
    return False


class Prober:
    """Looks at connections. `scope_every` is the time in which each needed scope is checked once.

    `waits` says whether a first account has to wait for a person before anything is read with its token.
    """

    def __init__(
        self,
        wire: Wire,
        vault: Vault,
        refresher: Refresher,
        pacer: Pacer,
        clock: Clock,
        scope_every: timedelta,
        waits: Callable[[Lease, str], Awaitable[bool]] = _never,
    ) -> None:
        self._waits = waits
        self._wire, self._vault, self._refresher = wire, vault, refresher
        self._pacer, self._clock, self._scope_every = pacer, clock, scope_every
        self._discovered: dict[str, App] = {}
        self._introspector = Introspector(wire, clock)

    async def look(self, lease: Lease, app: App, cadence: Cadence) -> Looked:
        """Look at one leased connection. What the provider does never raises; our own faults do."""
        look = _Look(
            lease,
            app,
            lease.sealed,
            cadence,
            next_refresh(lease.id, lease.sealed, app, cadence, self._clock.now()),
            scope_cursor=lease.scope_cursor,
            scope_checked_at=lease.scope_checked_at,
            scopes_all=lease.scopes_all,
        )
        if lease.place != app.place:
            # The configuration names another provider under the app's name: tokens are not for that one.
            look.note = RefreshNote.OTHER_APP
            return self._finish(look)
        if app.endpoints is None and not await self._discover(look):
            return self._finish(look)
        self._settle_on(look, lease.values)
        if look.app.lacks and not self._may_bring(look):
            look.lacks = look.app.lacks
            return self._finish(look)
        try:
            await self._ask(look)
            await self._introspect(look)
        except (CannotDecrypt, KeyMissing):
            # A pair that is lost and does not open either was given up with its key (`keys forget`).
            look.note = RefreshNote.LOST if look.sealed.lost else RefreshNote.UNREADABLE
        return self._finish(look)

    def _settle_on(self, look: _Look, values: Mapping[str, str]) -> None:
        """Go on with the app as a connection with these values asks it."""
        look.base = look.base or look.app
        look.app, look.known = look.base.at(values, look.lease.account_id), values

    def _may_bring(self, look: _Look) -> bool:
        """Whether a refresh may bring the values that lack: imported tokens came without them."""
        there, values = look.app.endpoints, look.app.provider.values
        return (
            there is not None
            and bool(there.token)
            and look.sealed.refresh is not None
            and all(values[name].token for name in look.app.lacks)
        )

    async def drain(self) -> None:
        """Wait for the refreshes that are under way."""
        await self._refresher.drain()

    async def _ask(self, look: _Look) -> None:
        sealed = look.sealed
        if sealed.access is None:
            look.note = RefreshNote.NO_TOKEN
            return
        # Opened before anything is sent, so that a credential that does not open costs no request.
        version = sealed.version
        token = self._vault.open(sealed.access, access_cell(look.lease.id, look.app.place))
        due = (look.refresh_at is not None and look.refresh_at <= self._clock.now()) or bool(look.app.lacks)
        # In doubt and at its end, the access token is asked first: what the API says, and that it is there,
        # has to be known before the refresh token is sent a last time.
        if sealed.lost or (due and not (self._doubted(look) and self._expired(look))):
            fresh = await self._refresh(look)
            if fresh is not None:
                token, version = fresh, look.sealed.version
        if look.note is RefreshNote.LOST:
            return
        if look.app.lacks:
            look.lacks = look.app.lacks
            return
        if look.note in (RefreshNote.FAILED, RefreshNote.BUSY) and self._expired(look):
            return  # the whoami would only repeat that the access token ran out
        refused = await self._whoami(look, token, version)
        if self._wants_refresh(look, refused):
            fresh = await self._refresh(look, ended=True)
            if fresh is not None:
                await self._whoami(look, fresh, look.sealed.version)
                token = fresh
        if look.identity is None or not look.exchanges[-1].outcome.ok:
            return
        account, lease = look.identity.account_id, look.lease
        if lease.account_id is None and (account or look.identity.choice):
            look.held = not account or await self._waits(lease, account)
        if not look.held:
            await self._scopes(look, token)

    def _wants_refresh(self, look: _Look, refused: bool) -> bool:
        """Whether what whoami said asks for a refresh: refused, or at the end of a token that had a doubt."""
        if look.sealed.refresh is None:
            return False
        if self._doubted(look):
            there = refused or look.exchanges[-1].outcome.ok
            return there and (refused or self._expired(look))
        return refused and look.note is None

    def _doubted(self, look: _Look) -> bool:
        return look.sealed.doubt is not None

    def _expired(self, look: _Look) -> bool:
        expires = look.sealed.access_expires_at
        return expires is not None and expires <= self._clock.now()

    async def _refresh(self, look: _Look, *, ended: bool = False) -> Secret | None:
        """Refresh, and return the access token to go on with, None where there is no new one."""
        ended = ended or self._expired(look)
        done = await self._refresher.refresh(
            look.lease, look.app, look.sealed, lambda: self._pacer.turn(look.app), ended=ended
        )
        look.note, look.sealed, look.unanswered, look.look_at = (
            done.note, done.sealed, done.unanswered, done.look_at,
        )  # fmt: skip
        look.refresh_results += done.results
        if done.values:
            self._settle_on(look, {**look.known, **done.values})
        for exchange in done.exchanges:
            look.exchanges.append(exchange)
            await self._heed(look.app, exchange.step, exchange.outcome)
        look.refresh_at = next_refresh(look.lease.id, done.sealed, look.app, look.cadence, self._clock.now())
        if done.note in (RefreshNote.DONE, RefreshNote.ELSEWHERE) and done.sealed.access is not None:
            return self._vault.open(done.sealed.access, access_cell(look.lease.id, look.app.place))
        return None

    async def _whoami(self, look: _Look, token: Secret, version: int) -> bool:
        """Ask who the token of a version speaks for; True when the API itself refused it."""
        assert look.app.endpoints is not None  # noqa: S101 - discovered before
        answer, document = await self._get(look, Step.WHOAMI, look.app.endpoints.whoami, token)
        if isinstance(answer, Fault):
            return False
        if answer.ok:
            look.identity = identity(
                look.app.provider.whoami, look.app.values, document, look.lease.account_id, token
            )
            if look.app.provider.values:
                look.values |= of_whoami(look.app.provider, document, look.known, look.app.own)
        refused = refuses_token(look.app.rules, Step.WHOAMI, answer)
        if answer.ok or refused:
            look.refused = Refused(version, yes=refused)
        return refused

    async def _scopes(self, look: _Look, token: Secret) -> None:
        """Check every scope right after an authorization and while one is in trouble, else one in turn."""
        lease, now = look.lease, self._clock.now()
        checkable = tuple(s for s in lease.scopes if look.app.checks(s))
        every = lease.scopes_all or at_scopes(lease.health.cause) or at_scopes(lease.health.candidate)
        if every:
            chosen = checkable
        else:
            one = scope_due(checkable, lease.scope_cursor, lease.scope_checked_at, self._scope_every, now)
            chosen = (one,) if one is not None else ()
        answered = 0
        for scope in chosen:
            if _spent(look):
                break  # the provider allows no further request for now
            url = look.app.scope_url(scope)
            if url is None:  # a value lacks that only this check needs: what it would say stays open
                continue
            answer, _ = await self._get(look, Step.SCOPE, url, token, scope)
            if answer.ok:
                look.reads = (look.reads or dict(lease.reads)) | {scope: now}
            elif isinstance(answer, Fault) or bad_weather(look.app.rules, Step.SCOPE, answer):
                break  # the other scopes would meet it too
            answered += 1
        if every:
            look.complete = answered == len(chosen)
            look.scopes_all = lease.scopes_all and not look.complete
        if answered:
            look.scope_checked_at = now
            look.scope_cursor = (lease.scope_cursor + 1) % max(1, len(checkable))

    async def _introspect(self, look: _Look) -> None:
        """Ask what became of a token whose refusal leaves it open: once a break, and at no other probe."""
        if not self._introspector.may_ask(look.app) or all(e.outcome.ok for e in look.exchanges):
            return
        health, evidence = look.lease.health, self._evidence(look)
        settled = health.state is State.BROKEN and consequence(health.cause).ends_grant
        which = leaves_open(evidence, look.app.rules)
        known = settled or evidence.told_before is not None
        if which is None or known or not self._introspector.may_ask(look.app, which):
            return
        sealed, cell = look.sealed.access, access_cell(look.lease.id, look.app.place)
        if which == "refresh_token":
            sealed, cell = look.sealed.refresh, refresh_cell(look.lease.id, look.app.place)
        if sealed is None:
            return
        token = self._vault.open(sealed, cell)
        await self._pacer.turn(look.app)
        exchange, look.introspection = await self._introspector.ask(look.app, token, which)
        look.exchanges.append(exchange)

    async def _get(
        self, look: _Look, step: Step, url: str, token: Secret, scope: str | None = None
    ) -> tuple[Answer | Fault, Any]:
        await self._pacer.turn(look.app)
        began = self._clock.now()
        provider = look.app.provider
        call = provider.whoami.call if scope is None else provider.scopes[scope].call
        reply = await asking(self._wire, look.app, url, token, call)
        now = self._clock.now()
        answer: Answer | Fault
        if isinstance(reply, Fault):
            answer, document = reply, None
        else:
            answer, document = read_as(step, reply, look.app.provider.errors, look.app.rules, now)
        (shown, host), method = _shown(url), call.method if call is not None else "GET"
        look.exchanges.append(
            Exchange(step, f"{method} {shown}", host, began, (now - began).total_seconds(), answer, scope)
        )
        if not answer.ok:
            await self._heed(look.app, step, answer)
        return answer, document

    async def _heed(self, app: App, step: Step, answer: Answer | Fault) -> None:
        """An app-wide limit that was hit is everyone's: hold all requests of the app."""
        if isinstance(answer, Answer) and answer.retry_at and limited(app.rules, step, answer):
            await self._pacer.hold(app, answer.retry_at)

    async def _discover(self, look: _Look) -> bool:
        known = self._discovered.get(look.app.id)
        if known is None:
            began = self._clock.now()
            await self._pacer.turn(look.app)
            found = await discover(look.app, self._wire)
            if not isinstance(found, App):
                now = self._clock.now()
                url = look.app.auth_url + look.app.provider.oauth.discover
                outcome = found if isinstance(found, Fault) else read(found, look.app.provider.errors, now)[0]
                host, seconds = urlsplit(url).hostname or "", (now - began).total_seconds()
                look.exchanges.append(Exchange(Step.WHOAMI, f"GET {url}", host, began, seconds, outcome))
                return False
            known = self._discovered[look.app.id] = found
        look.app = known
        return True

    def _evidence(self, look: _Look) -> Evidence:
        health = look.lease.health
        return Evidence(
            self._clock.now(),
            tuple(look.exchanges),
            look.identity,
            look.note,
            grant_known(look.lease, look.sealed, look.app),
            look.unanswered,
            look.introspection,
            told_before(health.rule, health.cause, health.since, look.sealed.issued_at),
            look.complete,
            look.held,
            look.lacks,
        )

    def _finish(self, look: _Look) -> Looked:
        return Looked(
            self._evidence(look),
            look.look_at or look.refresh_at,
            look.scope_cursor,
            look.scope_checked_at,
            look.scopes_all,
            look.reads,
            look.refresh_results,
            look.refused,
            look.values,
        )


def _spent(look: _Look) -> bool:
    """Whether the last answer said that no request is left for now (X-RateLimit-Remaining)."""
    outcome = look.exchanges[-1].outcome
    return isinstance(outcome, Answer) and outcome.retry_at is not None


@lru_cache(maxsize=4096)
def _shown(url: str) -> tuple[str, str]:
    """Return a URL without its query, and its host; there are few different ones, asked very often."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}{parts.path}", parts.netloc
