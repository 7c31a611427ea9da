"""Clio's wire: OAuth's endpoints, whoami with `fields`, and the resources; with introspection besides."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import math
import re
import secrets
import time
from collections.abc import Awaitable, Callable
from urllib.parse import quote, unquote_plus, urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from monitor.sandbox import pages
from monitor.sandbox.gateway import fated
from monitor.sandbox.state import RESOURCES, App, Grant, Looks, World

INVALID_TOKEN = {
    "error": "invalid_token",
    "error_description": (
        "The access token provided is expired, revoked, malformed or invalid for other reasons."
    ),
}
WAF_PAGE = (
    "<!DOCTYPE html><html><head><title>Attention Required!</title></head><body><h1>Sorry, you have been "
    "blocked</h1><p>Ray ID: 8f2c1d</p></body></html>"
)
MAINTENANCE_PAGE = "<html><body><h1>We'll be back soon</h1><p>Scheduled maintenance.</p></body></html>"
Handler = Callable[[Request], Awaitable[Response]]


def in_weather(world: World, handler: Handler, step: str) -> Handler:
    """Let the region's weather come before the answer."""

    async def weathered(request: Request) -> Response:
        region = request.path_params["region"]
        world.seen[f"{region} {step}"] += 1
        weather = world.weather.get(region)
        match weather.now() if weather else "fine":
            case "down":
                return JSONResponse({"error": {"type": "ServiceUnavailable", "message": "down"}}, 503)
            case "maintenance":
                return HTMLResponse(MAINTENANCE_PAGE, 503)
            case "waf":
                return HTMLResponse(WAF_PAGE, 403)
            case "limited":
                return JSONResponse({"message": "Too Many Requests"}, 429, headers={"Retry-After": "2"})
            case "confused":
                if step == "token":
                    return JSONResponse({"error": "invalid_grant"}, 400)
                return _unauthorized()
            case "echo":
                return JSONResponse(await _all_of(request), 400)
            case "redirect":
                return RedirectResponse("https://login.example/signin", 302)
            case "slow":
                await asyncio.sleep(weather.seconds if weather else 1.0)
            case "reset":
                return _drop(request)
        return await handler(request)

    return weathered


async def _all_of(request: Request) -> dict[str, object]:
    """A request as a careless server repeats it in its error: raw, quoted and encoded once more."""
    body = (await request.body()).decode()
    whole = f"{request.headers.get('authorization', '')} {body} {unquote_plus(body)}"
    return {
        "error": "invalid_request",
        "error_description": f"cannot handle {whole}",
        "encoded": base64.b64encode(whole.encode()).decode(),
        "escaped": quote(whole, safe=""),
    }


def _drop(request: Request) -> Response:
    """Cut the connection without an answer."""
    request.scope["sandbox.abort"]()
    return Response()


