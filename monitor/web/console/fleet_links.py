"""The fleet page's address: its filters, order and place, read and written in one form."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import pydantic_core

from monitor.errors import Invalid
from monitor.health.lifecycle import State
from monitor.health.listing import NOT_HEALTHY, Key, Sort
from monitor.operations.overview import Asked, Place
from monitor.web.console import chosen
from monitor.web.console.texts import gettext as _
from monitor.web.console.visit import Visit

PLACES = ("after", "before")
ORDER = (*chosen.NAMES, "sort", "open", *PLACES)
EVERY = frozenset(state.value for state in State)
MOST_OPEN = 10


def asked(visit: Visit) -> Asked:
    """Read what somebody looks at. Raises Invalid for a word that there is not."""
    return Asked(
        chosen.filter_of(visit),
        _sort(visit.given("sort")),
        _place(visit, "after"),
        _place(visit, "before"),
        frozenset(int(one) for one in visit.several("open") if one.isdecimal() and len(one) < 10),
    )


def _sort(given: str) -> Sort:
    try:
        return Sort(given or Sort.WORST)
    except ValueError:
        raise Invalid("sort", _("there is no %(word)s.", word=repr(given[:60]))) from None


def written(place: Place) -> str:
    """Write a place as an address has it: to be read by us alone."""
    key = place.key
    told = [key.rank, key.since.isoformat(), key.id, key.client, place.incident]
    return base64.urlsafe_b64encode(pydantic_core.to_json(told)).rstrip(b"=").decode()


def _place(visit: Visit, name: str) -> Place | None:
    given = visit.given(name)
    if not given:
        return None
    try:
        raw = base64.b64decode(given + "=" * (-len(given) % 4), altchars=b"-_", validate=True)
        rank, since, at, client, incident = pydantic_core.from_json(raw)
        place = Place(Key(rank, datetime.fromisoformat(since), at, client), incident)
    except (ValueError, TypeError):
        place = None
    if place is None or not _is_one(place):
        raise Invalid(name, _("is no place in this list; begin at its first page."))
    return place


def _is_one(place: Place) -> bool:
    key = place.key
    if [type(one) for one in (*key, place.incident)] != [int, datetime, str, str, int]:
        return False
    numbers = 0 <= key.rank < 100 and 0 <= place.incident < 2**31
    return numbers and key.since.tzinfo is not None and "\0" not in key.id + key.client


class Links:
    """Addresses of the same page with something else chosen, which then begins at its first page.

    What is the default is not written: those that are not healthy, and the worst first.
    """

    def __init__(self, visit: Visit) -> None:
        self._given = {name: sorted(set(visit.several(name))) for name in ORDER}
        self._looks_for = any(self._given[name] for name in chosen.LOOKED_FOR)

    def values(self, name: str) -> list[str]:
        """Return what is chosen of a filter."""
        return self._given[name]

    def to(self, path: str = "/", **changed: Iterable[str] | str | None) -> str:
        """Return the address with these changed; None takes a filter away."""
        told = {name: list(values) for name, values in self._given.items()}
        for name, value in changed.items():
            told[name] = [] if value is None else [value] if isinstance(value, str) else sorted(set(value))
        if set(changed) - {*PLACES, "open"}:
            told |= {name: [] for name in PLACES}
        if "after" in changed or "before" in changed:
            told |= {name: [] for name in PLACES if name not in changed}
        query = urlencode([(name, value) for name in ORDER for value in self._short(name, told)])
        return f"{path}?{query}" if query else path

    def _short(self, name: str, told: dict[str, list[str]]) -> list[str]:
        values = told[name]
        if name == "state":
            by_name = any(told[one] for one in chosen.LOOKED_FOR)
            every = set(values) == EVERY or chosen.ANY in values
            usual = every if by_name else set(values) == NOT_HEALTHY
            return [] if usual else [chosen.ANY] if every else values
        return [] if name == "sort" and values == [Sort.WORST.value] else values

    def without(self, name: str, value: str) -> str:
        """Return the address without one of a filter's values."""
        return self._with(name, [one for one in self._given[name] if one != value])

    def without_any(self, name: str) -> str:
        """Return the address without a filter."""
        return self._with(name, [])

    def with_(self, name: str, value: str) -> str:
        """Return the address with one more value of a filter."""
        return self._with(name, [*self._given[name], value])

    def _with(self, name: str, values: Iterable[str]) -> str:
        changed: dict[str, Any] = {name: values}
        return self.to(**changed)

    def hidden(self, *but: str) -> list[tuple[str, str]]:
        """Return what a form of one filter carries along of the others."""
        names = [name for name in ORDER if name not in (*but, *PLACES, "open")]
        return [(name, value) for name in names for value in self._given[name]]
