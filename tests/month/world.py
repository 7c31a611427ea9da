"""A provider as it behaves over a month, on virtual time: what is true of each firm at each moment.

It is a model in this process, since no server can be made to live a month in minutes; everything else is
real: the loop, the classifier, the guard, the database, the outbox, the pages of a re-authorization, and an
SMTP server.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs

from monitor.clock import Clock
from monitor.health.evidence import Fault, FaultKind
from monitor.secret import Secret
from monitor.wire.client import Reply
from monitor.wire.request import Request
from tests.month import speech
from tests.month.fleet import Fleet, firm_of

JSON = ((b"content-type", b"application/json"),)
HTML = ((b"content-type", b"text/html"),)
BLOCKED = (
    b"<!DOCTYPE html><html><title>Attention Required!</title><h1>Sorry, you have been blocked</h1></html>"
)
KINDS = {
    "outage": "503",
    "timeouts": "no answer",
    "maintenance": "a maintenance page",
    "waf": "a firewall's page, 403",
    "limited": "429",
    "confused": "401 and invalid_grant",
    "network": "our own network is gone",
}
Span = tuple[datetime, datetime]


@dataclass(frozen=True)
class Trouble:
    """Something that is no client's fault, for a while. `of` has those it strikes, each with its own span.

    `renewed`: who authorizes anew is served, although what was granted before is still refused.
    """

    kind: str
    begins: datetime
    ends: datetime
    of: Mapping[int, Span] | None = None  # None: everybody
    renewed: bool = False

    @property
    def partial(self) -> bool:
        return self.of is not None


@dataclass
class Revocation:
    """A firm really took access away. `kind` says among what: own, mass, incident, weather."""

    firm: int
    at: datetime
    kind: str = "own"
    taken_back: datetime | None = None  # a mistake, undone at the provider: nothing has to be authorized


@dataclass
class World:
    """The truth.

    `given` is when the provider gave a connection's newest grant; `stored` has when those were given that we
    came to hold, the newest last.
    """

    fleet: Fleet
    clock: Clock
    troubles: list[Trouble]
    revocations: list[Revocation]
    stored: dict[str, list[datetime]] = field(default_factory=dict)
    given: dict[str, datetime] = field(default_factory=dict)
    requests: int = 0

    def __post_init__(self) -> None:
        self._everybody = [one for one in self.troubles if one.of is None]
        self._of: dict[int, list[tuple[datetime, datetime, Trouble]]] = defaultdict(list)
        self._revoked: dict[int, list[Revocation]] = defaultdict(list)
        for one in self.troubles:
            for firm, (begin, end) in (one.of or {}).items():
                self._of[firm].append((begin, end, one))
        for gone in self.revocations:
            self._revoked[gone.firm].append(gone)
        self._looked_at: datetime | None = None
        self._now_over_all: Trouble | None = None

    # -- what is true -----------------------------------------------------------------------------

    def revoked(self, connection: str, at: datetime, born: datetime | None = None) -> Revocation | None:
        """Return what took a grant away; without `born` the one that we hold for the connection."""
        given = born or max(stored for stored in self.stored[connection] if stored <= at)
        for one in self._revoked.get(firm_of(connection), ()):
            if given < one.at <= at and (one.taken_back is None or at < one.taken_back):
                return one
        return None

    def in_need(self, firm: int, at: datetime) -> Revocation | None:
        """Return why this firm has to act, None where it need not."""
        found = (self.revoked(name, at) for name in self.fleet.firms[firm].connections)
        return next((one for one in found if one is not None), None)

    def refused_since(self, firm: int, need: Revocation) -> datetime:
        """Return since when a firm that is in need has been refused, without a break, on whatever account."""
        return min([need.at, *(begin for begin, end, _ in self._of[firm] if begin <= need.at <= end)])

    def mended(self, firm: int) -> list[datetime]:
        """Return when all came to be well again with a firm, by itself or by authorizing anew."""
        moments = [
            *(at for name in self.fleet.firms[firm].connections for at in self.stored[name][1:]),
            *(end for _, end, _ in self._of[firm]),
            *(one.ends for one in self._everybody),
            *(one.taken_back for one in self._revoked[firm] if one.taken_back is not None),
        ]
        return sorted(at for at in moments if self.in_need(firm, at) is None)

    def trouble(self, firm: int, at: datetime) -> Trouble | None:
        """Return what ails the provider as this firm sees it."""
        if at != self._looked_at:  # asked by each of a thousand probes of one minute
            self._looked_at = at
            self._now_over_all = next((w for w in self._everybody if w.begins <= at < w.ends), None)
        if self._now_over_all is not None:
            return self._now_over_all
        return next((one for begin, end, one in self._of.get(firm, ()) if begin <= at < end), None)

    def alone(self, firm: int, at: datetime, within: timedelta) -> bool:
        """Whether a firm is refused by an incident that struck nobody else shortly before or after it."""
        trouble = self.trouble(firm, at)
        if trouble is None or trouble.of is None:
            return False
        begin, _ = trouble.of[firm]
        return not any(
            other != firm and abs(start - begin) <= within and start <= at
            for other, (start, _) in trouble.of.items()
        )

    def quiet_until(self, firm: int, at: datetime) -> datetime | None:
        """Return until when all is well with a firm and with the provider; None where it is not, now."""
        if self.trouble(firm, at) is not None or self.in_need(firm, at) is not None:
            return None
        begins: Iterable[datetime] = (
            *(one.begins for one in self._everybody),
            *(begin for begin, _, _ in self._of.get(firm, ())),
            *(one.at for one in self._revoked.get(firm, ())),
        )
        return min((one for one in begins if one > at), default=datetime.max.replace(tzinfo=UTC))

    # -- what it answers --------------------------------------------------------------------------

    async def get(
        self, url: str, token: Secret | None = None, headers: Mapping[str, str] | None = None
    ) -> Reply | Fault:
        assert token is not None
        connection, born = _read(token.reveal())
        if (refusal := self._refusal(connection, born, token=False)) is not None:
            return refusal
        return speech.whoami(self.provider(connection), connection, url, self.clock)

    async def send(self, asked: Request) -> Reply | Fault:
        """Answer a call of another kind: a whoami that is a POST, or introspection in a provider's own way."""
        said = asked.authorization.reveal() if asked.authorization is not None else ""
        if said.startswith("Bearer "):
            return await self.get(asked.url, Secret(said.removeprefix("Bearer ")))
        return self._introspected(parse_qs(asked.content.reveal()))

    def _introspected(self, fields: Mapping[str, list[str]]) -> Reply | Fault:
        """Say that a token is good or is not, and nothing of when it ends (RFC 7662 2.2)."""
        if "token" not in fields:
            return Reply(404, JSON, b"{}")
        connection, born = _read(fields["token"][0])
        gone = self._refusal(connection, born, token=True)
        if isinstance(gone, Fault) or (gone is not None and gone.status >= 500):
            return gone
        return Reply(200, JSON, b'{"active": true}' if gone is None else b'{"active": false}')

    async def post_form(
        self,
        url: str,
        form: Secret,
        authorization: Secret | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply | Fault:
        fields = parse_qs(form.reveal())
        if "grant_type" not in fields:
            return self._introspected(fields)
        now = self.clock.now()
        if fields["grant_type"] == ["authorization_code"]:
            connection, born = fields["code"][0], now
        else:
            connection, born = _read(fields["refresh_token"][0])
        if (refusal := self._refusal(connection, born, token=True)) is not None:
            return refusal
        if born == now:
            self.given[connection] = born
        pair = tokens(connection, born)
        return speech.tokens(self.provider(connection), connection, pair, url, form.reveal(), self.clock)

    def provider(self, connection: str) -> str:
        """Return whose connection it is."""
        return self.fleet.firms[firm_of(connection)].place.provider

    def _refusal(self, connection: str, born: datetime, *, token: bool) -> Reply | Fault | None:
        now = self.clock.now()
        self.requests += 1
        trouble = self.trouble(firm_of(connection), now)
        if trouble is not None and not (trouble.renewed and born > trouble.begins):
            return _answer(trouble.kind, self.provider(connection), token=token)
        gone = self.revoked(connection, now, born)
        return speech.refuses(self.provider(connection), token=token) if gone else None


def tokens(connection: str, born: datetime) -> tuple[str, str]:
    """Return an access and a refresh token of the grant that was given at a time."""
    return f"a~{connection}~{born.timestamp():.0f}", f"r~{connection}~{born.timestamp():.0f}"


def _read(token: str) -> tuple[str, datetime]:
    _, connection, born = token.split("~")
    return connection, datetime.fromtimestamp(int(born), UTC)


def _answer(kind: str, provider: str, *, token: bool) -> Reply | Fault:
    match kind:
        case "outage":
            return Reply(503, JSON, b'{"error": {"type": "ServiceUnavailable"}}')
        case "timeouts":
            return Fault(FaultKind.READ_TIMEOUT, "no answer in time")
        case "maintenance":
            return Reply(503, HTML, b"<h1>We'll be back soon</h1>")
        case "waf":
            return Reply(403, HTML, BLOCKED)
        case "limited":
            return speech.limits(provider)
        case "confused":
            return speech.refuses(provider, token=token)
        case "network":
            return Fault(FaultKind.DNS, "the host's name was not resolved")
    raise ValueError(kind)
