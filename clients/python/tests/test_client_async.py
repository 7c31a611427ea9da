"""Token Health for asyncio: the same thinking, over an httpx client."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from conftest import KEY
from played import needs_person, problem, stranger

from token_health_client import AsyncTokenHealth, NeedsPerson, StillRefused, TryLater, Unreachable


@pytest.fixture
def run(server, clock):
    """Run a test's coroutine with a client of the server."""

    async def sleep(seconds):
        clock.sleep(seconds)

    def _run(body, url=None, **client):
        async def whole():
            async with (
                httpx.AsyncClient(**client) as http,
                AsyncTokenHealth(
                    url or server.url, KEY, http, clock=clock, sleep=sleep, chance=lambda: 0.0
                ) as th,
            ):
                return await body(th)

        return asyncio.run(whole())

    return _run


def test_fifty_tasks_and_one_connection_make_one_request(run, server):
    async def body(th):
        got = await asyncio.gather(*(th.token("acme-clio") for _ in range(50)))
        assert {one.generation for one in got} == {17}
        assert await th.token("acme-clio") is got[0]
        assert repr(th) == f"AsyncTokenHealth('{server.url}')"

    run(body, auth=("somebody", "else"), follow_redirects=True)
    assert len(server.asked) == 1
    assert server.asked[0].headers["authorization"] == f"Bearer {KEY}"


def test_a_caller_that_goes_away_cancels_nothing(run, server):
    async def body(th):
        first = asyncio.ensure_future(th.token("acme-clio"))
        second = asyncio.ensure_future(th.token("acme-clio"))
        await asyncio.sleep(0)
        first.cancel()
        assert (await second).generation == 17

    run(body)
    assert len(server.asked) == 1


def test_problems_are_told_and_remembered(run, server, clock):
    server.always["token"] = needs_person()

    async def body(th):
        for _ in range(2):
            with pytest.raises(NeedsPerson):
                await th.token("acme-clio")
        del server.always["token"]
        assert (await th.wait_until_mended("acme-clio", 60)).generation == 17

    run(body)
    assert len(server.asked) == 2


def test_a_refused_token_is_replaced_or_refused_still(run, server):
    async def body(th):
        token = await th.token("acme-clio")
        with pytest.raises(StillRefused):
            await th.refused(token, httpx.Response(401))
        server.at_look = lambda: setattr(server.connections["acme-clio"], "generation", 18)
        assert {
            one.generation for one in await asyncio.gather(*(th.refused(token, 401) for _ in range(9)))
        } == {18}

    run(body)
    assert [one.method for one in server.asked].count("POST") == 2


def test_an_outage_is_bridged_and_signals_arrive_at_the_end(run, server, clock):
    async def body(th):
        token = await th.token("acme-clio")
        th.saw(token, 200)
        server.always["token"] = problem(503, "database_unavailable")
        clock.tick(3400)
        assert await th.token("acme-clio") is token
        th.saw(token, httpx.Response(403, text="no"))
        th.saw(None, object())

    run(body)
    assert [(one["kind"], one["answer"].get("body")) for one in server.signals] == [("forbidden", "no")]


def shout(sock):
    sock.recv(65_536)
    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n" + b" " * 9_000_000)


def redirect(sock):
    sock.recv(65_536)
    sock.sendall(b"HTTP/1.1 302 X\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n")


@pytest.mark.parametrize("talk", [shout, redirect, lambda sock: sock.recv(9)])
def test_strangers_are_no_token_health(run, talk):
    async def body(th):
        with pytest.raises(Unreachable):
            await th.token("acme-clio")

    with stranger(talk) as url:
        run(body, url, follow_redirects=True)


def test_a_connection_that_was_closed_meanwhile_is_opened_anew(run, server):
    served = []

    def closing(sock):
        sock.recv(65_536)
        served.append(1)
        if len(served) > 1:
            body = b'{"connection": "acme-clio", "access_token": "x", "generation": 3, "expires_in": 900}'
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    async def body(th):
        assert (await th.token("acme-clio")).generation == 3

    with stranger(closing) as url:
        run(body, url)


def test_nobody_there(run):
    async def body(th):
        for name in ("acme-clio", "globex"):
            with pytest.raises(TryLater) as caught:
                await th.token(name)
            assert caught.value.seconds == 5

    run(body, "http://127.0.0.1:1")


def test_closed_is_closed(run):
    async def body(th):
        await th.close()
        with pytest.raises(RuntimeError):
            await th.token("acme-clio")

    run(body)


def test_whoever_hears_that_it_works_again_asks_anew(run, server):
    async def body(th):
        server.next = [needs_person("acme-clio")]
        for _ in range(2):
            with pytest.raises(NeedsPerson):
                await th.token("acme-clio")
        th.forget("acme-clio")
        assert (await th.token("acme-clio")).generation == 17

    run(body)
    assert len(server.asked) == 2
