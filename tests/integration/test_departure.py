"""Whether a request left, for everything that can happen before, during and after; on both transports.

The lacks are real: descriptors are taken by setrlimit, and threads are refused where Python starts them.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from monitor.health.evidence import Fault, FaultKind
from monitor.health.rotation import Journal
from monitor.secret import Secret
from monitor.store import journal
from monitor.tokens.insist import insist
from monitor.wire.client import Wire
from monitor.wire.settings import HttpSettings
from tests.conftest import SetClock
from tests.descriptors import none_left
from tests.integration.test_wire import never_answers, read_request, serving

BOTH = pytest.mark.parametrize("transport", ["probe", "token"])


@pytest.fixture
async def wire():
    found = Wire(HttpSettings(), timeout=timedelta(seconds=0.6), concurrency=10)
    yield found
    await found.close()


def ask(wire, transport, url, sent="a=b"):
    return wire.get(url, Secret(sent)) if transport == "probe" else wire.post_form(url, Secret(sent))


def was(found, kind, *, left):
    assert isinstance(found, Fault), found
    assert (found.kind, found.perhaps_sent) == (kind, left), found
    return found


@BOTH
async def test_no_descriptor_for_the_connection_is_ours_and_nothing_was_sent(wire, transport):
    async with serving(never_answers) as (url, requests):
        with none_left():
            fault = await ask(wire, transport, url)
    assert "file descriptors" in was(fault, FaultKind.EXHAUSTED, left=False).detail
    assert requests == []


@BOTH
@pytest.mark.parametrize("spare", [0, 1, 2, 3])
async def test_no_descriptor_for_the_resolver_is_not_called_an_unknown_name(wire, transport, spare):
    async with serving(never_answers) as (url, _):
        with none_left(spare):
            fault = await ask(wire, transport, url.replace("127.0.0.1", "localhost"))
    assert isinstance(fault, Fault)
    if spare == 0:
        was(fault, FaultKind.EXHAUSTED, left=False)
    assert fault.kind is not FaultKind.DNS


@BOTH
async def test_no_thread_for_the_resolver_is_ours(wire, transport, monkeypatch):
    # A fresh executor, so that no idle thread of it is at hand.
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor())

    def refused(_thread):
        raise RuntimeError("can't start new thread")

    async with serving(never_answers) as (url, requests):
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", refused)
            fault = await ask(wire, transport, url.replace("127.0.0.1", "localhost"))
    assert "threads" in was(fault, FaultKind.EXHAUSTED, left=False).detail
    assert requests == []


@BOTH
async def test_a_handshake_that_never_ends_has_sent_nothing(wire, transport):
    async with serving(lambda reader, _writer, _requests: reader.read()) as (url, _):
        fault = await ask(wire, transport, url.replace("http:", "https:"))
    was(fault, FaultKind.CONNECT_TIMEOUT, left=False)


@BOTH
async def test_a_server_that_does_not_accept_has_got_nothing(wire, transport):
    """Its queue is full, so that connecting itself takes too long."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(socket.socket())
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                waiting.connect(server.getsockname())
        fault = await ask(wire, transport, f"http://127.0.0.1:{server.getsockname()[1]}")
    was(fault, FaultKind.CONNECT_TIMEOUT, left=False)


async def test_a_connection_cut_in_the_middle_of_the_request_may_have_brought_it(wire):
    async def reads_a_little(reader, writer, requests):
        requests.append(await reader.readexactly(10))
        writer.transport.abort()

    async with serving(reads_a_little) as (url, requests):
        fault = await ask(wire, "token", url, "a=" + "b" * 4_000_000)
    was(fault, FaultKind.RESET, left=True)
    assert requests


@BOTH
async def test_a_request_that_cannot_be_written_as_http_has_not_left(wire, transport):
    async with serving(never_answers) as (url, requests):
        if transport == "probe":
            fault = await wire.get(url, Secret("two\r\nlines"))
        else:
            fault = await wire.post_form(url, Secret("a=b"), Secret("Basic two\r\nlines"))
    was(fault, FaultKind.OURS, left=False)
    assert requests == [] and "two" not in repr(fault)


@BOTH
async def test_memory_that_runs_out_while_the_answer_is_read_leaves_the_request_sent(
    wire, transport, monkeypatch
):
    async def answers(reader, writer, requests):
        await read_request(reader, requests)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    def no_memory(*_args, **_more):
        raise MemoryError

    async with serving(answers) as (url, requests):
        monkeypatch.setattr("monitor.wire.client.Reply", no_memory)
        fault = await ask(wire, transport, url)
    assert "memory" in was(fault, FaultKind.EXHAUSTED, left=True).detail
    assert requests


@BOTH
async def test_a_tunnel_that_a_proxy_refuses_has_carried_nothing(transport):
    """What was sent is a question to the proxy, not the request."""

    async def refuses(reader, writer, requests):
        await read_request(reader, requests)
        writer.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")

    async with serving(refuses) as (proxy, requests):
        wire = Wire(HttpSettings(proxy=proxy), timeout=timedelta(seconds=1), concurrency=2)
        fault = await ask(wire, transport, "https://provider.example")
        await wire.close()
    was(fault, FaultKind.UNREACHABLE, left=False)
    assert requests[0].startswith(b"CONNECT")


async def test_idle_connections_to_many_hosts_stay_within_what_was_counted():
    async def answers(reader, writer, requests):
        while True:
            await read_request(reader, requests)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    wire = Wire(HttpSettings(), timeout=timedelta(seconds=2), concurrency=3)
    async with contextlib.AsyncExitStack() as stack:
        urls = [(await stack.enter_async_context(serving(answers)))[0] for _ in range(6)]
        for url in urls:
            await wire.get(url)
        assert sum(len(idle) for idle in wire._probes.client.connector._conns.values()) <= 3
        await wire.close()


async def test_a_refresh_that_met_our_own_lack_is_in_no_doubt_and_its_client_is_untouched(platform):
    """The finding of the attack: idle sockets took the descriptors, and a rotated pair was believed lost."""
    platform.sandbox.app("plat", lifetime=3600)
    await platform.add("acme", app="plat")
    await platform.look()
    platform.clock.tick(minutes=58)
    with none_left():
        for _ in range(3):
            await platform.after(seconds=31)
    known = await platform.known("acme")
    assert (known.health.state.value, known.sealed.doubt, known.sealed.lost) == ("healthy", None, False)
    outcomes = {entry.outcome for entry in await journal.last(platform.parts.database, "acme")}
    assert outcomes == {Journal.NOT_SENT}
    assert platform.meters.tick_errors.labels("exhausted")._value.get() > 0, "on-call hears that it is ours"
    await platform.after(seconds=31)
    assert (await platform.known("acme")).sealed.version == 1, "with descriptors it is refreshed"


async def test_what_only_memory_holds_is_written_when_there_are_threads_again():
    tries = []

    async def write():
        tries.append(1)
        if len(tries) < 3:
            raise RuntimeError("can't start new thread")
        return "stored"

    assert await insist(SetClock(), "acme", write) == "stored"
