"""/metrics, /healthz and /readyz: for Prometheus and orchestrators."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from monitor.metrics.exposition import Exposition, negotiated


@dataclass(frozen=True, slots=True)
class Pulse:
    """How the process is, as the loop sees it."""

    leads: bool
    lag: float
    alive: int
    intervals: Mapping[str, timedelta]


@dataclass(frozen=True, slots=True)
class Ops:
    """What these pages need: the exposition, the pulse, and why the service is not ready, if so.

    `mail` says what is wrong with the mail server. It takes nobody's readiness: pages and probes need none.
    """

    exposition: Exposition
    pulse: Callable[[], Pulse]
    trouble: Callable[[], Awaitable[str | None]]
    mail: Callable[[], str] = lambda: ""

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/metrics", self.metrics),
            Route("/healthz", self.healthz),
            Route("/readyz", self.readyz),
        ]

    async def metrics(self, request: Request) -> Response:
        """Answer a scrape, as text or OpenMetrics."""
        encoder, content_type = negotiated(request.headers.get("accept", ""))
        pulse = self.pulse()
        page = self.exposition.write(
            leads=pulse.leads,
            lag=pulse.lag,
            alive=pulse.alive,
            intervals=pulse.intervals,
            encoder=encoder,
        )
        return StreamingResponse(page, headers={"content-type": content_type})

    async def healthz(self, request: Request) -> Response:
        """Say that the process answers; nothing more, so that a database outage restarts nobody."""
        return JSONResponse({"status": "ok"})

    async def readyz(self, request: Request) -> Response:
        """Say whether the service does its work: database reachable, schema current, loop in time."""
        trouble, mail = await self.trouble(), self.mail()
        beside = {"mail": mail} if mail else {}
        if trouble is None:
            return JSONResponse({"status": "ready"} | beside)
        return JSONResponse({"status": "not ready", "why": trouble} | beside, status_code=503)
