"""Asks the provider what became of a token (RFC 7662), where its refusal leaves that open.

Evidence only: the token is not used by it, and whatever the endpoint does, the next look is not put off. One
that does not answer is left alone for a while, since a look that waits for it holds up another.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from monitor.clock import Clock
from monitor.health.evidence import Answer, Exchange, Fault, Introspection, Step
from monitor.providers.schema import Errors
from monitor.secret import Secret
from monitor.tokens.messages import introspection_form, read_introspection
from monitor.wire.answers import read
from monitor.wire.apps import App

if TYPE_CHECKING:  # commands that ask no provider need not load the clients
    from monitor.wire.client import Wire

LEFT_ALONE = timedelta(minutes=5)


class Introspector:
    """Asks over the token endpoint's transport: a connection of its own for each question."""

    def __init__(self, wire: Wire, clock: Clock) -> None:
        self._wire, self._clock = wire, clock
        self._left_alone: dict[str, datetime] = {}

    def may_ask(self, app: App) -> bool:
        """Whether there is an endpoint, and it is not being left alone just now."""
        if app.endpoints is None or not app.endpoints.introspect:
            return False
        until = self._left_alone.get(app.id)
        return until is None or until <= self._clock.now()

    async def ask(self, app: App, token: Secret, hint: str) -> tuple[Exchange, Introspection | None]:
        """Ask about a token; `hint` says which kind it is. None where the answer is none."""
        assert app.endpoints is not None  # noqa: S101 - checked by may_ask()
        oauth, url, began = app.provider.oauth, app.endpoints.introspect, self._clock.now()
        form, authorization = introspection_form(
            app.client_id, app.client_secret, token, hint, oauth.client_auth
        )
        reply = await self._wire.post_form(url, form, authorization)
        now, said = self._clock.now(), None
        outcome: Answer | Fault
        if isinstance(reply, Fault):
            outcome = reply
        else:
            # As the standard has it, not as this provider's API reports its errors.
            outcome, document = read(reply, Errors(), now)
            if outcome.ok and (said := read_introspection(document)) is not None:
                outcome = replace(outcome, description=_in_words(said))
        if said is None:
            asked_for = outcome.retry_at if isinstance(outcome, Answer) else None
            self._left_alone[app.id] = max(now + LEFT_ALONE, asked_for or now)
        host, seconds = urlsplit(url).netloc, (now - began).total_seconds()
        return Exchange(Step.INTROSPECT, f"POST {url}", host, began, seconds, outcome), said


def _in_words(said: Introspection) -> str:
    active = "active" if said.active else "not active"
    return f"{active}, ends {said.expires_at:%Y-%m-%d %H:%M} UTC" if said.expires_at else active
