"""Keys of programs: made by people, never by a key; the text is answered once."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Response
from pydantic import Field
from starlette.requests import Request

from monitor.errors import ConfigurationError
from monitor.health.restriction import Restriction
from monitor.operations import api_keys, documents
from monitor.operations.actor import Right
from monitor.operations.api_keys import GRACE, Made
from monitor.settings.parts import Parts
from monitor.web.api.declared import Routes
from monitor.web.api.paging import Cursor, Limit, page, place
from monitor.web.api.problems import Problem
from monitor.web.api.revisions import etag, expected
from monitor.web.api.route import BODY, Here, Who
from monitor.web.api.shapes import Time
from monitor.web.api.strict import Given, Line, Moment, Name, Shown, Span
from monitor.web.paths import of_api

ROUTES = Routes("Keys")


class Only(Given):
    """What a key is restricted to: members are ANDed, their lists ORed."""

    apps: tuple[Name, ...] = ()
    labels: dict[Line, tuple[Line, ...] | Line] = Field(default_factory=dict)
    connections: tuple[Name, ...] = ()
    networks: tuple[Line, ...] = ()


class KeyGiven(Given):
    """A key that is to be made."""

    name: Name
    scopes: tuple[Line, ...]
    only: Only = Only()
    expires_at: Moment | None = None


class KeyChange(Given):
    """What changes of a key. `only` takes the place of all that it was restricted to; null lifts it."""

    name: Name | None = None
    scopes: tuple[Line, ...] | None = None
    only: Only | None = None
    expires_at: Moment | None = None


class Rotation(Given):
    """How long the text before is good yet."""

    grace: Span | None = None  # 24 hours


class OnlyShown(Shown):
    """What a key is restricted to; a member that is not there restricts nothing."""

    apps: list[str] | None = None
    labels: dict[str, list[str]] | None = None
    connections: list[str] | None = None
    networks: list[str] | None = None


class Key(Shown):
    """A key, without its text."""

    id: str
    name: str
    scopes: list[str]
    only: OnlyShown
    state: str
    made_by: str
    created_at: Time
    expires_at: Time
    last_used_at: Time | None
    revoked_at: Time | None
    exposed_at: Time | None
    old_secret_until: Time | None
    revision: int


class NewKey(Key):
    """A key with its text, which nobody can show again."""

    secret: str


class Keys(Shown):
    """A page of keys."""

    items: list[Key]
    next: str | None


@ROUTES.get("/keys", needs=Right.KEYS_READ, shows=Keys, problems=("bad_cursor",))
async def list_keys(
    request: Request, response: Response, parts: Here, actor: Who, limit: Limit = 50, cursor: Cursor = None
) -> Any:
    """List keys, those that are over too."""
    told = place(request, actor, cursor)
    found = await api_keys.every(parts, actor, limit + 1, after=str(told[0]) if told else "")
    now, shown = parts.clock.now(), found[:limit]
    after = [shown[-1].id] if len(found) > limit else None
    return page(request, response, actor, [documents.api_key(one, now) for one in shown], after)


@ROUTES.post(
    "/keys", needs=Right.KEYS_WRITE, takes=KeyGiven, shows=NewKey, status=201, problems=("beyond_own_rights",)
)
async def create_key(response: Response, parts: Here, actor: Who, given: Annotated[KeyGiven, BODY]) -> Any:
    """Make a key. Its text is answered now and never again."""
    try:
        made = await api_keys.new(
            parts, actor, given.name, given.scopes, only=_only(given.only), expires_at=given.expires_at
        )
    except ConfigurationError as error:
        raise Problem("invalid", str(error)) from None
    response.headers["Location"] = of_api("keys", made.key.id)
    return _made(response, parts, made)


@ROUTES.get("/keys/{key}", needs=Right.KEYS_READ, shows=Key)
async def show_key(response: Response, parts: Here, actor: Who, key: Name) -> Any:
    """Show a key, by its id or its name. Its ETag is what If-Match takes."""
    found = await api_keys.show(parts, actor, key)
    response.headers["ETag"] = etag(found.revision)
    return documents.api_key(found, parts.clock.now())


@ROUTES.patch(
    "/keys/{key}", needs=Right.KEYS_WRITE, takes=KeyChange, shows=Key, precondition=True,
    problems=("beyond_own_rights", "wrong_state"),
)  # fmt: skip
async def change_key(
    request: Request, response: Response, parts: Here, actor: Who, key: Name,
    given: Annotated[KeyChange, BODY],
) -> Any:  # fmt: skip
    """Change a key's name, scopes, restriction or end; its text stays."""
    only = _only(given.only) if "only" in given.model_fields_set else None
    try:
        found = await api_keys.change(
            parts, actor, key, name=given.name, scopes=given.scopes, only=only, expires_at=given.expires_at,
            revision=expected(request),
        )  # fmt: skip
    except ConfigurationError as error:
        raise Problem("invalid", str(error)) from None
    response.headers["ETag"] = etag(found.revision)
    return documents.api_key(found, parts.clock.now())


@ROUTES.post(
    "/keys/{key}/rotate", needs=Right.KEYS_WRITE, takes=Rotation, shows=NewKey, problems=("wrong_state",)
)
async def rotate_key(
    response: Response, parts: Here, actor: Who, key: Name, given: Annotated[Rotation, BODY]
) -> Any:
    """Give a key another text; the one before is good for `grace` yet, 7 days at most."""
    try:
        made = await api_keys.rotate(parts, actor, key, GRACE if given.grace is None else given.grace)
    except ConfigurationError as error:
        raise Problem("invalid", str(error)) from None
    return _made(response, parts, made)


@ROUTES.delete("/keys/{key}", needs=Right.KEYS_WRITE, precondition=True, problems=("wrong_state",))
async def revoke_key(request: Request, parts: Here, actor: Who, key: Name) -> None:
    """End a key for good, within five seconds everywhere. It stays in the list."""
    await api_keys.revoke(parts, actor, key, revision=expected(request))


def _made(response: Response, parts: Parts, made: Made) -> Any:
    response.headers["ETag"] = etag(made.key.revision)
    return {**documents.api_key(made.key, parts.clock.now()), "secret": made.secret.reveal()}


def _only(given: Only | None) -> Restriction:
    said = given or Only()
    labels = {name: (value,) if isinstance(value, str) else value for name, value in said.labels.items()}
    return Restriction(said.apps, labels, said.connections, said.networks)
