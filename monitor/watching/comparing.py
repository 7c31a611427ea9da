"""Compares what this process is refused with what others are given, and rests where it alone is refused.

Three connections that we were refused since a provider last gave us anything, and that another process finds
good: from then on we claim nothing of that provider, and look at one of them once more, ourselves. If it is
refused again, seconds after the other one read it, this process's address is barred: on-call is told, and one
connection is tried now and then until one is answered well. Until then what we are refused there says nothing
of any client. Others are asked to look before a mail's time comes, at a few connections of many.
"""

from __future__ import annotations

from collections.abc import Mapping

import structlog

from monitor.clock import Clock
from monitor.metrics.meters import Meters
from monitor.store import compared, due, processes
from monitor.store.engine import Database
from monitor.watching.admission import Pace
from monitor.watching.loop import Loop
from monitor.watching.sight import CANARY_EVERY, LEAST, Door, Sight, Suspicion, View
from monitor.wire.apps import App

log = structlog.get_logger("monitor.loop")

ASKED = 2 * LEAST  # connections at a time that others are asked to look at


class Comparing:
    """The work of one process's eyes: asks, concludes, tries."""

    def __init__(
        self,
        database: Database,
        loop: Loop,
        sight: Sight,
        apps: Mapping[str, App],
        clock: Clock,
        meters: Meters,
        *,
        process: str,
        pace: Pace,
    ) -> None:
        self._database, self._loop, self._sight, self._apps = database, loop, sight, apps
        self._clock, self._meters, self._process, self._pace = clock, meters, process, pace
        self._told: dict[str, str] = {}

    async def compare(self) -> None:
        """Look at what we were refused lately, and at what we rest from."""
        now, sight = self._clock.now(), self._sight
        doubts, held = sight.doubts(now), sight.held(now)
        if doubts or held:
            sight.alone = not await compared.others_probe(self._database)
        for view, known in doubts:
            if not sight.alone:
                await self._ask(view, known)
        for view, known in held:
            if known.tried_at is None or now - known.tried_at >= CANARY_EVERY:
                await self._try(view, known)
        await self._tell()

    async def _ask(self, view: View, known: Suspicion) -> None:
        """Hold what we were refused against what others found; where they have not looked, ask them to."""
        now = self._clock.now()
        refused = {name: (refusal.at, refusal.version) for name, refusal in known.refused.items()}
        known.elsewhere |= await compared.good_elsewhere(
            self._database, self._process, refused, refreshed=view.door is Door.GRANT
        )
        if len(known.elsewhere) >= LEAST:
            known.held_at = now
            log.warning(
                "egress.doubted", provider=view.provider, refused=len(refused), good=len(known.elsewhere)
            )
            # What we refused by mistake is seen to work as soon as others come to it.
            await due.bring_forward(self._database, sorted(refused.keys() - known.elsewhere), now)
            await self._try(view, known)
            return
        if unasked := sorted(refused.keys() - known.asked)[: max(0, ASKED - len(known.asked))]:
            await due.bring_forward(self._database, unasked, now)
            known.asked |= set(unasked)

    async def _try(self, view: View, known: Suspicion) -> None:
        """Look at one connection that is good elsewhere."""
        now = self._clock.now()
        known.tried_at = now
        apps = [app.id for app in self._apps.values() if app.provider.name == view.provider]
        among = sorted(known.elsewhere) if known.sure_at is None else ()
        chosen = await compared.canary(
            self._database, apps, now, among=among, refreshes=view.door is Door.GRANT
        )
        if chosen is None:
            return
        known.canary = chosen
        self._loop.begin(
            await due.claim_named(self._database, self._process, [chosen], now, self._pace.lease, apps=apps)
        )

    async def _tell(self) -> None:
        """Write down where this process is refused, for on-call, and take it back when that is over."""
        blocked = {name: at.isoformat() for name, at in self._sight.blocked().items()}
        if not blocked and not self._told:
            return
        # Again and again while it is so: who was taken for dead meanwhile is on the list anew.
        await processes.say_blocked(self._database, self._process, blocked)
        for provider in blocked.keys() | self._told.keys():
            self._meters.egress_blocked.labels(provider).set(1 if provider in blocked else 0)
            if (provider in blocked) != (provider in self._told):
                log.error("egress.blocked" if provider in blocked else "egress.free", provider=provider)
        self._told = blocked
