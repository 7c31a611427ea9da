"""What is held back and by what: the fleet guard, the fuse, a person, a silence, a trouble, a pause."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from alerts.mails import fuse
from alerts.silences import silences
from alerts.silences.windows import Over, Silenced
from monitor.settings.parts import Parts
from monitor.store import untold


class By(StrEnum):
    """What holds something back."""

    GUARD = "guard"
    FUSE = "fuse"
    PERSON = "person"
    SILENCE = "silence"  # of the configuration
    TROUBLE = "trouble"
    PAUSE = "pause"


@dataclass(frozen=True, slots=True)
class Held:
    """What one thing holds back: how many first mails, over what, since and until when, and why.

    `over` and `name` are what a hold is lifted by; `incident` is the wave's, `clients` how many it is about.
    """

    by: By
    count: int
    why: str
    over: str = ""
    name: str = ""
    clients: int = 0
    since: datetime | None = None
    until: datetime | None = None
    incident: int | None = None
    to_come: bool = False


async def now_held(parts: Parts, now: datetime) -> list[Held]:
    """Return what is held back at a moment, by what an operation has asked already whether one may see it."""
    laid = await silences.standing(parts.database, parts.loaded.settings.windows, now)
    async with parts.database.read() as conn:
        waves = await untold.in_waves(conn)
        troubles = await untold.in_trouble(conn)
        fused = await fuse.holds(conn, now)
        under = [
            (one, await untold.under(conn, one.over.value, one.name) if one.begun_at <= now else 0)
            for one in laid
        ]
        paused = await untold.paused(conn)
    found = [_by_wave(one) for one in waves]
    found += [Held(By.FUSE, fused.held, _FUSE, since=fused.blown_at)] if fused.blown_at else []
    found += [_by_silence(one, count, now) for one, count in under]
    found += [Held(By.TROUBLE, count, _TROUBLE, "provider", provider) for provider, count in troubles.items()]
    found += [Held(By.PAUSE, paused, _PAUSED)] if paused else []
    return found


_FUSE = "More first mails want out than the fleet should bring; they wait for your word, or until they heal."
_TROUBLE = "They broke while their provider was in trouble; they wait until that is over and has settled."
_PAUSED = "They are paused by people: nobody is told about them until they are resumed or their time is over."


def _by_wave(one: untold.InWave) -> Held:
    together = (
        f"{one.held} of {one.of} that broke together" if one.held != one.of else f"{one.of} broke together"
    )
    return Held(
        By.GUARD, one.held, f"The fleet guard: {together}. It may not be the clients.", "provider",
        one.provider, one.clients, one.since, incident=one.number,
    )  # fmt: skip


def _by_silence(one: Silenced, count: int, now: datetime) -> Held:
    by = By.PERSON if one.number is not None else By.SILENCE
    name = "" if one.over is Over.ALL else one.name
    return Held(
        by, count, one.sentence, one.over.value, name, since=one.begun_at, until=one.until,
        to_come=one.begun_at > now,
    )  # fmt: skip


def total(found: Iterable[Held]) -> int:
    """Return how many first mails are held in all; under a silence over everything lies all the rest, too."""
    counted = [one for one in found if one.by is not By.PAUSE]
    everything = [one.count for one in counted if one.over == Over.ALL.value and not one.to_come]
    return max(everything) if everything else sum(one.count for one in counted)
