"""Token Health for asyncio, over an httpx.AsyncClient of yours; httpx itself is not imported."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable
from types import TracebackType
from typing import Any, Callable, Optional

from token_health_client._client import LAST_WORDS, _token
from token_health_client._core import Core, Outcome, Step, Talk, Terms, checked
from token_health_client._evidence import signal_of
from token_health_client._outbox import EVERY, Outbox
from token_health_client._token import Token
from token_health_client._values import Heard, Lost, Request, Rest
from token_health_client._wire import BYTES, Address, Key, lost

log = logging.getLogger("token_health_client")
# httpx's names for a kept connection that the server has closed meanwhile, and for no connection at all.
_CLOSED = ("RemoteProtocolError", "ReadError", "WriteError", "CloseError")
_NOT_CONNECTED = ("ConnectError", "ConnectTimeout", "PoolTimeout", "UnsupportedProtocol", "ProxyError")


class AsyncTokenHealth:
    """As TokenHealth, for one event loop.

    Args:
        url: as of TokenHealth.
        key: as of TokenHealth.
        http: an `httpx.AsyncClient`; it stays yours to close, after this object.
        min_ttl, stale_if_down, accept_ttl, wait, margin: as of TokenHealth.
        clock, sleep, chance: for tests.
    """

    def __init__(
        self,
        url: str,
        key: str,
        http: Any,
        min_ttl: int = 300,
        stale_if_down: float = 30,
        *,
        accept_ttl: Optional[int] = None,
        wait: int = 15,
        margin: float = 5,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        terms = Terms(min_ttl, accept_ttl, wait, stale_if_down, margin)
        self._address = Address.of(url)
        self._key = Key(key)
        self._http = http
        self._core = Core(terms, clock, chance)
        self._sleep = sleep
        self._flights: dict[str, tuple[str, asyncio.Task[Outcome]]] = {}
        self._outbox = Outbox(clock, margin)
        self._sender: Optional[asyncio.Task[None]] = None
        self._closed = False

    def __repr__(self) -> str:
        return f"AsyncTokenHealth({str(self._address)!r})"

    async def token(self, connection: str) -> Token:
        """As TokenHealth.token."""
        found = self._open().at_hand(checked(connection))
        if found is None:
            found = await self._once(connection, "read", self._core.read(connection))
        return _token(found)

    async def refused(self, token: Token, answer: object, scope: Optional[str] = None) -> Token:
        """As TokenHealth.refused."""
        signal = signal_of("unauthorized", token, answer, scope)
        talk = self._open().refused(token, signal)
        return _token(await self._once(token.connection, f"refused {token.generation}", talk))

    def saw(self, token: Token, answer: object, scope: Optional[str] = None) -> None:
        """As TokenHealth.saw; call it on the event loop. Never raises, never waits."""
        try:
            noted = not self._closed and self._outbox.note(token, answer, scope, self._core.server_now())
            if noted and self._sender is None:
                self._sender = asyncio.get_running_loop().create_task(self._send_often())
        except Exception as error:
            log.debug("a signal was not taken: %s", type(error).__name__)

    async def wait_until_mended(self, connection: str, seconds: float) -> Token:
        """As TokenHealth.wait_until_mended."""
        return _token(await self._hold(self._open().mended(checked(connection), seconds)))

    def forget(self, connection: str) -> None:
        """As TokenHealth.forget; call it on the event loop."""
        self._open().ask_anew(checked(connection))
        self._flights.pop(connection, None)

    async def flush(self) -> None:
        """Send the signals that wait, now. Never raises."""
        try:
            while True:
                batch = self._outbox.take()
                if not batch:
                    return
                if not self._outbox.settle(batch, await self._send(self._outbox.request(batch))):
                    return
        except Exception as error:
            log.debug("signals were not sent: %s", type(error).__name__)

    async def close(self) -> None:
        """As TokenHealth.close."""
        self._closed = True
        sender, self._sender = self._sender, None
        if sender is not None:
            sender.cancel()
            await asyncio.wait([sender])
        try:
            await asyncio.wait_for(self.flush(), LAST_WORDS)
        except asyncio.TimeoutError:
            log.debug("signals were not sent in time")
        self._core.forget()

    async def __aenter__(self) -> AsyncTokenHealth:
        return self

    async def __aexit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        await self.close()

    def _open(self) -> Core:
        if self._closed:
            raise RuntimeError("this AsyncTokenHealth is closed")
        return self._core

    async def _once(self, connection: str, purpose: str, talk: Talk) -> Outcome:
        """Hold a talk in a task of its own, or share another's: a caller that goes away cancels nothing."""
        while True:
            flying = self._flights.get(connection)
            if flying is None:
                task = asyncio.get_running_loop().create_task(self._hold(talk))
                flying = self._flights[connection] = (purpose, task)
                task.add_done_callback(lambda done: self._land(connection, done))
            outcome = await asyncio.shield(flying[1])
            if flying[0] == purpose:
                return outcome

    def _land(self, connection: str, task: asyncio.Task[Outcome]) -> None:
        flying = self._flights.get(connection)
        if flying is not None and flying[1] is task:
            del self._flights[connection]

    async def _hold(self, talk: Talk) -> Outcome:
        heard: Optional[Heard] = None
        while True:
            try:
                step: Step = talk.send(heard)
            except StopIteration as end:
                outcome: Outcome = end.value
                return outcome
            if isinstance(step, Rest):
                heard = None
                await self._sleep(step.seconds)
            else:
                heard = await self._send(step)

    async def _send(self, request: Request) -> Heard:
        """Send a request and read its answer; what goes wrong is a value, not an exception."""
        try:
            return await asyncio.wait_for(self._exchange_twice(request), request.seconds)
        except asyncio.TimeoutError:
            return Lost("no whole answer in time", connected=True)
        except Exception as error:
            return lost(error, connected=type(error).__name__ not in _NOT_CONNECTED)

    async def _exchange_twice(self, request: Request) -> Heard:
        try:
            return await self._exchange(request)
        except Exception as error:
            if type(error).__name__ not in _CLOSED:
                raise
        return await self._exchange(request)

    async def _exchange(self, request: Request) -> Heard:
        answer = self._http.stream(
            request.method,
            self._address.url(request),
            headers=self._key.headers(request),
            content=request.body,
            timeout=request.seconds,
            auth=None,
            follow_redirects=False,
        )
        async with answer as response:
            body = b""
            async for piece in response.aiter_bytes():
                body += piece
                if len(body) > BYTES:
                    return Lost("an answer of more than a megabyte", connected=True)
            return self._key.without(response.status_code, list(response.headers.items()), body)

    async def _send_often(self) -> None:
        while True:
            await asyncio.sleep(EVERY)
            await self.flush()
