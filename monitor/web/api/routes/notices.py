"""Notices: what clients were told and what waits; held, released and sent again."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import Query, Response
from starlette.requests import Request

from monitor.operations import mails, notices, outbox, outbox_records, records, silences
from monitor.operations.actor import Right
from monitor.operations.notices import STATES, Wanted
from monitor.web.api import shapes_notices as shapes
from monitor.web.api.declared import Routes
from monitor.web.api.filters import several, words
from monitor.web.api.paging import Cursor, Limit, number, page
from monitor.web.api.problems import Problem, Wrong
from monitor.web.api.route import BODY, Here, Who
from monitor.web.api.strict import Given, Line, Name, Number

ROUTES = Routes("Notices")


@ROUTES.get("/notices", needs=Right.NOTICES_READ, shows=shapes.Notices, problems=("bad_cursor",))
async def list_notices(
    request: Request, response: Response, parts: Here, actor: Who,
    state: Annotated[Line | None, Query(description="States, `a,b`.")] = None,
    kind: Annotated[Line | None, Query(description="Kinds of mail.")] = None,
    client: Line | None = None, connection: Line | None = None, limit: Limit = 50, cursor: Cursor = None,
) -> Any:  # fmt: skip
    """List what was said and what waits, newest first."""
    which = Wanted(
        states=words(state, "state", STATES), kinds=several(kind), client=client or "",
        connection=connection or "",
    )  # fmt: skip
    found = await notices.page(parts, actor, limit, which, number(request, actor, cursor))
    rows = [records.for_eyes(actor, records.notice(one)) for one in found.notices]
    return page(request, response, actor, rows, [found.before] if found.before is not None else None)


@ROUTES.get("/notices/{notice}", needs=Right.NOTICES_READ, shows=shapes.Notice)
async def show_notice(parts: Here, actor: Who, notice: Number) -> Any:
    """Show a notice, with what became of each address."""
    return records.for_eyes(actor, records.notice(await notices.show(parts, actor, notice)))


@ROUTES.get(
    "/notices/{notice}/preview", needs=Right.NOTICES_READ, shows=shapes.Preview, problems=("wrong_state",)
)
async def preview_notice(parts: Here, actor: Who, notice: Number) -> Any:
    """Show a mail as it would be written now; its links lead nowhere."""
    found = await notices.preview(parts, actor, notice)
    shown = {"subject": found.subject, "html": found.html, "text": found.text}
    return records.for_eyes(actor, shown)


@ROUTES.post(
    "/notices/{notice}/retry", needs=Right.NOTICES_OPERATE, takes=shapes.Retry, shows=shapes.Notice,
    problems=("wrong_state", "beyond_own_rights"),
)  # fmt: skip
async def retry_notice(parts: Here, actor: Who, notice: Number, given: Annotated[shapes.Retry, BODY]) -> Any:
    """Have a mail that failed tried again; what is no longer true is taken back then.

    One that may have arrived is sent again only with `twice`.
    """
    found = await notices.retry_one(parts, actor, notice, twice=given.twice)
    return records.for_eyes(actor, records.notice(found))


@ROUTES.post(
    "/notices/{notice}/send-now", needs=Right.NOTICES_OPERATE, takes=Given, shows=shapes.Notice,
    problems=("wrong_state", "beyond_own_rights"),
)  # fmt: skip
async def send_notice_now(parts: Here, actor: Who, notice: Number) -> Any:
    """Bring a mail that waits forward to now; what is held, or no longer true, is not sent."""
    return records.for_eyes(actor, records.notice(await notices.send_now(parts, actor, notice)))


@ROUTES.get("/outbox", needs=Right.NOTICES_READ, shows=shapes.Outbox, problems=("beyond_own_rights",))
async def show_outbox(parts: Here, actor: Who) -> Any:
    """Show what waits, what wants a look, what went out today, and what holds something back."""
    return records.for_eyes(actor, outbox_records.outbox(await outbox.overview(parts, actor)))


@ROUTES.get("/mails", needs=Right.NOTICES_READ, shows=shapes.Mails)
async def list_mails(parts: Here, actor: Who) -> Any:
    """List every kind of mail: who gets it and when, in which languages."""
    return records.for_eyes(actor, outbox_records.mails(mails.every(parts.loaded, actor)))


@ROUTES.get(
    "/mails/{kind}/{language}", needs=Right.NOTICES_READ, shows=shapes.Preview, problems=("wrong_state",)
)
async def preview_mail(parts: Here, actor: Who, kind: Name, language: Name) -> Any:
    """Show a kind of mail as a made-up client would get it in a language."""
    found = mails.preview(parts.loaded, actor, kind, language)
    return {"subject": found.subject, "html": found.html, "text": found.text}


@ROUTES.post("/mails/test", needs=Right.NOTICES_OPERATE, takes=shapes.TestMail, shows=shapes.Tried)
async def send_test_mail(parts: Here, actor: Who, given: Annotated[shapes.TestMail, BODY]) -> Any:
    """Send a sample mail to an address, and tell what the mail server answered."""
    return asdict(await mails.test(parts.loaded, actor, given.address))


@ROUTES.post(
    "/notices/hold", needs=Right.NOTICES_OPERATE, takes=shapes.Hold, shows=shapes.Held, status=201,
    problems=("not_found", "beyond_own_rights"),
)  # fmt: skip
async def hold_notices(parts: Here, actor: Who, given: Annotated[shapes.Hold, BODY]) -> Any:
    """Tell nothing about something, for so long or until it is released."""
    must_name(given.over, given.name)
    made = await notices.hold(parts, actor, given.over, given.name, given.for_, given.reason)
    return {"id": silences.numbered(made), "number": made}


@ROUTES.post(
    "/notices/release", needs=Right.NOTICES_OPERATE, takes=shapes.Unhold, shows=shapes.Released,
    problems=("not_found", "wrong_state", "beyond_own_rights"),
)  # fmt: skip
async def release_notices(parts: Here, actor: Who, given: Annotated[shapes.Unhold, BODY]) -> Any:
    """Lift what people hold over something."""
    must_name(given.over, given.name)
    return {"released": await notices.unhold(parts, actor, given.over, given.name)}


@ROUTES.post(
    "/fuse/release", needs=Right.NOTICES_OPERATE, takes=Given, status=204, problems=("beyond_own_rights",)
)
async def release_fuse(parts: Here, actor: Who) -> None:
    """Let first mails out for an hour, however many."""
    await notices.release_fuse(parts, actor)


def must_name(over: str, name: str) -> None:
    """Refuse what lies over something that is not named, or over all with a name. Raises Problem."""
    if (over == "all") == bool(name):
        said = "is not for all" if name else "is missing"
        raise Problem("invalid", errors=[Wrong("/name", said)])
