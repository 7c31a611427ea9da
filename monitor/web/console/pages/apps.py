"""Providers and apps: what is asked and how often, what the provider allows, and what it last answered."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from urllib.parse import urlencode

from monitor.health.causes import Cause
from monitor.health.doors import Door, Outcome, Standing
from monitor.health.listing import WORST
from monitor.operations import apps
from monitor.operations.actor import Right
from monitor.operations.apps import Used
from monitor.web.console.answers import Shown
from monitor.web.console.cause_words import cause_words
from monitor.web.console.declared import page
from monitor.web.console.pages.ends import day_name, until
from monitor.web.console.render import number, short
from monitor.web.console.texts import N_, gettext, ngettext
from monitor.web.console.visit import Visit

_DOORS = {Door.AUTHORIZE: N_("Where clients sign in"), Door.TOKEN: N_("Where tokens are given")}
SOON = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Bar:
    """How much of something is used: words, and the part, which may be more than one."""

    what: str
    says: str
    part: float

    @property
    def width(self) -> int:
        """Return how wide the bar is, of 100."""
        return max(1, min(100, round(self.part * 100)))


@page("/apps", Right.CATALOGUE_READ)
async def show_apps(visit: Visit) -> Shown:
    """Show every app: how its connections are, how often they are asked, and when its secret ends."""
    found = await apps.every(visit.parts, visit.actor)
    return Shown(
        "apps.html.j2",
        _verdict(found, visit.now.date()),
        "/apps",
        rows=[_row(visit, one) for one in found],
        providers=sorted({(one.provider, _title(one)) for one in found if one.provider}),
    )


@page("/apps/{app}", Right.CATALOGUE_READ)
async def show_app(visit: Visit) -> Shown:
    """Show an app: its connections, budget, last answers, and what is registered at the provider."""
    one = await apps.show(visit.parts, visit.actor, visit.path["app"])
    return Shown(
        "app.html.j2",
        _sentence(one),
        "/apps",
        **_row(visit, one),
        causes=[
            (cause, cause_words(Cause(cause)), count, _fleet(one, cause=cause, state="any"))
            for cause, count in sorted(one.sums.causes.items(), key=lambda pair: -pair[1])
        ],
        budget=_budget(visit, one),
        bars=_bars(one),
        costs=one.costs,
        door_rows=[(gettext(_DOORS[door]), standing) for door, standing in sorted(one.doors.items())],
        callback=_callback(visit, one),
    )


def _verdict(found: list[Used], today: date) -> str:
    shut = sum(1 for one in found if any(door.shut for door in one.doors.values()))
    over = sum(1 for one in found if (end := _ends(one)) is not None and end <= today)
    missing = sum(1 for one in found if one.app is None)
    sentences = []
    if shut:
        sentences.append(
            ngettext(
                "One app is refused at the door: nobody can connect.",
                "%(n)s apps are refused at the door: nobody can connect.", shut,
            )
        )  # fmt: skip
    if over:
        sentences.append(ngettext("One client secret has ended.", "%(n)s client secrets have ended.", over))
    if missing:
        sentences.append(
            ngettext(
                "One app is not configured, and nobody looks at its connections.",
                "%(n)s apps are not configured, and nobody looks at their connections.", missing,
            )
        )  # fmt: skip
    if not sentences:
        connections = sum(one.connections for one in found)
        watched = ngettext("%(n)s connection", "%(n)s connections", connections)
        sentences.append(
            ngettext("One app has %(what)s.", "%(n)s apps have %(what)s.", len(found), what=watched)
        )
    return " ".join(sentences) if found else gettext("There is no app yet.")


def _sentence(one: Used) -> str:
    if one.app is None:
        return gettext("App %(app)s is not configured, so nobody looks at its connections.", app=one.id)
    if any(door.shut for door in one.doors.values()):
        return gettext("App %(app)s is refused at the door: nobody can connect to it.", app=one.id)
    watched = ngettext("%(n)s connection", "%(n)s connections", one.connections)
    return gettext(
        "App %(app)s has %(what)s, asked every %(span)s.", app=one.id, what=watched, span=short(one.interval)
    )


def _row(visit: Visit, one: Used) -> dict[str, Any]:
    """Return an app as lists and its own page show it."""
    today, end = visit.now.date(), _ends(one)
    return {
        "one": one,
        "provider_title": _title(one),
        "states": [
            (state.value, count, _fleet(one, state=state.value))
            for state in WORST
            if (count := one.sums.states.get(state.value, 0))
        ],
        "interval": _interval(one),
        "stretched": one.app is not None and one.interval > one.configured,
        "used": next((bar for bar in _bars(one)), None),
        "end": end,
        "end_day": day_name(end, today) if end is not None else "",
        "end_in": until(end, today) if end is not None else "",
        "end_near": end is not None and end <= today + SOON,
        "door": _door(one.doors),
    }


def _ends(one: Used) -> date | None:
    return one.settings.secret_expires if one.settings is not None else None


def _title(one: Used) -> str:
    return one.app.provider.title if one.app is not None else one.provider


def _fleet(one: Used, **filters: str) -> str:
    return f"/?{urlencode(sorted({'app': one.id, **filters}.items()))}"


def _door(doors: Any) -> tuple[str, str]:
    """Return whether anybody could still connect: a state's sign, and words."""
    standings: list[Standing] = list(doors.values())
    if not standings:
        return "pending", gettext("Not asked yet")
    if any(one.shut for one in standings):
        return "broken", gettext("Refused")
    if all(one.seen.outcome is Outcome.GOOD for one in standings):
        return "healthy", gettext("Taken")
    return "suspect", gettext("Cannot tell")


