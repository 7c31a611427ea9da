"""The end of a process: what was given out once is stored, and no step is skipped because another failed."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import sqlite3
from urllib.parse import urlsplit

import httpx
import pytest
from sqlalchemy import text

from monitor.errors import EndedUncleanly
from monitor.host.shutdown import Shutdown
from monitor.host.trust import trusted
from monitor.operations import links as asking
from monitor.secret import Secret
from monitor.service.process import Service
from monitor.settings.file import load
from monitor.settings.parts import opened
from monitor.store import connections, journal, links
from monitor.store.processes import Role
from tests import conftest
from tests.conftest import ME, environ, postgres_url, rigged


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.asynccontextmanager
async def serving(rig, folder, role=Role.ALL):
    """A service in this process, on the real clock and a port of its own; gives it, its task and its port."""
    port = free_port()
    loaded = load(
        folder / "token-health.toml", environ() | {"TOKEN_HEALTH__WEB__LISTEN": f"127.0.0.1:{port}"}
    )
    usual = gc.get_threshold()
    async with opened(loaded) as parts:
        service = Service(parts, role)
        running = asyncio.create_task(service.run())
        async with httpx.AsyncClient(verify=trusted(None), base_url=f"http://127.0.0.1:{port}") as browser:
            while not running.done():
                with contextlib.suppress(httpx.TransportError):
                    if (await browser.get("/readyz")).status_code == 200:
                        break
                await asyncio.sleep(0.01)  # noqa: TID251 - for a server that starts
            try:
                yield service, running, browser
            finally:
                service.stop()
                with contextlib.suppress(EndedUncleanly):
                    await running
                gc.unfreeze()  # a service calms the collector for good
                gc.set_threshold(*usual)


@pytest.fixture
async def rig_at(tmp_path, sandbox, database_url):
    """A rig with one healthy connection, and its folder."""
    async with rigged(tmp_path, sandbox, database_url, timeout="10s") as rig:
        await rig.add("acme")
        await rig.look()
        yield rig, tmp_path


async def _approved(rig, consent):
    """Approve on the provider's page; return the callback's path and query."""
    user = rig.sandbox.do(rig.grants["acme"], "look")["user"]
    async with httpx.AsyncClient(verify=trusted(None)) as elsewhere:
        answer = await elsewhere.post(consent, data={"user": user, "decision": "approve"})
    back = urlsplit(answer.headers["location"])
    return f"{back.path}?{back.query}"


async def test_a_request_that_is_cut_off_does_not_cut_a_spent_code_from_its_tokens(rig_at):
    rig, _ = rig_at
    link = await asking.new(rig.parts, ME, "acme")
    departure = await rig.granter.start(await links.find(rig.parts.database, Secret(link.rsplit("/", 1)[1])))
    params = dict(httpx.URL(await _approved(rig, departure.url)).params)
    arrive = (departure.state, departure.browser, params, "/oauth/callback")
    async with rig.sandbox.holding("authorization_code") as waits:
        finishing = asyncio.create_task(rig.granter.finish(*arrive))
        await waits()
        finishing.cancel()  # what the web server does to a request that takes too long at the end
        with pytest.raises(asyncio.CancelledError):
            await finishing
    await rig.granter.drain()
    assert (await rig.known("acme")).sealed.version == 1
    again = await rig.granter.finish(*arrive)
    assert (again.arrival.value, again.trip.outcome) == ("reused", "stored")


async def test_a_service_that_is_told_to_stop_finishes_the_exchange_of_a_client(rig_at):
    """The client's page is cut after the web server's three seconds; what was approved is stored all the same."""
    rig, folder = rig_at
    link = urlsplit(await asking.new(rig.parts, ME, "acme")).path
    async with serving(rig, folder) as (service, running, browser):
        consent = (await browser.post(link)).headers["location"]
        back = await _approved(rig, consent)
        async with rig.sandbox.holding("authorization_code") as waits:
            calling = asyncio.create_task(browser.get(back, timeout=30))
            await waits()
            service.stop()
            with contextlib.suppress(httpx.TransportError):
                assert (await calling).status_code >= 500
        await running
    assert (await rig.known("acme")).sealed.version == 1


async def test_a_process_that_only_serves_pages_is_on_the_list_and_drains_too(rig_at):
    rig, folder = rig_at
    async with rig.parts.database.write() as conn:
        await conn.execute(text("DELETE FROM process"))

    async def listed():
        async with rig.parts.database.read() as conn:
            return (await conn.execute(text("SELECT role FROM process"))).scalars().all()

    async with serving(rig, folder, Role.WEB) as (service, running, _):
        while await listed() != ["web"]:
            await asyncio.sleep(0.01)  # noqa: TID251 - a moment after it listens
        service.stop()
        await running
    assert await listed() == []


# -- a database that goes away ------------------------------------------------------------------------


def _psql(command: str) -> None:
    # Not imported by name: a fixture that is would be made a second time for this module, with a server of its own.
    conftest.postgres_server.psql(command)  # type: ignore[attr-defined]


def _gone(url: str) -> None:
    """Throw everybody out of a database, and let nobody in."""
    name = url.partition("?")[0].rpartition("/")[2]
    _psql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    _psql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")  # noqa: S608


def _back(url: str) -> None:
    _psql(f"ALTER DATABASE {url.partition('?')[0].rpartition('/')[2]} ALLOW_CONNECTIONS true")


@pytest.fixture
async def on_postgres(tmp_path, sandbox, postgres_server):
    url = postgres_url(postgres_server)
    async with rigged(tmp_path, sandbox, url) as rig:
        await rig.add("acme")
        await rig.look()
        yield rig, tmp_path, url
        _back(url)


async def test_without_its_database_a_service_still_ends_step_by_step_and_says_so(on_postgres, capsys):
    rig, folder, url = on_postgres
    async with serving(rig, folder) as (service, running, browser):
        _gone(url)
        service.stop()
        with pytest.raises(EndedUncleanly, match="leases, process") as ended:
            await running
        assert ended.value.exit_code == 1
        with pytest.raises(httpx.TransportError):
            await browser.get("/healthz")
    said = capsys.readouterr().out
    assert "shutdown.failed" in said and "step=leases" in said and "step=process" in said
    assert "service.stopped" in said, "the steps after it had their turn"


async def test_a_pair_outlives_a_database_that_is_away_at_that_very_moment(on_postgres):
    rig, _, url = on_postgres
    rig.sandbox.do(rig.grants["acme"], "expire_access")
    async with rig.sandbox.holding() as waits:
        looking = asyncio.create_task(rig.watching.rounds.one("acme"))
        await waits()
        _gone(url)
    failing = asyncio.create_task(rig.watching.refresher.drain())
    await asyncio.wait([failing], timeout=0.5)
    assert not failing.done(), "it holds the pair, and goes on trying"
    _back(url)
    await failing
    await looking
    assert (await connections.show(rig.parts.database, "acme")).sealed.version == 1
    assert await journal.unfinished(rig.parts.database, "acme") is None


async def test_a_locked_file_keeps_no_step_from_its_turn(tmp_path, sqlite_url, sandbox, monkeypatch):
    async with rigged(tmp_path, sandbox, sqlite_url) as rig:
        await rig.add("acme")
        await rig.look()
        monkeypatch.setattr("monitor.watching.ticks.LAST_WORDS", 0.1)
        with contextlib.closing(sqlite3.connect(tmp_path / "th.db", isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            with pytest.raises(EndedUncleanly, match="leases, process"):
                await asyncio.wait_for(rig.watching.ticks.stop(), 5)
            other.execute("ROLLBACK")


async def test_every_step_of_an_end_has_its_turn_whatever_the_others_do():
    done = []

    async def works(name):
        done.append(name)

    async def breaks():
        raise ValueError("ours")

    async def hangs():
        await asyncio.Event().wait()

    shutdown = Shutdown()
    await shutdown.step("first", works("first"), 9)
    await shutdown.step("second", breaks(), 9)
    await shutdown.step("third", hangs(), 0)
    await shutdown.step("fourth", works("fourth"), 0)
    assert done == ["first", "fourth"] and shutdown.failed == ["second", "third"]
    with pytest.raises(EndedUncleanly, match="second, third"):
        shutdown.check()
