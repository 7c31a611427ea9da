"""What the client's pages say of approvals that were not kept: nothing was changed, and what to do."""

from __future__ import annotations

from collections.abc import Sequence

from alerts.mails.language import Tongue
from monitor.web.clients.page import About, Page, ask_us


def wrong_account(about: About, seen: str, speak: Tongue) -> Page:
    """Approved with another account: refused, with its name."""
    _ = speak.gettext
    names = {"provider": about.provider, "account": seen, "client": about.client}
    facts = [(_("You approved with"), seen)]
    if about.account:
        facts.append((_("Expected"), about.account))
    return Page(
        _("That was another account"),
        (
            _("Nothing was changed, and we did not keep that approval."),
            _("Sign out of %(provider)s, sign in with the account of %(client)s, and try again.") % names,
            _("If %(account)s is the right one now, tell us, and we will change it.") % names
            + " " + ask_us(about.support, _),
        ),
        tuple(facts),
        again=_("Try again"),
        tone="warn",
        status=409,
    )  # fmt: skip


def born_dead(about: About, speak: Tongue) -> Page:
    """Approved, and what came would end within the hour: refused, and what to do."""
    _ = speak.gettext
    names = {"provider": about.provider}
    return Page(
        _("The approval is not complete"),
        (
            _(
                "%(provider)s gave us access for a short time only, and nothing to renew it with. So we did "
                "not keep that approval, and nothing was changed."
            )
            % names,
            _(
                "Please try again, and agree where %(provider)s asks to stay connected or to allow access "
                "while you are away."
            )
            % names,
            _("If you end up here once more, the fault is on our side; we have been told.") + " "
            + ask_us(about.support, _),
        ),
        again=_("Try again"),
        tone="warn",
        status=409,
    )  # fmt: skip


def narrower(about: About, missing: Sequence[str], speak: Tongue) -> Page:
    """Approved with less than what works has: refused, with what is missing."""
    _ = speak.gettext
    names = {"provider": about.provider, "scopes": speak.join(list(missing)) or about.provider}
    return Page(
        _("Part of the access was not approved"),
        (
            _("Your approval does not include: %(scopes)s.") % names,
            _("The connection works with more, so we did not keep that approval, and nothing was changed."),
            _("Please repeat it, and approve everything that %(provider)s lists.") % names,
            ask_us(about.support, _),
        ),
        again=_("Try again"),
        tone="warn",
        status=409,
    )
