"""Mail previews: every kind in every language, as a client would read it; who gets it, and when."""

from __future__ import annotations

from monitor.errors import ConfigurationError, NotFound
from monitor.operations import mails
from monitor.operations.actor import Right
from monitor.operations.mails import Mails, Preview
from monitor.web.console.answers import Sent, Shown
from monitor.web.console.declared import page
from monitor.web.console.notice_words import for_eyes
from monitor.web.console.pages.notices import in_frame
from monitor.web.console.texts import gettext as _
from monitor.web.console.texts import ngettext
from monitor.web.console.visit import Visit

LANGUAGES = {"en": "English", "de": "Deutsch", "fr": "Français", "es": "Español"}  # each in its own


@page("/mails", Right.NOTICES_READ)
async def show_mails(visit: Visit) -> Shown:
    """Show one mail in one language, and the way to all others."""
    found = mails.every(visit.parts.loaded, visit.actor)
    kind = visit.query.get("kind") or found.mails[0].kind
    language = visit.query.get("language") or found.languages[0]
    known = next((one for one in found.mails if one.kind == kind), None)
    if known is None:
        raise NotFound(_("There is no such mail; choose one of those that there are."))
    written, trouble = _written(visit, kind, language)
    return Shown(
        "mails.html.j2",
        _verdict(found),
        "/mails",
        found=found,
        known=known,
        kind=kind,
        language=language,
        languages=[(one, LANGUAGES.get(one, one)) for one in found.languages],
        written=written,
        trouble=for_eyes(visit, trouble or found.trouble),
        may_operate=visit.may(Right.NOTICES_OPERATE),
    )


def _written(visit: Visit, kind: str, language: str) -> tuple[Preview | None, str]:
    """Write a sample; one's own template that cannot be used is what the page is to say."""
    try:
        return mails.preview(visit.parts.loaded, visit.actor, kind, language), ""
    except ConfigurationError as error:
        return None, str(error)


def _verdict(found: Mails) -> str:
    if found.trouble:
        return _("A template of your own cannot be used.")
    kinds = ngettext("%(n)s kind of mail", "%(n)s kinds of mail", len(found.mails))
    return _("%(kinds)s, in %(n)s languages.", kinds=kinds, n=len(found.languages))


@page("/mails/{kind}/{language}/html", Right.NOTICES_READ)
async def show_mail_html(visit: Visit) -> Sent:
    """Show a sample itself, for a frame in which nothing runs."""
    found = mails.preview(visit.parts.loaded, visit.actor, visit.path["kind"], visit.path["language"])
    return in_frame(found.html)
