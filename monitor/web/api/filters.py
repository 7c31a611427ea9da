"""Which connections, as a query says it: each name repeatable as `a,b`, labels as `label.NAME`."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Query
from starlette.requests import Request

from monitor.health.causes import Cause, Owner
from monitor.health.lifecycle import State
from monitor.health.listing import Filter
from monitor.web.api.problems import Problem, Wrong
from monitor.web.api.strict import Line, Moment

WILD = ("label.",)
MOST_IDS = 500


def several(given: str | None) -> frozenset[str]:
    """Return the values that stand in one parameter as `a,b`."""
    return frozenset(part for part in (given or "").split(",") if part)


def words(given: str | None, name: str, known: frozenset[str]) -> frozenset[str]:
    """Do the same for words of a fixed list. Raises Problem for another."""
    found = several(given)
    if not found <= known:
        raise Problem("invalid", errors=[Wrong(f"?{name}", f"is one or more of {', '.join(sorted(known))}")])
    return found


STATES = frozenset(state.value for state in State)
CAUSES = frozenset(cause.value for cause in Cause)
OWNERS = frozenset(owner.value for owner in Owner)


async def _filter(
    request: Request,
    state: Annotated[Line | None, Query(description="States, `a,b`.")] = None,
    cause: Annotated[Line | None, Query(description="Causes.")] = None,
    owner: Annotated[Line | None, Query(description="Who has to act.")] = None,
    provider: Line | None = None,
    app: Line | None = None,
    client: Annotated[Line | None, Query(description="Names of clients.")] = None,
    custody: Annotated[Line | None, Query(description="`managed`.")] = None,
    ids: Annotated[Line | None, Query(max_length=20_000)] = None,
    q: Annotated[Line | None, Query(description="A part of id, client or account.", max_length=200)] = None,
    incident: Annotated[
        Line | None, Query(description="Part of one of these incidents, which are open.")
    ] = None,
    since_before: Annotated[Moment | None, Query(description="In their state since before.")] = None,
) -> Filter:
    named = several(ids)
    if len(named) > MOST_IDS:
        raise Problem("invalid", errors=[Wrong("?ids", f"names more than {MOST_IDS}")])
    words(custody, "custody", frozenset({"managed", "observed"}))
    return Filter(
        states=words(state, "state", STATES),
        causes=words(cause, "cause", CAUSES),
        owners=words(owner, "owner", OWNERS),
        providers=several(provider),
        apps=several(app),
        clients=several(client),
        custodies=several(custody),
        ids=named,
        labels=_labels(request),
        text=q or "",
        since_before=since_before,
        incidents=_numbers(incident),
    )


def _numbers(given: str | None) -> frozenset[int]:
    found = several(given)
    if not all(one.isascii() and one.isdecimal() and len(one) < 10 for one in found):
        raise Problem("invalid", errors=[Wrong("?incident", "is the number of an incident")])
    return frozenset(map(int, found))


def _labels(request: Request) -> dict[str, str]:
    found = {}
    for name, value in request.query_params.items():
        if name.startswith(WILD):
            if not all(part.isprintable() and part for part in (name[len("label.") :], value)):
                raise Problem("invalid", errors=[Wrong("?label.NAME", "is a label's name and its value")])
            found[name.removeprefix("label.")] = value
    return found


Which = Annotated[Filter, Depends(_filter)]
