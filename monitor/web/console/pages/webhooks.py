"""Webhooks: where programs are told of events; added, tried, given another secret, switched on and off."""

from __future__ import annotations

from monitor.errors import ConfigurationError
from monitor.operations import api_keys, webhooks
from monitor.operations.actor import Right
from monitor.operations.webhooks import Made
from monitor.web.console.answers import Ask, Done, Field, Shown
from monitor.web.console.declared import action, page
from monitor.web.console.pages.access import only_words
from monitor.web.console.pages.people import revision
from monitor.web.console.texts import gettext
from monitor.web.console.visit import Visit

A_PAGE = 50
STATES = ("", "waiting", "taken", "failed")


@page("/access/webhooks/{hook}", Right.WEBHOOKS_READ)
async def show_webhook(visit: Visit) -> Shown:
    """Show an endpoint, and what became of the events for it."""
    hook = visit.path["hook"]
    one = await webhooks.find(visit.parts, visit.actor, hook)
    before = visit.query.get("before", "")
    if before and not (before.isascii() and before.isdecimal() and len(before) <= 18):
        raise ConfigurationError(gettext("This page of the list is none; begin with the first."))
    found = await webhooks.sent(
        visit.parts, visit.actor, hook, A_PAGE, before=int(before) if before else None
    )
    here = f"/access/webhooks/{hook}"
    return Shown(
        "webhook.html.j2",
        one.endpoint.url,
        "/access",
        one=one.endpoint,
        waiting=one.waiting,
        failed=one.failed,
        only=only_words(one.endpoint.only),
        deliveries=found.deliveries,
        first=here if before else "",
        after=f"{here}?before={found.before}" if found.before is not None else "",
    )


async def _ask_where(visit: Visit) -> Ask:
    return Ask(
        gettext("Tell a program of events"),
        [gettext("From now on it is sent what comes about, signed with a secret that is shown once.")],
        gettext("Add the webhook"),
        "/access",
        fields=[
            Field("url", gettext("Address"), "url", visit.given("url"), required=True,
                  hint=gettext("https, or http to this machine.")),
            Field("events", gettext("Events"), value=visit.given("events", "*"), required=True,
                  hint=gettext("Types, groups such as connection.*, or * for all; several with commas.")),
            Field("apps", gettext("Only of these apps"), value=visit.given("apps"),
                  hint=gettext("Several with commas. Empty: every one.")),
        ],
        here="/access",
    )  # fmt: skip


@action("/access/webhooks/new", Right.WEBHOOKS_WRITE, api=("create_webhook",), asks=_ask_where)
async def add_webhook(visit: Visit) -> Shown:
    """Add an endpoint."""
    apps = _list(visit, "apps")
    only = api_keys.restricted(apps) if apps else None
    return _once(
        await webhooks.add(visit.parts, visit.actor, visit.given("url"), _list(visit, "events"), only)
    )


async def _ask_test(visit: Visit) -> Ask:
    one = (await webhooks.find(visit.parts, visit.actor, visit.path["hook"])).endpoint
    return Ask(
        gettext("Send a test to %(url)s", url=one.url),
        [gettext("One event webhook.test goes out now, signed as the others; what it answers stands here.")],
        gettext("Send the test"),
        "/access",
        here="/access",
    )


@action("/access/webhooks/{hook}/test", Right.WEBHOOKS_WRITE, api=("test_webhook",), asks=_ask_test)
async def try_webhook(visit: Visit) -> Done:
    """Send a test."""
    found = await webhooks.test(visit.parts, visit.actor, visit.path["hook"])
    said = gettext("The test was taken: %(answer)s.", answer=found.answer)
    if not found.taken:
        said = gettext("The test was not taken: %(answer)s.", answer=found.answer)
    return Done("/access", said)


