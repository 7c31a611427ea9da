"""Run the sandbox: python -m monitor.sandbox --port 8090. Prints its address when it listens."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import socket

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from monitor.sandbox import pages
from monitor.sandbox.admin import Admin
from monitor.sandbox.state import World
from monitor.sandbox.wire import Wire, in_weather


def application(world: World) -> Starlette:
    """Put the sandbox's endpoints together."""
    wire, admin = Wire(world), Admin(world)

    def route(path: str, handler: object, step: str, *methods: str) -> Route:
        return Route("/{region}" + path, in_weather(world, handler, step), methods=list(methods))  # type: ignore[arg-type]

    async def console(_request: Request) -> Response:
        return HTMLResponse(pages.console(world))

    async def remove(request: Request) -> Response:
        grant = world.grants.get(request.path_params["id"])
        if grant is not None:
            world.revoke(grant)
        return RedirectResponse("/", 303)

    return Starlette(
        routes=[
            Route("/", console),
            Route("/console/{id}/remove", remove, methods=["POST"]),
            Route("/admin/apps", admin.apps, methods=["POST"]),
            Route("/admin/grants", admin.grants, methods=["POST"]),
            Route("/admin/grants/{id}/reissue", admin.reissue, methods=["POST"]),
            Route("/admin/grants/{id}/{action}", admin.grant, methods=["POST"]),
            Route("/admin/weather", admin.weather, methods=["POST"]),
            Route("/admin/limits", admin.limits, methods=["POST"]),
            Route("/admin/reset", admin.reset, methods=["POST"]),
            Route("/admin/seen", admin.seen),
            Route("/admin/given", admin.given),
            route("/oauth/authorize", wire.authorize, "authorize", "GET", "POST"),
            route("/oauth/token", wire.token, "token", "POST"),
            route("/oauth/deauthorize", wire.deauthorize, "revoke", "POST"),
            route("/oauth/revoke", wire.revoke, "revoke", "POST"),
            route("/oauth/introspect", wire.introspect, "introspect", "POST"),
            route("/api/v4/users/who_am_i.json", wire.whoami, "whoami", "GET"),
            route("/users/me", wire.whoami, "whoami", "GET"),
            route("/api/v4/{name}.json", wire.resource, "resource", "GET"),
        ]
    )


def droppable(app: Starlette) -> ASGIApp:
    """Let handlers cut the connection: uvicorn's `send` belongs to the cycle that has the transport."""

    async def with_abort(scope: Scope, receive: Receive, send: Send) -> None:
        scope["sandbox.abort"] = send.__self__.transport.abort  # type: ignore[attr-defined]
        await app(scope, receive, send)

    return with_abort


def main() -> None:
    """Serve on loopback until the process ends."""
    parser = argparse.ArgumentParser(description="A Clio to practise on.")
    parser.add_argument("--port", type=int, default=8090, help="0 takes a free one")
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", parser.parse_args().port))
    listener.listen(512)
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    config = uvicorn.Config(
        droppable(application(World())), log_level="critical", access_log=False, lifespan="off"
    )
    with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C of the demo reaches it, too
        asyncio.run(uvicorn.Server(config).serve(sockets=[listener]))


if __name__ == "__main__":
    main()
