"""Turns values into HTML: the templates, and the few words and numbers that all of them write alike."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined

from monitor.text.spans import rounded
from monitor.web.console import remedies
from monitor.web.console.terse import Terse
from monitor.web.console.texts import N_, gettext, ngettext

STATES = {
    "broken": N_("Broken"), "suspect": N_("Suspect"), "pending": N_("Pending"), "paused": N_("Paused"),
    "healthy": N_("Healthy"),
}  # fmt: skip
OWNERS = {
    "operator": N_("Operator"), "client": N_("Client"), "provider": N_("Provider"), "nobody": N_("Nobody"),
    "none": N_("Nobody"),
}  # fmt: skip
_UNITS = {"day": N_("%(n)s d"), "hour": N_("%(n)s h"), "minute": N_("%(n)s min"), "second": N_("%(n)s s")}


@lru_cache(maxsize=1)
def environment() -> Environment:
    """Return the templates' environment: everything is escaped, and a name that is not there is a fault."""
    env = Environment(
        loader=PackageLoader("monitor.web", "templates/console"),
        autoescape=True,
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n", Terse],
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.install_gettext_callables(gettext, ngettext, newstyle=False)  # type: ignore[attr-defined]
    env.globals |= {"_": gettext, "ngettext": ngettext, "STATES": STATES, "OWNERS": OWNERS}
    env.filters["remedied"] = remedies.said
    env.filters |= {"number": number, "span": short, "at": at, "iso": iso, "part": part, "until": until}
    return env


def number(count: int) -> str:
    """Write a number as people read it."""
    return f"{count:,}"


def short(length: timedelta) -> str:
    """Write a length of time in one unit: 47 min, 3 h, 6 d. A unit is taken from one and a half of it on."""
    count, unit = rounded(length)
    return gettext(_UNITS[unit], n=count)


def at(moment: datetime, now: datetime) -> str:
    """Write a moment of UTC as shortly as it is clear: 14:32, Thu 12:31, 24 Apr, 24 Apr 2025."""
    days = (moment.date() - now.date()).days
    if days == 0:
        return moment.strftime("%H:%M")
    if abs(days) < 6:
        return moment.strftime("%a %H:%M")
    return moment.strftime("%-d %b") if moment.year == now.year else moment.strftime("%-d %b %Y")


def until(moment: datetime, now: datetime) -> str:
    """Say how long it is until a moment: in 4 min, now."""
    return gettext("in %(span)s", span=short(moment - now)) if moment > now else gettext("now")


def iso(moment: datetime) -> str:
    """Write a moment for machines (RFC 3339)."""
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def part(text: str) -> str:
    """Write a name as a part of a path (RFC 3986 3.3)."""
    return quote(text, safe="")


class Templates:
    """The templates, with what every page has around it."""

    def __init__(self) -> None:
        self._env = environment()

    def html(self, template: str, **values: Any) -> str:
        """Return a page."""
        return self._env.get_template(template).render(**values)
