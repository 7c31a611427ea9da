"""For how long something holds: the choices that people have, and what they mean."""

from __future__ import annotations

from datetime import timedelta

from monitor.errors import ConfigurationError
from monitor.text.tomlfile import parse_duration
from monitor.web.console.answers import Field
from monitor.web.console.texts import N_
from monitor.web.console.texts import gettext as _

SPANS = ("1h", "4h", "12h", "1d", "3d", "7d", "")
_WORDS = {
    "1h": N_("an hour"), "4h": N_("4 hours"), "12h": N_("12 hours"), "1d": N_("a day"), "3d": N_("3 days"),
    "7d": N_("a week"), "": N_("until somebody ends it"),
}  # fmt: skip


def span_field(value: str) -> Field:
    """Return the field in which people say for how long."""
    return Field("for", _("For how long"), "select", value, options=[(one, _(_WORDS[one])) for one in SPANS])


def read_span(text: str) -> timedelta | None:
    """Read what was chosen; None until somebody ends it. Raises ConfigurationError."""
    if not text:
        return None
    try:
        found = parse_duration(text[:20])
    except ValueError as error:
        raise ConfigurationError(_("For how long: %(why)s", why=error)) from None
    if not isinstance(found, timedelta) or found <= timedelta(0):
        raise ConfigurationError(_("For how long: write 30m, 2h or 3d."))
    return found
