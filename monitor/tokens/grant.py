"""From the client's consent to a new pair: the road of the authorization code (RFC 6749 4.1).

1. `start`: state, browser secret and PKCE verifier are drawn, and the trip is written down.
2. `finish`: the state that comes back has to be one of ours, unspent, in time, and in the same browser; then
   it is spent, so that a code is exchanged once whatever is reloaded.
3. The code is exchanged, and whoami asked *before* anything of ours is touched. Another account than the
   one on record is refused with its name, and nothing is overwritten; nor by a grant that is born dead, or
   that reads less than the one that works.
4. The new pair takes the old one's place in one transaction (`store.links.replace_pair`).

A crash before 4 leaves everything as it was, with a link that still works. After 4 the loop probes. From the
spending of the trip on it is a task of its own, which the end of a request does not cut apart: the code is
given out once, and so are the tokens that come for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from hmac import compare_digest
from typing import TYPE_CHECKING, Any

import structlog

from monitor.clock import Clock
from monitor.errors import CannotDecrypt, KeyMissing
from monitor.health.evidence import Fault, Identity, Step
from monitor.health.rules import bad_weather
from monitor.secret import Secret
from monitor.store import connections, leftovers, links
from monitor.store.bindings import Account, Binding
from monitor.store.connections import Known
from monitor.store.engine import Database
from monitor.store.journal import SealedPair
from monitor.store.links import Link, Placed, Trip, hashed
from monitor.tokens import messages, unwanted
from monitor.tokens.arrival import Arrival, Arrived, Departure, Forbidden, born_dead, lost_by, not_granted
from monitor.tokens.callback import before_exchange, on_exchange, on_return
from monitor.tokens.calls import asking, revocation
from monitor.tokens.insist import insist
from monitor.tokens.messages import TokenAnswer
from monitor.tokens.refresh import access_cell, refresh_cell
from monitor.tokens.unwanted import leftover_cell
from monitor.tokens.vault import Cell, Vault
from monitor.wire.answers import asks_to_come_again, read
from monitor.wire.apps import App, discover
from monitor.wire.values import of_callback, of_whoami
from monitor.wire.whose import identity

if TYPE_CHECKING:  # commands that ask no provider need not load the clients
    from monitor.wire.client import Wire

log = structlog.get_logger("monitor.grant")

TRIP_LASTS = timedelta(minutes=30)
KEEP_LEFTOVERS = timedelta(days=2)
WHOAMI_TRIES = 3


class Granter:
    """Takes clients through the consent of their providers; `on_stored` hears of each pair that it stored."""

    def __init__(
        self,
        database: Database,
        wire: Wire,
        vault: Vault,
        clock: Clock,
        apps: Mapping[str, App],
        public_url: str,
        rules: Binding,
    ) -> None:
        self._rules = rules
        self._database, self._wire, self._vault = database, wire, vault
        self._clock, self._apps, self._public_url = clock, apps, public_url
        self._discovered: dict[str, App] = {}
        self.on_stored: Callable[[str], None] | None = None
        self._running: set[asyncio.Task[Arrived]] = set()

    async def drain(self) -> None:
        """Wait for the exchanges that are under way."""
        while self._running:
            await asyncio.wait(set(self._running))

    async def start(self, link: Link) -> Departure | None:
        """Write a trip down and return where it goes; None while the provider's metadata cannot be read.

        Raises NotFound where the connection is gone meanwhile.
        """
        known = await connections.show(self._database, link.connection)
        app = await self._app(known.place.app)
        if app is None or app.endpoints is None or app.place != known.place:
            return None
        app = app.at(known.values, known.account_id)
        if app.endpoints is None or not app.endpoints.authorize:
            log.warning("consent.no_value", connection=link.connection, app=app.id)
            return None
        oauth = app.provider.oauth
        hint = {oauth.login_hint: known.authorized_by} if oauth.login_hint and known.authorized_by else {}
        redirect_uri = self._public_url + app.callback
        state, browser = links.fresh_secret(), links.fresh_secret()
        verifier = messages.new_verifier(app.client_id) if oauth.pkce else None
        now = self._clock.now()
        await links.begin_trip(
            self._database,
            link,
            state=state,
            browser=browser,
            app=app.id,
            redirect_uri=redirect_uri,
            verifier=self._vault.seal(verifier, _verifier_cell(state)) if verifier is not None else None,
            now=now,
            expires_at=now + TRIP_LASTS,
        )
        url = messages.authorize_url(
            app.endpoints.authorize,
            app.client_id,
            redirect_uri,
            state,
            scopes=(*oauth.default_scopes, *known.scopes) if oauth.sends_scopes else (),
            separator=oauth.scope_separator,
            scope_param=oauth.scope_param,
            verifier=verifier,
            more={**oauth.authorize_params, **hint},
        )
        return Departure(url, state, browser)

    async def finish(
        self, state: Secret, browser: Secret | None, params: Mapping[str, str], path: str
    ) -> Arrived:
        """Take a callback: check where it comes from, exchange its code, compare the account, store.

        `path` is where it came in: the state has to be of a trip that was to come back there.
        """
        trip = await links.trip(self._database, state) if state else None
        if trip is None:
            return Arrived(Arrival.TAMPERED)
        if browser is None or not compare_digest(hashed(browser), trip.browser_hash):
            # Not spent: a stranger who sends the state here must not end the trip of its owner.
            return Arrived(Arrival.OTHER_BROWSER, trip)
        now = self._clock.now()
        if trip.spent_at is not None:
            return Arrived(Arrival.REUSED, trip)
        app = await self._app(trip.app)
        if app is None or app.endpoints is None:
            return Arrived(Arrival.UNREACHABLE, trip)
        early = before_exchange(trip, app, params, path, now)
        known = await connections.show(self._database, trip.connection)
        if known.place != app.place:
            early = Arrival.REFUSED  # the connection is another app's by now
        if early is not None:
            forbidden = None
            if early in (Arrival.REFUSED, Arrival.DECLINED):
                forbidden = on_return(app.rules, params)
            return await self._turned_away(trip, early, forbidden, now)
        try:
            verifier = self._vault.open(trip.verifier, _verifier_cell(state)) if trip.verifier else None
        except (CannotDecrypt, KeyMissing):
            return Arrived(Arrival.LATE, trip)
        task = asyncio.create_task(self._spend_and_exchange(trip, app, known, params, verifier))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await asyncio.shield(task)

    async def _spend_and_exchange(
        self, trip: Trip, app: App, known: Known, params: Mapping[str, str], verifier: Secret | None
    ) -> Arrived:
        if not await links.spend(self._database, trip.id, "exchanging", self._clock.now()):
            return Arrived(Arrival.REUSED, trip)
        return await self._exchange(trip, app, known, params, verifier)

    async def _turned_away(
        self, trip: Trip, why: Arrival, forbidden: Forbidden | None, now: datetime
    ) -> Arrived:
        """Spend a trip that brought no code to exchange."""
        rule = None
        if forbidden is not None:
            why, rule = Arrival.FORBIDDEN, forbidden.rule
            log.warning("consent.forbidden", connection=trip.connection, rule=rule, said=forbidden.answered)
        if not await links.spend(self._database, trip.id, why.value, now, rule=rule):
            return Arrived(Arrival.REUSED, trip)
        return Arrived(why, trip, forbidden=forbidden)

    async def _exchange(
        self, trip: Trip, app: App, known: Known, params: Mapping[str, str], verifier: Secret | None
    ) -> Arrived:
        oauth, brought = app.provider.oauth, of_callback(app.provider, params, None, app.own)
        asked = _asked_with(app, known, brought)
        there = asked.endpoints
        if there is None or not there.token:
            return await self._ended(trip, Arrival.REFUSED, detail="its token endpoint lacks a value")
        form, authorization = messages.exchange_form(
            app.client_id, app.client_secret, Secret(params["code"]), trip.redirect_uri, oauth.client_auth,
            verifier,
        )  # fmt: skip
        sent_at = self._clock.now()
        reply = await self._wire.post_form(there.token, form, authorization, asked.token_headers)
        if isinstance(reply, Fault):
            return await self._ended(trip, Arrival.UNREACHABLE, detail=reply.kind.value)
        answer, document = read(reply, app.provider.errors, self._clock.now())
        pair = None
        if answer.accepted:
            pair = messages.answer_of(oauth, document, sent_at, exchange=True)
        if pair is None:
            down = bad_weather(app.rules, Step.REFRESH, answer)  # what refuses a code refuses refresh tokens
            ended = Arrival.UNREACHABLE if down else Arrival.REFUSED
            forbidden = on_exchange(app.rules, answer)
            return await self._ended(trip, ended, answer.error or str(answer.status), forbidden)
        return await self._take(trip, app, pair, of_callback(app.provider, params, document, app.own))

    async def _take(self, trip: Trip, app: App, pair: TokenAnswer, brought: dict[str, str]) -> Arrived:
        """Compare the account with the one on record, and only then put the new pair in place.

        `brought` are the values that came with it: whoami is asked with them, before they are anybody's.
        """
        known = await insist(
            self._clock, trip.connection, lambda: connections.show(self._database, trip.connection)
        )
        mine = _asked_with(app, known, brought)
        if mine.endpoints is None or not mine.endpoints.whoami:
            return await self._ended(trip, Arrival.REFUSED, detail=f"came without {', '.join(mine.lacks)}")
        heard = await self._whoami(mine, pair.access, known.account_id)
        if heard is None:
            return await self._ended(trip, Arrival.UNREACHABLE, detail="whoami")
        who, document = heard
        brought |= of_whoami(app.provider, document, {**known.values, **brought}, app.own)
        if who.accounts == ():
            return await self._ended(trip, Arrival.REFUSED, detail="the grant reaches no account")
        account = Account(who.account_id or "", who.account_name, who.user, who.choice)
        if known.account_id is not None and known.account_id != account.id:
            return await self._wrong_account(trip, app, pair, account, known.account_name)
        missing = not_granted(app.provider, known, pair.granted)
        if born_dead(app.provider.oauth, pair):
            return await self._not_kept(trip, app, pair, account, Arrival.BORN_DEAD)
        if lost_by(app.provider, known, missing):
            return await self._not_kept(trip, app, pair, account, Arrival.NARROWER, missing)
        stored = SealedPair(
            access=self._vault.seal(pair.access, access_cell(trip.connection, app.place)),
            refresh=self._vault.seal(pair.refresh, refresh_cell(trip.connection, app.place))
            if pair.refresh
            else None,
            issued_at=self._clock.now(),
            access_expires_at=pair.expires_at,
            granted=pair.granted,
            assumed=pair.assumed,
            refresh_ends_at=pair.refresh_ends_at,
            grant_ends_at=pair.grant_ends_at,
            values=brought,
        )
        leftover = unwanted.replaced(self._vault, trip, app, known) if pair.refresh is not None else None

        async def put() -> Placed:
            return await links.replace_pair(
                self._database,
                trip,
                stored,
                account=account,
                leftover=leftover,
                rules=self._rules,
                now=self._clock.now(),
            )

        match await insist(self._clock, trip.connection, put):
            case Placed.OTHER_ACCOUNT:
                return await self._wrong_account(trip, app, pair, account, known.account_name)
            case Placed.MOVED:
                return await self._ended(trip, Arrival.REFUSED, detail="the connection is another app's now")
            case Placed.HELD:
                log.warning("consent.held", connection=trip.connection, app=app.id)
                return Arrived(Arrival.HELD, trip, account.called, user=account.user)
            case Placed.STORED:
                if self.on_stored is not None:
                    self.on_stored(trip.connection)
                log.info("consent.stored", connection=trip.connection, app=app.id, missing=len(missing))
                return Arrived(Arrival.STORED, trip, account.called, user=account.user, missing=missing)

    async def _wrong_account(
        self, trip: Trip, app: App, pair: TokenAnswer, account: Account, expected: str | None
    ) -> Arrived:
        """Refuse, overwrite nothing, and give back what was granted by mistake where that harms nobody."""
        shared = False
        for number in [account.id] if account.id else [one for one, _ in account.choice]:
            shared = shared or await leftovers.others_with_account(
                self._database, trip.connection, app.provider.name, number
            )
        leftover = None
        if not shared or app.provider.oauth.revoke_ends == "grant":
            leftover = unwanted.brought(self._vault, trip, app, pair)
        await links.conclude(
            self._database,
            trip,
            Arrival.WRONG_ACCOUNT.value,
            self._clock.now(),
            account=account,
            leftover=leftover,
        )
        log.warning("consent.wrong_account", connection=trip.connection, app=app.id)
        return Arrived(Arrival.WRONG_ACCOUNT, trip, account.called, expected)

    async def _not_kept(
        self,
        trip: Trip,
        app: App,
        pair: TokenAnswer,
        account: Account,
        arrival: Arrival,
        missing: tuple[str, ...] = (),
    ) -> Arrived:
        """Overwrite nothing with a grant that would not do; give it back where that ends no other."""
        alone = app.provider.oauth.revoke_ends == "grant"
        await links.conclude(
            self._database,
            trip,
            arrival.value,
            self._clock.now(),
            account=account,
            leftover=unwanted.brought(self._vault, trip, app, pair) if alone else None,
            missing=missing,
        )
        log.error("consent.not_kept", connection=trip.connection, app=app.id, why=arrival.value)
        return Arrived(arrival, trip, account.called, user=account.user, missing=missing)

    async def _whoami(self, app: App, token: Secret, expected: str | None) -> tuple[Identity, Any] | None:
        """Ask whose token it is; a provider that hiccups is asked again before the consent is wasted."""
        assert app.endpoints is not None  # noqa: S101 - checked by finish()
        for attempt in range(WHOAMI_TRIES):
            if attempt:
                await self._clock.sleep(0.5 * attempt)
            reply = await asking(self._wire, app, app.endpoints.whoami, token, app.provider.whoami.call)
            if isinstance(reply, Fault):
                continue
            answer, document = read(reply, app.provider.errors, self._clock.now())
            if answer.ok:
                who = identity(app.provider.whoami, app.values, document, expected, token)
                if who.account_id is not None or who.accounts is not None:
                    return who, document
        return None

    async def _ended(
        self, trip: Trip, arrival: Arrival, detail: str, forbidden: Forbidden | None = None
    ) -> Arrived:
        arrival = Arrival.FORBIDDEN if forbidden is not None else arrival
        rule = forbidden.rule if forbidden is not None else None
        await links.conclude(self._database, trip, arrival.value, self._clock.now(), rule=rule)
        log.warning(
            "consent.failed", connection=trip.connection, app=trip.app, why=arrival.value, detail=detail
        )
        return Arrived(arrival, trip, forbidden=forbidden)

    async def _app(self, name: str) -> App | None:
        app = self._discovered.get(name) or self._apps.get(name)
        if app is not None and app.endpoints is None:
            found = await discover(app, self._wire)
            if not isinstance(found, App):
                return None
            app = self._discovered[name] = found
        return app

    async def revoke_leftovers(self) -> int:
        """Revoke at the provider what nobody needs any more; return how many. A refusal is an end, too."""
        done = 0
        for number, place, sealed, since, values in await leftovers.waiting(self._database):
            app = await self._app(place.app)
            app = app.at(values) if app is not None else None
            if app is not None and app.place != place:
                app = None  # the configuration names another provider for it now: it gets no token of before
            late = self._clock.now() - since > KEEP_LEFTOVERS
            if late or app is None or app.endpoints is None or not app.endpoints.revoke:
                if late or (app is not None and app.endpoints is not None):
                    await leftovers.drop(self._database, number)
                continue
            try:
                token = self._vault.open(sealed, leftover_cell(number))
            except (CannotDecrypt, KeyMissing):
                await leftovers.drop(self._database, number)
                continue
            reply = await self._wire.send(revocation(app, app.endpoints.revoke, token))
            if not isinstance(reply, Fault) and not asks_to_come_again(reply, self._clock.now()):
                await leftovers.drop(self._database, number)
                done += 1
        return done


def _asked_with(app: App, known: Known, brought: Mapping[str, str]) -> App:
    """Return the app as it is asked about a grant that came with values: whose it is, they say first."""
    account = brought.get(app.provider.whoami.account_value, known.account_id)
    return app.at({**known.values, **brought}, account)


def _verifier_cell(state: Secret) -> Cell:
    return Cell("consent", hashed(state)[:32], "verifier")
