"""What is done now and then beside looking: mails, pages, webhooks, windows, bulk work, and forgetting."""

from __future__ import annotations

import structlog

from alerts.mails.send import Pump
from alerts.outbox import notices
from alerts.pages.send import Pager
from alerts.silences import silences
from alerts.silences.windows import Over, Silenced
from alerts.webhooks.send import Caller
from monitor.metrics.meters import Meters
from monitor.operations import api_keys, jobs, people
from monitor.settings.parts import Parts
from monitor.store import fleet, links, maintenance, pauses, signals, uses
from monitor.tokens.grant import Granter
from monitor.watching.presence import Presence
from monitor.watching.ticks import Tick

log = structlog.get_logger("monitor.service")

# Seconds between looks for what a timer has to say, for what is due to be sent or done, and for tokens to be
# revoked.
PLAN_EVERY, SEND_EVERY, REVOKE_EVERY, JOBS_EVERY = 15.0, 1.0, 30.0, 1.0
CAMPAIGNS_EVERY = 30.0  # between looks at whom a campaign asks now, and what came of it
# Seconds between looks at what on-call has to know, at windows, at Alertmanager, and at the mail server.
ONCALL_EVERY, WINDOWS_EVERY, ALIVE_EVERY, SMTP_EVERY, METERS_EVERY = 5.0, 5.0, 60.0, 60.0, 300.0
# Between looks at keys that end soon and sessions that are over, and for what is old enough to be forgotten.
ACCESS_EVERY, FORGET_EVERY = 300.0, 3600.0


async def chores(
    parts: Parts,
    process: str,
    meters: Meters,
    presence: Presence,
    pump: Pump | None,
    pager: Pager,
    caller: Caller,
    granter: Granter,
) -> list[Tick]:
    """Return them as ticks. Most are one process's, the one that leads."""

    async def plan() -> None:
        if pump is not None and presence.leads:
            await pump.plan()

    async def campaigns() -> None:
        if pump is not None and presence.leads:
            await pump.campaigns()

    async def revoke() -> None:
        if presence.leads:
            await granter.revoke_leftovers()

    async def forget() -> None:
        if presence.leads:
            await _forget(parts)
            await caller.forget()

    async def order() -> None:
        if presence.leads:
            await caller.plan()

    async def bulk() -> None:
        await jobs.work(parts, process)

    async def look() -> None:
        if presence.leads:
            await pager.plan()

    async def keep_alive() -> None:
        if presence.leads:
            await pager.keep_alive()

    async def windows() -> None:
        await keep_windows(parts, meters, leads=presence.leads)

    async def mail_server() -> None:
        if pump is not None:
            await pump.mail_server.watch(leads=presence.leads)

    async def begin() -> None:
        meters.begin(await fleet.speaking(parts.database))

    async def access() -> None:
        if presence.leads:
            await api_keys.warn_of_ends(parts)
            await people.forget(parts)

    ticks: list[Tick] = [
        Tick("access", access, ACCESS_EVERY),
        Tick("meters", begin, METERS_EVERY),
        Tick("revoke", revoke, REVOKE_EVERY),
        Tick("mails.retention", forget, FORGET_EVERY),
        Tick("jobs", bulk, JOBS_EVERY),
        Tick("windows", windows, WINDOWS_EVERY),
        Tick("oncall.plan", look, ONCALL_EVERY),
        *(Tick(name, work, SEND_EVERY) for name, work in pager.ticks()),
        Tick("oncall.alive", keep_alive, ALIVE_EVERY),
        Tick("events", order, SEND_EVERY),
        Tick("webhooks.send", caller.begin, SEND_EVERY),
    ]
    await pager.recover()
    if pump is None:
        log.warning("mail.off", why="smtp.from is not set; no client is mailed")
    else:
        ticks += [
            Tick("mails.plan", plan, PLAN_EVERY),
            Tick("campaigns", campaigns, CAMPAIGNS_EVERY),
            Tick("mails.send", pump.pump, SEND_EVERY),
            Tick("mails.server", mail_server, SMTP_EVERY),
        ]
    return ticks


async def _forget(parts: Parts) -> None:
    before = parts.clock.now() - parts.loaded.settings.kept.changes
    await notices.forget(parts.database, before)
    await jobs.forget(parts)
    await links.forget(parts.database, before)
    await uses.forget(parts.database, before)
    await signals.forget(parts.database, before)


async def keep_windows(parts: Parts, meters: Meters, *, leads: bool) -> None:
    """End pauses whose time is over, let connections rest in maintenance, and show what is silent."""
    now = parts.clock.now()
    if not leads:
        meters.silence.clear()
        return
    # Before the windows: what is no longer paused may rest for one at once.
    if ended := await pauses.end(parts.database, now):
        log.info("pauses.over", connections=ended)
    async with parts.database.read() as conn:
        standing = await silences.holding(conn, parts.loaded.settings.windows, now)
    windows = {s.identity: (s.over.value, s.name) for s in standing if s.pauses}
    rested, woken = await maintenance.keep(parts.database, windows, now)
    if rested or woken:
        log.info("maintenance", windows=sorted(windows), rested=rested, woken=woken)
    # Without a wait in between: a scrape that saw none would let Alertmanager page.
    meters.silence.clear()
    for silence in standing:
        # A name that must not be a label cannot be shown; an empty one would cover everything.
        if silence.over is not Over.CLIENT or parts.loaded.settings.metrics.client_names:
            meters.silence.labels(*_silence_labels(silence)).set(1)


def _silence_labels(silence: Silenced) -> tuple[str, ...]:
    named = [silence.name if silence.over is over else "" for over in Over if over is not Over.ALL]
    return silence.over.value, *named, str(silence.pauses).lower()
