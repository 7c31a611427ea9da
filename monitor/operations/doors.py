"""Whether anybody could still connect to each app: as it was last asked, and asked now."""

from __future__ import annotations

from monitor.health.doors import Outcome
from monitor.operations.checks import Check
from monitor.settings.builders import build_wire
from monitor.settings.parts import Parts
from monitor.store import app_checks
from monitor.text.spans import span
from monitor.watching.doors import look
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
