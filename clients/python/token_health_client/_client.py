"""Token Health for threads."""

from __future__ import annotations

import atexit
import logging
import os
import random
import threading
import time
import weakref
from types import TracebackType
from typing import Callable, Optional

from token_health_client._core import Core, Outcome, Step, Talk, Terms, checked
from token_health_client._errors import TokenHealthError, error_of
from token_health_client._evidence import signal_of
from token_health_client._outbox import EVERY, Outbox
from token_health_client._token import Token
from token_health_client._values import Heard, Rest
from token_health_client._wire import Address, Key, Wire

log = logging.getLogger("token_health_client")
LAST_WORDS = 5.0  # seconds that close() gives to signals that still wait


class TokenHealth:
    """Access tokens of your connections: one object a process, for all of its threads.

    Args:
        url: where Token Health is, `https://host[:port][/prefix]`; no proxy is used, no redirect followed.
        key: an API key with `tokens:read`, and `signals:write` for `refused` and `saw`.
        min_ttl: seconds of life a token should have left, up to 24 h.
        stale_if_down: a token at hand with more seconds left is used while Token Health is in trouble.
        accept_ttl: what is taken when it cannot be renewed just now; 60 s if unsaid, `min_ttl` is strict.
        wait: seconds that Token Health may take to renew a token, up to 60.
        margin: seconds added to each wait before a server that does not answer is given up.
        cafile: PEM file of the authority that signed Token Health's certificate, instead of the system's.
        clock, sleep, chance: for tests.
    """

    def __init__(
        self,
        url: str,
        key: str,
        min_ttl: int = 300,
        stale_if_down: float = 30,
        *,
        accept_ttl: Optional[int] = None,
        wait: int = 15,
        margin: float = 5,
        cafile: Optional[str] = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        terms = Terms(min_ttl, accept_ttl, wait, stale_if_down, margin)
        self._address = Address.of(url)
        self._wire = Wire(self._address, Key(key), cafile)
        self._core = Core(terms, clock, chance)
        self._sleep = sleep
        self._flights = _Flights()
        self._outbox = Outbox(clock, margin)
        self._sender = _Sender(self._outbox, self._wire)
        self._closed = False
        # Nobody holds this object any more: the thread sends what waits, then ends. Nothing waits for it.
        weakref.finalize(self, self._sender.leave).atexit = False
        _ALIVE.add(self)

    def __repr__(self) -> str:
        return f"TokenHealth({str(self._address)!r})"

    def token(self, connection: str) -> Token:
        """Return a token with `min_ttl` left, from memory or from Token Health.

        Raises:
            NeedsPerson: no token until a person acts.
            TryLater: it passes; Unreachable if Token Health did not answer.
            Rejected: Unauthorized, Forbidden, NotFound, NotCustodian and what else no waiting cures.
        """
        found = self._open().at_hand(checked(connection))
        if found is None:
            found = self._once(connection, "read", self._core.read(connection))
        return _token(found)

    def refused(self, token: Token, answer: object, scope: Optional[str] = None) -> Token:
        """Return the token that replaces one which the provider has just refused; Token Health looks first.

        Args:
            token: the token that was sent.
            answer: the provider's: of requests, httpx, urllib, or just its status.
            scope: the scope that the refused request needed, where you know it.

        Raises:
            StillRefused: there is no other; `looked` is what Token Health saw.
            TokenHealthError: as `token` does.
        """
        signal = signal_of("unauthorized", token, answer, scope)
        talk = self._open().refused(token, signal)
        return _token(self._once(token.connection, f"refused {token.generation}", talk))

    def saw(self, token: Token, answer: object, scope: Optional[str] = None) -> None:
        """Tell Token Health, seconds later, how a provider answered to a token. Never raises, never waits."""
        try:
            if not self._closed and self._outbox.note(token, answer, scope, self._core.server_now()):
                self._sender.wake()
        except Exception as error:
            log.debug("a signal was not taken: %s", type(error).__name__)

    def wait_until_mended(self, connection: str, seconds: float) -> Token:
        """Return another token than the one at hand as soon as there is one, at most `seconds` from now.

        Raises:
            TokenHealthError: what still stands in the way then; at once where no waiting cures it.
        """
        return _token(self._hold(self._open().mended(checked(connection), seconds)))

    def forget(self, connection: str) -> None:
        """Ask anew at the next call: for whoever hears that something changed, as by a webhook."""
        self._open().ask_anew(checked(connection))
        self._flights.leave_alone(connection)

    def flush(self) -> None:
        """Send the signals that wait, now and here. Never raises."""
        self._sender.send_all()

    def close(self) -> None:
        """Send what waits, for 5 s at most; forget every token. More than once does no harm."""
        self._closed = True
        self._sender.leave()
        self._sender.join(LAST_WORDS)
        self._wire.close()
        self._core.forget()

    def __enter__(self) -> TokenHealth:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.close()

    def _open(self) -> Core:
        if self._closed:
            raise RuntimeError("this TokenHealth is closed")
        return self._core

    def _once(self, connection: str, purpose: str, talk: Talk) -> Outcome:
        """Hold a talk, or share the outcome of another thread's: one a connection at a time."""
        while True:
            flight, leads = self._flights.board(connection, purpose)
            if leads:
                try:
                    flight.outcome = self._hold(talk)
                finally:
                    self._flights.land(connection, flight)
                return flight.outcome
            flight.landed.wait()
            if flight.purpose == purpose and flight.outcome is not None:
                return flight.outcome

    def _hold(self, talk: Talk) -> Outcome:
        heard: Optional[Heard] = None
        while True:
            try:
                step: Step = talk.send(heard)
            except StopIteration as end:
                outcome: Outcome = end.value
                return outcome
            if isinstance(step, Rest):
                heard = None
                self._sleep(step.seconds)
            else:
                heard = self._wire.send(step)

    def _after_fork(self) -> None:
        self._flights = _Flights()
        self._wire.after_fork()
        self._outbox.after_fork()
        self._sender.after_fork()


def _token(outcome: Outcome) -> Token:
    if isinstance(outcome, Token):
        return outcome
    error: TokenHealthError = error_of(outcome)
    raise error


class _Flight:
    """A talk that somebody holds; without an outcome when landed, its holder was torn away."""

    def __init__(self, purpose: str) -> None:
        self.purpose = purpose
        self.landed = threading.Event()
        self.outcome: Optional[Outcome] = None


class _Flights:
    """One talk a connection at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._flying: dict[str, _Flight] = {}

    def board(self, connection: str, purpose: str) -> tuple[_Flight, bool]:
        """Return the flight of a connection, and whether the caller leads it."""
        with self._lock:
            flight = self._flying.get(connection)
            if flight is not None:
                return flight, False
            flight = self._flying[connection] = _Flight(purpose)
            return flight, True

    def leave_alone(self, connection: str) -> None:
        """Let nobody join the flight of a connection any more; who has, hears how it ends."""
        with self._lock:
            self._flying.pop(connection, None)

    def land(self, connection: str, flight: _Flight) -> None:
        """End a flight and wake who waits for it."""
        with self._lock:
            if self._flying.get(connection) is flight:
                del self._flying[connection]
        flight.landed.set()


class _Sender:
    """A daemon thread that empties the outbox every 5 s; it begins with the first signal."""

    def __init__(self, outbox: Outbox, wire: Wire) -> None:
        self._outbox = outbox
        self._wire = wire
        self.after_fork()

    def after_fork(self) -> None:
        """In a child there is no thread any more; the next signal begins one."""
        self._lock = threading.Lock()
        self._sending = threading.Lock()
        self._stop = threading.Event()
        self._thread: Optional[threading.Thread] = None

    def wake(self) -> None:
        """Begin, if that is still to be done."""
        if self._thread is None:
            with self._lock:
                if self._thread is None and not self._stop.is_set():
                    thread = threading.Thread(target=self._run, name="token-health-signals", daemon=True)
                    thread.start()
                    self._thread = thread

    def send_all(self) -> None:
        """Send batch after batch until nothing waits or one does not arrive."""
        try:
            with self._sending:
                while True:
                    batch = self._outbox.take()
                    if not batch:
                        return
                    if not self._outbox.settle(batch, self._wire.send(self._outbox.request(batch))):
                        return
        except Exception as error:
            log.debug("signals were not sent: %s", type(error).__name__)

    def leave(self) -> None:
        """Have what waits sent, and the thread end. Does not wait."""
        self._stop.set()
        if self._thread is None:
            self._wire.close()

    def join(self, seconds: float) -> None:
        """Wait until the thread has ended; without one, send what waits here."""
        if self._thread is None:
            self.send_all()
        elif self._thread is not threading.current_thread():
            self._thread.join(seconds)

    def _run(self) -> None:
        stop = self._stop
        while not stop.wait(EVERY):
            self.send_all()
        self.send_all()
        self._wire.close()


_ALIVE: weakref.WeakSet[TokenHealth] = weakref.WeakSet()


def _after_fork() -> None:
    for one in list(_ALIVE):
        one._after_fork()


@atexit.register
def _at_exit() -> None:
    for one in list(_ALIVE):
        one.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
