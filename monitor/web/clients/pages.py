"""What the client's pages say on the way back. Plain values; the template gives them their look."""

from __future__ import annotations

from collections.abc import Sequence

from alerts.mails.language import Tongue
from monitor.web.clients.page import About, Page, ask_us


def works(about: About, speak: Tongue) -> Page:
    """The connection is healthy: there is nothing to do."""
    _ = speak.gettext
    return Page(
        _("Nothing to do: it works"),
        (
            _("The connection of %(client)s to %(provider)s works. You can close this page.")
            % {"client": about.client, "provider": about.provider},
        ),
        tone="good",
    )


def done(about: About, speak: Tongue, approved_by: str = "") -> Page:
    """Approved, checked, healthy. It says with which account, so that a wrong one is noticed."""
    _ = speak.gettext
    facts = [(_("For"), about.client), (_("Connection to"), about.provider)]
    if about.account:
        facts.append((_("Account"), about.account))
    if approved_by:
        facts.append((_("Approved by"), approved_by))
    if about.scopes:
        facts.append((_("Checked just now"), speak.join(about.scopes)))
    return Page(
        _("Thank you, it works"),
        (_("We checked everything it needs. There is nothing more to do; you can close this page."),),
        tuple(facts),
        tone="good",
    )


def saved(about: About, speak: Tongue) -> Page:
    """Approved and stored; the provider does not answer well enough to be sure yet."""
    _ = speak.gettext
    return Page(
        _("Thank you, your approval is saved"),
        (
            _("%(provider)s does not answer our check just now. We go on trying, and will write to you.")
            % {"provider": about.provider},
            _("There is nothing more to do; you can close this page."),
        ),
        tone="good",
    )


def lacking(about: About, role: bool, missing: Sequence[str], speak: Tongue) -> Page:
    """Approved, but something that is needed is still refused."""
    _ = speak.gettext
    names = {"provider": about.provider, "scopes": speak.join(list(missing)) or about.provider}
    if role:
        said = _(
            "Your approval arrived, but the role of the user you signed in with does not include: %(scopes)s."
        )
        way = _(
            "Please repeat it as an administrator of %(provider)s, or have that user's role widened there."
        )
    else:
        said = _("Your approval arrived, but it does not include: %(scopes)s.")
        way = _("Please repeat it, and approve everything that %(provider)s lists.")
    return Page(
        _("Almost there"),
        (said % names, way % names, ask_us(about.support, _)),
        again=_("Try again"),
        tone="warn",
    )


def held(about: About, seen: str, speak: Tongue) -> Page:
    """Approved, and a person looks first whether the account is this client's; another may be tried."""
    _ = speak.gettext
    names = {"provider": about.provider, "client": about.client}
    facts = [(_("For"), about.client), (_("Connection to"), about.provider)]
    if seen:
        facts.append((_("You approved with"), seen))
    return Page(
        _("Thank you, we will look at it"),
        (
            _(
                "Your approval arrived. Before we use it, a person on our side checks that this account "
                "belongs to %(client)s."
            )
            % names,
            _("If %(client)s did not ask you to connect this account, please tell us.") % names
            + " " + ask_us(about.support, _),
            _("If you meant another account, sign out of %(provider)s, and approve again.") % names,
        ),
        tuple(facts),
        button=_("Approve with another account"),
    )  # fmt: skip


def declined(about: About, speak: Tongue) -> Page:
    """The client said no."""
    _ = speak.gettext
    return Page(
        _("You did not approve"),
        (
            _("Nothing was changed. Without your approval the connection to %(provider)s stays as it is.")
            % {"provider": about.provider},
            ask_us(about.support, _),
        ),
        again=_("Try again"),
        tone="warn",
    )


def unreachable(about: About, speak: Tongue) -> Page:
    """The provider does not answer just now."""
    _ = speak.gettext
    return Page(
        _("%(provider)s does not answer just now") % {"provider": about.provider},
        (_("Nothing was changed. Please try again in a few minutes; your link stays valid."),),
        again=_("Try again"),
        tone="warn",
        status=503,
    )


