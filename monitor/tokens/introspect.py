"""Asks the provider what became of a token (RFC 7662), where its refusal leaves that open.

Evidence only: the token is not used by it, and whatever the endpoint does, the next look is not put off. One
that does not answer is left alone for a while, since a look that waits for it holds up another.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from monitor.clock import Clock
from monitor.health.evidence import Answer, Content, Exchange, Fault, Introspection, Step
from monitor.providers.schema import Errors, OAuth
from monitor.secret import Secret
from monitor.tokens.calls import introspection
from monitor.tokens.messages import end_of, read_introspection
from monitor.wire.answers import holds, read
from monitor.wire.apps import App

if TYPE_CHECKING:  # commands that ask no provider need not load the clients
    from monitor.wire.client import Reply, Wire

LEFT_ALONE = timedelta(minutes=5)


class Introspector:
    """Asks over the token endpoint's transport: a connection of its own for each question."""

    def __init__(self, wire: Wire, clock: Clock) -> None:
        self._wire, self._clock = wire, clock
        self._left_alone: dict[str, datetime] = {}

    def may_ask(self, app: App, kind: str = "") -> bool:
        """Whether there is an endpoint, for this kind of token, and it is not being left alone just now."""
        if app.endpoints is None or not app.endpoints.introspect:
            return False
        if kind and kind not in app.provider.oauth.introspect_kinds:
            return False
        until = self._left_alone.get(app.id)
        return until is None or until <= self._clock.now()

    async def ask(self, app: App, token: Secret, hint: str) -> tuple[Exchange, Introspection | None]:
        """Ask about a token; `hint` says which kind it is. None where the answer is none."""
        assert app.endpoints is not None  # noqa: S101 - checked by may_ask()
        url, began = app.endpoints.introspect, self._clock.now()
        request = introspection(app, url, token, hint)
        reply = await self._wire.send(request)
        now, said = self._clock.now(), None
        outcome: Answer | Fault
        if isinstance(reply, Fault):
            outcome = reply
        else:
            outcome, said = heard_of(reply, app.provider.oauth, now)
        if said is None:
            asked_for = outcome.retry_at if isinstance(outcome, Answer) else None
            self._left_alone[app.id] = max(now + LEFT_ALONE, asked_for or now)
        host, seconds = urlsplit(url).netloc, (now - began).total_seconds()
        return Exchange(Step.INTROSPECT, request.shown, host, began, seconds, outcome), said


def heard_of(reply: Reply, oauth: OAuth, now: datetime) -> tuple[Answer, Introspection | None]:
    """Return an introspection's answer, and what it says of the token, None where it says nothing."""
    # As the standard has it, not as this provider's API reports its errors.
    answer, document = read(reply, Errors(), now)
    said = _told(answer, document, oauth)
    return (answer if said is None else replace(answer, description=_in_words(said))), said


def _told(answer: Answer, document: Any, oauth: OAuth) -> Introspection | None:
    """Read `active`, or what the provider's file has in its place.

    A status that says 'not active' has to be the API's own: a page says nothing.
    """
    if answer.status in oauth.introspect_dead and answer.content is Content.JSON:
        return Introspection(False, None)
    if not answer.ok:
        return None
    by_the_standard = read_introspection(document)
    if by_the_standard is not None or not oauth.introspect_active:
        return by_the_standard
    return Introspection(holds(oauth.introspect_active, document), end_of(document))


def _in_words(said: Introspection) -> str:
    active = "active" if said.active else "not active"
    return f"{active}, ends {said.expires_at:%Y-%m-%d %H:%M} UTC" if said.expires_at else active
