"""What mends something, as the console says it: by a page or action of its own, else by a command."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote, urlencode

from starlette.routing import compile_path

from monitor.errors import Remedy
from monitor.web.commands import command
from monitor.web.console.declared import Declared, so_far
from monitor.web.console.texts import N_, gettext

# An operation, the page or action that is it, and what its link says; {} is what it is done to. Where a
# remedy leaves open what it is done to, one chooses on the page that lists them (`CHOSEN_AT`).
PATHS = {
    "accounts.accept": ("/connections/{}/accept-account", N_("Accept the account…")),
    "accounts.refuse": ("/connections/{}/refuse-account", N_("Refuse the account…")),
    "api_keys.list": ("/access", N_("Show the keys")),
    "api_keys.new": ("/access/keys/new", N_("Make a key…")),
    "connections.list": ("/?state=any", N_("Show all connections")),
    "connections.remove": ("/connections/{}/remove", N_("Remove it…")),
    "connections.resume": ("/connections/{}/resume", N_("Resume it")),
    "explain.story": ("/connections/{}", N_("Show it")),
    "imports.take_in": ("/import", N_("Add connections…")),
    "links.new": ("/connections/{}/copy-link", N_("Make a link")),
    "mails.test": ("/outbox/test", N_("Send a test mail…")),
    "notices.ask_first": ("/incidents", N_("Decide on its incident")),
    "notices.drop": ("/incidents", N_("Decide on its incident")),
    "notices.list": ("/outbox", N_("Show the outbox")),
    "notices.release": ("/incidents", N_("Decide on its incident")),
    "notices.retry": ("/outbox/{}/retry", N_("Send it once more…")),
    "notices.send_twice": ("/outbox/{}/retry", N_("Send it again…")),
    "people.add": ("/access/people/new", N_("Add somebody…")),
    "people.list": ("/access", N_("Show the people")),
    "silences.end": ("/silences/{}/end", N_("End it…")),
    "silences.list": ("/silences", N_("Show the silences")),
    "webhooks.enable": ("/access/webhooks/{}/enable", N_("Enable it…")),
    "webhooks.every": ("/access", N_("Show the webhooks")),
    "webhooks.rotate": ("/access/webhooks/{}/rotate", N_("Give it another secret…")),
    "webhooks.test": ("/access/webhooks/{}/test", N_("Send it a test…")),
}
CHOSEN_AT = {
    "connections": "/?state=any",
    "explain": "/?state=any",
    "links": "/?state=any",
    "accounts": "/?state=any",
    "notices": "/outbox",
    "silences": "/silences",
    "webhooks": "/access",
}


@dataclass(frozen=True, slots=True)
class Said:
    """A remedy in the console's words: a link, a button that does it, or a command where no page does."""

    does: str  # what that does, where the link's words do not say it
    when: str  # what has to be so first
    label: str = ""
    href: str = ""
    posts: bool = False  # it is done at once, and there is nothing to look at
    fields: tuple[tuple[str, str], ...] = ()  # what is posted with it
    command: str = ""


def said(remedies: Iterable[Remedy], may: Collection[str] | None = None) -> list[Said]:
    """Return remedies as a page says them, in their order, without those that the reader may not use."""
    return [one for remedy in remedies if (one := _said(remedy, may)) is not None]


def _said(remedy: Remedy, may: Collection[str] | None) -> Said | None:
    path, label = PATHS.get(remedy.operation, ("", ""))
    href = _href(path, remedy) if path else ""
    there = _page(href) if href else None
    if there is None:
        return Said(remedy.does, remedy.when, command=command(remedy))
    if may is not None and there.needs is not None and there.needs.value not in may:
        return None
    posts = there.acts and there.asks is None
    given = tuple((name, value) for name, value in remedy.options if value)
    if posts:
        return Said(remedy.does, remedy.when, gettext(label), href, posts=True, fields=given)
    query = f"?{urlencode(given)}" if given and "?" not in href else ""
    return Said(remedy.does, remedy.when, gettext(label), href + query)


def _href(path: str, remedy: Remedy) -> str:
    if "{}" not in path:
        return path
    if not remedy.subject or " " in remedy.subject:  # whoever reads it chooses
        return CHOSEN_AT[remedy.operation.partition(".")[0]]
    return path.format(quote(remedy.subject, safe=""))


def _page(href: str) -> Declared | None:
    """Return the console's page or action at an address; None where it has none."""
    path = href.partition("?")[0]
    return next((one for pattern, one in _pages(so_far()) if pattern.match(path)), None)


@lru_cache(maxsize=4)
def _pages(found: tuple[Declared, ...]) -> tuple[tuple[re.Pattern[str], Declared], ...]:
    ordered = sorted(found, key=lambda one: one.path.count("{"))
    return tuple((compile_path(one.path)[0], one) for one in ordered)
