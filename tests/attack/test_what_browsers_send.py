"""Nothing that is sent to the pages ends in an error of ours, leads elsewhere, or changes anything."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import re
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from monitor.metrics.exposition import Exposition
from monitor.operations import links as asking
from monitor.service.assembly import build_pages
from monitor.web.app import application, server
from monitor.web.ops import Ops, Pulse
from tests.attack.odd import texts
from tests.conftest import ME

together = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
raw = texts.map(lambda text: text[:4000].encode("utf-8", "surrogatepass")) | st.binary(max_size=60)
one_line = raw.map(lambda value: re.sub(rb"[\r\n]", b"", value))
escaped = raw.map(lambda value: quote(value).encode())
names = st.sampled_from(
    [b"Host", b"Origin", b"Referer", b"Cookie", b"Accept-Language", b"X-Forwarded-For", b"X-Forwarded-Proto",
     b"X-Forwarded-Host", b"Forwarded", b"Sec-Fetch-Site", b"Content-Length", b"Content-Type", b"Accept", b"Range",
     b"If-None-Match", b"Transfer-Encoding", b"Expect", b"Connection", b"User-Agent"]
)  # fmt: skip
parameters = st.lists(
    st.tuples(
        st.sampled_from([b"code", b"state", b"error", b"error_description", b"iss", b"scope"]),
        escaped | one_line,
    ).map(b"=".join),
    max_size=5,
).map(b"&".join)
targets = st.one_of(
    st.tuples(st.just(b"/r/"), escaped | one_line, st.sampled_from([b"", b"/", b"/x", b"?a=b"])).map(b"".join),
    st.tuples(st.sampled_from([b"/oauth/callback", b"/oauth/callback/clio"]), st.just(b"?"), parameters).map(b"".join),
    st.sampled_from([b"/", b"*", b"//evil.example/r/x", b"http://evil.example/", b"/static/../../etc/passwd", b"/metrics",
                     b"/healthz", b"/readyz", b"/static/pages.css", b"/static/logo", b"/%2e%2e/", b"/r/", b"/r//"]),
    one_line,
)  # fmt: skip
methods = st.sampled_from(
    [b"GET", b"POST", b"HEAD", b"OPTIONS", b"PUT", b"TRACE", b"CONNECT", b"get", b"\x00"]
)
requests = st.tuples(methods, targets, st.lists(st.tuples(names, one_line), max_size=5), raw)


_addresses = itertools.count(1)


@pytest.fixture
async def served(rig):
    """The pages on a real socket; the port, and a link that works."""
    await rig.add("acme")
    await rig.look()
    rig.sandbox.do(rig.grants["acme"], "revoke")
    await rig.after(minutes=8)
    assert (await rig.settle("acme"))[0] == "broken"
    configured = rig.parts.loaded.settings
    exposition = Exposition(
        rig.parts.database,
        rig.meters,
        rig.parts.apps,
        rig.clock,
        interval=configured.schedule.interval,
        extent=configured.extent,
    )
    ops = Ops(exposition, lambda: Pulse(True, 0.0, 1, {}), lambda: None)
    pages = build_pages(rig.parts, rig.granter, rig.watching.rounds, rig.meters)
    web = server(application(ops, pages), "127.0.0.1", 0)
    serving = asyncio.create_task(web.serve())
    while not web.started:
        await asyncio.sleep(0.001)  # noqa: TID251 - for a server that is starting
    port = web.servers[0].sockets[0].getsockname()[1]
    yield port, await asking.new(rig.parts, ME, "acme")
    web.should_exit = True
    await serving


async def send(port: int, request: bytes) -> bytes:
    """Send bytes, say that nothing follows, and return all that comes back."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        with contextlib.suppress(ConnectionError):
            writer.write(request)
            writer.write_eof()
            return await asyncio.wait_for(reader.read(), 10)
        return b""
    finally:
        writer.close()


def written(method, target, headers, body):
    head = b"".join(name + b": " + value + b"\r\n" for name, value in headers)
    if not any(name == b"Host" for name, _ in headers):
        head = b"Host: agency.example\r\n" + head
    if not any(name == b"X-Forwarded-For" for name, _ in headers):
        # Each from somewhere else, or the limit for one address would answer all but the first.
        head += b"X-Forwarded-For: 2001:db8:%x::1\r\n" % (next(_addresses) % 0xFFFF)
    return method + b" " + target + b" HTTP/1.1\r\n" + head + b"Connection: close\r\n\r\n" + body


def judged(answer: bytes, logged: list) -> None:
    if answer:
        status = int(answer.split(b" ", 2)[1])
        assert status < 500, answer[:300]
        location = re.search(rb"(?im)^location: *(.*?)\r?$", answer.partition(b"\r\n\r\n")[0])
        assert location is None or not re.search(rb"evil|agency\.example|\[bad", location[1]), location[1]
    assert not [entry for entry in logged if entry["log_level"] in ("error", "critical")], logged


@together
@given(requests)
@example((b"POST", b"/r/x", [(b"Origin", b"http://[bad")], b""))
@example((b"GET", b"/r/x/", [(b"Host", b"evil.example")], b""))
@example((b"GET", b"/r/%00", [], b""))
@example((b"GET", b"/metrics", [], b""))
@example((b"GET", b"/oauth/callback?state=%ff&code=%00", [(b"Cookie", b"th_=\xff")], b""))
@example((b"GET", b"/r/x", [(b"Host", b"[bad")], b""))
@example((b"GET", b"/r/x", [(b"X-Forwarded-For", b"1.2.3.4, \xff, ")], b""))
async def test_any_request_is_answered_in_words(served, sent):
    port, _ = served
    with capture_logs() as logged:
        judged(await send(port, written(*sent)), logged)


@together
@given(st.lists(st.tuples(names, one_line), max_size=4), st.sampled_from([b"GET", b"POST", b"HEAD"]), raw)
async def test_a_link_that_works_leads_nowhere_but_to_the_provider(served, headers, method, body):
    port, link = served
    with capture_logs() as logged:
        answer = await send(port, written(method, link.split("8080", 1)[1].encode(), headers, body))
        judged(answer, logged)
    location = re.search(rb"(?im)^location: *(.*?)\r?$", answer.partition(b"\r\n\r\n")[0])
    assert location is None or re.match(rb"http://127\.0\.0\.1:\d+/us/oauth/authorize\?", location[1])
