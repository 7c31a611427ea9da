"""An incident's growth as a line that one sees at a glance: its geometry, and its sentence."""

from __future__ import annotations

from datetime import datetime

from monitor.health.growth import Growth
from monitor.web.console.render import at
from monitor.web.console.texts import gettext as _

WIDTH, HEIGHT = 1000, 60


def area(growth: Growth) -> str:
    """Return the path of an SVG, in a box of 1000 by 60: how many were broken, from left to right."""
    most = max(1, growth.most[1])
    step = WIDTH / max(1, len(growth.points) - 1)
    line = [
        f"{index * step:.0f},{HEIGHT - 56 * count / most:.1f}"
        for index, (_at, count) in enumerate(growth.points)
    ]
    return f"M0,{HEIGHT} L{' L'.join(line)} L{WIDTH},{HEIGHT}Z"


def sentence(growth: Growth, now: datetime) -> str:
    """Say the same in words."""
    (first_at, first), (last_at, last), (most_at, most) = growth.points[0], growth.last, growth.most
    said = {
        "first": first, "first_at": at(first_at, now), "most": most, "most_at": at(most_at, now),
        "last": last, "last_at": at(last_at, now), "since": at(growth.level_since, now),
    }  # fmt: skip
    if first == most == last:
        return _("%(first)s at %(first_at)s, level since", **said)
    if last == most and growth.level_since < last_at:
        return _("%(first)s at %(first_at)s, %(last)s at %(since)s, level since", **said)
    if last == most:
        return _("%(first)s at %(first_at)s, %(last)s at %(last_at)s, and growing", **said)
    return _("%(most)s at most, at %(most_at)s; %(last)s at %(last_at)s", **said)
