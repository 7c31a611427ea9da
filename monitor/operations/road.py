"""The client's road back, as its pages walk it: a link, a trip to the provider, and how it ended.

Who holds a link's secret, or the browser in which a trip began, may walk it; nobody is asked for a name.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from hmac import compare_digest

from alerts.mails.language import tongue
from monitor.clock import Clock
from monitor.errors import NotFound
from monitor.health.campaign import Part
from monitor.health.causes import Cause, consequence
from monitor.health.explain import refusal
from monitor.health.lifecycle import State
from monitor.metrics.meters import Meters
from monitor.providers.phrases import Phrases, phrases
from monitor.secret import Secret
from monitor.store import bindings, campaigns, connections, history, links
from monitor.store.connections import Known
from monitor.store.engine import Database
from monitor.store.links import Link, Trip, hashed
from monitor.text.names import one_line
from monitor.tokens.arrival import Arrival, Arrived, Forbidden
from monitor.tokens.grant import TRIP_LASTS, Granter
from monitor.wire.apps import App

BROWSER_LASTS = TRIP_LASTS  # how long a browser is known as the one in which a trip began


class Stop(Enum):
    """Why a link does not start, or does not yet."""

    PAUSED = auto()
    WORKS = auto()  # there is nothing to mend
    USED = auto()
    EXPIRED = auto()
    HELD = auto()  # an approval waits for the operator


class End(Enum):
    """How a trip ended."""

    TAMPERED = auto()
    OTHER_BROWSER = auto()
    DONE = auto()
    LACKING = auto()  # stored, and something that is needed cannot be read
    SAVED = auto()  # stored, and not seen to work yet
    HELD = auto()
    WRONG_ACCOUNT = auto()
    BORN_DEAD = auto()  # nothing stored: the provider gave less than what lasts
    NARROWER = auto()  # nothing stored: what works reads more
    DECLINED = auto()
    FORBIDDEN = auto()  # a setting of the client's administrator refuses our app
    LATE = auto()
    MIXED_UP = auto()  # the answer came from another provider than the trip went to
    UNREACHABLE = auto()
    REUSED = auto()
    REFUSED = auto()


_ENDS = {
    Arrival.HELD: End.HELD,
    Arrival.WRONG_ACCOUNT: End.WRONG_ACCOUNT,
    Arrival.BORN_DEAD: End.BORN_DEAD,
    Arrival.NARROWER: End.NARROWER,
    Arrival.DECLINED: End.DECLINED,
    Arrival.FORBIDDEN: End.FORBIDDEN,
    Arrival.LATE: End.LATE,
    Arrival.MIXED_UP: End.MIXED_UP,
    Arrival.UNREACHABLE: End.UNREACHABLE,
    Arrival.REUSED: End.REUSED,
}


_STEPS = (Arrival.DECLINED, Arrival.WRONG_ACCOUNT, Arrival.BORN_DEAD, Arrival.NARROWER)


@dataclass(frozen=True, slots=True)
class Traveller:
    """Whose road it is, in words for a page."""

    client: str
    provider: str
    account: str
    scopes: tuple[str, ...]
    locale: str
    timezone: str
    client_id: str = ""  # of our app at the provider
    refusal: str = ""  # the provider's answer, where an administrator has to look it up
    phrases: Phrases = field(default_factory=Phrases)


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a link stands: why it does not start (None where it does), or what it is about."""

    traveller: Traveller
    stop: Stop | None
    cause: str
    account: str = ""  # the one that waits for the operator
    campaign: Part | None = None  # what is asked while it works


@dataclass(frozen=True, slots=True)
class Ended:
    """How a trip ended; nobody is named where it is not known whose it was."""

    end: End
    traveller: Traveller | None = None
    account: str = ""  # which account it was about
    approved_by: str = ""
    role: bool = False  # what is lacking is the user's role, not the grant's scope
    missing: tuple[str, ...] = ()  # the scopes that cannot be read


@dataclass(frozen=True, slots=True)
class Way:
    """The right to walk a link's road: its secret was shown, or the browser of a trip that began from it."""

    link: Link

    @property
    def id(self) -> int:
        """The link's number, which says nothing to strangers."""
        return self.link.id


