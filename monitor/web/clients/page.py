"""A page that a client sees, as a value, and the connection that it is about."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from monitor.providers.phrases import Phrases

Gettext = Callable[[str], str]
Fact = tuple[str, str] | tuple[str, str, str]  # a label, a text, and where it leads: a page of the provider's


@dataclass(frozen=True, slots=True)
class Page:
    """One page: a heading, paragraphs, facts in a list, and at most one thing to do."""

    title: str
    paragraphs: tuple[str, ...] = ()
    facts: tuple[Fact, ...] = ()
    after: tuple[str, ...] = ()  # paragraphs below the facts
    button: str = ""  # posts to the link itself
    second: bool = False  # something else comes before the button
    again: str = ""  # leads back to the link's page
    tone: str = "plain"  # plain, good, warn
    status: int = 200


@dataclass(frozen=True, slots=True)
class About:
    """The connection that a page is about, every text cleaned."""

    client: str
    provider: str
    account: str = ""
    scopes: tuple[str, ...] = ()
    support: str = ""
    client_id: str = ""  # of our app at the provider
    refusal: str = ""  # what the provider answered
    phrases: Phrases = field(default_factory=Phrases)


def ask_us(about_support: str, _: Gettext) -> str:
    """Say whom to ask for help."""
    if about_support:
        return _("If you need help, write to %(support)s.") % {"support": about_support}
    return _("If you need help, reply to the email that brought you here.")
