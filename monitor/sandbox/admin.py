"""What a test or a demo does to the sandbox: revoke, expire, restrict, and make weather."""

from __future__ import annotations

import time
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from monitor.sandbox.state import REGIONS, App, Weather, World


class Admin:
    """The admin interface over one world. JSON in, JSON out."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def apps(self, request: Request) -> Response:
        """Register an app, or change one: secret, permissions, suspended, lifetime, grace and so on."""
        body: dict[str, Any] = await request.json()
        known = self.world.apps.get(body["client_id"])
        if known is None:
            known = self.world.apps[body["client_id"]] = App(
                body["client_id"], body["secret"], [], set(), body.get("system", "manage")
            )
        known.secret = body.get("secret", known.secret)
        known.redirect_uris = body.get("redirect_uris", known.redirect_uris)
        known.permissions = set(body.get("permissions", known.permissions))
        known.suspended = body.get("suspended", known.suspended)
        known.lifetime = body.get("lifetime", known.lifetime)
        known.challenges = body.get("challenges", known.challenges)
        known.grace = body.get("grace", known.grace)
        known.expiry = body.get("expiry", known.expiry)
        return JSONResponse({"client_id": known.client_id})

    async def grants(self, request: Request) -> Response:
        """Make users and let each authorize an app: many at once, for large fleets."""
        body = await request.json()
        made = []
        for wish in body["grants"]:
            app = self.world.apps[wish["client_id"]]
            user = self.world.users.get(wish.get("user_id", "")) or self.world.user(
                wish.get("name", "Alex Admin"),
                wish.get("email", "alex@firm.example"),
                str(wish["account_id"]),
                wish.get("account_name", "A Firm"),
                wish.get("region", "us"),
            )
            grant, answer = self.world.grant(app, user)
            if "permissions" in wish:
                grant.permissions = set(wish["permissions"])
            made.append({"grant": grant.id, "user_id": user.id, "tokens": answer})
        return JSONResponse({"grants": made})

    async def grant(self, request: Request) -> Response:
        """Do something to a grant: revoke, expire it, narrow it, set its end, or restrict its user."""
        grant = self.world.grants.get(request.path_params["id"])
        if grant is None:
            return JSONResponse({"error": "no such grant"}, 404)
        user = self.world.users[grant.user]
        body = await request.json() if await request.body() else {}
        match request.path_params["action"]:
            case "revoke" | "change_password":
                self.world.revoke(grant)
            case "expire_access":
                grant.access = dict.fromkeys(grant.access, 0.0)
            case "expire_refresh":
                grant.refresh_dead = body.get("says", "expired")
                grant.access = dict.fromkeys(grant.access, 0.0)
            case "end":
                grant.refresh_until = body["at"]
            case "narrow":
                grant.permissions -= set(body["resources"])
            case "restrict_role":
                user.allowed -= set(body["resources"])
            case "restore":
                user.allowed |= set(body.get("resources", ()))
                grant.permissions |= set(body.get("resources", ()))
                grant.revoked, grant.refresh_dead = False, ""
                grant.access = dict.fromkeys(grant.access, time.time() + 3600)
            case "move":
                user.account_id, user.account_name = str(body["account_id"]), body["account_name"]
            case "look":
                return JSONResponse({"grant": grant.id, "user": user.id, "revoked": grant.revoked})
            case "deactivate":
                user.enabled = False
            case action:
                return JSONResponse({"error": f"no such action: {action}"}, 404)
        return JSONResponse({"grant": grant.id, "access": sorted(grant.access), "revoked": grant.revoked})

    async def reissue(self, request: Request) -> Response:
        """Give a grant's user a new grant for the same app, as a re-authorization elsewhere does."""
        old = self.world.grants[request.path_params["id"]]
        grant, answer = self.world.grant(self.world.apps[old.app], self.world.users[old.user])
        return JSONResponse({"grant": grant.id, "tokens": answer})

    async def weather(self, request: Request) -> Response:
        """Make weather over a region, or over all."""
        body = await request.json()
        until = time.time() + body["for"] if "for" in body else float("inf")
        regions = [body["region"]] if body.get("region") else [*REGIONS, *(f"platform-{r}" for r in REGIONS)]
        for region in regions:
            self.world.weather[region] = Weather(body["mode"], body.get("seconds", 0.0), until)
        return JSONResponse({"mode": body["mode"]})

    async def limits(self, request: Request) -> Response:
        """Change the rate limits, let token answers get lost or wait, or give them a fate: [how, when]."""
        body = await request.json()
        self.world.per_minute = body.get("per_minute", self.world.per_minute)
        self.world.platform_per_second = body.get("platform_per_second", self.world.platform_per_second)
        self.world.lose_answers = body.get("lose_answers", self.world.lose_answers)
        self.world.held = body.get("held", self.world.held)
        self.world.let_go = body.get("let_go", self.world.let_go)
        self.world.fates.extend((how, when) for how, when in body.get("fates", ()))
        return JSONResponse({})

    async def reset(self, request: Request) -> Response:
        """Forget everything: a new world for the next test."""
        self.world.__init__()  # type: ignore[misc]
        return JSONResponse({})

    async def given(self, request: Request) -> Response:
        """Every token and code there ever was, for whoever looks whether one got out."""
        return JSONResponse(self.world.given)

    async def seen(self, request: Request) -> Response:
        """What was asked: requests by region and step, refresh tokens used twice, replays of old ones."""
        return JSONResponse(
            {
                "requests": dict(self.world.seen),
                "used_twice": sum(1 for times in self.world.used.values() if times > 1),
                "refreshes": sum(self.world.used.values()),
                "replays": self.world.replays,
                "early": self.world.early,
                "waiting": self.world.waiting,
                "most_often": max(self.world.used.values(), default=0),
                "looks": {
                    number: {"at_once": looks.at_once, "times": looks.times}
                    for number, looks in self.world.looks.items()
                },
                "revoked": sum(1 for grant in self.world.grants.values() if grant.revoked),
            }
        )
