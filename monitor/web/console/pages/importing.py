"""Adding connections by a file: what it would change is shown first, and done as shown or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from starlette.datastructures import UploadFile

from monitor.errors import ChangedMeanwhile, Conflict, Invalid
from monitor.operations import columns, intake, plans
from monitor.operations.actor import Right
from monitor.operations.intake import Wrong
from monitor.web.console.answers import Answer, Ask, Done, Field, Sent, Shown
from monitor.web.console.declared import action, page
from monitor.web.console.texts import N_, ngettext
from monitor.web.console.texts import gettext as _
from monitor.web.console.visit import Visit

LARGEST = 20 << 20  # bytes of a form with a file, as `web.door` takes them
TYPED_ABOVE = 20
A_TABLE = 200  # rows of each table; the rest is counted
AT = {
    "/app": N_("App"), "/scopes": N_("Needs to read"), "/account_id": N_("Account"), "/labels": N_("Labels"),
    "/values": N_("Values"), "/client/name": N_("Client"), "/client/contacts": N_("Contacts"),
    "/client/locale": N_("Language"), "/client/timezone": N_("Time zone"), "/tokens": N_("Tokens"),
}  # fmt: skip


async def ask_import(visit: Visit) -> Ask:
    """Ask for a file, or for its text."""
    return _asks(visit)


@action(
    "/import", Right.CONNECTIONS_WRITE, api=("plan_fleet", "import_connections"), asks=ask_import,
    largest=LARGEST,
)  # fmt: skip
async def plan_import(visit: Visit) -> Answer:
    """Read a file, and show what it would change; nothing is changed yet."""
    text = await _text(visit)
    found = await asyncio.to_thread(intake.look, text, visit.parts.apps, csv_=intake.is_csv(text))
    if found.wrong:
        return _asks(visit, found.wrong, len(found.records))
    if not found.records:
        raise Invalid("file", _("there is no connection in it."))
    whole = visit.given("how") == "whole"
    made = await plans.make(visit.parts, visit.actor, found.records, only_named=not whole)
    return Done(f"/import/{made.id}", "")


@page("/import/template.csv", Right.CONNECTIONS_WRITE)
async def import_template(visit: Visit) -> Sent:
    """Hand out a file with the columns alone."""
    return Sent(columns.template(), "text/csv", "connections.csv")


@page("/import/{plan}", Right.CONNECTIONS_WRITE)
async def show_import(visit: Visit) -> Shown:
    """Show what a file would change."""
    found = await plans.show(visit.parts, visit.actor, visit.path["plan"])
    said = found.said
    changes: dict[str, list[dict[str, Any]]] = {}
    for one in said["change"]:
        changes.setdefault(one["id"], []).append(_change(one))
    return Shown(
        "import_plan.html.j2",
        _verdict(said, applied=found.applied_at is not None),
        "/",
        plan=found,
        create=plans.added(visit.parts, visit.actor, found, A_TABLE),
        created=len(said["create"]),
        change=list(changes.items())[:A_TABLE],
        changed=len(changes),
        remove=said["remove"][:A_TABLE],
        removed=len(said["remove"]),
        same=said["same"],
        button=_button(said),
    )


async def ask_apply(visit: Visit) -> Ask:
    """Say once more what applying it does."""
    found = await plans.show(visit.parts, visit.actor, visit.path["plan"])
    here, gone = f"/import/{found.id}", len(found.said["remove"])
    if found.applied_at is not None:
        return Ask(_("It was applied already."), (), "", here, here="/")
    says = [_verdict(found.said, applied=False)]
    if gone:
        says.append(_("What is removed loses its tokens and its history, and cannot be brought back by it."))
    return Ask(
        _("Make the fleet as the file has it?"), says, _button(found.said), here, here="/",
        hidden=[("remove", str(gone))], typed=gone if gone > TYPED_ABOVE else None, danger=bool(gone),
        note=_("All of it is done, or nothing: if anybody has changed one of them meanwhile, nothing is."),
    )  # fmt: skip


@action("/import/{plan}/apply", Right.CONNECTIONS_WRITE, api=("apply_plan",), asks=ask_apply)
async def apply_import(visit: Visit) -> Done:
    """Make the fleet as the file has it."""
    found = await plans.show(visit.parts, visit.actor, visit.path["plan"])
    gone = len(found.said["remove"])
    if gone > TYPED_ABOVE and visit.given("typed").replace(",", "") != str(gone):
        raise Invalid("typed", _("the number is another; nothing was done."))
    # Agreed to is what was shown: so many that go.
    agreed = gone > 0 and visit.given("remove") == str(gone)
    try:
        await plans.apply(visit.parts, visit.actor, found.id, remove=agreed)
    except ChangedMeanwhile as error:  # which one it was, and that another plan has to be made
        raise Conflict(str(error)) from None
    return Done("/?state=any", _verdict(found.said, applied=True))


def _asks(visit: Visit, wrong: Sequence[Wrong] = (), right: int = 0) -> Ask:
    text = visit.form.get("text")
    trouble = ""
    if wrong:
        lines = len({one.line for one in wrong})
        trouble = ngettext(
            "One line cannot be taken, so nothing was.", "%(n)s lines cannot be taken, so nothing was.", lines
        )
    return Ask(
        _("Add connections by a file"),
        (
            _("You see what it would change before anything does. All of it is taken, or nothing."),
            _(
                "From then on the service refreshes these tokens; your own software must not refresh them, "
                "too. Without tokens a client is invited to authorize."
            ),
        ),
        _("Show what would change"),
        "/",
        fields=(
            Field(
                "file", _("File"), "file",
                hint=_("CSV, or one JSON object a line; UTF-8, at most 20 MB."),
            ),
            Field(
                "text", _("Or its text"), "textarea", _harmless(text if isinstance(text, str) else ""),
                hint=_("Pasted as it is."),
            ),
            Field(
                "how", _("What is not in it"), "radio", visit.given("how") or "named",
                options=(
                    ("named", _("stays as it is")),
                    ("whole", _("is removed: the file is the whole fleet")),
                ),
            ),
        ),
        trouble=trouble,
        to="/import",
        here="/",
        aside="import_aside.html.j2",
        values={
            "wrong": list(wrong[:A_TABLE]), "wrongs": len(wrong), "right": right,
            "columns": columns.COLUMNS,
        },
        status=422 if wrong else 200,
        multipart=True,
    )  # fmt: skip


async def _text(visit: Visit) -> str:
    """Return what was sent: a file where there is one, else the text. Raises Invalid."""
    file = visit.form.get("file")
    if isinstance(file, UploadFile) and (file.filename or file.size):
        raw = await file.read()
        if not raw.strip():
            raise Invalid("file", _("is empty."))
        return intake.decoded(raw)
    text = visit.form.get("text")
    if not isinstance(text, str) or not text.strip():
        raise Invalid("file", _("choose one, or paste its text."))
    return text.replace("\r\n", "\n")


def _harmless(text: str) -> str:
    """Return a pasted text for its correction, nothing where tokens may stand in it: no page has those."""
    return "" if "token" in text.lower() or intake.may_hold_tokens(text) else text


def _change(one: dict[str, Any]) -> dict[str, str]:
    return {"what": _(AT.get(one["at"], one["at"])), "was": _value(one["was"]), "will": _value(one["will"])}


def _value(value: Any) -> str:
    match value:
        case None | [] | {} | "":
            return "–"
        case dict():
            return ", ".join(f"{name}: {text}" for name, text in value.items())
        case list():
            return ", ".join(map(str, value))
    return str(value)


def _verdict(said: Any, *, applied: bool) -> str:
    """Say what a plan does in one sentence."""
    counts = (len(said["create"]), len({one["id"] for one in said["change"]}), len(said["remove"]))
    if not any(counts):
        return _("Nothing to change: all of them are as the file has them.")
    made, changed, gone = counts
    told = [
        words
        for count, words in (
            (made, ngettext("%(n)s added", "%(n)s added", made)),
            (changed, ngettext("%(n)s changed", "%(n)s changed", changed)),
            (gone, ngettext("%(n)s removed", "%(n)s removed", gone)),
        )
        if count
    ]
    what = ", ".join(told)
    if applied:
        return _("Done: %(what)s.", what=what)
    return _("The file would change this: %(what)s. Nothing is done yet.", what=what)


def _button(said: Any) -> str:
    made, gone = len(said["create"]), len(said["remove"])
    changed = len({one["id"] for one in said["change"]})
    told = [
        words
        for count, words in (
            (made, _("add %(n)s", n=f"{made:,}")),
            (changed, _("change %(n)s", n=f"{changed:,}")),
            (gone, _("remove %(n)s", n=f"{gone:,}")),
        )
        if count
    ]
    return _("Apply: %(what)s", what=", ".join(told)) if told else ""
