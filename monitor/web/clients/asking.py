"""The pages that ask: of a link, and of what has to be done before approving helps."""

from __future__ import annotations

from dataclasses import dataclass

from alerts.mails.language import Tongue
from monitor.health.causes import TABLE, Asks
from monitor.web.clients.page import About, Fact, Gettext, Page, ask_us


@dataclass(frozen=True, slots=True)
class Ahead:
    """Why a client is asked while everything works, in the operator's own words, and by when."""

    reason: str
    day: str


def ask(about: About, cause: str, speak: Tongue, ahead: Ahead | None = None) -> Page:
    """The link's page: which firm, which provider, which access is asked and why."""
    _ = speak.gettext
    names = {"provider": about.provider, "client": about.client, "account": about.account}
    asks = {cause.value: row.asks for cause, row in TABLE.items()}.get(cause)
    if asks is not None and asks.first:
        return _first_a_setting(about, asks, speak)
    why = {
        "expiring": _("The permission ends soon. Renewed now, nothing stands still."),
        "pending": _("The connection has not been set up yet."),
    }.get(cause, _(asks.why) if asks else _("We were asked to renew this connection."))
    facts = [(_("For"), about.client), (_("Connection to"), about.provider)]
    if about.account:
        facts.append((_("Account"), about.account))
    if about.scopes:
        facts.append((_("Access we ask for"), speak.join(about.scopes)))
    facts.append((_("Why"), why if ahead is None else ahead.reason))
    title = _("Connect %(provider)s") if cause == "pending" else _("Reconnect %(provider)s")
    first: tuple[str, ...] = ()
    if ahead is not None:
        facts.append((_("Please approve by"), ahead.day))
        title = _("Renew %(provider)s")
        first = (
            _("The connection works, and nothing is wrong. Approved again by %(day)s, it goes on working.")
            % {"day": ahead.day},
            _(
                "Without it, the connection may stop after %(day)s, and nothing is exchanged over it until "
                "somebody approves."
            )
            % {"day": ahead.day},
        )
    check = (
        _("Please make sure that you are signed in to the right account: %(account)s.")
        if about.account
        else _("Please make sure that you are signed in to the account of %(client)s.")
    )
    way = _("You will be taken to %(provider)s to sign in and approve, and then back here.") % names
    if about.phrases.leads_to:
        way = _("The button leads to %(where)s.") % {"where": about.phrases.leads_to} + " " + way
    return Page(
        title % names,
        (*first, way, " ".join(filter(None, (check % names, about.phrases.check)))),
        (*facts, *_admin_page(about, _)),
        button=_("Continue to %(provider)s") % names,
    )


def _first_a_setting(about: About, asks: Asks, speak: Tongue) -> Page:
    """The link's page where approving helps only after a setting was changed: that comes first."""
    _ = speak.gettext
    names = {"provider": about.provider, "client": about.client}
    facts = [(_("For"), about.client), (_("Connection to"), about.provider)]
    if about.account:
        facts.append((_("Account"), about.account))
    return Page(
        _("First a setting has to be changed"),
        (_(asks.why), _(asks.first) % names),
        (*_setting(about, _), *facts, *_for_it(about, _), *_admin_page(about, _)),
        after=(
            _("After the change we try again by ourselves, and write to you when it works."),
            _("Only if it has not come back an hour after the change, continue here:"),
        ),
        button=_("Continue to %(provider)s") % names,
        second=True,
    )


def _setting(about: About, _: Gettext) -> tuple[Fact, ...]:
    """What has to be changed and where, named where the provider's file names it."""
    said = about.phrases
    if not said.setting:
        general = _(
            "Where an administrator of %(provider)s manages third-party apps, sign-in and sessions, our app "
            "has to be allowed."
        )
        return ((_("What has to be changed"), general % {"provider": about.provider}),)
    named: list[Fact] = [(_("What has to be changed"), said.setting)]
    if said.setting_page:
        named.append((_("Where it is changed"), said.setting_page, said.setting_page))
    if said.setting_do:
        named.append((_("What to do there"), said.setting_do))
    return tuple(named)


def _for_it(about: About, _: Gettext) -> tuple[Fact, ...]:
    """What whoever looks it up at the provider needs."""
    told = ((_("Client ID of our app"), about.client_id), (_("What was answered"), about.refusal))
    return tuple((label, text) for label, text in told if text)


def _admin_page(about: About, _: Gettext) -> tuple[Fact, ...]:
    page = about.phrases.admin_page
    return ((_("Which apps are connected"), page, page),) if page else ()


def forbidden(about: About, speak: Tongue) -> Page:
    """A setting of the client's administrator did not let the client approve."""
    _ = speak.gettext
    names = {"provider": about.provider}
    return Page(
        _("An administrator has to allow this first"),
        (
            _(
                "%(provider)s did not let you approve: a setting of your administrator there refuses "
                "our app. Nothing was changed."
            )
            % names,
            _("Please show this page to whoever administers %(provider)s at your firm.") % names,
        ),
        (*_setting(about, _), (_("For"), about.client), *_for_it(about, _)),
        after=(_("After the change, start again; your link stays valid.") + " " + ask_us(about.support, _),),
        again=_("Start again"),
        tone="warn",
        status=403,
    )
