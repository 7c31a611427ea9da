"""Which connections a form of the fleet means: those that were picked, or all that a filter finds.

The names are the fleet page's own (`?state=broken&owner=client&label=tier:gold&q=whit`), each repeatable.
Without a state it means those that are not healthy, as the page does, and all where somebody is looked for;
`state=any` is all.
"""

from __future__ import annotations

from collections.abc import Sequence

from monitor.errors import Invalid
from monitor.health.causes import Cause, Owner
from monitor.health.lifecycle import State
from monitor.health.listing import NOT_HEALTHY, Filter
from monitor.operations.jobs import Selection
from monitor.web.console.texts import gettext as _
from monitor.web.console.visit import Visit

NAMES = ("state", "cause", "owner", "provider", "app", "client", "label", "incident", "q")
LOOKED_FOR = ("q", "client", "incident")  # somebody, however they are
ANY = "any"


def selection(visit: Visit) -> Selection:
    """Return what was chosen. Raises Invalid where that is nothing, or no word that there is."""
    expect = visit.given("expect")
    seen = int(expect) if expect.isdecimal() and len(expect) < 10 else None
    if visit.given("all") == "1":
        return Selection(filter_of(visit), (), seen)
    ids = tuple(dict.fromkeys(visit.several("id")))
    if not ids:
        raise Invalid("id", _("choose at least one connection first."))
    return Selection(None, ids, seen)


def hidden(visit: Visit) -> list[tuple[str, str]]:
    """Return the same choice as fields of the next form."""
    if visit.given("all") == "1":
        return [("all", "1"), *((name, value) for name in NAMES for value in visit.several(name))]
    return [("id", name) for name in dict.fromkeys(visit.several("id"))]


def filter_of(visit: Visit) -> Filter:
    """Read a filter. Raises Invalid for a word that there is not."""
    for name in NAMES:
        if any("\0" in one for one in visit.several(name)):  # no database takes it
            raise Invalid(name, _("is no text."))
    return Filter(
        states=_states(visit),
        causes=_words("cause", visit.several("cause"), [cause.value for cause in Cause]),
        owners=_words("owner", visit.several("owner"), [owner.value for owner in Owner]),
        providers=frozenset(visit.several("provider")),
        apps=frozenset(visit.several("app")),
        clients=frozenset(visit.several("client")),
        labels=_labels(visit.several("label")),
        text=visit.given("q")[:200],
        incidents=_numbers(visit.several("incident")),
    )


def sentence(visit: Visit) -> str:
    """Say a filter as it stands in the address: `state: broken; owner: client`."""
    told = [(name, visit.several(name)) for name in NAMES]
    if _states(visit) == NOT_HEALTHY:
        told[0] = ("state", [_("not healthy")])
    words = {"q": _("search")}
    return "; ".join(f"{words.get(name, name)}: {', '.join(values)}" for name, values in told if values)


def _states(visit: Visit) -> frozenset[str]:
    given = visit.several("state")
    if ANY in given:
        return frozenset()
    if not given:
        return frozenset() if any(visit.given(name) for name in LOOKED_FOR) else NOT_HEALTHY
    return _words("state", given, [state.value for state in State])


def _numbers(given: Sequence[str]) -> frozenset[int]:
    if unknown := [one for one in given if not (one.isascii() and one.isdecimal() and len(one) < 10)]:
        raise Invalid("incident", _("there is no %(word)s.", word=repr(unknown[0][:60])))
    return frozenset(map(int, given))


def _words(name: str, given: Sequence[str], known: Sequence[str]) -> frozenset[str]:
    if unknown := [one for one in given if one not in known]:
        raise Invalid(name, _("there is no %(word)s.", word=repr(unknown[0][:60])))
    return frozenset(given)


def _labels(given: Sequence[str]) -> dict[str, str]:
    found = {}
    for one in given:
        name, colon, value = one.partition(":")
        if not (name and colon and value and one.isprintable()):
            raise Invalid("label", _("is a label's name and its value, such as tier:gold."))
        found[name] = value
    return found
