"""Asks at the doors that clients pass when they connect: a shut one is found before a client meets it.

Nobody's token is used, and no code that exists: nothing is spent, and the journal of refreshes knows nothing
of it. What is asked is within the app's budget, once in a while, by the process that leads.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import structlog

from monitor.clock import Clock
from monitor.health import doors
from monitor.health.doors import Door, Outcome, Seen, Standing
from monitor.health.evidence import Answer, Content, Fault, redact
from monitor.providers.schema import Errors
from monitor.secret import Secret
from monitor.store import app_checks
from monitor.store.engine import Database
from monitor.tokens import messages
from monitor.watching.pacing import Pacer
from monitor.wire.answers import read
from monitor.wire.apps import App, discover
from monitor.wire.client import Reply, Wire

log = structlog.get_logger("monitor.doors")

# Words on a page by which a server that redirects nobody refuses an app (RFC 6749 4.1.2.1, and common ones).
_REFUSALS = re.compile(r"\b(invalid_client|unauthorized_client|redirect_uri_mismatch)\b")
_VALUES_DIFFER = "Its address differs from connection to connection, so it is not asked without one."


class Doors:
    """Asks about each app once in `every`, and keeps what came of it; None: never."""

    def __init__(
        self,
        database: Database,
        wire: Wire,
        pacer: Pacer,
        apps: Mapping[str, App],
        clock: Clock,
        *,
        public_url: str,
        every: timedelta | None,
        leads: Callable[[], bool],
    ) -> None:
        self._database, self._wire, self._pacer, self._apps = database, wire, pacer, apps
        self._clock, self._public_url, self._every, self._leads = clock, public_url, every, leads

    async def ask_those_due(self) -> list[str]:
        """Ask at the doors of the apps whose turn it is; return which, by id."""
        if self._every is None or not self._leads():
            return []
        turns, asked = await app_checks.due(self._database), []
        if set(turns) - set(self._apps):
            await app_checks.forget(self._database, list(self._apps))
        for app in self._apps.values():
            now = self._clock.now()
            if app.id not in turns:
                await app_checks.plan(self._database, app.id, now, doors.next_at(app.id, self._every, now))
            elif turns[app.id] <= now:
                await self.ask(app)
                asked.append(app.id)
        return asked

    async def ask(self, app: App) -> list[Standing]:
        """Ask at an app's doors now; return how they are, which is kept."""
        known = (await app_checks.standing(self._database)).get(app.id, {})
        found = []
        for seen in await look(app, self._wire, self._pacer, self._clock, self._public_url):
            one = doors.after(known.get(seen.door), seen, self._clock.now())
            found.append(one)
            _tell(app, one, known.get(seen.door))
        again = doors.next_at(app.id, self._every or timedelta(days=1), self._clock.now(), found)
        await app_checks.keep(self._database, app.id, found, again)
        return found


def _tell(app: App, one: Standing, before: Standing | None) -> None:
    was = before.seen.outcome if before is not None else None
    if one.seen.outcome is not was:
        speak = log.warning if one.seen.outcome is Outcome.REFUSED else log.info
        speak(
            "door", app=app.id, door=one.seen.door.value, outcome=one.seen.outcome.value, says=one.seen.says
        )


async def look(app: App, wire: Wire, pacer: Pacer | None, clock: Clock, public_url: str) -> list[Seen]:
    """Ask at both doors of an app, and return what their answers mean; nothing is kept."""
    if app.endpoints is None:
        found = await discover(app, wire)
        if not isinstance(found, App):
            says = "The provider's metadata cannot be read."
            return [Seen(door, Outcome.UNCLEAR, says) for door in Door]
        app = found
    app = app.at({})  # with what the app itself, or a default, has for the values in its addresses
    redirect_uri = public_url + app.callback
    return [
        await _authorize(app, wire, pacer, redirect_uri, clock.now()),
        await _token(app, wire, pacer, redirect_uri, clock.now()),
    ]


async def _token(app: App, wire: Wire, pacer: Pacer | None, redirect_uri: str, now: datetime) -> Seen:
    """Send a code that does not exist: what refuses it has taken our app first (RFC 6749 4.1.3)."""
    assert app.endpoints is not None  # noqa: S101 - discovered above
    oauth, url = app.provider.oauth, app.endpoints.token
    if not url:
        return Seen(Door.TOKEN, Outcome.UNCLEAR, _VALUES_DIFFER)
    if pacer is not None:
        await pacer.turn(app)
    verifier = messages.new_verifier(app.client_id) if oauth.pkce else None
    form, authorization = messages.exchange_form(
        app.client_id, app.client_secret, Secret(secrets.token_urlsafe(24)), redirect_uri, oauth.client_auth,
        verifier,
    )  # fmt: skip
    reply = await wire.post_form(url, form, authorization, app.token_headers)
    answer = reply if isinstance(reply, Fault) else read(reply, app.provider.errors, now)[0]
    await _obey(app, pacer, answer)
    return doors.token_door(app.rules, answer)


async def _authorize(app: App, wire: Wire, pacer: Pacer | None, redirect_uri: str, now: datetime) -> Seen:
    """Open the page that clients are sent to, as nobody; redirects are not followed."""
    assert app.endpoints is not None  # noqa: S101 - discovered above
    oauth, url = app.provider.oauth, app.endpoints.authorize
    if not url:
        return Seen(Door.AUTHORIZE, Outcome.UNCLEAR, _VALUES_DIFFER)
    if pacer is not None:
        await pacer.turn(app)
    asked = messages.authorize_url(
        url, app.client_id, redirect_uri, Secret(secrets.token_urlsafe(24)),
        scopes=(*oauth.default_scopes, *sorted(app.scopes)) if oauth.sends_scopes else (),
        separator=oauth.scope_separator,
        scope_param=oauth.scope_param,
        verifier=messages.new_verifier(app.client_id) if oauth.pkce else None,
        more=oauth.authorize_params,
    )  # fmt: skip
    reply = await wire.page(asked)
    if isinstance(reply, Fault):
        return doors.authorize_door(app.rules, reply, "", redirect_uri, ())
    location = reply.header(b"location") or ""
    answer = _page(reply, location, now)
    await _obey(app, pacer, answer)
    return doors.authorize_door(app.rules, answer, location, redirect_uri, _hosts(app))


def _page(reply: Reply, location: str, now: datetime) -> Answer:
    """Return what a page or a redirect says; words of a refusal count as the provider's own."""
    answer, _ = read(reply, Errors(), now)
    error, description = doors.words_of(location) if 300 <= reply.status < 400 else (None, None)
    if error is None and 400 <= reply.status < 500 and answer.error is None:
        word = _REFUSALS.search(reply.body.decode("utf-8", "replace"))
        error = word[1] if word is not None else None
    if error is None:
        return answer
    return Answer(
        answer.status,
        Content.JSON,
        redact(error, 80),
        redact(description, 200) if description else None,
        redirect=answer.redirect,
    )


def _hosts(app: App) -> frozenset[str]:
    """Return the provider's own hosts, in the app's region."""
    region = app.provider.regions.get(app.region)
    urls = [app.base_url, app.auth_url, *(region.hosts.values() if region is not None else ())]
    return frozenset(host for url in urls if (host := urlsplit(url).hostname))


async def _obey(app: App, pacer: Pacer | None, answer: Answer | Fault) -> None:
    if pacer is not None and isinstance(answer, Answer) and answer.retry_at is not None:
        await pacer.hold(app, answer.retry_at)
