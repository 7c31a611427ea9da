"""People who sign in: who there is, what they may, and their passwords, which nothing ever shows."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Response
from pydantic import Field
from starlette.requests import Request

from monitor.errors import ConfigurationError
from monitor.operations import documents, people
from monitor.operations.actor import Right
from monitor.operations.passwords import LONGEST, SHORTEST
from monitor.operations.roles import Role
from monitor.secret import Secret
from monitor.web.api.declared import Routes
from monitor.web.api.paging import Cursor, Limit, page, place
from monitor.web.api.problems import Problem
from monitor.web.api.revisions import etag, expected
from monitor.web.api.route import BODY, Here, Who
from monitor.web.api.shapes import Time
from monitor.web.api.strict import Given, Name, Shown
from monitor.web.paths import of_api

ROUTES = Routes("Users")

Password = Annotated[str, Field(min_length=SHORTEST, max_length=LONGEST)]
RoleGiven = Annotated[Role, Field(strict=False)]


class UserGiven(Given):
    """Somebody who is to sign in with a password."""

    name: Name
    role: RoleGiven
    password: Password


class UserChange(Given):
    """Another role, another password, or both; either ends their sessions."""

    role: RoleGiven | None = None
    password: Password | None = None


class User(Shown):
    """Somebody who may sign in. `issuer`: the provider that says who they are, null for a password here."""

    id: str
    name: str
    role: str
    issuer: str | None
    created_at: Time
    signed_in_at: Time | None
    revision: int


class Users(Shown):
    """A page of people."""

    items: list[User]
    next: str | None


@ROUTES.get("/users", needs=Right.USERS_WRITE, shows=Users, problems=("bad_cursor",))
async def list_users(
    request: Request, response: Response, parts: Here, actor: Who, limit: Limit = 50, cursor: Cursor = None
) -> Any:
    """List everybody, by name."""
    told = place(request, actor, cursor)
    found, last = await people.page(parts, actor, limit, after=str(told[0]) if told else "")
    after = [last] if last is not None else None
    return page(request, response, actor, [documents.person(one) for one in found], after)


@ROUTES.post("/users", needs=Right.USERS_WRITE, takes=UserGiven, shows=User, status=201, problems=("exists",))
async def create_user(response: Response, parts: Here, actor: Who, given: Annotated[UserGiven, BODY]) -> Any:
    """Add somebody who signs in with a password."""
    try:
        one = await people.add(parts, actor, given.name, given.role, Secret(given.password))
    except ConfigurationError as error:
        raise Problem("invalid", str(error)) from None
    response.headers["Location"] = of_api("users", one.id)
    response.headers["ETag"] = etag(one.revision)
    return documents.person(one)


@ROUTES.get("/users/{user}", needs=Right.USERS_WRITE, shows=User)
async def show_user(response: Response, parts: Here, actor: Who, user: Name) -> Any:
    """Show somebody, by id or name. The ETag is what If-Match takes."""
    one = await people.show(parts, actor, user)
    response.headers["ETag"] = etag(one.revision)
    return documents.person(one)


@ROUTES.patch(
    "/users/{user}", needs=Right.USERS_WRITE, takes=UserChange, shows=User, precondition=True,
    problems=("wrong_state",),
)  # fmt: skip
async def change_user(
    request: Request, response: Response, parts: Here, actor: Who, user: Name,
    given: Annotated[UserChange, BODY],
) -> Any:  # fmt: skip
    """Give somebody another role or password, and end their sessions."""
    password = Secret(given.password) if given.password is not None else None
    one = await people.change(
        parts, actor, user, role=given.role, password=password, revision=expected(request)
    )
    response.headers["ETag"] = etag(one.revision)
    return documents.person(one)


@ROUTES.delete("/users/{user}", needs=Right.USERS_WRITE, precondition=True, problems=("wrong_state",))
async def remove_user(request: Request, parts: Here, actor: Who, user: Name) -> None:
    """Forget somebody, and end their sessions. Keys that they made stay; so do oneself and the last admin."""
    await people.remove(parts, actor, user, revision=expected(request))
