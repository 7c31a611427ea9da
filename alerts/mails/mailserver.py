"""The mail server as we find it: whether it can be tried now, and since when it takes nothing from us.

A server that does not answer is backed off, and not the mails: none of them was tried. The back-off is this
process's own and kept in memory: each process sees the server over a network of its own, and one that
starts may try at once. What people are shown (`explain`, `notices list`) is a row in the database.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import structlog
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from alerts.channels.smtp import Sender, Server, Session, Unreachable
from alerts.mails.tables import mail_server
from monitor.clock import Clock
from monitor.metrics.meters import Meters
from monitor.store.engine import Database
from monitor.store.retry import retried
from monitor.text.spans import span

log = structlog.get_logger("alerts.mails")

# So long until a server that took nothing is asked again, give or take a quarter; the last is repeated.
BACK_OFF = tuple(timedelta(seconds=s) for s in (1, 2, 5, 10, 30, 60, 120, 300))
JITTER = 0.25
# One that answers and drops what it is handed is tried with each new mail before long: that mail tells more.
LONGEST_DROPPING = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Known:
    """What is on record: `down_since` None while it takes mail, `utf8` None while nobody could ask."""

    down_since: datetime | None = None
    answer: str = ""
    utf8: bool | None = None

    def sentence(self, name: str, now: datetime) -> str:
        """Say since when it takes no mail, and why."""
        if self.down_since is None:
            return ""
        ago = span(now - self.down_since)
        return f"The mail server has taken no mail for {ago}: {self.answer or name}."


async def on_record(database: Database, name: str) -> Known:
    """Return what was last found about a server."""
    async with database.read() as conn:
        row = (await conn.execute(select(mail_server).where(mail_server.c.name == name))).one_or_none()
    return Known() if row is None else Known(row.down_since, row.answer, row.utf8)


class Dropping(Unreachable):
    """It answers, and drops the connection over what it is handed."""


class Whose(StrEnum):
    """Whose fault it is that a connection was lost."""

    ENVELOPE = "envelope"
    SERVER = "server"
    UNKNOWN = "unknown"


@dataclass
class Blame:
    """Tells an envelope that the server drops every connection over from a server that drops them all.

    `lost` has the envelopes that a new connection was lost over, with whether another was answered since.
    """

    lost: dict[int, bool] = field(default_factory=dict)
    in_a_row: int = 0

    def lose(self, envelope: int, waiting: Iterable[int]) -> Whose:
        """Judge a new connection that was lost before this envelope was handed over.

        It is the envelope's fault where the server answered to others after it had been lost once; the
        server's where it happens to two in a row, and as long as there is no other to tell by.
        """
        if self.lost.get(envelope):
            self.lost[envelope] = False
            return Whose.ENVELOPE
        self.lost[envelope] = False
        self.in_a_row += 1
        alone = all(other in self.lost for other in waiting)
        return Whose.SERVER if self.in_a_row > 1 or alone else Whose.UNKNOWN

    def unanswered(self) -> Whose:
        """Judge a connection that was lost after an envelope was handed over."""
        self.in_a_row += 1
        return Whose.SERVER if self.in_a_row > 1 else Whose.UNKNOWN

    def answered(self, envelope: int) -> None:
        """Note that the server answered to an envelope, whatever it said."""
        self.in_a_row = 0
        self.lost.pop(envelope, None)
        self.lost = dict.fromkeys(self.lost, True)


class MailServer:
    """The one server that mails go out through, and how this process finds it."""

    def __init__(
        self, server: Server, sender: Sender, database: Database, clock: Clock, meters: Meters, process: str
    ) -> None:
        self.server, self._sender = server, sender
        self._database, self._clock, self._meters, self._process = database, clock, meters, process
        self._known = Known()
        self._failures = 0
        self._next_at = clock.now()
        self._drops = False

    @property
    def trouble(self) -> str:
        """Since when it takes nothing, in a sentence; empty while it does."""
        return self._known.sentence(self.server.name, self._clock.now())

    async def ready(self) -> bool:
        """Whether a mail may be tried now; a server that took nothing is asked first, without a mail."""
        if self._known.down_since is None:
            return True
        return self._clock.now() >= self._next_at and await self.ask()

    async def ask(self) -> bool:
        """Connect, sign in, name our sender, and leave: whether it would take a mail."""
        try:
            async with Session(self.server) as session:
                await session.greet(self._sender.address, utf8=self._sender.needs_utf8)
                utf8 = session.utf8
        except Unreachable as error:
            await self.failed(str(error))
            return False
        self._known = Known(self._known.down_since, self._known.answer, utf8)
        # One that greets us and then drops every message is not well until it took one.
        if not self._drops:
            await self.works()
        return True

    async def watch(self, *, leads: bool) -> None:
        """Ask now and then, so that it is known before a mail needs it. One process exports it."""
        if not leads:
            self._meters.smtp_up.clear()
            return
        self._meters.smtp_up.labels(self.server.name).set(1 if await self.ask() else 0)
        await self._put_on_record()

    async def failed(self, answer: str, *, dropping: bool = False) -> None:
        """Note that it took nothing, and leave it alone for a while."""
        now = self._clock.now()
        self._drops = dropping
        wait = BACK_OFF[min(self._failures, len(BACK_OFF) - 1)]
        wait = min(wait, LONGEST_DROPPING) if dropping else wait
        self._failures += 1
        luck = zlib.crc32(f"{self._process}/{self._failures}".encode()) / 2**32  # another in each process
        self._next_at = now + wait * (1 - JITTER + 2 * JITTER * luck)
        first = self._known.down_since is None
        self._known = Known(self._known.down_since or now, answer, self._known.utf8)
        log.warning("mail.server_down", answer=answer, since=self._known.down_since, next_try=self._next_at)
        if first:
            self._meters.smtp_down_since.labels(self.server.name).set(now.timestamp())
            await self._put_on_record()

    async def works(self) -> None:
        """Note that it answers, whatever it says."""
        was, self._failures, self._drops = self._known.down_since, 0, False
        if was is None:
            return
        self._known = Known(utf8=self._known.utf8)
        self._meters.smtp_down_since.clear()
        log.info("mail.server_back", after=span(self._clock.now() - was))
        await self._put_on_record()

    async def _put_on_record(self) -> None:
        """Write what is found where it is another than what stands there."""
        name, known = self.server.name, self._known
        if await on_record(self._database, name) == known:
            return
        values = {"down_since": known.down_since, "answer": known.answer[:500], "utf8": known.utf8}
        await _put_down(self._database, name, values)


@retried
async def _put_down(database: Database, name: str, values: dict[str, Any]) -> None:
    async with database.write() as conn:
        make = sqlite_insert if conn.dialect.name == "sqlite" else postgres_insert
        await conn.execute(
            make(mail_server)
            .values(name=name, **values)
            .on_conflict_do_update(index_elements=["name"], set_=values)
        )
