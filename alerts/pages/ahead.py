"""What on-call has to know of what lies ahead: doors that are shut, secrets and providers' ways that end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from alerts.pages.matters import Fact
from alerts.rules import ahead
from alerts.rules.alert import Alert, Severity
from monitor.health.doors import Door, Standing


@dataclass(frozen=True, slots=True)
class Announced:
    """An announced end of one of a provider's ways."""

    provider: str
    at: datetime
    what: str


@dataclass(frozen=True, slots=True)
class Ahead:
    """When each app's secret ends, by the configuration, and what providers announced, by their files."""

    secrets: Mapping[str, datetime] = field(default_factory=dict)
    announced: Sequence[Announced] = ()


def facts(
    lies: Ahead, doors: Mapping[str, Mapping[Door, Standing]], apps: Mapping[str, str],
    teams: Mapping[str, str], now: datetime, *, tickets: bool,
) -> list[Fact]:  # fmt: skip
    """Return what of it on-call has to know now; without `tickets` only what wakes somebody."""
    found = [
        Fact(
            ahead.DOOR_SHUT, one.since or one.at, 0, provider=apps[app], app=app, team=teams.get(app, ""),
            reasons=(one.seen.says,),
        )
        for app, its in doors.items()
        if app in apps
        for one in its.values()
        if one.shut
    ]  # fmt: skip
    for app, at in lies.secrets.items():
        nearness = ((ahead.SECRET_PAGE, ahead.SECRET_ENDS_SOON), (ahead.SECRET_TICKET, ahead.SECRET_ENDS))
        for alert, since in _near(nearness, at, now):
            team = teams.get(app, "")
            found.append(Fact(alert, since, _left(at, now), provider=apps[app], app=app, team=team))
    for end in lies.announced:
        nearness = ((ahead.END_NEAR, ahead.PROVIDER_END_NEAR), (ahead.END_FAR, ahead.PROVIDER_END_AHEAD))
        if end.at > now:
            found += [
                Fact(alert, since, _left(end.at, now), provider=end.provider, reasons=(end.what,))
                for alert, since in _near(nearness, end.at, now)
            ]
    return [fact for fact in found if tickets or fact.alert.severity is not Severity.TICKET]


def _near(
    nearness: Sequence[tuple[timedelta, Alert]], at: datetime, now: datetime
) -> list[tuple[Alert, datetime]]:
    """Return the alert of the least span that an end is within, and since when it is."""
    return [(alert, at - span) for span, alert in nearness if at - now < span][:1]


def _left(at: datetime, now: datetime) -> float:
    return max(0.0, (at - now).total_seconds())
