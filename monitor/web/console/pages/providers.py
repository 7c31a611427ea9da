"""A provider: what its file knows of it, so that one can read why an answer means what it means."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from monitor.errors import NotFound
from monitor.health.causes import TABLE
from monitor.health.rotation import AfterLost
from monitor.health.rules import Rule
from monitor.operations import providers
from monitor.operations.actor import Right
from monitor.providers.schema import OAuth, Provider
from monitor.web.console.answers import Shown
from monitor.web.console.declared import page
from monitor.web.console.render import number, short
from monitor.web.console.texts import N_, gettext
from monitor.web.console.visit import Visit

_LOST = {
    AfterLost.RETRY: N_("sent again, at any time"),
    AfterLost.LAST_TRY: N_("sent once more, at its access token's end"),
    AfterLost.NEVER: N_("never sent again: it is lost at once"),
}


@page("/providers/{name}", Right.CATALOGUE_READ)
async def show_provider(visit: Visit) -> Shown:
    """Show what is known of a provider: endpoints, habits, limits, scopes, rules."""
    name = visit.path["name"]
    one = providers.used(visit.parts, visit.actor, name)
    return Shown(
        "provider.html.j2",
        one.title,
        "/apps",
        one=one,
        apps=[app for app in visit.parts.apps.values() if app.provider.name == name],
        habits=_habits(one.oauth),
        limits=_limits(one),
        rules=[_rule(rule) for rule in one.compiled_rules()],
        settings=[(setting.title["en"], setting.page) for setting in one.settings.values()],
        file=_file(visit, name),
    )


def _habits(oauth: OAuth) -> list[tuple[str, str]]:
    """Return how its OAuth server behaves, as facts."""
    unknown = gettext("no end is known")
    secret = gettext("in the body") if oauth.client_auth == "body" else gettext("as HTTP Basic")
    asked = gettext("asked for in the request")
    registered = gettext("those of the app's registration")
    shared = [
        (gettext("Access tokens last"), _span(oauth.access_lifetime, gettext("as each answer says"))),
        ("PKCE", gettext("S256 is sent") if oauth.pkce else gettext("is not sent")),
        (gettext("Client secret"), secret),
        (gettext("Scopes"), asked if oauth.sends_scopes else registered),
    ]
    if not oauth.gives_refresh_token:
        return [(gettext("Refresh tokens"), gettext("it gives none")), *shared]
    return [
        (gettext("Refresh tokens"), _rotation(oauth)),
        (gettext("After a lost answer"), gettext(_LOST[oauth.habit.habit])),
        (gettext("Unused, they last"), _span(oauth.refresh_idle_lifetime, unknown)),
        (gettext("Grants last"), _span(oauth.refresh_absolute_lifetime, unknown)),
        *shared,
    ]


def _rotation(oauth: OAuth) -> str:
    if not oauth.habit.rotates:
        return gettext("stay the same")
    if oauth.reuse_grace:
        return gettext(
            "a new one each time; the old one is taken for %(span)s yet", span=short(oauth.reuse_grace)
        )
    return gettext("a new one each time")


def _limits(one: Provider) -> list[tuple[str, str]]:
    limits, found = one.limits, []
    if limits.requests_per_minute is not None:
        each = gettext("for the whole app") if limits.per == "app" else gettext("for each token")
        allowed = gettext("%(n)s requests a minute %(each)s", n=f"{limits.requests_per_minute:g}", each=each)
        found.append((gettext("Requests"), allowed))
    if limits.least_interval is not None:
        found.append((gettext("Asked at most every"), short(limits.least_interval)))
    if limits.reads_per_month is not None:
        found.append((gettext("Reads in a month"), number(limits.reads_per_month)))
    if limits.live_access_tokens is not None:
        found.append(
            (gettext("Access tokens alive"), gettext("%(n)s of a grant", n=limits.live_access_tokens))
        )
    if limits.grants_per_user is not None:
        found.append((gettext("Approvals"), gettext("%(n)s of a user", n=limits.grants_per_user)))
    return found or [(gettext("Requests"), gettext("no limit is known"))]


def _span(length: timedelta | None, otherwise: str) -> str:
    return short(length) if length is not None else otherwise


def _rule(rule: Rule) -> dict[str, Any]:
    """Return a rule as one reads it: what has to be so, and what it then means."""
    status = ""
    if rule.status is not None:
        low, high = rule.status
        status = str(low) if low == high else f"{low}–{high}"
    conditions = [
        (N_("status"), status),
        (N_("error"), ", ".join(sorted(rule.error or ()))),
        (N_("description"), rule.description or ""),
        (N_("challenge"), rule.challenge or ""),
        (N_("content"), rule.content.value if rule.content is not None else ""),
        *((field, ", ".join(sorted(texts))) for field, texts in rule.fields),
        *rule.headers,
        (N_("text"), rule.text or ""),
    ]
    return {
        "name": rule.name,
        "step": rule.step.value if rule.step is not None else gettext("any step"),
        "conditions": [(gettext(name), value) for name, value in conditions if value],
        "cause": rule.cause.value,
        "means": TABLE[rule.cause].meaning,
    }


def _file(visit: Visit, name: str) -> str:
    """Return a built-in provider's file as it is written; one's own stands beside the settings."""
    try:
        return providers.text(visit.actor, name)
    except NotFound:
        return ""
