"""For how long something holds: the choices that people have, and what they mean."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from monitor.errors import ConfigurationError
from monitor.health.pauses import LONGEST
from monitor.text.tomlfile import parse_duration
from monitor.web.console.answers import Field
from monitor.web.console.texts import N_
from monitor.web.console.texts import gettext as _

SPANS = ("1h", "2h", "4h", "12h", "1d", "3d", "7d", "")
_WORDS = {
    "1h": N_("an hour"), "2h": N_("2 hours"), "4h": N_("4 hours"), "12h": N_("12 hours"),
    "1d": N_("a day"), "3d": N_("3 days"), "7d": N_("a week"), "": N_("until somebody ends it"),
}  # fmt: skip


def span_field(value: str, hint: str = "", *, endless: str = "") -> Field:
    """Return the field in which people say for how long; `endless` are the words for no end."""
    options = [(one, endless if endless and not one else _(_WORDS[one])) for one in SPANS]
    return Field("for", _("For how long"), "select", value, hint, options=options)


def read_moment(text: str, name: str) -> datetime | None:
    """Read a moment of UTC as a browser sends it: 2026-11-24T14:30; None for nothing.

    Raises ConfigurationError.
    """
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text[:40])
    except ValueError:
        raise ConfigurationError(_("%(name)s: write 2026-11-24 14:30.", name=name)) from None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


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
    if found > LONGEST:
        raise ConfigurationError(_("For how long: a year at most; what lasts longer has no end of its own."))
    return found
