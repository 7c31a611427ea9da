"""What open pages hear of the feed: which connections something came about, from one look for all of them.

However many pages are open in a process, the feed is asked once a second, and not at all where none is. What
comes faster than a page takes it is put together: a page asks what is so, and never what has happened.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from monitor.errors import Unavailable
from monitor.operations.actor import Actor, Right
from monitor.operations.pulse import Pulse
from monitor.settings.parts import Parts
from monitor.store import events
from monitor.store.engine import UNWELL
from monitor.store.events import Event

LOOKS_EVERY = 1.0  # seconds
QUIET = 5.0  # seconds without a word, after which whoever listens is told that there was nothing
READ = 500  # events at a look
MOST = 100  # connections that a page is told by name; of more it is told that there are more


@dataclass(frozen=True, slots=True)
class Heard:
    """What came about since the page heard last: until which event, and how connections are by now.

    `states` are those of connections that an event said something of, by id; `more`: and of others, or of
    what is no connection.
    """

    last: str
    states: Mapping[str, str]
    more: bool = False


@dataclass(eq=False)
class _Ear:
    """One page that listens: what it was not told yet."""

    connection: str
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    last: str = ""
    states: dict[str, str] = field(default_factory=dict)
    more: bool = False
    over: bool = False

    def take(self, some: list[Event], *, more: bool = False) -> None:
        """Keep what concerns the page, the latest of each connection."""
        mine = [one for one in some if not self.connection or one.connection in (self.connection, None)]
        for one in mine:
            self.last = one.id
            if not one.connection or (one.connection not in self.states and len(self.states) == MOST):
                self.more = True
            else:
                self.states[one.connection] = str(one.data.get("state", ""))
        self.more |= more
        if mine or more:
            self.woken.set()

    def told(self) -> Heard | None:
        """Return what there is to tell, and forget it; None where there is nothing."""
        self.woken.clear()
        if not self.states and not self.more:
            return None
        heard = Heard(self.last, self.states, self.more)
        self.states, self.more = {}, False
        return heard


class Newsfeed:
    """The one look of a process at the feed for all of its pages."""

    def __init__(self, parts: Parts) -> None:
        self._parts, self._pulse = parts, Pulse(parts.database)
        self._ears: set[_Ear] = set()
        self._at = 0  # the number of the last event that was read
        self._beginning = asyncio.Lock()
        self._looking: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def listening(
        self, actor: Actor, *, connection: str = "", after: str = ""
    ) -> AsyncIterator[AsyncIterator[Heard | None]]:
        """Give what comes about from now on, or after an event by its id; about one connection, or all.

        None comes after each quiet while. It ends where the database does not answer.
        """
        actor.needs(Right.EVENTS_READ)
        ear = _Ear(connection)
        try:
            await self._pulse.within(self._begin(ear, after))
            yield self._of(ear)
        finally:
            self._ears.discard(ear)
            if not self._ears and self._looking is not None:
                self._looking.cancel()
                self._looking = None

    async def _begin(self, ear: _Ear, after: str) -> None:
        """Have a page hear everything from now on, and what it missed."""
        async with self._beginning:
            if not self._ears:
                self._at = max(self._at, await events.last_number(self._parts.database))
            self._ears.add(ear)
            until = self._at
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        if not after:
            return
        begins = await events.place(self._parts.database, after)
        if begins is None:  # kept no longer: whatever it was, the page has to look anew
            ear.take([], more=True)
            return
        missed = await events.page(self._parts.database, READ + 1, after=begins, until=until)
        ear.take(missed[:READ], more=len(missed) > READ)

    async def _of(self, ear: _Ear) -> AsyncIterator[Heard | None]:
        while True:
            await ear.woken.wait()
            if ear.over:
                return
            yield ear.told()

    async def _look(self) -> None:
        quiet = 0.0
        try:
            while self._ears:
                some = await self._pulse.within(events.page(self._parts.database, READ, after=self._at))
                quiet = 0.0 if quiet >= QUIET else quiet + LOOKS_EVERY
                for ear in self._ears:
                    ear.take(some)
                    if quiet >= QUIET:
                        ear.woken.set()
                if some:
                    self._at = max(self._at, some[-1].number)
                await self._parts.clock.sleep(LOOKS_EVERY)
        except (*UNWELL, TimeoutError, Unavailable):
            for ear in self._ears:
                ear.over = True
                ear.woken.set()
            self._ears.clear()
