"""One connection of the listener, and how long and how much a stranger may take of it.

uvicorn waits for ever for the rest of a request, and takes in whoever comes. Here a connection that does not
bring its request in time is closed, and the number of connections is bounded: when all places are taken, the
one that has waited longest without a request, of the address that holds most, makes room for the newcomer. So
half-sent requests shut nobody out, however many there are.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from enum import Enum
from typing import Any

import h11
import structlog
from uvicorn.protocols.http.h11_impl import H11Protocol

from monitor.web.paths import API, of_api

log = structlog.get_logger("monitor.web")

# Seconds for the head of a request (also the wait for it), for its body, and for taking in the answer.
HEAD_SECONDS, BODY_SECONDS, ANSWER_SECONDS = 5.0, 5.0, 20.0
# Bytes of a request's line, and of its whole head.
LONGEST_LINE, LARGEST_HEAD = 8 * 1024, 16 * 1024
MOST_HEADERS = 100
# Bytes of a body, and seconds for it: hardly a page of ours takes more than a short form, programs send
# documents, and a fleet is as large as a file of one. Who asks, is asked before the body is read.
BODIES = (
    ((of_api("imports"), of_api("plans")), 200 << 20, 300.0),
    ((f"{API}/",), 1 << 20, 20.0),
    (("/import",), 20 << 20, 60.0),
    (("/bulk",), 1 << 20, 20.0),
    (("",), 64 << 10, None),
)
TELL_EVERY = 60.0  # seconds between two lines of the log that say the places are all taken


def body_of(path: str) -> tuple[int, float]:
    """Return how many bytes the body of a request to a path may have, and how many seconds it may take."""
    size, seconds = next((most, long) for begins, most, long in BODIES if path.startswith(begins))
    return size, BODY_SECONDS if seconds is None else seconds


class Phase(Enum):
    """What a connection is at."""

    HEAD = "head"  # nothing is asked yet, or not all of the head is here
    BODY = "body"
    ANSWER = "answer"


class Keeper:
    """Keeps count of one listener's connections."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._doors: dict[Door, None] = {}  # in the order in which they came
        self._turned_out, self._told_at = 0, float("-inf")

    def __len__(self) -> int:
        return len(self._doors)

    def admit(self, door: Door) -> bool:
        """Take a connection in, in the place of an idle one where there is no other; False where all work."""
        if len(self._doors) >= self.most:
            idle = self._idlest()
            self._tell(door.loop.time())
            if idle is None:
                return False
            idle.turn_out()
        self._doors[door] = None
        return True

    def leave(self, door: Door) -> None:
        """Forget a connection that is closed."""
        self._doors.pop(door, None)

    def _idlest(self) -> Door | None:
        idle = [door for door in self._doors if door.phase is not Phase.ANSWER]
        held = Counter(door.peer for door in idle)
        # The first of the most: the oldest connection among those of the address that holds most.
        return max(idle, key=lambda door: held[door.peer], default=None)

    def _tell(self, now: float) -> None:
        self._turned_out += 1
        if now - self._told_at >= TELL_EVERY:
            log.warning("web.crowded", connections=self.most, turned_out=self._turned_out)
            self._turned_out, self._told_at = 0, now


class Door(H11Protocol):
    """uvicorn's connection, with limits."""

    def __init__(self, keeper: Keeper, **given: Any) -> None:
        super().__init__(**given)
        self._keeper = keeper
        self._timer: asyncio.TimerHandle | None = None
        self._slow: asyncio.TimerHandle | None = None
        self._received = 0  # bytes since the last answer
        self.phase = Phase.HEAD

    @property
    def peer(self) -> str:
        """The address at the other end."""
        return self.client[0] if self.client else ""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection in, or close it at once."""
        super().connection_made(transport)
        if self._keeper.admit(self):
            self._allow(HEAD_SECONDS)
        else:
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Give the place back."""
        self._keeper.leave(self)
        self._cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take a part of a request."""
        if self.phase is Phase.HEAD and not self._received:
            self._allow(HEAD_SECONDS)  # it begins now; before, the connection only waited
        self._received += len(data)
        super().data_received(data)
        self._look()
        if self._received > LARGEST_HEAD + self._body[0]:
            self.turn_out()

    @property
    def _body(self) -> tuple[int, float]:
        cycle: Any = self.cycle
        return body_of(self.scope["path"] if cycle is not None and not cycle.response_complete else "")

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP. In the middle of an answer there is no way left to say so."""
        cycle: Any = self.cycle
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True  # else its answer would meet a connection that takes none
            cycle.message_event.set()
        try:
            super().send_400_response(msg)
        except h11.LocalProtocolError:
            self.turn_out()

    def on_response_complete(self) -> None:
        """Wait for the next request, or for the answer to be taken in."""
        self._received = 0
        self._unslow()
        super().on_response_complete()
        self._look(again=True)

    def pause_writing(self) -> None:
        """Give who does not read the answer a while for the whole rest of it."""
        super().pause_writing()
        if self._slow is None:
            self._slow = self.loop.call_later(ANSWER_SECONDS, self.turn_out)

    def turn_out(self) -> None:
        """Close the connection at once, whatever was not sent yet."""
        self._keeper.leave(self)
        self._cancel()
        self.transport.abort()

    def _look(self, *, again: bool = False) -> None:
        cycle: Any = self.cycle
        if cycle is None or cycle.response_complete:
            phase = Phase.HEAD
        else:
            phase = Phase.BODY if cycle.more_body else Phase.ANSWER
        if phase is self.phase and not again:
            return
        self.phase = phase
        match phase:
            case Phase.HEAD:
                unread = self.transport.get_write_buffer_size() > 0
                self._allow(ANSWER_SECONDS if unread else HEAD_SECONDS)
            case Phase.BODY:
                self._allow(self._body[1])
            case Phase.ANSWER:
                self._allow(None)

    def _allow(self, seconds: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if seconds is None else self.loop.call_later(seconds, self.turn_out)

    def _unslow(self) -> None:
        if self._slow is not None:
            self._slow.cancel()
            self._slow = None

    def _cancel(self) -> None:
        self._allow(None)
        self._unslow()
