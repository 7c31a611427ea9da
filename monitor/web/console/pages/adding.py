"""Adding one connection by hand: its client is invited by a link to authorize it."""

from __future__ import annotations

from typing import Any

from monitor.errors import Exists, ImportRefused
from monitor.operations import imports, intake, links
from monitor.operations.actor import Right
from monitor.operations.intake import Record
from monitor.web.console.answers import Answer, Ask, Done, Field, Shown
from monitor.web.console.declared import action
from monitor.web.console.texts import gettext as _
from monitor.web.console.visit import Visit

# Which field of the form a sentence of the intake is about.
ABOUT = {
    "id": "id", "app": "app", "scopes": "scopes", "account_id": "account", "client.name": "client",
    "client.contacts": "contacts", "client.locale": "language", "client.timezone": "timezone",
}  # fmt: skip


async def ask_one(visit: Visit) -> Ask:
    """Ask who it is."""
    return _asks(visit, {})


@action("/import/one", Right.CONNECTIONS_WRITE, api=("create_connection", "create_link"), asks=ask_one)
async def add_one(visit: Visit) -> Answer:
    """Add a connection, and have its client invited as it was chosen."""
    record = intake.one(_given(visit), visit.parts.apps)
    if not isinstance(record, Record):
        return _asks(visit, _by_field(record))
    then = visit.given("then")
    if then == "mail" and not record.client.contacts:
        return _asks(visit, {"contacts": _("is needed to mail the invitation.")})
    try:
        await imports.put_one(visit.parts, visit.actor, record, {record.id: None}, None)
    except Exists:
        return _asks(visit, {"id": _("is taken: there is such a connection already.")})
    except ImportRefused as error:
        return _asks(visit, _by_field(error.problems))
    here = f"/connections/{record.id}"
    if then == "mail" and visit.may(Right.LINKS_CREATE):
        await links.mail(visit.parts, visit.actor, record.id)
        return Done(here, _("%(id)s was added, and its client is mailed an invitation.", id=record.id))
    if then == "show" and visit.may(Right.LINKS_CREATE):
        made = await links.make(visit.parts, visit.actor, record.id)
        return Shown("added.html.j2", _("%(id)s was added.", id=record.id), "/", made=made, id=record.id)
    return Done(here, _("%(id)s was added. Its client was not told yet.", id=record.id))


def _given(visit: Visit) -> dict[str, Any]:
    given: dict[str, Any] = {
        "id": visit.given("id"),
        "app": visit.given("app"),
        "client": {
            "name": visit.given("client"),
            "contacts": _several(visit.given("contacts")),
            "locale": visit.given("language") or "en",
            "timezone": visit.given("timezone") or "UTC",
        },
        "scopes": _several(visit.given("scopes")),
    }
    if account := visit.given("account"):
        given["account_id"] = account
    return given


def _several(text: str) -> list[str]:
    return text.replace(",", " ").replace(";", " ").split()


def _by_field(sentences: list[str]) -> dict[str, str]:
    """Put each sentence beside the field that it is about; what is about none stands above."""
    found: dict[str, str] = {}
    for sentence in sentences:
        place, _colon, said = sentence.partition(": ")
        name = ".".join(part for part in place.split(".") if not part.isdigit())
        if sentence.startswith("app "):
            name, said = "app", sentence
        field = ABOUT.get(name, "")
        found.setdefault(field, said if field else sentence)
    return found


def _asks(visit: Visit, wrong: dict[str, str]) -> Ask:
    apps = [(name, f"{name} · {app.provider.title}") for name, app in visit.parts.apps.items()]
    mails = bool(visit.parts.loaded.settings.smtp.sender)
    then = [
        ("show", _("Show me the link; I hand it over")),
        ("later", _("Nothing yet: tokens follow, or a link later")),
    ]
    if mails:
        then.insert(0, ("mail", _("Mail them the invitation now")))
    if not apps:
        return Ask(
            _("No app is configured yet."),
            (_("Add it to token-health.toml first, under [[apps]]; the first page has the lines for it."),),
            "", "/", here="/",
        )  # fmt: skip

    def field(name: str, label: str, **more: Any) -> Field:
        kind, usual = more.pop("kind", "text"), more.pop("value", "")
        return Field(name, label, kind, visit.given(name) or usual, trouble=wrong.get(name, ""), **more)

    return Ask(
        _("Add one connection"),
        (_("Its client authorizes it on a link. From then on it is looked at, and its tokens are renewed."),),
        _("Add it"),
        "/import",
        fields=(
            field("client", _("Client"), hint=_("As it stands in mails to them."), required=True),
            field("id", _("Id"), hint=_("Your own name for it, such as acme-clio."), required=True),
            field("app", _("App"), kind="select", options=apps, value=apps[0][0]),
            field("contacts", _("Contacts"), hint=_("Who is mailed; several separated by spaces.")),
            field(
                "language", _("Language"), kind="select", value="en",
                options=[(one, one) for one in imports.languages()],
            ),
            field(
                "timezone", _("Time zone"), value="UTC",
                hint=_("Such as America/New_York: nobody is mailed in their night."),
            ),
            field(
                "scopes", _("Needs to read"),
                hint=_("Scopes that are checked; empty: only whether it connects."),
            ),
            field(
                "account", _("Account"),
                hint=_("Its number at the provider; empty: the one that authorizes first."),
            ),
            field(
                "then", _("How does the client learn of it?"), kind="radio", value=then[0][0], options=then
            ),
        ),
        trouble=wrong.get("", ""),
        to="/import/one",
        here="/",
        status=422 if wrong else 200,
    )  # fmt: skip