class Wire:
    """The endpoints over one world."""

    def __init__(self, world: World) -> None:
        self.world = world

    # -- OAuth -------------------------------------------------------------------------------------

    async def authorize(self, request: Request) -> Response:
        """Show the consent page (GET), or take the decision (POST)."""
        given = dict(request.query_params)
        app = self.world.apps.get(given.get("client_id", ""))
        if app is None or app.suspended:
            return HTMLResponse(
                pages.page("Unknown application", "<p>This app cannot be authorized.</p>"), 400
            )
        if given.get("redirect_uri") not in app.redirect_uris:
            return HTMLResponse(pages.page("Invalid redirect URI", "<p>It has to match exactly.</p>"), 400)
        region = request.path_params["region"]
        if request.method == "GET":
            users = [u for u in self.world.users.values() if u.region == region and u.enabled]
            return HTMLResponse(pages.consent(app, users))
        form = await request.form()
        back = given["redirect_uri"]
        state = {"state": given["state"]} if "state" in given else {}
        if form.get("decision") != "approve":
            if given.get("redirect_on_decline") != "true":
                return HTMLResponse(pages.page("Declined", "<p>You may close this window.</p>"))
            return RedirectResponse(f"{back}?{urlencode({'error': 'access_denied', **state})}", 303)
        user = self.world.users.get(str(form.get("user")))
        if user is None:
            return HTMLResponse(pages.page("Choose an account", "<p>Go back and choose one.</p>"), 400)
        code = self.world.token()
        self.world.codes[code] = {
            "app": app.client_id, "user": user.id, "redirect_uri": back,
            "challenge": given.get("code_challenge", ""),
        }  # fmt: skip
        return RedirectResponse(f"{back}?{urlencode({'code': code, **state})}", 303)

    async def token(self, request: Request) -> Response:
        """The token endpoint, and what may befall the request before it, and the answer behind it."""
        how, when = self.world.fates.popleft() if self.world.fates else ("", "")
        if when == "before":
            return await fated(request, how)
        answer = await self._token(request)
        kind = (await request.form()).get("grant_type")
        ticket, self.world.tickets = self.world.tickets, self.world.tickets + 1
        self.world.waiting += 1
        # Several things set it free, so it is looked at rather than told.
        while self.world.held and self.world.held == kind and ticket >= self.world.let_go:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        self.world.waiting -= 1
        return await fated(request, how, answer) if when == "after" else answer

    async def _token(self, request: Request) -> Response:
        """The token endpoint itself (RFC 6749 3.2)."""
        form = {key: str(value) for key, value in (await request.form()).items()}
        client_id, secret = _credentials(request, form)
        app = self.world.apps.get(client_id)
        if app is None or not secrets.compare_digest(app.secret, secret):
            return _oauth_error("invalid_client", "Client authentication failed.", 401)
        if app.suspended:
            return _oauth_error("unauthorized_client", "This application is suspended.")
        match form.get("grant_type"):
            case "refresh_token":
                return await self._refresh(request, app, form)
            case "authorization_code":
                return self._exchange(app, form)
            case _:
                return _oauth_error("unsupported_grant_type", "Not supported here.")

    async def _refresh(self, request: Request, app: App, form: dict[str, str]) -> Response:
        presented = form.get("refresh_token", "")
        self.world.used[presented] += 1
        grant = self.world.grants.get(self.world.by_refresh.get(presented, ""))
        if grant is None or grant.app != app.client_id:
            return _oauth_error("invalid_grant", "The provided authorization grant is invalid.")
        if presented in grant.lineage:
            # RFC 9700 4.14.2: a replaced refresh token that comes back ends the whole grant.
            self.world.replays += 1
            companion = self.world.came_with.get(presented, "")
            self.world.early += grant.access.get(companion, 0.0) > time.time()
            if time.time() - grant.lineage[presented] > app.grace:
                self.world.revoke(grant)
        if grant.revoked or not self.world.users[grant.user].enabled:
            return _oauth_error("invalid_grant", "The provided authorization grant is invalid.")
        if grant.refresh_dead:
            return _oauth_error("invalid_grant", f"The refresh token is {grant.refresh_dead}.")
        if app.system == "platform":
            self.world.rotate(grant)
        answer = self.world.issue(grant, app, with_refresh=app.system == "platform")
        if self.world.lose_answers > 0:
            self.world.lose_answers -= 1
            return _drop(request)
        return JSONResponse(answer)

    def _exchange(self, app: App, form: dict[str, str]) -> Response:
        code = self.world.codes.pop(form.get("code", ""), None)
        if code is None or code["app"] != app.client_id or code["redirect_uri"] != form.get("redirect_uri"):
            return _oauth_error("invalid_grant", "The authorization code is invalid or was used.")
        if code["challenge"] != _challenge(form.get("code_verifier", "")):
            return _oauth_error("invalid_grant", "The code verifier does not fit (RFC 7636 4.6).")
        _, answer = self.world.grant(app, self.world.users[code["user"]])
        return JSONResponse(answer)

    async def deauthorize(self, request: Request) -> Response:
        """Clio Manage's own revocation: a bearer token ends its grant."""
        grant = self._grant_of(request)
        if grant is None:
            return _unauthorized()
        self.world.revoke(grant)
        return Response(status_code=204)

    async def revoke(self, request: Request) -> Response:
        """Clio Platform's revocation (RFC 7009): 200, also for unknown tokens."""
        form = {key: str(value) for key, value in (await request.form()).items()}
        client_id, secret = _credentials(request, form)
        app = self.world.apps.get(client_id)
        if app is None or not secrets.compare_digest(app.secret, secret):
            return _oauth_error("invalid_client", "Client authentication failed.", 401)
        token = form.get("token", "")
        number = self.world.by_access.get(token) or self.world.by_refresh.get(token, "")
        if (grant := self.world.grants.get(number)) is not None:
            self.world.revoke(grant)
        return Response(status_code=200)

    async def introspect(self, request: Request) -> Response:
        """What became of a token (RFC 7662); only our own client may ask. Clio itself has none."""
        form = {key: str(value) for key, value in (await request.form()).items()}
        client_id, secret = _credentials(request, form)
        app = self.world.apps.get(client_id)
        if app is None or not secrets.compare_digest(app.secret, secret):
            return _oauth_error("invalid_client", "Client authentication failed.", 401)
        token = form.get("token", "")
        number = self.world.by_refresh.get(token) or self.world.by_access.get(token, "")
        grant = self.world.grants.get(number)
        if grant is None or grant.app != app.client_id:
            return JSONResponse({"active": False})
        refresh = token == grant.refresh_token
        active = not grant.revoked and (
            not grant.refresh_dead if refresh else grant.access.get(token, 0) > time.time()
        )
        end = grant.refresh_until if refresh else grant.access.get(token)
        return JSONResponse({"active": active} | ({"exp": int(end)} if end else {}))

    # -- the API -----------------------------------------------------------------------------------

    async def whoami(self, request: Request) -> Response:
        """Who the token speaks for, with the `fields` asked for; `id` and `etag` without."""
        grant = self._grant_of(request)
        if grant is None:
            return _unauthorized()
        limited, headers = self._limited(grant)
        if limited is not None:
            return limited
        await self._counted(grant)
        user = self.world.users[grant.user]
        number = user.account_id
        whole = {
            "id": int(user.id),
            "etag": f'"{user.id}"',
            "name": user.name,
            "email": user.email,
            "enabled": user.enabled,
            "account": {"id": int(number) if number.isdecimal() else number, "name": user.account_name},
        }
        fields = request.query_params.get("fields")
        if self.world.apps[grant.app].system == "platform":
            fields = fields or "id,name,email,account{id,name}"
        data = select_fields(whole, fields) if fields else {"id": whole["id"], "etag": whole["etag"]}
        return JSONResponse({"data": data}, headers=headers)

    async def _counted(self, grant: Grant) -> None:
        """Note that somebody looks, and take a moment over it, so that two at once are seen."""
        looks = self.world.looks.setdefault(grant.id, Looks())
        looks.times.append(time.time())
        looks.running += 1
        looks.at_once = max(looks.at_once, looks.running)
        await asyncio.sleep(0.005)
        looks.running -= 1

    async def resource(self, request: Request) -> Response:
        """One of the resources, if grant and role allow it. Clio's own refusals look the same for both."""
        grant = self._grant_of(request)
        if grant is None:
            return _unauthorized()
        limited, headers = self._limited(grant)
        if limited is not None:
            return limited
        name = request.path_params["name"]
        if name not in RESOURCES:
            return JSONResponse({"error": {"type": "NotFound", "message": "no such resource"}}, 404)
        if name not in grant.permissions and self.world.apps[grant.app].challenges:
            challenge = f'Bearer error="insufficient_scope", scope="{name}"'
            return Response(status_code=403, headers=headers | {"WWW-Authenticate": challenge})
        if name not in grant.permissions or name not in self.world.users[grant.user].allowed:
            message = "User is forbidden from taking that action"
            return JSONResponse({"error": {"type": "ForbiddenError", "message": message}}, 403, headers)
        return JSONResponse({"data": [{"id": 1}], "meta": {"paging": {}, "records": 1}}, headers=headers)

    def _grant_of(self, request: Request) -> Grant | None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        grant = self.world.grants.get(self.world.by_access.get(token, ""))
        if grant is None or grant.revoked or grant.access.get(token, 0) < time.time():
            return None
        # A token of another region's is no token here.
        if grant.region != request.path_params["region"] or not self.world.users[grant.user].enabled:
            return None
        return grant

    def _limited(self, grant: Grant) -> tuple[Response | None, dict[str, str]]:
        app = self.world.apps[grant.app]
        if app.system == "platform":
            rate = self.world.platform_per_second
            passed, _, reset = self.world.allow(f"app {app.client_id}", max(1, round(rate * 10)), 10.0)
            if passed:
                return None, {}
            wait = str(max(1, math.ceil(reset - time.time())))
            return JSONResponse({"message": "Too Many Requests"}, 429, {"Retry-After": wait}), {}
        limit = self.world.per_minute
        passed, left, reset = self.world.allow(f"grant {grant.id}", limit, 60.0)
        headers = {
            "X-RateLimit-Limit": str(limit),
            "X-RateLimit-Remaining": str(left),
            "X-RateLimit-Reset": str(math.ceil(reset)),
        }
        if passed:
            return None, headers
        headers["Retry-After"] = str(max(1, math.ceil(reset - time.time())))
        error = {"error": {"type": "RateLimited", "message": "Rate limit exceeded"}}
        return JSONResponse(error, 429, headers), headers


