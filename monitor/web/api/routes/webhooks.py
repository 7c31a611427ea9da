"""Webhooks: endpoints that events are sent to, and what became of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

from fastapi import Query, Response
from pydantic import Field
from starlette.requests import Request

from monitor.health.restriction import Restriction
from monitor.operations import documents, webhooks
from monitor.operations.actor import Actor, Right
from monitor.web.api.declared import Routes
from monitor.web.api.paging import Cursor, Limit, number, page, place
from monitor.web.api.revisions import etag, expected
from monitor.web.api.route import BODY, Here, Who
from monitor.web.api.shapes import Time
from monitor.web.api.strict import Given, Line, Moment, Name, Shown
from monitor.web.api.translate import in_query
from monitor.web.paths import of_api

ROUTES = Routes("Webhooks")
_REFUSED = ("beyond_own_rights", "wrong_state")


class OnlyGiven(Given):
    """The part of the fleet that an endpoint is told of: members are ANDed, their lists ORed."""

    apps: list[Name] = Field(default=[], max_length=100)
    labels: dict[Name, Name | list[Name]] = Field(default={}, max_length=20)
    connections: list[Name] = Field(default=[], max_length=500)


class WebhookGiven(Given):
    """An endpoint as it is wanted."""

    url: Annotated[Line, Field(min_length=1)]
    events: list[Name] = Field(min_length=1, max_length=50, examples=[["connection.*"]])
    only: OnlyGiven | None = None


class WebhookChange(Given):
    """What is to be another of an endpoint; `only: null` takes its restriction away."""

    url: Line | None = None
    events: list[Name] | None = Field(default=None, min_length=1, max_length=50)
    only: OnlyGiven | None = None


class ReplayGiven(Given):
    """What is to be sent again: what came about in a time, and of which types."""

    since: Moment = Field(strict=False)
    until: Moment | None = Field(default=None, strict=False)
    events: list[Name] = Field(default=[], max_length=50)


class OnlyShown(Shown):
    """The part of the fleet that an endpoint is told of."""

    apps: list[str] = Field(default=[])
    labels: dict[str, list[str]] = Field(default={})
    connections: list[str] = Field(default=[])


class Webhook(Shown):
    """An endpoint. `state`: active, disabled (by a person), gone (answered 410), failing (for five days)."""

    id: str
    url: str
    events: list[str]
    only: OnlyShown | None
    state: str
    both_secrets_until: Time | None
    made_by: str
    created_at: Time
    revision: int


class WebhookMade(Webhook):
    """An endpoint with the secret that signs for it, which is shown this once."""

    secret: str


class WebhookStatus(Shown):
    """How an endpoint is; `waiting` and `failed` are counted up to a thousand."""

    id: str
    state: str
    failing_since: Time | None
    waiting: int
    failed: int


class Webhooks(Shown):
    """A page of endpoints."""

    items: list[Webhook]
    next: str | None


class Delivery(Shown):
    """What became of an event for an endpoint: waiting, sending, sent, failed."""

    id: str
    event: str
    type: str
    state: str
    attempts: int
    answer: str | None
    next_at: Time | None
    settled_at: Time | None


class Deliveries(Shown):
    """A page of deliveries, newest first."""

    items: list[Delivery]
    next: str | None


class Tested(Shown):
    """What an endpoint did with a test."""

    taken: bool
    status: int | None
    answer: str


class Replayed(Shown):
    """How many events are sent again."""

    events: int


@ROUTES.get("/webhooks", needs=Right.WEBHOOKS_READ, shows=Webhooks, problems=("bad_cursor",))
async def list_webhooks(
    request: Request, response: Response, parts: Here, actor: Who, limit: Limit = 50, cursor: Cursor = None
) -> Any:
    """List endpoints, the oldest first."""
    told = place(request, actor, cursor, 2)
    found = [
        one
        for one in await webhooks.every(parts, actor)
        if told is None or [one.created_at.isoformat(), one.id] > told
    ]
    items, last = [documents.webhook(one) for one in found[:limit]], found[limit - 1 : limit]
    after = [last[0].created_at, last[0].id] if len(found) > limit else None
    return page(request, response, actor, items, after)


@ROUTES.post(
    "/webhooks",
    needs=Right.WEBHOOKS_WRITE,
    takes=WebhookGiven,
    shows=WebhookMade,
    status=201,
    problems=_REFUSED,
)
async def create_webhook(
    response: Response, parts: Here, actor: Who, given: Annotated[WebhookGiven, BODY]
) -> Any:
    """Add an endpoint, and show the secret that signs for it: this once."""
    made = await webhooks.add(parts, actor, given.url, given.events, _only(given.only))
    response.headers["Location"] = of_api("webhooks", made.endpoint.id)
    response.headers["ETag"] = etag(made.endpoint.revision)
    return documents.webhook_made(made)


@ROUTES.get("/webhooks/{webhook}", needs=Right.WEBHOOKS_READ, shows=Webhook)
async def show_webhook(response: Response, parts: Here, actor: Who, webhook: Name) -> Any:
    """Show an endpoint. Its ETag is what If-Match takes."""
    return _shown(response, (await webhooks.find(parts, actor, webhook)).endpoint)


@ROUTES.get("/webhooks/{webhook}/status", needs=Right.WEBHOOKS_READ, shows=WebhookStatus)
async def webhook_status(parts: Here, actor: Who, webhook: Name) -> Any:
    """Say how an endpoint is, and how many deliveries to it wait and failed."""
    return documents.webhook_status(await webhooks.find(parts, actor, webhook))


@ROUTES.put(
    "/webhooks/{webhook}", needs=Right.WEBHOOKS_WRITE, takes=WebhookGiven, shows=Webhook, precondition=True,
    problems=_REFUSED,
)  # fmt: skip
async def put_webhook(
    request: Request, response: Response, parts: Here, actor: Who, webhook: Name,
    given: Annotated[WebhookGiven, BODY],
) -> Any:  # fmt: skip
    """Make an endpoint as it is given; its secret stays."""
    only = _only(given.only) or _all_of(actor)
    done = await webhooks.change(
        parts, actor, webhook, revision=expected(request), url=given.url, events=given.events, only=only
    )
    return _shown(response, done)


@ROUTES.patch(
    "/webhooks/{webhook}", needs=Right.WEBHOOKS_WRITE, takes=WebhookChange, shows=Webhook, precondition=True,
    problems=_REFUSED,
)  # fmt: skip
async def change_webhook(
    request: Request, response: Response, parts: Here, actor: Who, webhook: Name,
    given: Annotated[WebhookChange, BODY],
) -> Any:  # fmt: skip
    """Change what is given of an endpoint, and leave the rest (RFC 7396)."""
    only = _only(given.only)
    if only is None and "only" in given.model_fields_set:
        only = _all_of(actor)
    done = await webhooks.change(
        parts, actor, webhook, revision=expected(request), url=given.url, events=given.events, only=only
    )
    return _shown(response, done)


@ROUTES.delete("/webhooks/{webhook}", needs=Right.WEBHOOKS_WRITE, precondition=True)
async def remove_webhook(request: Request, parts: Here, actor: Who, webhook: Name) -> None:
    """Forget an endpoint, and what waits for it."""
    await webhooks.remove(parts, actor, webhook, revision=expected(request))


@ROUTES.post("/webhooks/{webhook}/test", needs=Right.WEBHOOKS_WRITE, takes=Given, shows=Tested)
async def test_webhook(parts: Here, actor: Who, webhook: Name) -> Any:
    """Send `webhook.test` at once, and say what was answered."""
    tried = await webhooks.test(parts, actor, webhook)
    return {"taken": tried.taken, "status": tried.status, "answer": tried.answer}


@ROUTES.post("/webhooks/{webhook}/rotate", needs=Right.WEBHOOKS_WRITE, takes=Given, shows=WebhookMade)
async def rotate_webhook(response: Response, parts: Here, actor: Who, webhook: Name) -> Any:
    """Give an endpoint another secret, shown this once; both sign for a day."""
    made = await webhooks.rotate(parts, actor, webhook)
    response.headers["ETag"] = etag(made.endpoint.revision)
    return documents.webhook_made(made)


@ROUTES.post("/webhooks/{webhook}/enable", needs=Right.WEBHOOKS_WRITE, takes=Given, shows=Webhook)
async def enable_webhook(response: Response, parts: Here, actor: Who, webhook: Name) -> Any:
    """Send an endpoint again what comes about from now on; `replay` sends what it missed."""
    return _shown(response, await webhooks.enable(parts, actor, webhook))


@ROUTES.post("/webhooks/{webhook}/disable", needs=Right.WEBHOOKS_WRITE, takes=Given, shows=Webhook)
async def disable_webhook(response: Response, parts: Here, actor: Who, webhook: Name) -> Any:
    """Send an endpoint nothing any more, and give up what waits for it."""
    return _shown(response, await webhooks.disable(parts, actor, webhook))


@ROUTES.get(
    "/webhooks/{webhook}/deliveries", needs=Right.WEBHOOKS_READ, shows=Deliveries, problems=("bad_cursor",)
)
async def list_deliveries(
    request: Request, response: Response, parts: Here, actor: Who, webhook: Name,
    state: Annotated[Line | None, Query(description="waiting, sending, sent, failed.")] = None,
    limit: Limit = 50, cursor: Cursor = None,
) -> Any:  # fmt: skip
    """List what became of events for an endpoint, newest first; kept for 30 days."""
    before = number(request, actor, cursor)
    with in_query():
        found = await webhooks.sent(parts, actor, webhook, limit, before=before, state=state or "")
    items = [documents.delivery(one) for one in found.deliveries]
    return page(request, response, actor, items, [found.before] if found.before is not None else None)


@ROUTES.post(
    "/webhooks/{webhook}/deliveries/{delivery}/replay", needs=Right.WEBHOOKS_WRITE, takes=Given,
    shows=Delivery, status=202, problems=("wrong_state",),
)  # fmt: skip
async def replay_delivery(parts: Here, actor: Who, webhook: Name, delivery: Name) -> Any:
    """Send one delivery once more, with the same ids."""
    return documents.delivery(await webhooks.send_again(parts, actor, webhook, delivery))


@ROUTES.post(
    "/webhooks/{webhook}/replay", needs=Right.WEBHOOKS_WRITE, takes=ReplayGiven, shows=Replayed, status=202,
    problems=("wrong_state",),
)  # fmt: skip
async def replay_webhook(parts: Here, actor: Who, webhook: Name, given: Annotated[ReplayGiven, BODY]) -> Any:
    """Send again what came about in a time and the endpoint wants, delivered or not, with the same ids."""
    count = await webhooks.replay(parts, actor, webhook, given.since, given.until, given.events)
    return {"events": count}


def _only(given: OnlyGiven | None) -> Restriction | None:
    return webhooks.part_of_fleet(given.model_dump()) if given is not None else None


def _all_of(actor: Actor) -> Restriction:
    return replace(actor.only, networks=())


def _shown(response: Response, endpoint: Any) -> dict[str, Any]:
    response.headers["ETag"] = etag(endpoint.revision)
    return documents.webhook(endpoint)
