"""Nothing is watched yet: what the first page teaches, and whether a provider takes an app."""

from __future__ import annotations

import shlex

from monitor.errors import Invalid, NotFound
from monitor.health.doors import Outcome
from monitor.operations import afresh, doors, first_app, first_run, providers
from monitor.operations.actor import Right
from monitor.operations.first_app import Entry, Wanted
from monitor.settings.file import DEFAULT_FILE
from monitor.web.console.answers import Done, Field, Shown
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
    entry, choose = _app(visit)
    return Shown(
        "first_run.html.j2",
        title,
        "/",
        first=found,
        config=str(visit.parts.loaded.path.name),
        afresh=afresh.read(visit.parts, visit.actor) if visit.may(Right.SETTINGS_READ) else None,
        again=f"/?{visit.query}" if visit.query else "/",
        named=_named(visit),
        wish=visit.given("add"),
        entry=entry,
        choose=choose,
    )


def _named(visit: Visit) -> str:
    """Return the configuration file as a shell has it, where a start has to name it; else nothing."""
    path = visit.parts.loaded.path
    return "" if path == DEFAULT_FILE else shlex.quote(str(path))


def _app(visit: Visit) -> tuple[Entry | None, dict[str, Field | None]]:
    """Return what an app takes at the provider that was chosen, and what is asked for it."""
    wanted = Wanted(visit.given("add"), visit.given("region"), visit.given("client_id"))
    if visit.given("of") not in ("", wanted.provider):
        wanted = Wanted(wanted.provider)  # the rest was said of the provider that was chosen before
    wrong: dict[str, str] = {}
    entry: Entry | None = None
    regions: tuple[str, ...] = ()
    if wanted.provider:
        try:
            regions = tuple(providers.show(visit.actor, wanted.provider).regions)
            entry = first_app.entry(visit.parts, visit.actor, wanted)
        except NotFound as error:
            wrong["add"] = str(error)
        except Invalid as error:
            wrong[error.at] = error.said
    there = sorted(providers.every(visit.actor), key=lambda one: one.title.casefold())
    every = [(one.name, one.title) for one in there]
    return entry, {
        "provider": Field(
            "add", _("At which provider?"), "select", wanted.provider, options=every,
            hint=_("One that is not among these takes a file of yours, which provider_file names."),
            trouble=wrong.get("add", ""),
        ),
        "region": Field(
            "region", _("Region"), "select", wanted.region, options=[(one, one) for one in regions],
            trouble=wrong.get("region", ""),
        ) if len(regions) > 1 else None,
        "client_id": Field(
            "client_id", _("Client id"), value=wanted.client_id,
            hint=_("No secret; it may also be put in later."),
            trouble=wrong.get("client_id", ""),
        ) if regions else None,
    }  # fmt: skip


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
