"""On-call: what an engineer has to know now, over which channel it was told, and whether channels work."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from alerts.outbox.envelope import Outcome
from alerts.pages import told as pages_told
from alerts.pages import truth, wording
from alerts.pages.matters import Matter
from alerts.pages.settings import WAYS
from monitor.clock import SystemClock
from monitor.errors import ConfigurationError
from monitor.operations.actor import Actor, Right
from monitor.settings.builders import build_channel, build_oncall
from monitor.settings.loaded import Loaded
from monitor.settings.parts import Parts


@dataclass(frozen=True, slots=True)
class Watch:
    """What stands at a moment, by its key; what was told of it, and what is not told and why."""

    at: datetime
    matters: Mapping[str, Matter]
    told: Mapping[str, Sequence[str]]  # the channels that took it
    quiet: Mapping[str, str]  # why it is not told
    channels: tuple[str, ...]
    runbooks: str
    ways: tuple[str, ...] = WAYS  # the settings that bring a channel

    @property
    def over_soon(self) -> list[str]:
        """What was told and is over: on-call hears so in a moment."""
        return [key for key in self.told if key not in self.matters and key not in self.quiet]


@dataclass(frozen=True, slots=True)
class Tried:
    """What a channel did with a test message."""

    channel: str
    taken: bool
    answer: str


async def watch(parts: Parts, actor: Actor) -> Watch:
    """Return what on-call has to know now."""
    actor.needs(Right.NOTICES_READ)
    mine, now = build_oncall(parts), parts.clock.now()
    async with parts.database.read() as conn:
        seen = await truth.look(conn, mine, now)
        told = {key: tuple(took) for key, _, took in await pages_told.standing_pages(conn)}
    channels = tuple(route.name for route in mine.routes)
    return Watch(now, seen.told, told, seen.quiet, channels, mine.runbooks)


async def test(loaded: Loaded, actor: Actor) -> AsyncIterator[Tried]:
    """Send a test message over each channel, and that it is over. Raises ConfigurationError without any."""
    actor.needs(Right.NOTICES_OPERATE)
    routes = loaded.routes()
    if not routes:
        raise ConfigurationError(
            f"{loaded.path}: on-call has no channel; set {', '.join(WAYS)} or [[oncall.routes]]."
        )
    now = SystemClock().now()
    settings = loaded.settings.oncall
    matter = wording.trial(settings.team, settings.runbooks, now)
    for route in routes:
        channel = build_channel(loaded, route)
        outcome, answer = await channel.send("test", matter, over=False, now=now)
        if outcome is Outcome.SENT:
            over, said = await channel.send("test", matter, over=True, now=now + timedelta(seconds=2))
            outcome, answer = (outcome, answer) if over is Outcome.SENT else (over, said)
        yield Tried(route.name, outcome is Outcome.SENT, answer or outcome.value)
