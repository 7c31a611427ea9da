"""What really happened to a request, on both transports, against real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from datetime import timedelta

import pytest

from monitor.errors import ConfigurationError
from monitor.health.evidence import Fault, FaultKind
from monitor.secret import Secret
from monitor.wire.client import Reply, Wire
from monitor.wire.settings import HttpSettings

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


@contextlib.asynccontextmanager
async def serving(behave):
    """A socket server; `behave(reader, writer, requests)` is what it does with each connection."""
    requests: list[bytes] = []

    running: dict[asyncio.Task, asyncio.StreamWriter] = {}

    async def handle(reader, writer):
        running[asyncio.current_task()] = writer
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await behave(reader, writer, requests)
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", requests
    finally:
        server.close()
        for task, writer in running.items():
            writer.transport.abort()
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


@pytest.fixture
async def wire():
    found = Wire(HttpSettings(), timeout=timedelta(seconds=0.6), concurrency=10)
    yield found
    await found.close()


async def read_request(reader, requests):
    head = await reader.readuntil(b"\r\n\r\n")
    requests.append(head)
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            requests[-1] += await reader.readexactly(int(line.split(b":")[1]))


async def resets(reader, writer, requests):
    await read_request(reader, requests)
    writer.transport.abort()


async def never_answers(reader, writer, requests):
    await read_request(reader, requests)
    await reader.read()


async def cuts_short(reader, writer, requests):
    await read_request(reader, requests)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{")
    await writer.drain()


async def drips(reader, writer, requests):
    await read_request(reader, requests)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.02)  # noqa: TID251 - the server's own pace


async def speaks_no_tls(reader, writer, requests):
    await reader.read(100)
    writer.write(b"hello\r\n")


async def floods(reader, writer, requests):
    await read_request(reader, requests)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n")
    for _ in range(100):
        writer.write(b"x" * 100_000)
        await writer.drain()


CASES = [
    (resets, FaultKind.RESET, True),
    (never_answers, FaultKind.READ_TIMEOUT, True),
    (cuts_short, FaultKind.TRUNCATED, True),
    (drips, FaultKind.READ_TIMEOUT, True),
    (floods, FaultKind.TOO_LARGE, True),
]


@pytest.mark.parametrize(("behave", "kind", "sent"), CASES, ids=lambda v: getattr(v, "__name__", None))
@pytest.mark.parametrize("transport", ["probe", "token"])
async def test_a_fault_after_the_request_was_read_is_never_called_unsent(wire, transport, behave, kind, sent):
    async with serving(behave) as (url, requests):
        ask = wire.get(url) if transport == "probe" else wire.post_form(url, Secret("a=b"))
        fault = await ask
    assert requests, "the server had read the request"
    assert isinstance(fault, Fault)
    assert fault.kind is kind
    assert fault.perhaps_sent is sent


@pytest.mark.parametrize("transport", ["probe", "token"])
@pytest.mark.parametrize(
    ("url", "kind"),
    [("http://127.0.0.1:1", FaultKind.REFUSED), ("http://nowhere.invalid", FaultKind.DNS)],
)
async def test_what_never_connected_is_certainly_not_sent(wire, transport, url, kind):
    ask = wire.get(url) if transport == "probe" else wire.post_form(url, Secret("a=b"))
    fault = await ask
    assert isinstance(fault, Fault)
    assert fault.kind is kind
    assert not fault.perhaps_sent


@pytest.mark.parametrize("transport", ["probe", "token"])
async def test_a_failed_handshake_is_tls_and_not_sent(wire, transport):
    async with serving(speaks_no_tls) as (url, _):
        tls = url.replace("http:", "https:")
        fault = await (wire.get(tls) if transport == "probe" else wire.post_form(tls, Secret("a=b")))
    assert isinstance(fault, Fault)
    assert fault.kind is FaultKind.TLS
    assert not fault.perhaps_sent


async def test_a_redirect_is_an_answer_and_the_token_stays_here(wire):
    async with serving(never_answers) as (elsewhere, leaked):

        async def redirects(reader, writer, requests):
            await read_request(reader, requests)
            writer.write(
                f"HTTP/1.1 302 Found\r\nLocation: {elsewhere}/\r\nContent-Length: 0\r\n\r\n".encode()
            )

        async with serving(redirects) as (url, _):
            reply = await wire.get(url, Secret("token"))
            posted = await wire.post_form(url, Secret("refresh_token=secret"))
        assert isinstance(reply, Reply) and reply.status == 302
        assert isinstance(posted, Reply) and posted.status == 302
        assert leaked == []


async def test_a_cookie_of_one_client_never_travels_to_the_next(wire):
    async def sets_cookie(reader, writer, requests):
        for _ in range(2):
            await read_request(reader, requests)
            writer.write(OK.replace(b"\r\n\r\n", b"\r\nSet-Cookie: session=acme\r\n\r\n"))

    async with serving(sets_cookie) as (url, requests):
        await wire.get(url, Secret("one"))
        await wire.get(url, Secret("two"))
    assert len(requests) == 2 and b"session=acme" not in requests[1]


async def test_the_environments_proxy_gets_no_bearer_token(monkeypatch):
    async with serving(never_answers) as (proxy, leaked):
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy)

        async def answers(reader, writer, requests):
            await read_request(reader, requests)
            writer.write(OK)

        async with serving(answers) as (url, _):
            wire = Wire(HttpSettings(), timeout=timedelta(seconds=1), concurrency=2)
            assert isinstance(await wire.get(url, Secret("t")), Reply)
            assert isinstance(await wire.post_form(url, Secret("a=b")), Reply)
            await wire.close()
        assert leaked == []


async def test_a_fault_shows_no_secret(wire):
    fault = await wire.get("http://127.0.0.1:1/x?code=c4n4ry", Secret("c4n4ry-token"))
    assert "c4n4ry" not in repr(fault)


def test_a_bad_ca_file_is_one_sentence(tmp_path):
    bad = tmp_path / "ca.pem"
    bad.write_text("not a certificate")
    with pytest.raises(ConfigurationError, match=r"http\.ca_file"):
        Wire(HttpSettings(ca_file=bad), timeout=timedelta(seconds=1), concurrency=1)
    assert ssl.create_default_context() is not None
