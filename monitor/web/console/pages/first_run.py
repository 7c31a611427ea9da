"""Nothing is watched yet: what the first page teaches, and whether a provider takes an app."""

from __future__ import annotations

from monitor.health.doors import Outcome
from monitor.operations import doors, first_run
from monitor.operations.actor import Right
from monitor.web.console.answers import Done, Shown
from monitor.web.console.declared import action
from monitor.web.console.texts import gettext as _
from monitor.web.console.visit import Visit


async def shown(visit: Visit) -> Shown:
    """Return the page that the fleet shows while there is no connection."""
    found = await first_run.first_run(visit.parts, visit.actor, 0)
    title = {
        1: _("Nothing is watched yet. Three steps, about ten minutes."),
        2: _("Nothing is watched yet. Next: your connections."),
    }[found.step]
    return Shown("first_run.html.j2", title, "/", first=found, config=str(visit.parts.loaded.path.name))


@action("/apps/{app}/ask", Right.CONNECTIONS_OPERATE, api=("ask_app",))
async def ask_app(visit: Visit) -> Done:
    """Ask an app's provider now whether anybody could connect; nobody is signed in, and nothing is spent."""
    name = visit.path["app"]
    found = await doors.ask(visit.parts, visit.actor, name)
    refused = [one.seen.says for one in found if one.seen.outcome is Outcome.REFUSED]
    good = any(one.seen.outcome is Outcome.GOOD for one in found)
    said = refused[0] if refused else found[0].seen.says
    if not refused and good:
        said = _("%(app)s is taken: clients can connect.", app=name)
    return Done(visit.back("/"), said)
