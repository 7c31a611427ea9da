"""What people configured of a connection, edited; whether programs get its tokens; and that it is removed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from monitor.errors import ChangedMeanwhile, Conflict
from monitor.operations import connections, edits
from monitor.operations.actor import Right
from monitor.operations.intake import Record
from monitor.text.names import one_line
from monitor.text.tomlfile import problems
from monitor.web.console.answers import Ask, Done, Field, Undo
from monitor.web.console.declared import action
from monitor.web.console.pages.connection import PATH, base
from monitor.web.console.texts import _
from monitor.web.console.visit import Visit


async def _ask_edit(visit: Visit) -> Ask:
    """Show what is on record now, whatever was typed: who changed it meanwhile is not written over unseen."""
    known = await connections.show(visit.parts, visit.actor, visit.path["connection"])
    fields = [
        Field("name", _("Client"), value=known.client_name, required=True),
        Field(
            "contacts", _("Contacts"), "textarea", "\n".join(known.contacts),
            hint=_("An address a line: who is mailed when they have to act."),
        ),
        Field("locale", _("Language"), value=known.locale, hint=_("Such as en, de or fr-CA.")),
        Field("timezone", _("Time zone"), value=known.timezone, hint=_("Such as Europe/London.")),
        Field(
            "scopes", _("Needs"), "textarea", "\n".join(known.scopes),
            hint=_("A scope a line: what it has to be able to read."),
        ),
        Field(
            "labels", _("Labels"), "textarea", _lines(known.labels), hint=_("A line each, as tier = gold.")
        ),
        Field("values", _("Values"), "textarea", _lines(known.values),
              hint=_("What stands in its URLs and headers, a line each, as name = value.")),
    ]  # fmt: skip
    says = [_("Waiting mails are planned anew with what you write here. Tokens are not touched.")]
    return Ask(
        _("Edit %(name)s", name=known.id), says, _("Save %(name)s", name=known.id), base(known.id), fields,
        [("revision", str(known.revision))], here="/",
        note=_("What was there before stands in the audit."),
    )  # fmt: skip


@action(f"{PATH}/edit", Right.CONNECTIONS_WRITE, api=("change_connection",), asks=_ask_edit)
async def edit_it(visit: Visit) -> Ask | Done:
    """Change what people configured of a connection, unless somebody else has meanwhile."""
    name = visit.path["connection"]
    patch, wrong = await _patch(visit)
    if wrong:
        return await _typed(visit, wrong)
    try:
        await edits.change(visit.parts, visit.actor, name, patch, expected=_revision(visit))
    except ChangedMeanwhile:
        raise Conflict(
            _("Somebody changed it since you opened this. Nothing was saved; below is how it is now.")
        ) from None
    except ValidationError as error:
        return await _typed(visit, [f"{said}." for said in problems(error, Record)])
    return Done(base(name), _("Saved."))


async def _patch(visit: Visit) -> tuple[dict[str, Any], list[str]]:
    """Read the form as a merge patch, and what is wrong with it."""
    known = await connections.show(visit.parts, visit.actor, visit.path["connection"])
    labels, wrong_labels = _pairs(visit.given("labels"), _("Labels"))
    values, wrong_values = _pairs(visit.given("values"), _("Values"))
    patch = {
        "client": {
            "name": visit.given("name"),
            "contacts": visit.given("contacts").replace(",", "\n").split(),
            "locale": visit.given("locale") or "en",
            "timezone": visit.given("timezone") or "UTC",
        },
        "scopes": visit.given("scopes").split(),
        "labels": dict.fromkeys(known.labels) | labels,
        "values": dict.fromkeys(known.values) | values,
    }
    return patch, [*wrong_labels, *wrong_values]


def _pairs(text: str, what: str) -> tuple[dict[str, str], list[str]]:
    found, wrong = {}, []
    for line in filter(None, (one.strip() for one in text.splitlines())):
        name, sign, value = line.partition("=")
        if not sign or not name.strip() or not value.strip():
            wrong.append(_("%(what)s: %(line)s is not written as name = value.", what=what, line=line[:80]))
        found[name.strip()] = value.strip()
    return found, wrong


async def _typed(visit: Visit, wrong: list[str]) -> Ask:
    """Ask again with what was typed, and say what is wrong with it."""
    asked = await _ask_edit(visit)
    fields = [replace(one, value=visit.given(one.name)) for one in asked.fields]
    return replace(asked, fields=fields, trouble=" ".join(wrong), status=422)


def _lines(pairs: Any) -> str:
    return "\n".join(f"{name} = {value}" for name, value in pairs.items())


def _revision(visit: Visit) -> int:
    given = visit.given("revision")
    return int(given) if given.isdecimal() and len(given) < 10 else -1


async def _ask_handout(visit: Visit) -> Ask:
    known = await connections.show(visit.parts, visit.actor, visit.path["connection"])
    off = known.handout
    client = one_line(known.client_name)
    heading = _("Hand no tokens of %(client)s out?", client=client)
    says = [
        _("Programs that ask for its access token are refused from then on; those they have go on working."),
        _("It is watched and refreshed as before."),
    ]
    if not off:
        heading = _("Hand tokens of %(client)s out again?", client=client)
        says = [_("Programs with the right get its access token again, as soon as they ask.")]
    button = _("Hand none out") if off else _("Hand them out")
    return Ask(
        heading, says, button, base(known.id), hidden=[("on", "" if off else "1")], here="/",
        note=_("It can be switched back at any time."),
    )  # fmt: skip


@action(f"{PATH}/handout", Right.CONNECTIONS_WRITE, api=("change_connection",), asks=_ask_handout)
async def switch_handout(visit: Visit) -> Done:
    """Let programs have a connection's access token, or not."""
    name, on = visit.path["connection"], visit.given("on") == "1"
    changed = await connections.set_handout(visit.parts, visit.actor, name, on=on)
    said = _("Its tokens are handed out.") if on else _("Its tokens are not handed out.")
    undo = Undo(f"{base(name)}/handout", [("on", "" if on else "1")]) if changed else None
    return Done(base(name), said, undo)


async def _ask_remove(visit: Visit) -> Ask:
    known = await connections.show(visit.parts, visit.actor, visit.path["connection"])
    says = [
        _("Its tokens, history and links are gone at once, and its client is told nothing."),
        _("The provider is not asked to withdraw anything: the client can do that there."),
    ]
    field = Field(
        "id", _("Type %(name)s to go on", name=known.id), value="", required=True,
        trouble=_("That is not its id.") if visit.form and visit.given("id") != known.id else "",
    )  # fmt: skip
    return Ask(
        _("Remove %(client)s for good?", client=one_line(known.client_name)), says,
        _("Remove %(name)s", name=known.id), base(known.id), [field], [("revision", str(known.revision))],
        danger=True, note=_("This cannot be undone. The audit keeps its name."), here="/",
    )  # fmt: skip


@action(f"{PATH}/remove", Right.CONNECTIONS_WRITE, api=("remove_connection",), asks=_ask_remove)
async def remove_it(visit: Visit) -> Ask | Done:
    """Forget a connection with its tokens and history."""
    name = visit.path["connection"]
    if visit.given("id") != name:
        return replace(await _ask_remove(visit), status=422)
    expected = {name: _revision(visit)} if visit.given("revision") else None
    await connections.remove(visit.parts, visit.actor, [name], expected=expected)
    return Done("/", _("%(name)s is removed.", name=name))