def refused(about: About, speak: Tongue) -> Page:
    """The provider refused our request itself: ours to mend."""
    _ = speak.gettext
    return Page(
        _("%(provider)s did not accept our request") % {"provider": about.provider},
        (
            _("Nothing was changed. This is a fault on our side, not on yours."),
            _("You can try again; if it happens once more, please let us know.") + " "
            + ask_us(about.support, _),
        ),
        again=_("Try again"),
        tone="warn",
        status=502,
    )  # fmt: skip


def reused(about: About, speak: Tongue) -> Page:
    """This answer of the provider was taken before."""
    _ = speak.gettext
    return Page(
        _("This step was done already"),
        (_("The page was probably loaded twice. Please start again from your link."),),
        again=_("Start again"),
        tone="warn",
        status=409,
    )


def late(about: About, speak: Tongue) -> Page:
    """The trip to the provider took too long."""
    _ = speak.gettext
    return Page(
        _("That took too long"),
        (_("For safety, an approval has to come back within half an hour. Nothing was changed."),),
        again=_("Start again"),
        tone="warn",
        status=410,
    )


def other_browser(support: str, speak: Tongue) -> Page:
    """The answer came back in another browser than the one that left."""
    _ = speak.gettext
    return Page(
        _("Please stay in one browser"),
        (
            _("The approval came back in another browser than you started in, or cookies are blocked."),
            _("Nothing was changed. Open the link from the email again, and finish in the same browser."),
            ask_us(support, _),
        ),
        tone="warn",
        status=400,
    )


def tampered(support: str, speak: Tongue) -> Page:
    """A callback that belongs to no trip of ours."""
    _ = speak.gettext
    return Page(
        _("This page cannot be opened like that"),
        (
            _("The address is incomplete or was changed. Nothing was done."),
            _("Open the link from the email again.") + " " + ask_us(support, _),
        ),
        tone="warn",
        status=400,
    )


def mixed_up(support: str, speak: Tongue) -> Page:
    """The answer is another server's (RFC 9207)."""
    _ = speak.gettext
    return Page(
        _("The answer came from the wrong place"),
        (
            _("We expected the approval from another server, and did not take it. Nothing was changed."),
            ask_us(support, _),
        ),
        tone="warn",
        status=400,
    )


def unknown(support: str, speak: Tongue) -> Page:
    """No such link."""
    _ = speak.gettext
    return Page(
        _("This link is not valid"),
        (
            _("Perhaps a part of it was lost on the way. Please use the button in the newest email."),
            ask_us(support, _),
        ),
        tone="warn",
        status=404,
    )


def expired(about: About, speak: Tongue) -> Page:
    """The link's time is over."""
    _ = speak.gettext
    return Page(
        _("This link has expired"),
        (
            _("For safety, links work for a limited time. A newer email may have a link that works."),
            _("Otherwise ask us for a new one.") + " " + ask_us(about.support, _),
        ),
        tone="warn",
        status=410,
    )


def used(about: About, speak: Tongue) -> Page:
    """The link was used, and the connection needs somebody again."""
    _ = speak.gettext
    return Page(
        _("This link was used already"),
        (
            _("Each link works once. If the connection needs you again, the newest email has a new one."),
            ask_us(about.support, _),
        ),
        tone="warn",
        status=410,
    )


def paused(about: About, speak: Tongue) -> Page:
    """An operator paused the connection."""
    _ = speak.gettext
    return Page(
        _("This connection is paused"),
        (_("We are not using it at the moment, so there is nothing to approve."), ask_us(about.support, _)),
        status=409,
    )


def too_many(support: str, speak: Tongue) -> Page:
    """The rate limit."""
    _ = speak.gettext
    return Page(
        _("Too many requests"),
        (_("Please wait a minute, and try again."),),
        tone="warn",
        status=429,
    )