async def _ask_secret(visit: Visit) -> Ask:
    one = (await webhooks.find(visit.parts, visit.actor, visit.path["hook"])).endpoint
    return Ask(
        gettext("Give %(url)s another secret", url=one.url),
        [gettext("The new one is shown once. Both sign for a day, so that nothing is lost meanwhile.")],
        gettext("Rotate the secret"),
        "/access",
        hidden=[("revision", str(one.revision))],
        here="/access",
    )


@action("/access/webhooks/{hook}/rotate", Right.WEBHOOKS_WRITE, api=("rotate_webhook",), asks=_ask_secret)
async def rotate_webhook(visit: Visit) -> Shown:
    """Give an endpoint another secret."""
    return _once(
        await webhooks.rotate(visit.parts, visit.actor, visit.path["hook"], revision=revision(visit))
    )


async def _ask_enable(visit: Visit) -> Ask:
    one = (await webhooks.find(visit.parts, visit.actor, visit.path["hook"])).endpoint
    return Ask(
        gettext("Send events to %(url)s again", url=one.url),
        [
            gettext("It is sent what comes about from now on."),
            gettext("What it missed is kept for 30 days, and can be sent again by the API: replay."),
        ],
        gettext("Enable it"),
        "/access",
        hidden=[("revision", str(one.revision))],
        here="/access",
    )


@action("/access/webhooks/{hook}/enable", Right.WEBHOOKS_WRITE, api=("enable_webhook",), asks=_ask_enable)
async def enable_webhook(visit: Visit) -> Done:
    """Send an endpoint events again."""
    one = await webhooks.enable(visit.parts, visit.actor, visit.path["hook"], revision=revision(visit))
    return Done("/access", gettext("%(url)s is sent events again.", url=one.url))


async def _ask_disable(visit: Visit) -> Ask:
    one = await webhooks.find(visit.parts, visit.actor, visit.path["hook"])
    return Ask(
        gettext("Send nothing to %(url)s any more", url=one.endpoint.url),
        [gettext("What waits for it is given up: %(n)s.", n=f"{one.waiting:,}")],
        gettext("Disable it"),
        "/access",
        danger=True,
        note=gettext("It can be enabled again; what came about meanwhile is not sent by itself then."),
        here="/access",
    )


@action("/access/webhooks/{hook}/disable", Right.WEBHOOKS_WRITE, api=("disable_webhook",), asks=_ask_disable)
async def disable_webhook(visit: Visit) -> Done:
    """Send an endpoint nothing any more."""
    one = await webhooks.disable(visit.parts, visit.actor, visit.path["hook"])
    return Done("/access", gettext("%(url)s is sent nothing any more.", url=one.url))


async def _ask_end(visit: Visit) -> Ask:
    one = (await webhooks.find(visit.parts, visit.actor, visit.path["hook"])).endpoint
    return Ask(
        gettext("Remove the webhook %(url)s", url=one.url),
        [gettext("It is forgotten with its secret, and what waits for it with it.")],
        gettext("Remove the webhook"),
        "/access",
        hidden=[("revision", str(one.revision))],
        danger=True,
        note=gettext("It cannot be taken back; it can be added anew, with another secret."),
        here="/access",
    )


@action("/access/webhooks/{hook}/remove", Right.WEBHOOKS_WRITE, api=("remove_webhook",), asks=_ask_end)
async def remove_webhook(visit: Visit) -> Done:
    """Forget an endpoint."""
    await webhooks.remove(visit.parts, visit.actor, visit.path["hook"], revision=revision(visit))
    return Done("/access", gettext("The webhook is removed."))


def _list(visit: Visit, name: str) -> list[str]:
    return [one.strip() for one in visit.given(name).split(",") if one.strip()]


def _once(made: Made) -> Shown:
    """Show an endpoint's secret, on this page and never again."""
    return Shown(
        "once.html.j2",
        gettext("The secret of %(url)s", url=made.endpoint.url),
        "/access",
        secret=made.secret.reveal(),
        says=gettext("Keep it now: nobody can show it again. What is sent there is signed with it."),
        back="/access",
        how=gettext("Checked as the Standard Webhooks specification has it."),
    )
