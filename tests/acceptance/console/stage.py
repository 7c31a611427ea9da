"""The console of the scene, served by this process on a loop of its own, for browsers and for pictures."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import httpx

from monitor.metrics.meters import Meters
from monitor.service.api import build_around, build_console
from monitor.settings.builders import build_watching, build_wire
from monitor.settings.file import load
from monitor.settings.parts import opened
from monitor.store.processes import Role
from monitor.tokens.vault import new_key, write_key_file
from monitor.web.api.app import build
from monitor.web.api.streams import Streams
from monitor.web.app import application, server
from monitor.web.doorkeeper import Doorkeeper
from monitor.web.signin import SignIn
from tests.acceptance.console import scene
from tests.acceptance.console.scene import Scene
from tests.conftest import running_mailbox

T = TypeVar("T")


class Stage:
    """A running service, and what it runs on. Whoever comes from this machine is its administrator."""

    def __init__(self) -> None:
        self.url = ""
        self.scene: Scene
        self.streams: Streams
        self._loop = asyncio.new_event_loop()
        self._over = asyncio.Event()
        self._ready = threading.Event()
        self._failed: BaseException | None = None

    def start(self, folder: Path, database: str) -> None:
        """Play the scene and serve; return when it can be asked."""
        write_key_file(folder / "token-health.key", [new_key()])
        self._thread = threading.Thread(target=self._run, args=(folder, database), daemon=True)
        self._thread.start()
        self._ready.wait(60)
        if self._failed is not None:
            raise self._failed

    def do(self, work: Callable[[Scene], Awaitable[T]]) -> T:
        """Do something to the scene, on its own loop."""

        async def now() -> T:
            return await work(self.scene)

        return asyncio.run_coroutine_threadsafe(now(), self._loop).result(30)

    def until(self, true: Callable[[], bool]) -> None:
        """Wait until something is so."""

        async def wait(_: Scene) -> None:
            while not true():
                await asyncio.sleep(0.02)  # noqa: TID251 - a real server, and a real browser

        self.do(wait)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(10)

    def cookie(self, name: str) -> dict[str, Any]:
        """Sign somebody in, and return the cookie of their session as a browser keeps it."""
        form = {"name": name, "password": scene.PASSWORD, "next": "/"}
        answer = httpx.post(f"{self.url}/sign-in", data=form, headers={"sec-fetch-site": "same-origin"})
        assert answer.status_code == 303, answer.text
        return {"name": "th", "value": answer.cookies["th"], "url": self.url}

    def _run(self, folder: Path, database: str) -> None:
        try:
            self._loop.run_until_complete(self._serve(folder, database))
        except BaseException as error:
            self._failed = error
        finally:
            self._ready.set()
            self._loop.close()

    async def _serve(self, folder: Path, database: str) -> None:
        async with contextlib.AsyncExitStack() as stack:
            mailbox = await stack.enter_async_context(running_mailbox())
            loaded = load(scene.config(folder, mailbox.url, database), scene.ENVIRON)
            clock = scene.clock()
            parts = await stack.enter_async_context(opened(loaded, clock))
            self.scene = await scene.play(parts, clock, mailbox)
            meters = Meters()
            wire = build_wire(parts)
            stack.push_async_callback(wire.close)
            watching = build_watching(parts, wire, meters, "scene", Role.WEB)
            keeper = Doorkeeper(parts, "127.0.0.1")
            around = build_around(parts, keeper, meters, watching.rounds, watching)
            app = application(
                None, None, parts.loaded.settings.web.names, sign_in=SignIn(parts, keeper), api=build(around),
                console=build_console(around, keeper),
            )  # fmt: skip
            self.streams = around.works[Streams]
            web = server(app, "127.0.0.1", 0)
            serving = asyncio.create_task(web.serve())
            while not web.started:
                await asyncio.sleep(0.01)  # noqa: TID251 - a real server
            self.url = f"http://127.0.0.1:{web.servers[0].sockets[0].getsockname()[1]}"
            self._ready.set()
            await self._over.wait()
            self.streams.stop()
            web.should_exit = True
            await serving


@contextlib.contextmanager
def staged(folder: Path, database: str) -> Iterator[Stage]:
    """Serve the scene over a database that has its schema."""
    found = Stage()
    found.start(folder, database)
    try:
        yield found
    finally:
        found.stop()
