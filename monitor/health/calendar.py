"""What ends, and when: an entry of the calendar, from what is known of a grant, an app, a provider or a key.

An end that is prevented by itself, because a token is used before it idles for too long, says so; every other
names who has to act. No clock, no I/O.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from monitor.health import cadence
from monitor.health.cadence import Cadence
from monitor.health.lifecycle import State
from monitor.health.restriction import UNRESTRICTED, Restriction

URGENT, SOON = timedelta(days=7), timedelta(days=30)


class Kind(StrEnum):
    """What ends. The order of the words is that of entries of one moment."""

    ACCESS_TOKEN = "access_token"  # of a connection that has no refresh token
    API_KEY = "api_key"
    CLIENT_SECRET = "client_secret"
    GRANT = "grant"  # at the latest, whatever is done
    PROVIDER_END = "provider_end"  # a way that the provider announced to end
    REFRESH_TOKEN = "refresh_token"  # unless it is used before


class Needs(StrEnum):
    """Who has to act, so that nothing breaks."""

    NOBODY = "nobody"
    CLIENT = "client"
    OPERATOR = "operator"


class Urgency(StrEnum):
    """How much time is left for whoever has to act."""

    NONE = "none"  # nobody has to
    AHEAD = "ahead"
    SOON = "soon"  # within 30 days
    URGENT = "urgent"  # within 7
    OVER = "over"  # it has ended


_TITLES = {
    Kind.ACCESS_TOKEN: "The last access token ends",
    Kind.API_KEY: "An API key ends",
    Kind.CLIENT_SECRET: "A client secret ends",
    Kind.GRANT: "An authorization ends",
    Kind.PROVIDER_END: "A provider ends something",
    Kind.REFRESH_TOKEN: "A refresh token ends if unused",
}


class Key(NamedTuple):
    """An entry's place in the calendar, and its name for good: the moment may move, kind and name do not."""

    at: datetime
    kind: str
    name: str


class Prevention(NamedTuple):
    """What keeps it from ending, and when that happens."""

    at: datetime
    what: str


@dataclass(frozen=True, slots=True)
class Entry:
    """Something that ends."""

    at: datetime
    kind: Kind
    about: str  # connection, app, provider or api_key
    name: str  # its id
    what: str  # a sentence
    needs: Needs
    prevented_by: Prevention | None = None
    provider: str = ""
    app: str = ""
    client: str = ""
    page: str = ""  # of the provider, where it was announced
    connections: int | None = None  # how many it touches, where it is not about one
    tells: str = ""  # two entries about one thing and of one kind apart

    @property
    def title(self) -> str:
        """What ends, in a few words."""
        whose = f"{self.name} ({self.client})" if self.client and self.client != self.name else self.name
        return f"{_TITLES[self.kind]}: {whose}"

    @property
    def key(self) -> Key:
        """Its place in the calendar."""
        return Key(self.at, self.kind.value, f"{self.name}/{self.tells}" if self.tells else self.name)

    def urgency(self, now: datetime) -> Urgency:
        """Return how much time is left."""
        left = self.at - now
        if self.needs is Needs.NOBODY:
            return Urgency.NONE
        if left <= timedelta(0):
            return Urgency.OVER
        return Urgency.URGENT if left <= URGENT else Urgency.SOON if left <= SOON else Urgency.AHEAD


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which entries: those from `begin` to `until`; of several values one has to fit, and none means all.

    A provider's ends are of all its apps: whether one of them is wanted is for whoever gathers them.
    """

    begin: datetime
    until: datetime
    kinds: frozenset[str] = frozenset()
    apps: frozenset[str] = frozenset()
    providers: frozenset[str] = frozenset()
    needs: frozenset[str] = frozenset()
    within: Restriction = UNRESTRICTED
    clients: frozenset[str] = frozenset()

    def asks(self, needs: Needs) -> bool:
        """Whether what needs these is wanted."""
        return not self.needs or needs.value in self.needs

    def takes(self, entry: Entry) -> bool:
        """Whether an entry is one of them."""
        return (
            entry.at <= self.until
            and (not self.kinds or entry.kind.value in self.kinds)
            and (not self.apps or entry.app in self.apps or entry.kind is Kind.PROVIDER_END)
            and (not self.providers or entry.provider in self.providers)
            and (not self.clients or entry.client in self.clients)
            and (not self.needs or entry.needs.value in self.needs)
        )


@dataclass(frozen=True, slots=True)
class Lasts:
    """How long an app's refresh tokens last unused, and its grants at most, as the provider's file has it."""

    idle: timedelta | None = None
    absolute: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a connection whose token or grant ends.

    One that broke so that its client has to authorize again is none of them: what ended there has ended.
    """

    id: str
    app: str
    provider: str
    client: str
    state: State
    kept_alive: bool  # looked at, and not broken: its refresh token is used in time
    issued_at: datetime | None
    access_expires_at: datetime | None
    refresh_used_at: datetime | None
    told: bool = False  # the provider's own answer said when
    paused_until: datetime | None = None  # when a person's pause of it ends by itself


