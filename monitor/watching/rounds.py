"""One-shot rounds: connections looked at now, whoever asks for it, beside what the loop claims by itself."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from monitor.clock import Clock
from monitor.store import due
from monitor.store.due import Lease
from monitor.store.engine import Database
from monitor.store.verdicts import Settlement
from monitor.watching.admission import Admission, Pace
from monitor.watching.loop import Loop


class Rounds:
    """Looks once, and returns when what was found is written."""

    def __init__(
        self,
        database: Database,
        loop: Loop,
        admission: Admission,
        apps: Collection[str],
        clock: Clock,
        *,
        process: str,
        pace: Pace,
    ) -> None:
        self._database, self._loop, self._admission = database, loop, admission
        self._apps, self._clock, self._process, self._pace = apps, clock, process, pace

    async def named(self, ids: Sequence[str]) -> list[Settlement]:
        """Look at these connections, all of them, and return what was settled."""
        await self._admission.prepare()
        with self._loop.collecting() as settled:
            self._loop.begin(await self._claim(ids))
            await self._loop.idle()
        return settled

    async def one(self, connection: str) -> Settlement | None:
        """Look at one connection, beside whatever else runs; None where another process is at it."""
        leases = await self._claim([connection])
        if not leases:
            return None
        found = await self._loop.look(leases[0])
        await self._loop.write([found])
        return found

    async def due(self) -> list[Settlement]:
        """Look at all that is due at this moment, and return what was settled."""
        with self._loop.collecting() as settled:
            while await self._loop.pull():
                await self._loop.idle()
            await self._loop.idle()
        return settled

    async def _claim(self, ids: Sequence[str]) -> list[Lease]:
        return await due.claim_named(
            self._database, self._process, ids, self._clock.now(), self._pace.lease, apps=self._apps
        )
