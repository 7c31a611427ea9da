"""An OpenID provider on loopback, which says what a test wants: the truth, or one of the known forgeries."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
import secrets
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode

import uvicorn
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

CLIENT, SECRET = "token-health", "between us: 100% é"


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@dataclass
class Provider:
    """`claims` are over those of an honest ID token; `sign` makes the token; `metadata` are over the honest ones."""

    now: Callable[[], int]
    issuer: str = ""
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "k1"}))
    claims: dict[str, Any] = field(default_factory=lambda: {"groups": ["ops"]})
    metadata: dict[str, Any] = field(default_factory=dict)
    sign: Callable[[Provider, dict[str, Any]], str] | None = None
    userinfo: dict[str, Any] | None = None
    down: bool = False
    asked: list[dict[str, str]] = field(default_factory=list)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self.about),
                Route("/jwks", self.jwks),
                Route("/authorize", self.authorize),
                Route("/token", self.token, methods=["POST"]),
                Route("/userinfo", self.me),
            ]
        )

    async def about(self, request: Request) -> Response:
        if self.down:
            return Response(status_code=503)
        found = {"issuer": self.issuer, "id_token_signing_alg_values_supported": ["RS256"]}
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint"):
            path = {"jwks_uri": "jwks"}.get(
                name, name.removesuffix("_endpoint").replace("authorization", "authorize")
            )
            found[name] = f"{self.issuer}/{path}"
        return JSONResponse(found | self.metadata)

    async def jwks(self, request: Request) -> Response:
        return JSONResponse({"keys": [self.key.as_dict(private=False)]})

    async def authorize(self, request: Request) -> Response:
        """The person agrees at once."""
        asked = dict(request.query_params)
        self.asked.append(asked)
        assert asked["response_type"] == "code" and asked["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe(8)
        self.codes[code] = asked
        return RedirectResponse(
            f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}", 302
        )

    async def token(self, request: Request) -> Response:
        form = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
        asked = self.codes.pop(form["code"], None)
        challenge = b64(hashlib.sha256(form["code_verifier"].encode()).digest())
        if (
            asked is None
            or challenge != asked["code_challenge"]
            or form["redirect_uri"] != asked["redirect_uri"]
        ):
            return JSONResponse({"error": "invalid_grant"}, 400)
        pair = (
            base64.b64decode(request.headers.get("authorization", "Basic ").split()[1]).decode()
            if "authorization" in request.headers
            else ""
        )
        by_form = form.get("client_secret") == SECRET
        assert by_form or pair == "token-health:between+us%3A+100%25+%C3%A9"
        claims = {
            "iss": self.issuer, "sub": "248289761001", "aud": CLIENT, "exp": self.now() + 300, "iat": self.now(),
            "nonce": asked["nonce"], "preferred_username": "dana",
        }  # fmt: skip
        claims = {name: value for name, value in (claims | self.claims).items() if value is not None}
        id_token = self.sign(self, claims) if self.sign else honest(self, claims)
        return JSONResponse({"access_token": "at", "token_type": "Bearer", "id_token": id_token})

    async def me(self, request: Request) -> Response:
        assert request.headers["authorization"] == "Bearer at"
        return JSONResponse(self.userinfo or {"sub": "248289761001"})


def honest(of: Provider, claims: dict[str, Any]) -> str:
    return jwt.encode({"alg": "RS256", "kid": "k1"}, claims, of.key)


def unsigned(of: Provider, claims: dict[str, Any]) -> str:
    return f"{b64(json.dumps({'alg': 'none'}).encode())}.{b64(json.dumps(claims).encode())}."


def unsigned_with_a_key(of: Provider, claims: dict[str, Any]) -> str:
    return f"{b64(json.dumps({'alg': 'none', 'kid': 'k1'}).encode())}.{b64(json.dumps(claims).encode())}."


def by_the_public_key(of: Provider, claims: dict[str, Any]) -> str:
    """HS256, with what everybody may read as its secret (CVE-2015-9235 and its kin)."""
    header, body = b64(json.dumps({"alg": "HS256", "kid": "k1"}).encode()), b64(json.dumps(claims).encode())
    import hmac

    mac = hmac.digest(of.key.as_pem(private=False), f"{header}.{body}".encode(), "sha256")
    return f"{header}.{body}.{b64(mac)}"


def by_the_client_secret(of: Provider, claims: dict[str, Any]) -> str:
    return jwt.encode({"alg": "HS256", "kid": "k1"}, claims, OctKey.import_key(SECRET.encode() * 3))


def by_another_key(of: Provider, claims: dict[str, Any]) -> str:
    return jwt.encode({"alg": "RS256", "kid": "k1"}, claims, RSAKey.generate_key(2048, {"kid": "k1"}))


def with_its_own_key(of: Provider, claims: dict[str, Any]) -> str:
    mine = RSAKey.generate_key(2048)
    return jwt.encode({"alg": "RS256", "jwk": mine.as_dict(private=False)}, claims, mine)


def altered(of: Provider, claims: dict[str, Any]) -> str:
    header, _, signature = honest(of, claims).split(".")
    return f"{header}.{b64(json.dumps(claims | {'sub': 'somebody else'}).encode())}.{signature}"


def nonsense(of: Provider, claims: dict[str, Any]) -> str:
    return "x.y.z"


@contextlib.asynccontextmanager
async def running(provider: Provider) -> AsyncIterator[Provider]:
    """Serve a provider on loopback."""
    config = uvicorn.Config(
        provider.app(),
        port=0,
        access_log=False,
        lifespan="off",
        ws="none",
        log_config=None,  # its own would stay for every test after
    )
    server = uvicorn.Server(config)
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign]
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.005)  # noqa: TID251 - for a socket
    provider.issuer = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    yield provider
    server.should_exit = True
    await task
