"""Webhooks: the endpoints that events are sent to, what became of them, and sending once more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from alerts.webhooks import deliveries, endpoints
from alerts.webhooks.deliveries import STATES, Delivery
from alerts.webhooks.endpoints import Endpoint, State
from alerts.webhooks.send import said
from alerts.webhooks.signing import new_secret
from alerts.webhooks.story import KEPT
from monitor.errors import (
    CannotDecrypt,
    Conflict,
    Invalid,
    KeyMissing,
    NotAdmitted,
    NotFound,
    Remedy,
)
from monitor.health import events as catalogue
from monitor.health.restriction import Restriction, of_document
from monitor.metrics.meters import Meters
from monitor.operations.actor import Actor, Right
from monitor.operations.events import check
from monitor.secret import Secret
from monitor.settings.builders import build_caller, build_reach, old_secret_cell, secret_cell
from monitor.settings.parts import Parts
from monitor.store import audit
from monitor.text.ids import new_id

MOST = 100  # endpoints


@dataclass(frozen=True, slots=True)
class Made:
    """An endpoint with its secret, which nobody is shown again."""

    endpoint: Endpoint
    secret: Secret


@dataclass(frozen=True, slots=True)
class Shown:
    """An endpoint, and how many deliveries to it wait and failed, counted up to a thousand."""

    endpoint: Endpoint
    waiting: int
    failed: int


@dataclass(frozen=True, slots=True)
class Tested:
    """What an endpoint did with a test: whether it took it, and what it answered."""

    taken: bool
    status: int | None
    answer: str


@dataclass(frozen=True, slots=True)
class Page:
    """Some deliveries, newest first. The next page is that `before` the place, None after the last."""

    deliveries: tuple[Delivery, ...]
    before: int | None


async def every(parts: Parts, actor: Actor) -> list[Endpoint]:
    """Return the endpoints, the oldest first."""
    actor.needs(Right.WEBHOOKS_READ)
    return [one for one in await endpoints.every(parts.database) if one.only.within(actor.only)]


async def find(parts: Parts, actor: Actor, endpoint_id: str) -> Shown:
    """Return an endpoint. Raises NotFound."""
    actor.needs(Right.WEBHOOKS_READ)
    found = await _mine(parts, actor, endpoint_id)
    counts = await deliveries.counted(parts.database, endpoint_id)
    return Shown(found, counts["waiting"], counts["failed"])


async def add(
    parts: Parts, actor: Actor, url: str, events: Sequence[str], only: Restriction | None = None
) -> Made:
    """Add an endpoint, which is told of what comes about from now on; without `only`, of all the actor sees.

    Raises Invalid for an address that is not gone to or events that there are not, NotAdmitted
    for a part of the fleet beyond the actor's own.
    """
    actor.needs(Right.WEBHOOKS_WRITE)
    if len(await endpoints.every(parts.database)) >= MOST:
        raise Conflict(
            f"There are {MOST} webhooks already; remove one first.", Remedy("webhooks.every", "shows them")
        )
    name, secret, now = new_id("wh"), new_secret(), parts.clock.now()
    made = Endpoint(
        id=name,
        url=_url(parts, url),
        events=_events(events),
        only=_only(actor, only),
        state=State.ACTIVE,
        failing_since=None,
        made_by=actor.name,
        created_at=now,
        revision=1,
        secret=parts.vault.seal(secret, secret_cell(name)),
    )
    await endpoints.add(parts.database, made, now, actor.name)
    return Made(made, secret)


async def change(
    parts: Parts,
    actor: Actor,
    endpoint_id: str,
    *,
    revision: int | None = None,
    url: str | None = None,
    events: Sequence[str] | None = None,
    only: Restriction | None = None,
) -> Endpoint:
    """Change what is given of an endpoint that still has this revision, whichever without.

    Raises NotFound, ChangedMeanwhile, and what `add` raises.
    """
    actor.needs(Right.WEBHOOKS_WRITE)
    await _mine(parts, actor, endpoint_id)
    values: dict[str, Any] = {}
    if url is not None:
        values["url"] = _url(parts, url)
    if events is not None:
        values["events"] = list(_events(events))
    if only is not None:
        values["only"] = _only(actor, only)
    return await endpoints.change(
        parts.database, endpoint_id, revision, values, parts.clock.now(), actor.name
    )


async def remove(parts: Parts, actor: Actor, endpoint_id: str, *, revision: int | None = None) -> None:
    """Forget an endpoint, and what waits for it. Raises NotFound and ChangedMeanwhile."""
    actor.needs(Right.WEBHOOKS_WRITE)
    await _mine(parts, actor, endpoint_id)
    await endpoints.remove(parts.database, endpoint_id, revision, parts.clock.now(), actor.name)


async def rotate(parts: Parts, actor: Actor, endpoint_id: str, *, revision: int | None = None) -> Made:
    """Give an endpoint another secret; both sign for a day. Raises NotFound and ChangedMeanwhile."""
    actor.needs(Right.WEBHOOKS_WRITE)
    before, secret = await _mine(parts, actor, endpoint_id), new_secret()
    try:
        old = parts.vault.open(before.secret, secret_cell(endpoint_id)) if before.secret else None
    except (CannotDecrypt, KeyMissing):
        old = None
    after = await endpoints.rotate(
        parts.database,
        endpoint_id,
        before.revision if revision is None else revision,
        parts.vault.seal(secret, secret_cell(endpoint_id)),
        parts.vault.seal(old, old_secret_cell(endpoint_id)) if old is not None else None,
        parts.clock.now(),
        actor.name,
    )
    return Made(after, secret)


async def enable(parts: Parts, actor: Actor, endpoint_id: str, *, revision: int | None = None) -> Endpoint:
    """Send an endpoint again what comes about from now on. Raises NotFound and ChangedMeanwhile."""
    actor.needs(Right.WEBHOOKS_WRITE)
    await _mine(parts, actor, endpoint_id)
    return await endpoints.enable(parts.database, endpoint_id, revision, parts.clock.now(), actor.name)


async def disable(parts: Parts, actor: Actor, endpoint_id: str) -> Endpoint:
    """Send an endpoint nothing any more; what waits for it is given up. Raises NotFound."""
    actor.needs(Right.WEBHOOKS_WRITE)
    await _mine(parts, actor, endpoint_id)
    now = parts.clock.now()
    await endpoints.disable(
        parts.database, endpoint_id, State.DISABLED, f"{actor.name} said so", now, actor.name
    )
    return await endpoints.find(parts.database, endpoint_id)


async def test(parts: Parts, actor: Actor, endpoint_id: str) -> Tested:
    """Send a test to an endpoint at once, and return what it answered. Raises NotFound."""
    actor.needs(Right.WEBHOOKS_WRITE)
    endpoint = await _mine(parts, actor, endpoint_id)
    await audit.write_down(parts.database, parts.clock.now(), actor.name, "webhook.test", endpoint_id)
    posted = await build_caller(parts, Meters(), actor.name).test(endpoint)
    return Tested(posted.taken, posted.status, said(posted))


async def sent(
    parts: Parts, actor: Actor, endpoint_id: str, limit: int, *, before: int | None = None, state: str = ""
) -> Page:
    """Return deliveries to an endpoint, those in a state. Raises NotFound and Invalid."""
    actor.needs(Right.WEBHOOKS_READ)
    await _mine(parts, actor, endpoint_id)
    if state and state not in STATES:
        raise Invalid("state", f"is none of {', '.join(STATES)}")
    found = await deliveries.page(parts.database, endpoint_id, limit + 1, before=before, state=state)
    return Page(tuple(found[:limit]), found[limit - 1].place if len(found) > limit else None)


async def send_again(parts: Parts, actor: Actor, endpoint_id: str, delivery_id: str) -> Delivery:
    """Send one delivery once more, with the same ids. Raises NotFound and Conflict (disabled)."""
    actor.needs(Right.WEBHOOKS_WRITE)
    _is_active(await _mine(parts, actor, endpoint_id))
    now = parts.clock.now()
    await deliveries.again(parts.database, endpoint_id, delivery_id, now, actor.name)
    found = await deliveries.find(parts.database, endpoint_id, delivery_id)
    if found is None:
        raise NotFound(f"There is no delivery {delivery_id!r} to {endpoint_id}, or it is kept no longer.")
    return found


async def replay(
    parts: Parts,
    actor: Actor,
    endpoint_id: str,
    since: datetime,
    until: datetime | None = None,
    events: Sequence[str] = (),
) -> int:
    """Send again what came about from a time on, until another, of some types; return how many events.

    Only what the endpoint wants, delivered or not, with the ids of the first time. Raises NotFound,
    Conflict for an endpoint that is disabled, and Invalid for a time of which nothing is kept.
    """
    actor.needs(Right.WEBHOOKS_WRITE)
    endpoint, now = await _mine(parts, actor, endpoint_id), parts.clock.now()
    _is_active(endpoint)
    last = until or now
    if since >= last:
        raise Invalid("since", "has to be before until")
    if since < now - KEPT:
        raise Invalid("since", f"is longer ago than events are kept: {KEPT.days} days")
    chosen = replace(endpoint, events=_events(events)) if events else endpoint
    types = [one for one in catalogue.types_of(chosen.events) if catalogue.wanted(endpoint.events, one)]
    return await deliveries.replay(
        parts.database, endpoint_id, endpoint.wants, types, since, last, now, actor.name
    )


def part_of_fleet(document: Mapping[str, Any]) -> Restriction:
    """Read which part of the fleet an endpoint is told of, as documents have it."""
    return of_document(document)


async def _mine(parts: Parts, actor: Actor, endpoint_id: str) -> Endpoint:
    found = await endpoints.find(parts.database, endpoint_id)
    if not found.only.within(actor.only):
        raise endpoints.none_such(endpoint_id)
    return found


def _is_active(endpoint: Endpoint) -> None:
    if endpoint.state is not State.ACTIVE:
        raise Conflict(
            f"{endpoint.id} is {endpoint.state.value}: nothing is sent to it.",
            Remedy("webhooks.enable", "lets it be sent things again", endpoint.id),
        )


def _url(parts: Parts, url: str) -> str:
    why = build_reach(parts.loaded).refused(url)
    if why is not None:
        raise Invalid("url", why)
    return url


def _events(asked: Sequence[str]) -> tuple[str, ...]:
    if not asked:
        raise Invalid("events", "names none: give types, groups such as 'connection.*', or '*'")
    check(asked)
    return tuple(dict.fromkeys(asked))


def _only(actor: Actor, only: Restriction | None) -> Restriction:
    if only is None:
        return replace(actor.only, networks=())
    if only.networks:
        raise Invalid("only", "has networks, which say nothing of what comes from us")
    if not only.within(actor.only):
        raise NotAdmitted("beyond_own_rights", "only: reaches beyond what there is for you.")
    return only
