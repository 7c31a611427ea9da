"""How the console says why a connection is as it is: in a few words, the cause's code beside them."""

from __future__ import annotations

from monitor.health.causes import Cause, consequence
from monitor.web.console.texts import gettext as _


def cause_words(cause: Cause, scope: str = "") -> str:
    """Say a cause, of which scope where that is known."""
    row = consequence(cause)
    text = _(row.short_of_scope, scope=scope) if scope and row.short_of_scope else _(row.short)
    return f"{text[:1].upper()}{text[1:]}"
