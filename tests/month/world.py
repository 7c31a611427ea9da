"""A month as providers, networks and clients make it, on virtual time: what is true, minute by minute.

The provider is a model in this process, since no server can be made to live a month in minutes; everything
else is real: the loop, the classifier, the guard, the database, the outbox, and an SMTP server.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import parse_qs

from monitor.health.evidence import Fault, FaultKind
from monitor.secret import Secret
from monitor.wire.client import Reply

JSON = ((b"content-type", b"application/json"),)
HTML = ((b"content-type", b"text/html"),)
INVALID = {"error": "invalid_token", "error_description": "expired, revoked, malformed or invalid"}
BLOCKED = (
    b"<!DOCTYPE html><html><title>Attention Required!</title><h1>Sorry, you have been blocked</h1></html>"
)
CAUSES = {
    "outage": "503 for everybody",
    "timeouts": "no answer for everybody",
    "maintenance": "a maintenance page",
    "waf": "a firewall's page, 403",
    "limited": "429 for everybody",
    "confused": "401 and invalid_grant for everybody",
    "partly confused": "401 and invalid_grant for one firm in fifteen",
    "network": "our own network is gone",
}


@dataclass(frozen=True)
class Weather:
    """Something that is no client's fault, for a while. `of` says for which share of the firms."""

    kind: str
    begins: datetime
    ends: datetime
    of: float = 1.0

    def over(self, firm: int, firms: int, now: datetime) -> bool:
        return self.begins <= now < self.ends and firm < self.of * firms


@dataclass
class Revocation:
    """A client really took access away; `mended` is when it came back, if it did."""

    firm: int
    at: datetime
    mended: datetime | None = None
    reaction: timedelta | None = timedelta(hours=5)  # from the mail to the approval; None: never


@dataclass
class World:
    """The truth: which firm is revoked, and what the weather is."""

    firms: int
    now: object
    weather: list[Weather] = field(default_factory=list)
    revocations: list[Revocation] = field(default_factory=list)
    requests: int = 0

    def revoked(self, firm: int, at: datetime) -> Revocation | None:
        for one in self.revocations:
            if one.firm == firm and one.at <= at and (one.mended is None or at < one.mended):
                return one
        return None

    async def get(self, url: str, token: Secret | None = None) -> Reply | Fault:
        firm = int(token.reveal().split("-")[1])
        now = self.now.now()
        self.requests += 1
        if (trouble := self._trouble(firm, now, token=False)) is not None:
            return trouble
        if self.revoked(firm, now):
            return Reply(401, JSON, json.dumps(INVALID).encode())
        who = {"id": firm, "email": f"it@{firm}.example", "account": {"id": firm, "name": f"Firm {firm}"}}
        return Reply(200, JSON, json.dumps({"data": who}).encode())

    async def post_form(self, url: str, form: Secret, authorization: Secret | None = None) -> Reply | Fault:
        firm = int(parse_qs(form.reveal())["refresh_token"][0].split("-")[1])
        now = self.now.now()
        self.requests += 1
        if (trouble := self._trouble(firm, now, token=True)) is not None:
            return trouble
        if self.revoked(firm, now):
            return Reply(400, JSON, b'{"error": "invalid_grant"}')
        answer = {"access_token": f"a-{firm}-{self.requests}", "token_type": "bearer", "expires_in": 604800}
        return Reply(200, JSON, json.dumps(answer).encode())

    def _trouble(self, firm: int, now: datetime, *, token: bool) -> Reply | Fault | None:
        kind = next((w.kind for w in self.weather if w.over(firm, self.firms, now)), None)
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
                return Reply(429, (*JSON, (b"retry-after", b"120")), b'{"error": {"type": "RateLimited"}}')
            case "confused" | "partly confused":
                if token:
                    return Reply(400, JSON, b'{"error": "invalid_grant"}')
                return Reply(401, JSON, json.dumps(INVALID).encode())
            case "network":
                return Fault(FaultKind.DNS, "the host's name was not resolved")
        return None


def make(firms: int, days: int, start: datetime, clock: object, seed: int) -> World:
    """Draw a month: weather of every kind, and real revocations in between and right inside of it."""
    # A simulation has to be repeatable, not unpredictable.
    draw = random.Random(seed)  # noqa: S311
    world = World(firms, clock)
    # One firm in fifteen is below the guard's share. Only the fuse holds it, and only above its cap.
    kinds = [kind for kind in CAUSES if "partly" not in kind or firms / 15 > 40]
    for number in range(max(len(kinds), days)):
        kind = kinds[number % len(kinds)]
        begins = start + timedelta(days=0.4 + draw.random() * (days - 1.2))
        length = timedelta(minutes=draw.choice([8, 25, 60, 100, 180]))
        world.weather.append(Weather(kind, begins, begins + length, 1 / 15 if "partly" in kind else 1.0))
    chosen = draw.sample(range(firms), max(6, firms * days // 400))
    for number, firm in enumerate(chosen):
        at = start + timedelta(days=0.3 + draw.random() * (days - 1.0))
        if number % 6 == 0:  # right inside of somebody else's trouble
            at = world.weather[number % len(world.weather)].begins + timedelta(minutes=3)
        reaction = timedelta(hours=draw.choice([0.2, 1, 5, 20, 60])) if number % 8 else None
        one = Revocation(firm, at, reaction=reaction)
        if number % 7 == 3:  # a mistake, taken back at once: nobody has to hear of it
            one.mended = at + timedelta(minutes=4)
        world.revocations.append(one)
    return world