def of_grant(known: Known, at: datetime) -> Entry:
    """Return the end of a grant, which nothing but an authorization moves."""
    how = "as the provider told" if known.told else "by the provider's rules"
    what = f"The authorization of {known.id} ends, {how}; the client has to authorize again."
    return _of_connection(known, Kind.GRANT, at, what, Needs.CLIENT)


def of_access_token(known: Known, at: datetime) -> Entry:
    """Return the end of an access token that no refresh token follows."""
    what = f"The access token of {known.id} ends, and there is no refresh token: the client has to act."
    return _of_connection(known, Kind.ACCESS_TOKEN, at, what, Needs.CLIENT)


def of_refresh_token(known: Known, at: datetime, plan: Cadence) -> Entry:
    """Return the end of a refresh token that is not used, with the use that is to come before it."""
    what = f"The refresh token of {known.id} ends unless it is used before."
    prevention = None
    if known.kept_alive:
        uses = cadence.refresh_at(
            known.id,
            plan,
            issued_at=known.issued_at,
            expires_at=known.access_expires_at,
            used_at=known.refresh_used_at,
            idle_lifetime=at - known.refresh_used_at if known.refresh_used_at is not None else None,
        )
        # One that is overdue is used with the next look.
        uses = min(uses, at) if uses is not None else at
        prevention = Prevention(uses, "It is used by the service itself.")
    elif known.state is State.PAUSED:
        what = f"{what} {_while_paused(known.paused_until, at)}"
    elif known.state is State.BROKEN:
        what = f"{what} The connection is broken: mend it before."
    needs = Needs.NOBODY if known.kept_alive else Needs.OPERATOR
    return _of_connection(known, Kind.REFRESH_TOKEN, at, what, needs, prevention)


def _while_paused(until: datetime | None, at: datetime) -> str:
    if until is None:
        return "The connection is paused, so nobody uses it: resume it before."
    if until < at:
        return f"The connection is paused until {until:%Y-%m-%d %H:%M} UTC, and is used again from then on."
    return f"The connection is paused until {until:%Y-%m-%d %H:%M} UTC, which is too late: resume it before."


def of_secret(app: str, provider: str, on: date, connections: int) -> Entry:
    """Return the end of an app's client secret, from when on the provider refuses all of its refreshes."""
    what = f"The client secret of app {app} ends: put a new one in place before, or no token is refreshed."
    return Entry(
        midnight(on), Kind.CLIENT_SECRET, "app", app, what, Needs.OPERATOR, None, provider, app,
        connections=connections,
    )  # fmt: skip


def of_provider(provider: str, title: str, what: str, on: date, page: str, connections: int) -> Entry:
    """Return an announced end of one of a provider's ways, and how many connections it touches."""
    says = f"{title}: {what.rstrip('.')}."
    tells = hashlib.sha256(what.encode()).hexdigest()[:8]
    return Entry(
        midnight(on), Kind.PROVIDER_END, "provider", provider, says, Needs.OPERATOR, None, provider,
        page=page, connections=connections, tells=tells,
    )  # fmt: skip


def touching(entry: Entry, connections: int) -> Entry:
    """Return an entry with how many connections it touches."""
    return replace(entry, connections=connections)


def of_api_key(key: str, called: str, at: datetime) -> Entry:
    """Return the end of a program's key."""
    what = f"The API key {called!r} ends: give its program another before."
    return Entry(at, Kind.API_KEY, "api_key", key, what, Needs.OPERATOR)


def uid(entry: Entry) -> str:
    """Return an entry's name for good, which a calendar that subscribed knows it by."""
    name = entry.key.name
    return hashlib.sha256(f"{entry.kind.value}\x1f{name}".encode()).hexdigest()[:32]


def _of_connection(
    known: Known, kind: Kind, at: datetime, what: str, needs: Needs, prevention: Prevention | None = None
) -> Entry:
    return Entry(
        at, kind, "connection", known.id, what, needs, prevention, known.provider, known.app, known.client
    )


def midnight(on: date) -> datetime:
    """Return when a day begins, in UTC: an end on a day is taken to come with its beginning."""
    return datetime(on.year, on.month, on.day, tzinfo=UTC)
