"""What may befall an answer of the token endpoint on its way: what gateways, networks and time-outs do."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import Receive, Scope, Send

BAD_GATEWAY = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"


async def fated(request: Request, how: str, answer: Response | None = None) -> Response:
    """Answer as a fate has it: reset, silent, truncated, 502, 500, html; 201 where there is an answer."""
    match how:
        case "reset":
            request.scope["sandbox.abort"]()
            return Response()
        case "silent":
            while not await request.is_disconnected():  # noqa: ASYNC110 - nobody else could set an event
                await asyncio.sleep(0.02)
            return Response()
        case "truncated":
            return CutOff()
        case "502":
            return HTMLResponse(BAD_GATEWAY, 502)
        case "500":
            return JSONResponse({"error": "server_error"}, 500)
        case "html":
            return HTMLResponse("<html><body>Welcome to the airport's network</body></html>")
        case "201" if answer is not None:
            answer.status_code = 201
            return answer
        case _:
            raise ValueError(f"no such fate: {how}")


class CutOff(Response):
    """An answer that begins well and breaks off."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Promise more than is sent, then cut the connection."""
        headers = [(b"content-type", b"application/json"), (b"content-length", b"500")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b'{"access_token": "', "more_body": True})
        scope["sandbox.abort"]()
