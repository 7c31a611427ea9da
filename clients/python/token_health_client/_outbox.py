"""Signals that wait to be sent: a thousand, then the oldest goes for the newest. No I/O, thread-safe."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any, Callable, Optional

from token_health_client._evidence import kind_of, signal_of
from token_health_client._reading import problem_of
from token_health_client._token import Token
from token_health_client._values import Heard, Reply, Request

MOST = 1_000
BATCH = 100
BATCH_BYTES = 900_000  # Token Health takes 1 MiB
EVERY = 5.0  # seconds between two sendings
# Token Health ignores what is more than 5 minutes old.
TOO_OLD = 240.0


@dataclass(frozen=True)
class Waiting:
    """A signal, and since when it waits."""

    signal: Mapping[str, Any]
    since: float


class Outbox:
    """What is to be told, in the order in which it was seen."""

    def __init__(self, clock: Callable[[], float], margin: float) -> None:
        self._clock = clock
        self._margin = margin
        self._lock = threading.Lock()
        self._waiting: OrderedDict[Hashable, Waiting] = OrderedDict()
        self._rests_until = -1.0

    def __len__(self) -> int:
        return len(self._waiting)

    def note(self, token: Token, answer: object, scope: Optional[str], at: Optional[str]) -> bool:
        """Take down what an answer says about a token; return whether that is worth telling."""
        kind = kind_of(answer)
        if kind is None:
            return False
        signal: dict[str, Any] = {"connection": token.connection, **signal_of(kind, token, answer, scope)}
        self.put(signal if at is None else {**signal, "at": at})
        return True

    def put(self, signal: Mapping[str, Any]) -> None:
        """Take a signal; one that says the same of the same token replaces the one that waits."""
        key = tuple(signal.get(name) for name in ("connection", "generation", "kind", "asked", "scope"))
        with self._lock:
            self._waiting.pop(key, None)
            self._waiting[key] = Waiting(signal, self._clock())
            while len(self._waiting) > MOST:
                self._waiting.popitem(last=False)

    def take(self) -> list[Waiting]:
        """Take the next batch out; empty if nothing waits, or Token Health has asked for a rest."""
        now, size = self._clock(), 0
        taken: list[Waiting] = []
        with self._lock:
            while self._waiting and len(taken) < BATCH and now >= self._rests_until:
                key, one = next(iter(self._waiting.items()))
                size += len(_json(one.signal)) + 1
                if taken and size > BATCH_BYTES:
                    break
                del self._waiting[key]
                if now - one.since < TOO_OLD:
                    taken.append(one)
        return taken

    def request(self, batch: list[Waiting]) -> Request:
        """Return the request that sends a batch."""
        body = b'{"items":[' + b",".join(_json(one.signal) for one in batch) + b"]}"
        return Request("POST", "/signals", self._margin, body=body)

    def settle(self, batch: list[Waiting], heard: Heard) -> bool:
        """Take note of what came of a batch; return whether to go on with the next.

        What did not arrive waits on, before what is younger; what was refused would be again, and is dropped.
        """
        if isinstance(heard, Reply) and 200 <= heard.status < 300:
            return True
        problem = problem_of("", heard)
        if problem.code != "unreachable" and problem.retry_after is None:
            return True
        with self._lock:
            self._rests_until = self._clock() + (problem.retry_after or 0.0)
            behind = self._waiting
            self._waiting = OrderedDict((object(), one) for one in batch)
            self._waiting.update(behind)
            while len(self._waiting) > MOST:
                self._waiting.popitem(last=False)
        return False

    def after_fork(self) -> None:
        """In a child: what waited is the parent's to send, and its lock may have been held."""
        self._lock = threading.Lock()
        self._waiting = OrderedDict()


def _json(signal: Mapping[str, Any]) -> bytes:
    return json.dumps(signal, ensure_ascii=False).encode("utf-8", "replace")
