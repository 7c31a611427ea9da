"""Whether anybody could still connect to each app: as it was last asked, and asked now."""

from __future__ import annotations

from monitor.errors import NotFound
from monitor.health.doors import Outcome, Standing
from monitor.operations.actor import Actor, Right
from monitor.operations.checks import Check
from monitor.settings.builders import build_wire
from monitor.settings.parts import Parts
from monitor.store import app_checks
from monitor.text.spans import span
from monitor.watching.doors import Doors, look
from monitor.watching.pacing import Pacer

_OK = {Outcome.GOOD: True, Outcome.REFUSED: False, Outcome.UNCLEAR: None}


async def checked(parts: Parts) -> list[Check]:
    """Say where an app was refused when it was last asked; once alone is worth knowing, and no trouble."""
    known, now = await app_checks.standing(parts.database), parts.clock.now()
    return [
        Check(
            "doors",
            False if one.shut else None,
            f"{app}: {one.seen.says} Asked {span(now - one.at)} ago.",
        )
        for app in parts.apps
        for one in known.get(app, {}).values()
        if one.refusals
    ]


async def asked_now(parts: Parts) -> list[Check]:
    """Ask now whether anybody could still connect to each app; what comes of it is not kept."""
    wire, pacer = build_wire(parts), Pacer(parts.database, parts.clock)
    url, found = parts.loaded.settings.web.public_url, []
    try:
        for app in parts.apps.values():
            await pacer.prepare(app)
            for seen in await look(app, wire, pacer, parts.clock, url):
                found.append(Check("doors", _OK[seen.outcome], f"{app.id}: {seen.says}"))
    finally:
        await wire.close()
    return found


async def ask(parts: Parts, actor: Actor, app_id: str) -> list[Standing]:
    """Ask now whether anybody could still connect to an app, and keep what comes of it. Raises NotFound."""
    actor.needs(Right.CONNECTIONS_OPERATE)
    app = parts.apps.get(app_id)
    if app is None or (actor.only.apps and app_id not in actor.only.apps):
        raise NotFound(f"There is no app {app_id!r}.")
    wire, pacer = build_wire(parts), Pacer(parts.database, parts.clock)
    try:
        await pacer.prepare(app)
        asks = Doors(
            parts.database, wire, pacer, parts.apps, parts.clock,
            public_url=parts.loaded.settings.web.public_url, every=parts.loaded.settings.schedule.doors,
            leads=lambda: True,
        )  # fmt: skip
        return await asks.ask(app)
    finally:
        await wire.close()
