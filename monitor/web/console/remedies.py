"""What mends something, as the console says it: by a page or action of its own, else by a command."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from monitor.errors import Remedy
from monitor.web.commands import command

# An operation, the page or action that is it, and what its link says; {} is what it is done to. Where a
# remedy leaves open what it is done to, one chooses on the page that lists them (`CHOSEN_AT`).
PATHS = {
    "accounts.accept": ("/connections/{}/accept-account", "Accept the account…"),
    "accounts.refuse": ("/connections/{}/refuse-account", "Refuse the account…"),
    "api_keys.list": ("/access", "Show the keys"),
    "api_keys.new": ("/access/keys/new", "Make a key…"),
    "connections.list": ("/?state=any", "Show all connections"),
    "connections.remove": ("/connections/{}/remove", "Remove it…"),
    "connections.resume": ("/connections/{}/resume", "Resume it…"),
    "explain.story": ("/connections/{}", "Show it"),
    "imports.take_in": ("/import", "Add connections…"),
    "links.new": ("/connections/{}/link", "Make a link…"),
    "mails.test": ("/mails", "Show the mails"),
    "notices.ask_first": ("/incidents", "Decide on its incident"),
    "notices.drop": ("/incidents", "Decide on its incident"),
    "notices.list": ("/outbox", "Show the outbox"),
    "notices.release": ("/incidents", "Decide on its incident"),
    "notices.retry": ("/outbox/{}/retry", "Send it once more…"),
    "people.add": ("/access/people/new", "Add somebody…"),
    "people.list": ("/access", "Show the people"),
    "silences.end": ("/silences/{}/end", "End it…"),
    "silences.list": ("/silences", "Show the silences"),
    "webhooks.enable": ("/access/webhooks/{}/enable", "Enable it…"),
    "webhooks.every": ("/access", "Show the webhooks"),
    "webhooks.rotate": ("/access/webhooks/{}/rotate", "Give it another secret…"),
    "webhooks.test": ("/access/webhooks/{}/test", "Send it a test…"),
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
    known = PATHS.get(remedy.operation)
    if known is None:
        return Said(remedy.does, remedy.when, command=command(remedy))
    path, label = known
    return Said(remedy.does, remedy.when, label, _href(path, remedy))


def _href(path: str, remedy: Remedy) -> str:
    if "{}" not in path:
        return path
    if not remedy.subject or " " in remedy.subject:  # whoever reads it chooses
        return CHOSEN_AT[remedy.operation.partition(".")[0]]
    given = {name: value for name, value in remedy.options if value}
    return path.format(quote(remedy.subject, safe="")) + (f"?{urlencode(given)}" if given else "")
