"""Access: who may come in, people and programs, and where events are sent; what each role may."""

from __future__ import annotations

from typing import Any

from monitor.health.restriction import Restriction
from monitor.operations import api_keys, people, webhooks
from monitor.operations.actor import MACHINES_ONLY, Right
from monitor.operations.roles import MAY, SCOPES, Role
from monitor.web.console.answers import Shown
from monitor.web.console.declared import page
from monitor.web.console.render import short
from monitor.web.console.rights import WORDS
from monitor.web.console.texts import gettext, ngettext
from monitor.web.console.visit import Visit

MOST_KEYS = 500
_ENDS_SOON = api_keys.WARNED[0]  # days


@page("/access", Right.USERS_WRITE)
async def show_access(visit: Visit) -> Shown:
    """Show people, keys and webhooks, and what each role may."""
    ended = visit.query.get("ended") == "1"
    everybody = await people.every(visit.parts, visit.actor)
    keys = await api_keys.every(visit.parts, visit.actor, MOST_KEYS, ended=ended)
    endpoints = await webhooks.every(visit.parts, visit.actor)
    hooks = [await webhooks.find(visit.parts, visit.actor, one.id) for one in endpoints]
    return Shown(
        "access.html.j2",
        _verdict(len(everybody), len([key for key in keys if key.state(visit.now) == "active"])),
        "/access",
        people=[(one, people.is_self(visit.actor, one)) for one in everybody],
        keys=[_key(visit, key) for key in keys],
        exposed=[key for key in keys if key.exposed_at is not None and key.state(visit.now) == "active"],
        more_keys=len(keys) == MOST_KEYS,
        ended=ended,
        hooks=[_hook(visit, one) for one in hooks],
        roles=[role.value for role in Role],
        rights=_rights(),
    )


def _verdict(persons: int, keys: int) -> str:
    who = ngettext("%(n)s person may sign in", "%(n)s people may sign in", persons)
    what = ngettext("%(n)s key is good", "%(n)s keys are good", keys)
    return gettext("%(people)s, and %(keys)s.", people=who, keys=what)


def _key(visit: Visit, key: Any) -> dict[str, Any]:
    state = key.state(visit.now)
    rotating = key.old_until is not None and visit.now < key.old_until
    left = key.expires_at - visit.now
    return {
        "key": key,
        "state": state,
        "sign": "paused" if state != "active" else "broken" if key.exposed_at is not None else "healthy",
        "good": state == "active",
        "old_until": key.old_until if rotating else None,
        "only": only_words(key.only),
        "soon": state == "active" and left.days < _ENDS_SOON,
        "left": short(left),
        "machines": bool({right.value for right in MACHINES_ONLY} & set(key.scopes)),
    }


def only_words(only: Restriction) -> list[tuple[str, str]]:
    """Return what a key or an endpoint is restricted to, as facts; empty where it is to nothing."""
    labels = ", ".join(f"{name}: {' / '.join(values)}" for name, values in only.labels.items())
    facts = [
        (gettext("apps"), ", ".join(only.apps)),
        (gettext("labels"), labels),
        (gettext("connections"), ", ".join(only.connections)),
        (gettext("networks"), ", ".join(only.networks)),
    ]
    return [(name, value) for name, value in facts if value]


def _hook(visit: Visit, one: webhooks.Shown) -> dict[str, Any]:
    """Return how an endpoint is: a state's sign, and words."""
    endpoint = one.endpoint
    if endpoint.state.value == "disabled":
        sign, says = "paused", gettext("Disabled")
    elif endpoint.state.value != "active":
        says = gettext("Gone (410)") if endpoint.state.value == "gone" else gettext("Given up")
        sign = "broken"
    elif endpoint.secret is None:
        sign, says = "broken", gettext("Its secret is lost")
    elif endpoint.failing_since is not None:
        sign, says = (
            "suspect",
            gettext("Takes nothing for %(span)s", span=short(visit.now - endpoint.failing_since)),
        )
    else:
        sign, says = "healthy", gettext("Takes what it is sent")
    return {"one": endpoint, "sign": sign, "says": says, "waiting": one.waiting, "failed": one.failed}


def _rights() -> list[tuple[str, str, list[bool]]]:
    """Return each right: its word, what it lets one do, and which roles have it, then whether a key may."""
    return [
        (right.value, gettext(words), [*(right in MAY[role] for role in Role), right in SCOPES])
        for right, words in WORDS.items()
    ]
