"""How on-call is told of an incident: by which alert, when, with which runbook, and what silences it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from alerts.pages import told
from alerts.pages.matters import Trouble, facts_of, standing
from alerts.pages.told import Heard
from alerts.pages.truth import Oncall
from alerts.silences import silences
from alerts.silences.windows import Silenced, first_over

NOBODY = Heard(None, ())


@dataclass(frozen=True, slots=True)
class Called:
    """What on-call hears of an incident. `again`: after so long it is told anew, unless somebody answers."""

    alert: str
    runbook: str
    again: timedelta | None
    told_at: datetime | None
    channels: tuple[str, ...]
    silence: Silenced | None


async def called(
    conn: AsyncConnection, oncall: Oncall, troubles: Mapping[int, Trouble], now: datetime
) -> dict[int, Called]:
    """Return how on-call is told of these incidents, by number; those that are not its own are left out."""
    pages = await told.heard(conn)
    silent = await silences.holding(conn, oncall.windows, now)
    found = {}
    for number, trouble in troubles.items():
        facts = facts_of(trouble, oncall.teams, oncall.patience, now)
        for key, matter in list(standing(facts, oncall.team).items())[:1]:
            heard = pages.get(key, NOBODY)
            found[number] = Called(
                matter.alert.name,
                matter.alert.runbook(oncall.runbooks),
                matter.alert.again,
                heard.at,
                heard.channels,
                first_over(silent, matter.scope),
            )
    return found
