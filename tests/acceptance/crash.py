"""Does one thing of the service's, and kills its own process at a named step: what a power cut leaves."""

from __future__ import annotations

import asyncio
import functools
import os
import signal
from datetime import datetime
from multiprocessing.connection import Connection
from pathlib import Path

from alerts.channels import smtp
from alerts.mails import opening, send
from alerts.outbox import claims, settling
from monitor.metrics.meters import Meters
from monitor.secret import Secret
from monitor.settings.builders import build_granter, build_pump, build_watching, build_wire
from monitor.settings.file import load
from monitor.settings.parts import opened
from monitor.store import campaigns, journal, links
from monitor.store.processes import Role
from monitor.tokens.grant import Granter
from monitor.wire.client import Wire
from tests.conftest import SetClock, environ

# step -> what dies, and whether before or after it has done its work
STEPS = {
    "telling": (send.Pump, "tell", "after"),
    "wave taken": (campaigns, "take", "after"),
    "wave written": (send.Pump, "campaigns", "after"),
    "opened": (opening, "open_due", "after"),
    "claimed": (claims, "claim", "after"),
    "connected": (smtp.Session, "send", "before"),
    "before the dot": (settling, "hand_over", "before"),
    "at the dot": (settling, "hand_over", "after"),
    "acknowledged": (smtp.Session, "send", "after"),
    "settled": (settling, "settle", "after"),
    "spent": (links, "spend", "after"),
    "exchanged": (Wire, "post_form", "after"),
    "compared": (Granter, "_whoami", "after"),
    "stored": (links, "replace_pair", "after"),
    "refresh begun": (journal, "begin", "after"),
    "refresh answered": (Wire, "post_form", "after"),
    "refresh stored": (journal, "store_pair", "after"),
}


def die_at(step: str) -> None:
    holder, name, when = STEPS[step]
    real = getattr(holder, name)

    @functools.wraps(real)
    async def dying(*args, **kwargs):
        if when == "after":
            result = await real(*args, **kwargs)
            if result is not None and not result:
                return result  # nothing was done: there is no step to die at
        os.kill(os.getpid(), signal.SIGKILL)
        return None

    setattr(holder, name, dying)


def work(config: Path, now: datetime, step: str, trip: list[str], said: Connection) -> None:
    """Do it; this is the whole life of a process."""
    if step:
        die_at(step)
    said.send(asyncio.run(_work(config, now, trip)))


async def _work(config: Path, now: datetime, trip: list[str]) -> str:
    async with opened(load(config, environ("clio", "plat")), SetClock(now)) as parts:
        meters, wire = Meters(), build_wire(parts)
        mails, outcome = build_pump(parts, meters, "crash"), ""
        if trip:
            state, browser, code = trip
            arrived = await build_granter(parts, wire).finish(
                Secret(state), Secret(browser), {"code": code}, "/oauth/callback"
            )
            outcome = arrived.arrival.value
        else:
            await mails.recover()
            watching = build_watching(parts, wire, meters, "crash", Role.ALL, mails.tell)
            await watching.ticks.prepare()
            await watching.rounds.due()
            await mails.campaigns()
            await mails.plan()
            await mails.pump()
            await watching.ticks.stop()
        await wire.close()
        return outcome
