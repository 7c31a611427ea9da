"""Puts the doors for programs and for people together; loaded only where they are served."""

from __future__ import annotations

from monitor.metrics.meters import Meters
from monitor.operations.newsfeed import Newsfeed
from monitor.operations.pulse import Pulse
from monitor.secret import Secret
from monitor.settings.parts import Parts
from monitor.tokens.vault import keyed
from monitor.web.api.cursors import Cursors
from monitor.web.api.limits import Limits
from monitor.web.api.route import Around, Keeper
from monitor.web.api.streams import Streams
from monitor.web.console.app import Console
from monitor.web.console.handling import House
from monitor.web.console.live import Live
from monitor.web.doorkeeper import Doorkeeper


def build_around(parts: Parts, keeper: Keeper, meters: Meters, *works: object) -> Around:
    """Gather what the routes have at hand; `works` run in this process, and are found by their type."""
    secret = Secret(keyed(parts.import_key, "cursors"))
    limits, cursors = Limits(parts.clock), Cursors(secret)
    at_work = {type(work): work for work in (Streams(), *works)}
    return Around(parts, keeper, limits, cursors, meters, Pulse(parts.database), at_work)


def build_console(around: Around, keeper: Doorkeeper) -> Console:
    """Put the console together, over what the API has at hand."""
    secret = Secret(keyed(around.parts.import_key, "console"))
    live = Live(around.parts, keeper, Newsfeed(around.parts), around.works[Streams])
    return Console(House(around.parts, keeper, around.pulse, secret, around.works), live)
