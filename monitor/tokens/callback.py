"""What a browser brings back from the consent page, as far as it says how the trip ended."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from urllib.parse import urlsplit

import structlog

from monitor.health.evidence import Answer, Step, redact
from monitor.health.rules import Rule, refused_by_policy
from monitor.store.links import Trip
from monitor.text.names import one_line
from monitor.tokens.arrival import Arrival, Forbidden
from monitor.wire.apps import App

log = structlog.get_logger("monitor.grant")


def before_exchange(
    trip: Trip, app: App, params: Mapping[str, str], path: str, now: datetime
) -> Arrival | None:
    """Say how a trip has ended already, None where it brought a code to exchange."""
    if trip.expires_at <= now:
        return Arrival.LATE
    if not urlsplit(trip.redirect_uri).path.endswith(path):
        return Arrival.MIXED_UP
    issuer = params.get("iss")
    if issuer is not None and issuer.rstrip("/") != app.issuer.rstrip("/"):
        return Arrival.MIXED_UP
    if issuer is None and app.endpoints is not None and app.endpoints.iss_required:
        return Arrival.MIXED_UP
    if params.get("error") == "access_denied":
        return Arrival.DECLINED
    if params.get("error") or not params.get("code"):
        log.warning("consent.refused", app=app.id, error=one_line(params.get("error", "no code"))[:80])
        return Arrival.REFUSED
    return None


def on_return(rules: tuple[Rule, ...], params: Mapping[str, str]) -> Forbidden | None:
    """Say whether what a browser brought back (RFC 6749 4.1.2.1) speaks of such a setting."""
    error, said = params.get("error", ""), params.get("error_description", "")
    if not error:
        return None
    answer = Answer(400, error=one_line(redact(error)), description=redact(said) if said else None)
    return _by_rule(rules, Step.CALLBACK, answer)


def on_exchange(rules: tuple[Rule, ...], answer: Answer) -> Forbidden | None:
    """Say whether the answer to a code does; token endpoints say it as they say it to refresh tokens."""
    return _by_rule(rules, Step.REFRESH, answer)


def _by_rule(rules: tuple[Rule, ...], step: Step, answer: Answer) -> Forbidden | None:
    rule = refused_by_policy(rules, step, answer)
    if rule is None:
        return None
    said = f" “{one_line(answer.description)}”" if answer.description else ""
    return Forbidden(rule.name, f"{answer.error or f'HTTP {answer.status}'}{said}")
