"""A stand-in for a provider: one real HTTP server that speaks a dialect, on the clock of the test.

It checks what it is sent, and refuses in the provider's own words: the recorded answers.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import itertools
import re
from collections import deque
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from monitor.clock import Clock
from monitor.providers import catalogue
from monitor.wire.recorded import parse
from tests.providers.answers import ROOM
from tests.standins.dialect import Account, Dialect, Grant, Refresh
from tests.standins.http import Dropped, Reply, Request, reply, serving

CLIENT = ("agency", "s3cret")
_URL = re.compile(r"https://([a-z0-9.-]+)")
_WHERE = re.compile(r"^(base_url|auth_url|hosts) = .*$", re.MULTILINE)
DAY = timedelta(days=1)


@lru_cache(maxsize=512)
def said(provider: str, name: str) -> Reply:
    """Return a recorded answer as it is sent."""
    message = parse(name, (ROOM / provider / f"{name}.http").read_bytes()).messages[-1]
    return Reply(message.status, message.body, {n.decode(): v.decode() for n, v in message.headers})


class StandIn:
    """A provider that is not there."""

    def __init__(self, dialect: Dialect, clock: Clock) -> None:
        self.dialect, self.clock, self.port = dialect, clock, 0
        self.grants: list[Grant] = []
        self.seen: list[Request] = []
        self.fates: deque[str] = deque()  # of the next answers of the token endpoint: "lost", or a word
        self.limited = False
        self.stingy = False  # gives no refresh token with a code, as where `offline` was not asked for
        self.registered: tuple[str, ...] = ()  # scopes of the registration, where none are asked for
        self._codes: dict[str, tuple[Grant, Mapping[str, str]]] = {}
        self._numbers = itertools.count(1)
        self.salt = f"{dialect.provider[:2]}-{id(self) % 9973}"

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def provider_file(self, folder: Path) -> Path:
        """Write the provider's own file with its hosts here; everything else as it is."""
        text = catalogue.built_in()[self.dialect.provider].read_text(encoding="utf-8")
        for old, new in self.dialect.file.items():
            assert old in text, old
            text = text.replace(old, new)
        text = _WHERE.sub(lambda line: _URL.sub(rf"{self.base}/\1", line[0]), text)
        path = folder / f"{self.dialect.provider}.toml"
        path.write_text(text, encoding="utf-8")
        return path

    def word(self, name: str) -> Reply:
        """Answer in the provider's own words."""
        return said(self.dialect.provider, self.dialect.words[name])

    # -- what befalls grants ------------------------------------------------------------------------------

    def end(self, grant: Grant, why: str = "revoked") -> None:
        """Refuse its refresh token from now on, and end its access tokens."""
        grant.refused = why
        grant.access.clear()

    def expire_access(self, grant: Grant) -> None:
        grant.access.clear()

    def grant_of(self, *, access: str = "", refresh: str = "") -> Grant | None:
        for grant in self.grants:
            if access and access in grant.access:
                return grant
            if refresh and any(refresh == one.token for one in grant.refreshes):
                return grant
        return None

    def works(self, access: str) -> bool:
        """Whether a program that has this access token gets what it asks for."""
        return self._holder(access) is not None

    # -- the server ---------------------------------------------------------------------------------------

    def answer(self, request: Request) -> Reply:
        self.seen.append(request)
        dialect, place = self.dialect, request.place
        own = dialect.calls.get(f"{request.method} {place}")
        if own is not None:
            return own(self, request)
        if place == dialect.token and request.method == "POST":
            return self._token(request)
        if place == dialect.authorize:
            return self._authorize(request)
        if request.method in ("GET", "POST") and request.bearer:
            return self._api(request)
        return reply({"stand-in": f"there is no {request.method} {place}"}, 404)

    def _authorize(self, request: Request) -> Reply:
        """Show what is asked (GET), or take the decision of a person (POST)."""
        asked, dialect = request.query, self.dialect
        wanted = {"response_type": "code", "client_id": CLIENT[0], **dialect.wants}
        wrong = [name for name, text in wanted.items() if asked.get(name) != text]
        if wrong or not asked.get("redirect_uri") or not asked.get("state"):
            return reply({"stand-in": f"wrong or missing: {wrong}"}, 400)
        if request.method == "GET":
            return reply({"scopes": asked.get("scope", "").split(dialect.separator)})
        back = {"state": asked["state"]}
        if request.form["decision"] != "approve":
            return self._back(asked, back | {"error": request.form.get("error", "access_denied")})
        names = request.form["accounts"].split(",")
        accounts = [Account(*name.split("|")) for name in names]
        wanted = asked.get(dialect.scope_param)
        scopes = set(wanted.split(dialect.separator)) if wanted is not None else set(self.registered)
        grant = Grant(accounts, scopes - set(request.form.get("unticked", "").split()), self.clock.now())
        code = f"code-{next(self._numbers)}"
        self._codes[code] = (grant, asked)
        return self._back(asked, back | {"code": code, **dialect.callback(grant)})

    def _back(self, asked: Mapping[str, str], query: Mapping[str, str]) -> Reply:
        return Reply(302, headers={"location": f"{asked['redirect_uri']}?{urlencode(query)}"})

    def _token(self, request: Request) -> Reply:
        fate = self.fates.popleft() if self.fates else ""
        if fate and fate != "lost":
            return self.word(fate)
        if not self.proves(request) or "json" not in request.headers.get("accept", ""):
            return self.word("client")
        given = self._exchange(request) if request.form.get("code") else self._refresh(request)
        if fate == "lost":
            raise Dropped
        return given

    def proves(self, request: Request) -> bool:
        """Whether our app says who it is, in the way that this provider wants."""
        if self.dialect.auth == "basic":
            return request.basic == CLIENT and "client_secret" not in request.form
        return (request.form.get("client_id"), request.form.get("client_secret")) == CLIENT

    def _exchange(self, request: Request) -> Reply:
        grant, asked = self._codes.pop(request.form["code"], (None, {}))
        challenge = asked.get("code_challenge")
        verifier = request.form.get("code_verifier", "")
        made = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
        if (
            grant is None
            or request.form.get("grant_type") != "authorization_code"
            or request.form.get("redirect_uri") != asked["redirect_uri"]
            or (challenge is not None and challenge != made)
        ):
            return self.word("revoked")
        self.grants.append(grant)
        new = self._new(grant) if self.dialect.offline(asked) and not self.stingy else None
        return self._tokens(request, grant, new)

    def _refresh(self, request: Request) -> Reply:
        sent, now, dialect = request.form.get("refresh_token", ""), self.clock.now(), self.dialect
        grant = self.grant_of(refresh=sent)
        if grant is None or request.form.get("grant_type") != "refresh_token":
            return self.word("revoked")
        if grant.refused:
            return self.word(grant.refused)
        held = next(one for one in grant.refreshes if one.token == sent)
        match dialect.rotation:
            case "none":
                new = None
            case "daily" if held.replaced is None and now - held.born < DAY:
                new = held
            case "grace" if held.replaced is not None and now - held.replaced < dialect.grace:
                new = self._new(grant)
            case "overlapping":
                new = self._new(grant)
            case "family" if held.replaced is not None:
                self.end(grant)  # somebody else has it, so nobody may go on
                return self.word("revoked")
            case _ if held.replaced is not None:
                return self.word("revoked")
            case _:
                held.replaced = now
                new = self._new(grant)
        if dialect.ends_access:
            grant.access.clear()
        return self._tokens(request, grant, new)

    def _new(self, grant: Grant) -> Refresh:
        made = Refresh(f"refresh-{self.salt}-{next(self._numbers)}", self.clock.now())
        grant.refreshes.append(made)
        return made

    def _tokens(self, request: Request, grant: Grant, refresh: Refresh | None) -> Reply:
        dialect, life = self.dialect, self.dialect.access_life
        access = f"access-{self.salt}-{next(self._numbers)}"
        grant.access[access] = self.clock.now() + life if life else None
        while dialect.live and len(grant.access) > dialect.live:
            del grant.access[next(iter(grant.access))]
        document: dict[str, Any] = {"access_token": access, "token_type": "Bearer"}
        document["scope"] = dialect.separator.join(sorted(grant.scopes))
        if dialect.told:
            document["expires_in"] = int(life.total_seconds())
        if refresh is not None:
            document["refresh_token"] = refresh.token
        return reply(dialect.answers(self, request, grant, document))

    def _holder(self, access: str) -> Grant | None:
        grant = self.grant_of(access=access)
        ends = grant.access[access] if grant is not None else None
        return None if ends is not None and ends <= self.clock.now() else grant

    def _api(self, request: Request) -> Reply:
        dialect = self.dialect
        grant = self._holder(request.bearer)
        if grant is None:
            return self.word("access")
        if self.limited:
            return self.word("limit")
        wrong = dialect.api(request, grant)
        if wrong:
            return self.word(wrong)
        if re.fullmatch(dialect.whoami, request.place):
            return (
                self.word(grant.blocked)
                if grant.blocked.startswith("who")
                else dialect.tells(self, request, grant)
            )
        for place, scope in dialect.probes.items():
            if re.fullmatch(place, request.place):
                if grant.blocked:
                    return self.word(grant.blocked)
                return self.word("read" if scope in grant.scopes else "scope")
        return reply({"stand-in": f"there is no {request.place}"}, 404)


@contextlib.asynccontextmanager
async def standing(dialect: Dialect, clock: Clock) -> AsyncIterator[StandIn]:
    """Serve a stand-in on loopback."""
    found = StandIn(dialect, clock)
    async with serving(found.answer) as port:
        found.port = port
        yield found