def _interval(one: Used) -> str:
    """Say how often its connections are asked, and why not as often as it was configured."""
    if one.app is None:
        return gettext("Not configured")
    if one.interval > one.wanted:
        limit = one.app.limits.app_wide or 0
        return gettext(
            "Every %(kept)s instead of %(asked)s: %(limit)s requests a minute for all of its connections "
            "allow no more.", kept=short(one.interval), asked=short(one.wanted), limit=f"{limit:g}",
        )  # fmt: skip
    if one.wanted > one.configured:
        return gettext(
            "Every %(kept)s instead of %(asked)s: the provider's file lets none be asked more often.",
            kept=short(one.wanted), asked=short(one.configured),
        )  # fmt: skip
    return gettext("Every %(kept)s, as configured.", kept=short(one.interval))


def _bars(one: Used) -> list[Bar]:
    """Return how much of what the provider allows looking at its connections takes."""
    if one.costs is None or one.app is None:
        return []
    found, allowed = [], one.costs.allowed
    if (share := one.costs.cost.limit_share(allowed)) is not None:
        whose = gettext("Rate limit of the app") if allowed.app_wide else gettext("Rate limit of each token")
        said = gettext("less than 1 %%", n=0) if share < 0.01 else gettext("%(n)s %%", n=round(share * 100))
        found.append(Bar(whose, said, share))
    if allowed.reads_per_month is not None:
        takes = one.costs.cost.reads_per_month
        said = gettext("%(takes)s of %(all)s", takes=number(takes), all=number(allowed.reads_per_month))
        found.append(Bar(gettext("Reads in 30 days"), said, takes / allowed.reads_per_month))
    return found


def _budget(visit: Visit, one: Used) -> list[tuple[str, str]]:
    """Return what the provider allows, as facts."""
    if one.app is None:
        return []
    limits, found = one.app.limits, []
    if limits.requests_per_minute is not None:
        each = gettext("for the whole app") if limits.per == "app" else gettext("for each token")
        allowed = gettext("%(n)s requests a minute %(each)s", n=f"{limits.requests_per_minute:g}", each=each)
        found.append((gettext("Allowed"), allowed))
        found.append((gettext("For probing"), gettext("%(n)s %% of it", n=round(limits.share * 100))))
    else:
        found.append((gettext("Allowed"), gettext("no limit is known")))
    if one.free_at is not None:
        waits = one.free_at - visit.now
        free = gettext("in %(span)s", span=short(waits)) if waits > timedelta(0) else gettext("now")
        found.append((gettext("Next request"), free))
    return found


def _callback(visit: Visit, one: Used) -> str:
    if one.app is None:
        return ""
    return f"{visit.parts.loaded.settings.web.public_url.rstrip('/')}{one.app.callback}"
