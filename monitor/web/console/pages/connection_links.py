"""The client's way back: the link mailed or handed over, and whose account it may be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from monitor.operations import accounts, closeup, connections, explain, links, records
from monitor.operations.actor import Right
from monitor.text.names import one_line
from monitor.text.spans import span
from monitor.web.console.answers import Ask, Done, Field, Shown, Undo
from monitor.web.console.declared import action
from monitor.web.console.pages.connection import PATH, base
from monitor.web.console.texts import _, ngettext
from monitor.web.console.visit import Visit


async def _ask_send(visit: Visit) -> Ask:
    name = visit.path["connection"]
    letter = await links.preview(visit.parts, visit.actor, name)
    found = await explain.explained(visit.parts, visit.actor, name)
    to = records.for_eyes(visit.actor, list(letter.to))
    says = [_("To %(addresses)s, within seconds.", addresses=_listed(to))]
    mailed = [one for one in found.spoken if one.state == "sent"]
    if mailed:
        says.append(
            _("They were mailed %(span)s ago; that link works on.", span=span(visit.now - mailed[0].at))
        )
    if any(one.state == "waiting" for one in found.spoken):
        says.append(_("The next reminder comes a day after it at the earliest."))
    if found.silences:
        says.append(_("It is muted; this mail goes out all the same."))
    count = len(letter.to)
    return Ask(
        _("Mail the link to %(client)s now?", client=one_line(found.known.client_name)),
        says,
        ngettext("Send to %(n)s address", "Send to %(n)s addresses", count),
        base(name),
        note=_("A mail cannot be called back. It stands in the audit with your name."),
        here="/",
        aside="connection_letter.html.j2",
        values={"letter": records.for_eyes(visit.actor, letter)},
    )


@action(f"{PATH}/send-link", Right.LINKS_CREATE, api=("create_link",), asks=_ask_send)
async def send_link(visit: Visit) -> Done:
    """Have the client mailed a link now."""
    name = visit.path["connection"]
    await links.mail(visit.parts, visit.actor, name)
    return Done(base(name), _("The mail is on its way."))


@action(f"{PATH}/copy-link", Right.LINKS_CREATE, api=("create_link",))
async def copy_link(visit: Visit) -> Shown:
    """Make a link and show it, this once."""
    name = visit.path["connection"]
    known = await connections.show(visit.parts, visit.actor, name)
    made = await links.make(visit.parts, visit.actor, name)
    title = _("A link for %(client)s", client=one_line(known.client_name))
    return Shown(
        "connection_link.html.j2", title, "/",
        made=made, back=base(name), name=name, client=one_line(known.client_name),
        account=known.account_name or known.account_id or "",
    )  # fmt: skip


async def _ask_accept(visit: Visit) -> Ask:
    name = visit.path["connection"]
    found = await closeup.of(visit.parts, visit.actor, name)
    known, held = found.explained.known, found.held
    client = one_line(known.client_name)
    if held is not None:
        choices = list(held.account.choice) or [(held.account.id, held.account.name or "")]
        options = [(number, _named(called, number)) for number, called in choices]
        says = [
            records.for_eyes(visit.actor, f"{held.sentence}."),
            _("Its tokens are used from then on, and it is probed at once."),
        ]
        field = Field(
            "account", _("Account"), "radio", visit.given("account", options[0][0]), options=options
        )
        button = _("Accept for %(name)s", name=name)
        return Ask(
            _("Is this the account of %(client)s?", client=client), says, button, base(name), [field],
            note=_("Afterwards another account can be accepted, and this one is not."), here="/",
        )  # fmt: skip
    on_record = _named(known.account_name or "", known.account_id or "")
    says = [
        _("On record is %(account)s.", account=on_record) if on_record else _("No account is on record."),
        _("From then on an approval with the other account is taken, and one with this is refused."),
        _("Tokens that are stored are looked at anew: they have to be of the account that you name."),
    ]
    number, named = found.explained.asked.tried or ("", "")
    named = records.for_eyes(visit.actor, named)
    field = Field(
        "account", _("The account's number at %(provider)s", provider=found.explained.story.provider),
        value=visit.given("account") or number, required=True,
        hint=_("They approved with %(account)s.", account=named) if named else "",
    )  # fmt: skip
    note = _("You can go back to the old account.") if known.account_id else ""
    return Ask(
        _("Accept another account for %(client)s?", client=client), says,
        _("Accept for %(name)s", name=name), base(name), [field], note=note, here="/",
    )  # fmt: skip


@action(f"{PATH}/accept-account", Right.CONNECTIONS_OPERATE, api=("accept_account",), asks=_ask_accept)
async def accept_it(visit: Visit) -> Ask | Done:
    """Take another account as the right one, or the one whose authorization waits."""
    name, account = visit.path["connection"], visit.given("account")
    if not account:
        return await _again(visit, _("Name an account."))
    before = await accounts.accept(visit.parts, visit.actor, name, account)
    undo = (
        Undo(f"{base(name)}/accept-account", [("account", before)]) if before and before != account else None
    )
    said = _("Account %(account)s is the right one from now on.", account=account)
    return Done(base(name), said, undo)


async def _again(visit: Visit, trouble: str) -> Ask:
    asked = await _ask_accept(visit)
    return replace(asked, trouble=trouble, status=422)


async def _ask_refuse(visit: Visit) -> Ask:
    name = visit.path["connection"]
    found = await closeup.of(visit.parts, visit.actor, name)
    client = one_line(found.explained.known.client_name)
    says = [
        *([records.for_eyes(visit.actor, f"{found.held.sentence}.")] if found.held is not None else []),
        _("The authorization is given back to the provider, where that ends nothing else."),
        _("The client's link works on, so that they can approve with the right account."),
    ]
    return Ask(
        _("Refuse this account for %(client)s?", client=client), says, _("Refuse for %(name)s", name=name),
        base(name), danger=True, note=_("This cannot be undone: the client would have to approve again."),
        here="/",
    )  # fmt: skip


@action(f"{PATH}/refuse-account", Right.CONNECTIONS_OPERATE, api=("refuse_account",), asks=_ask_refuse)
async def refuse_it(visit: Visit) -> Done:
    """Refuse the account whose authorization waits."""
    name = visit.path["connection"]
    await accounts.refuse(visit.parts, visit.actor, name)
    return Done(base(name), _("Refused, and given back."))


def _named(called: str, number: str) -> str:
    return f"{one_line(called)} ({number})" if called and number else one_line(called or number)


def _listed(names: Sequence[str]) -> str:
    if len(names) < 2:
        return "".join(names)
    return _("%(some)s and %(last)s", some=", ".join(names[:-1]), last=names[-1])