@dataclass(frozen=True, slots=True)
class Departing:
    """Where the browser goes, and what it has to show when it comes back."""

    url: str
    name: str  # a hash: no secret
    browser: Secret


def name_of(state: str) -> str:
    """Return the name of the trip that a provider's answer belongs to."""
    return hashed(Secret(state))


PATIENCE = 20  # quarters of a second that a client waits for a look that somebody else has begun


def _seen(known: Known) -> bool:
    """Whether it was looked at with what was authorized last."""
    looked, since = known.last_probe_at, known.sealed.authorized_at
    return looked is not None and since is not None and looked >= since


class Road:
    """The client's road. `probe_now` looks at one connection with every scope."""

    def __init__(
        self,
        database: Database,
        granter: Granter,
        apps: Mapping[str, App],
        clock: Clock,
        meters: Meters,
        probe_now: Callable[[str], Awaitable[None]],
    ) -> None:
        self._database, self._granter, self._apps = database, granter, apps
        self._clock, self._meters, self._probe_now = clock, meters, probe_now

    async def by_link(self, secret: str) -> Way | None:
        """Return the way that a link opens, None where there is no such link."""
        return _way(await links.find(self._database, Secret(secret)))

    async def by_trip(self, name: str, browser: str) -> Way | None:
        """Return where a trip began. The browser that made it may begin another, as long as it lasts."""
        trip = await links.trip_of(self._database, name) if browser else None
        if trip is None or trip.expires_at <= self._clock.now():
            return None
        if not compare_digest(hashed(Secret(browser)), trip.browser_hash):
            return None
        return _way(await links.by_id(self._database, trip.link))

    async def open(self, way: Way, *, note: bool) -> Standing:
        """Return where a link stands. Changes nothing but the statistics, where it is to be noted."""
        link = way.link
        if note and await links.note_opened(self._database, link.id, self._clock.now()):
            self._step("opened", link)
        standing = await self.stand(way)
        if standing.stop is Stop.EXPIRED and link.used_at is None:
            self._step("expired", link)
        if standing.stop is None:
            grant = await bindings.of_connection(self._database, link.connection)
            if grant is not None:
                account = one_line(grant.account.called)
                return Standing(standing.traveller, Stop.HELD, standing.cause, account)
        return standing

    async def stand(self, way: Way) -> Standing:
        """Return where a link stands, whoever asks."""
        link = way.link
        known = await connections.show(self._database, link.connection)
        traveller = self._traveller(known, known.health.rule, await self._refusal(known))
        cause = _cause(link, known)
        asked = cause == campaigns.LINKS
        part = await campaigns.asked_by(self._database, link.connection) if asked else None
        return Standing(traveller, self._stop(link, known), cause, campaign=part)

    async def _refusal(self, known: Known) -> str:
        """Return what the provider answered, where somebody at the client's has to look it up there."""
        asks = consequence(known.health.cause).asks
        if asks is None or not asks.first:
            return ""
        newest = await history.timeline(self._database, known.id, 1)
        return refusal(newest[0].evidence) if newest else ""

    async def start(self, way: Way) -> Departing | None:
        """Begin a trip to the provider, None where it cannot be reached."""
        link = way.link
        departure = await self._granter.start(link)
        if departure is None:
            return None
        if link.started_at is None:
            self._step("started", link)
        return Departing(departure.url, hashed(departure.state), departure.browser)

    async def finish(self, state: str, browser: str, params: Mapping[str, str], path: str) -> Ended:
        """Take the provider's answer."""
        shown = Secret(browser) if browser else None
        try:
            arrived = await self._granter.finish(Secret(state), shown, dict(params), path)
        except NotFound:
            return Ended(End.TAMPERED)
        if arrived.trip is None:
            return Ended(End.TAMPERED)
        if arrived.arrival is Arrival.OTHER_BROWSER:
            return Ended(End.OTHER_BROWSER)
        try:
            known = await connections.show(self._database, arrived.trip.connection)
        except NotFound:
            return Ended(End.TAMPERED)
        return await self._ended(arrived, arrived.trip, known)

    async def _ended(self, arrived: Arrived, trip: Trip, known: Known) -> Ended:
        link, arrival = await links.by_id(self._database, trip.link), arrived.arrival
        if link is not None and arrival in _STEPS:
            self._step(arrival.value, link)
        if arrival is Arrival.STORED:
            if link is not None:
                self._step("completed", link)
            if arrived.missing:  # the answer itself said so; the loop looks all the same
                missing = tuple(_readable(scope) for scope in arrived.missing)
                return Ended(End.LACKING, self._traveller(known), missing=missing)
            return self._stored(await self._looked_at(trip.connection), one_line(arrived.user or ""))
        if arrival is Arrival.REUSED and trip.outcome == Arrival.STORED.value:
            return self._stored(known)
        if arrival is Arrival.REUSED and trip.outcome == Arrival.HELD.value:
            account = one_line(trip.account_name or trip.account_id or "")
            return Ended(End.HELD, self._traveller(known), account)
        if arrival is Arrival.REUSED and trip.outcome == Arrival.FORBIDDEN.value:
            arrival = Arrival.FORBIDDEN
        end = _ENDS.get(arrival, End.REFUSED)
        stopped = arrived.forbidden or Forbidden("", "")
        traveller = self._traveller(known, stopped.rule, stopped.answered)
        missing = tuple(_readable(scope) for scope in arrived.missing)
        return Ended(end, traveller, one_line(arrived.account or ""), missing=missing)

    async def _looked_at(self, connection: str) -> Known:
        """Look, or wait for the loop where that was quicker: its verdict is as good, and as near."""
        await self._probe_now(connection)
        known = await connections.show(self._database, connection)
        for _ in range(PATIENCE):
            if _seen(known):
                break
            await self._clock.sleep(0.25)
            known = await connections.show(self._database, connection)
        return known

    def _stored(self, known: Known, approved_by: str = "") -> Ended:
        traveller, health = self._traveller(known), known.health
        if health.state is State.HEALTHY:
            return Ended(End.DONE, traveller, approved_by=approved_by)
        seen = health.candidate if health.streak else health.cause
        if not consequence(seen).about_scopes:
            return Ended(End.SAVED, traveller)
        app, good = self._apps.get(known.place.app), known.reads.keys()
        asked = [scope for scope in known.scopes if app is None or app.checks(scope)]
        missing = tuple(_readable(scope) for scope in asked if scope not in good)
        return Ended(End.LACKING, traveller, role=seen is Cause.ROLE_RESTRICTED, missing=missing)

    def _stop(self, link: Link, known: Known) -> Stop | None:
        health, app = known.health, self._apps.get(known.place.app)
        if health.state is State.PAUSED or app is None or app.place != known.place:
            return Stop.PAUSED
        if link.used_at is not None:
            return Stop.WORKS if health.state is State.HEALTHY else Stop.USED
        if link.expires_at <= self._clock.now():
            return Stop.EXPIRED
        return Stop.WORKS if health.state is State.HEALTHY and not link.always else None

    def _traveller(self, known: Known, rule: str = "", answered: str = "") -> Traveller:
        app = self._apps.get(known.place.app)
        language = tongue(known.locale).language
        return Traveller(
            one_line(known.client_name),
            one_line(app.provider.title if app else known.place.provider),
            one_line(known.account_name or known.account_id or ""),
            tuple(_readable(scope) for scope in known.scopes),
            known.locale,
            known.timezone,
            app.client_id if app else "",
            one_line(answered, 300),
            phrases(app.provider, language, rule) if app else Phrases(),
        )

    def _step(self, step: str, link: Link) -> None:
        """Count a step of the funnel, and how long after the mail it came.

        Whom a campaign asks has nothing to mend, and months for it: campaigns count by themselves.
        """
        if link.cause == campaigns.LINKS:
            return
        seconds = (self._clock.now() - link.made_at).total_seconds()
        self._meters.funnel(link.provider, step, link.cause, link.locale, seconds)


def _way(link: Link | None) -> Way | None:
    return Way(link) if link is not None else None


def _cause(link: Link, known: Known) -> str:
    if known.newcomer:
        return "pending"
    return link.cause if known.health.state is State.HEALTHY else known.health.cause.value


def _readable(scope: str) -> str:
    return one_line(scope.replace("_", " "))
