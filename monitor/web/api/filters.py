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


def _several(given: str | None) -> frozenset[str]:
    return frozenset(part for part in (given or "").split(",") if part)


def _of(given: str | None, name: str, words: frozenset[str]) -> frozenset[str]:
    found = _several(given)
    if not found <= words:
        raise Problem("invalid", errors=[Wrong(f"?{name}", f"is one or more of {', '.join(sorted(words))}")])
    return found


_STATES = frozenset(state.value for state in State)
_CAUSES = frozenset(cause.value for cause in Cause)
_OWNERS = frozenset(owner.value for owner in Owner)


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
    since_before: Annotated[Moment | None, Query(description="In their state since before.")] = None,
) -> Filter:
    named = _several(ids)
    if len(named) > MOST_IDS:
        raise Problem("invalid", errors=[Wrong("?ids", f"names more than {MOST_IDS}")])
    _of(custody, "custody", frozenset({"managed", "observed"}))
    return Filter(
        states=_of(state, "state", _STATES),
        causes=_of(cause, "cause", _CAUSES),
        owners=_of(owner, "owner", _OWNERS),
        providers=_several(provider),
        apps=_several(app),
        clients=_several(client),
        custodies=_several(custody),
        ids=named,
        labels=_labels(request),
        text=q or "",
        since_before=since_before,
    )


def _labels(request: Request) -> dict[str, str]:
    found = {}
    for name, value in request.query_params.items():
        if name.startswith(WILD):
            if not all(part.isprintable() and part for part in (name[len("label.") :], value)):
                raise Problem("invalid", errors=[Wrong("?label.NAME", "is a label's name and its value")])
            found[name.removeprefix("label.")] = value
    return found


Which = Annotated[Filter, Depends(_filter)]
