"""A stranger's name that points to this machine reads nothing."""

from __future__ import annotations

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from monitor.web.hosts import KnownHosts

OURS = ["health.agency.com"]


async def ask(host):
    async def metrics(request):
        return PlainTextResponse("clients' names")

    app = Starlette(routes=[Route("/metrics", metrics)], middleware=[Middleware(KnownHosts, names=OURS)])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
        return await client.get("/metrics", headers={"Host": host})


@pytest.mark.parametrize(
    "host",
    [
        "evil.com", "evil.com:8080", "health.agency.com.evil.com", "evilhealth.agency.com", "127.0.0.1.evil.com",
        "x.internal.evil.com", "evil.com.", "[evil.com]", "[::1].evil.com", "1.2.3.4.5", "0x7f.1.com",
    ],
)  # fmt: skip
async def test_a_name_that_somebody_else_may_own_is_not_answered_to(host):
    answer = await ask(host)
    assert answer.status_code == 421 and "[web] hosts" in answer.text


@pytest.mark.parametrize(
    "host",
    [
        "health.agency.com", "Health.Agency.COM:443", "health.agency.com.", "127.0.0.1:8080", "10.0.0.7", "[::1]:8080",
        "[fd00::7]", "localhost:8080", "token-health:8080", "token-health.monitoring.svc", "printer.local",
        "token-health.monitoring.svc.cluster.local:8080", "th.corp.internal",
    ],
)  # fmt: skip
async def test_our_names_addresses_and_names_that_nobody_owns_are(host):
    assert (await ask(host)).status_code == 200
