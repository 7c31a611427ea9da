"""What mends something, as the console says it: by a page or action of its own, else by a command."""

from __future__ import annotations

import re
from collections.abc import Iterable
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
    "connections.resume": ("/connections/{}/resume", N_("Resume it…")),
    "explain.story": ("/connections/{}", N_("Show it")),
    "imports.take_in": ("/import", N_("Add connections…")),
    "links.new": ("/connections/{}/link", N_("Make a link…")),
    "mails.test": ("/mails", N_("Show the mails")),
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
    """A remedy in the console's words: a link, or a command where no page of the console does it."""

    does: str  # completes the sentence that the link, or the command, begins
    when: str  # what has to be so first
    label: str = ""
    href: str = ""
    command: str = ""


def said(remedies: Iterable[Remedy]) -> list[Said]:
    """Return remedies as a page says them, in their order."""
    return [_said(one) for one in remedies]


def _said(remedy: Remedy) -> Said:
    path, label = PATHS.get(remedy.operation, ("", ""))
    href = _href(path, remedy) if path else ""
    if not href or not _is_here(href):
        return Said(remedy.does, remedy.when, command=command(remedy))
    return Said(remedy.does, remedy.when, gettext(label), href)


def _href(path: str, remedy: Remedy) -> str:
    if "{}" not in path:
        return path
    if not remedy.subject or " " in remedy.subject:  # whoever reads it chooses
        return CHOSEN_AT[remedy.operation.partition(".")[0]]
    given = {name: value for name, value in remedy.options if value}
    return path.format(quote(remedy.subject, safe="")) + (f"?{urlencode(given)}" if given else "")


def _is_here(href: str) -> bool:
    """Whether the console has this page."""
    path = href.partition("?")[0].partition("#")[0]
    return any(one.match(path) for one in _patterns(so_far()))


@lru_cache(maxsize=4)
def _patterns(found: tuple[Declared, ...]) -> tuple[re.Pattern[str], ...]:
    return tuple(compile_path(one.path)[0] for one in found if not one.acts or one.asks is not None)
