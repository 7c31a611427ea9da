"""The listener's own limits, against the real server: what is slow, too large, too many or nonsense."""

from __future__ import annotations

import asyncio
import contextlib
import time

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

from monitor.web import app as web
from monitor.web import door
from tests.descriptors import none_left

HALF = b"GET /r/abc HTTP/1.1\r\nHost: x\r\nX-Slow: "
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


async def hello(request):
    return PlainTextResponse(request.client.host)


async def endless(request):
    async def chunks():
        while True:
            yield b"x" * 65536
            await asyncio.sleep(0)  # noqa: TID251 - lets the loop turn

    return StreamingResponse(chunks())


@contextlib.asynccontextmanager
async def listening(connections=20, proxies=("127.0.0.1",)):
    app = Starlette(routes=[Route("/", hello), Route("/endless", endless)])
    server = web.server(web.SafeHeaders(web.Sizes(app)), "127.0.0.1", 0, proxies, connections)
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.005)  # noqa: TID251 - a real server starts
    server.keeper = server.config.http_protocol_class.args[0]
    try:
        yield server, server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await task


@pytest.fixture
def impatient(monkeypatch):
    for name in ("HEAD_SECONDS", "BODY_SECONDS", "ANSWER_SECONDS"):
        monkeypatch.setattr(door, name, 0.2)


async def ask(port, request=GET):
    """Send bytes, and return all that comes back until the other end closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    try:
        return await asyncio.wait_for(reader.read(), 5)
    except ConnectionError:
        return b""
    finally:
        writer.close()


@pytest.mark.parametrize(
    "sent",
    [b"", b"GET", HALF, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc",
     b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"],
    ids=["nothing", "a word", "half a head", "half a body", "half a chunk"],
)  # fmt: skip
async def test_a_request_that_does_not_arrive_is_cut_off(impatient, sent):
    async with listening() as (server, port):
        await ask(port, sent)  # returns when the server closes
        assert len(server.keeper) == 0


async def test_a_drip_of_bytes_wins_no_time(impatient):
    async with listening() as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(HALF)

        async def drip():
            with contextlib.suppress(ConnectionError):
                while True:
                    writer.write(b"a")
                    await writer.drain()
                    await asyncio.sleep(0.02)  # noqa: TID251 - the attacker's pace

        dripping = asyncio.create_task(drip())
        with contextlib.suppress(ConnectionError):
            assert await asyncio.wait_for(reader.read(), 5) == b""
        dripping.cancel()
        writer.close()


async def test_who_does_not_read_the_answer_is_cut_off(impatient):
    async with listening() as (server, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        writer.write(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readexactly(100)
        async with asyncio.timeout(5):
            while len(server.keeper):
                await asyncio.sleep(0.02)  # noqa: TID251 - a real time-out of the server's
        writer.close()


async def test_a_hundred_half_sent_requests_shut_nobody_out():
    async with listening(connections=10) as (server, port):
        held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(100)]
        for _, writer in held:
            writer.write(HALF)
        assert (await ask(port, GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))).endswith(
            b"127.0.0.1"
        )
        assert len(server.keeper) <= 10
        for _, writer in held:
            writer.close()


async def test_the_address_that_holds_most_makes_room_first():
    keeper = door.Keeper(3)

    class Waiting:
        phase, loop = door.Phase.HEAD, asyncio.get_running_loop()

        def __init__(self, peer):
            self.peer = peer

        def turn_out(self):
            turned_out.append(self)
            keeper.leave(self)

    turned_out = []
    once, *many = [Waiting(peer) for peer in ("192.0.2.1", "192.0.2.9", "192.0.2.9")]
    for one in (once, *many):
        assert keeper.admit(one)
    assert keeper.admit(Waiting("192.0.2.2"))
    assert turned_out == [many[0]], "not the oldest of all, but the oldest of the greedy"


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n" % (b"a" * 9000), b"414"),
        (b"GET /?a=%s HTTP/1.1\r\nHost: x\r\n\r\n" % (b"a" * 9000), b"414"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: %s\r\n\r\n" % (b"a" * 17000), b"431"),
        (b"GET / HTTP/1.1\r\nHost: x\r\n%s\r\n" % (b"A: b\r\n" * 200), b"431"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n", b"413"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000000000000000\r\n\r\n", b"40"),
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET /\x00 HTTP/1.1\r\nHost: x\r\n\r\n", b"400"),
        (b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", b"400"),
    ],
)
async def test_what_is_too_large_or_no_http_is_refused_in_a_word(request_, status, caplog):
    async with listening() as (_, port):
        answer = await ask(port, request_.replace(b"Host: x\r\n", b"Host: x\r\nConnection: close\r\n", 1))
    assert answer.split(b" ")[1].startswith(status) or status == b"40", answer[:80]
    assert not caplog.records, "what strangers send wrong does not fill the log"


async def test_a_flood_of_chunks_is_cut_off():
    async with listening() as (server, port):
        flood = (
            b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
            + b"10000\r\n"
            + b"x" * 200_000
        )
        await ask(port, flood)
        assert len(server.keeper) == 0


async def test_nonsense_in_the_middle_of_a_request_is_cut_off_without_a_traceback(caplog):
    async with listening() as (_, port):
        await ask(port, b"POST /endless HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
        assert (await ask(port, GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))).startswith(
            b"HTTP/1.1 200"
        )
    assert "Traceback" not in caplog.text


async def test_without_a_descriptor_the_listener_neither_ends_nor_spins():
    async with listening() as (_, port):
        with none_left(1):  # the caller's own socket; there is none left to accept it with
            waiting = asyncio.create_task(
                ask(port, GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
            )
            began = time.process_time()
            await asyncio.sleep(0.3)  # noqa: TID251 - real time, for a real loop to spin in
            assert time.process_time() - began < 0.2
        assert (await waiting).endswith(b"127.0.0.1") or (await ask(port)).startswith(b"HTTP/1.1 200")