def select_fields(whole: dict[str, object], fields: str) -> dict[str, object]:
    """Choose fields as Clio does: `id,name,account{id,name}`."""
    chosen: dict[str, object] = {}
    for name, inner in re.findall(r"(\w+)(?:\{([^}]*)\})?", fields):
        if name not in whole:
            continue
        value = whole[name]
        if isinstance(value, dict):
            names = inner.split(",") if inner else ["id"]
            chosen[name] = {key: value[key] for key in names if key in value}
        else:
            chosen[name] = value
    return chosen


def _credentials(request: Request, form: dict[str, str]) -> tuple[str, str]:
    """Return client id and secret, from the body or from Basic authentication (RFC 6749 2.3.1)."""
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            name, _, secret = base64.b64decode(value).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return "", ""
        return unquote_plus(name), unquote_plus(secret)
    return form.get("client_id", ""), form.get("client_secret", "")


def _challenge(verifier: str) -> str:
    """Return the S256 challenge of a verifier, nothing for none (RFC 7636 4.2)."""
    if not verifier:
        return ""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def _oauth_error(error: str, description: str, status: int = 400) -> Response:
    return JSONResponse({"error": error, "error_description": description}, status)


def _unauthorized() -> Response:
    described = INVALID_TOKEN["error_description"]
    challenge = f'Bearer realm="Clio", error="invalid_token", error_description="{described}"'
    return JSONResponse(INVALID_TOKEN, 401, {"WWW-Authenticate": challenge})
