"""What the endpoints of a first authorization say of our app, from their answers alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from monitor.health.causes import Cause
from monitor.health.doors import (
    AGAIN,
    Door,
    Outcome,
    Seen,
    after,
    authorize_door,
    next_at,
    token_door,
    words_of,
)
from monitor.health.evidence import Answer, Content, Fault, FaultKind, Step
from monitor.health.rules import Rule

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
OURS = "https://tokens.agency.example/oauth/callback"
HOSTS = frozenset({"api.vendor.example"})
RULES = (
    Rule("v.rules[0]", Cause.REVOKED, Step.EXCHANGE, (200, 200), frozenset({"bad_verification_code"})),
    Rule("v.rules[1]", Cause.APP_MISCONFIGURED, Step.EXCHANGE, (200, 200), frozenset({"incorrect_client"})),
    Rule("v.rules[2]", Cause.REVOKED, None, (403, 403)),  # of the API; says nothing about a code
)


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (Answer(400, error="invalid_grant"), Outcome.GOOD),
        (Answer(200, error="bad_verification_code"), Outcome.GOOD),
        (Answer(200, error="incorrect_client"), Outcome.REFUSED),
        (Answer(401, error="invalid_client"), Outcome.REFUSED),
        (Answer(400, error="unauthorized_client"), Outcome.REFUSED),
        (Answer(400, error="redirect_uri_mismatch"), Outcome.REFUSED),
        # What is unclear never alarms.
        (Answer(400, error="invalid_request"), Outcome.UNCLEAR),
        (Answer(403, error="anything"), Outcome.UNCLEAR),
        (Answer(401, Content.HTML, sample="invalid_client"), Outcome.UNCLEAR),
        (Answer(429), Outcome.UNCLEAR),
        (Answer(503, error="invalid_client"), Outcome.UNCLEAR),
        (Answer(200), Outcome.UNCLEAR),
        (Fault(FaultKind.REFUSED), Outcome.UNCLEAR),
    ],
)
def test_the_token_endpoint_says_of_a_code_that_does_not_exist(answer, outcome):
    assert token_door(RULES, answer).outcome is outcome


def redirect(location: str) -> tuple[Answer, str]:
    error, description = words_of(location)
    host = location.split("/")[2] if location.startswith("http") else None
    return Answer(302, error=error, description=description, redirect=host), location


@pytest.mark.parametrize(
    ("location", "outcome"),
    [
        ("https://login.vendor.example/sign-in?next=1", Outcome.GOOD),
        ("/login?return_to=x", Outcome.GOOD),
        (f"{OURS}?error=login_required&state=s", Outcome.GOOD),
        (f"{OURS}?error=unauthorized_client", Outcome.REFUSED),
        (f"{OURS}?error=invalid_scope", Outcome.REFUSED),
        (f"{OURS}?error=server_error", Outcome.UNCLEAR),
        (f"{OURS}?code=abc", Outcome.UNCLEAR),
        ("https://login.vendor.example/oauth?error=redirect_uri_mismatch", Outcome.REFUSED),
        ("https://login.vendor.example/error?authError=abc", Outcome.UNCLEAR),
        ("https://sso.elsewhere.example/login", Outcome.UNCLEAR),
        ("http://[bad", Outcome.UNCLEAR),
    ],
)
def test_where_the_authorize_endpoint_leads(location, outcome):
    answer, location = redirect(location)
    assert authorize_door((), answer, location, OURS, HOSTS).outcome is outcome


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (Answer(200, Content.HTML), Outcome.GOOD),
        (Answer(400, error="invalid_client"), Outcome.REFUSED),
        (Answer(404, Content.HTML), Outcome.UNCLEAR),
        (Answer(403, Content.HTML), Outcome.UNCLEAR),
        (Answer(500, error="invalid_client"), Outcome.UNCLEAR),
        (Fault(FaultKind.DNS), Outcome.UNCLEAR),
    ],
)
def test_what_the_authorize_endpoint_shows(answer, outcome):
    assert authorize_door((), answer, "", OURS, HOSTS).outcome is outcome


def seen(outcome: Outcome) -> Seen:
    return Seen(Door.TOKEN, outcome, outcome.value)


def test_one_refusal_is_asked_again_soon_and_two_in_a_row_are_believed():
    once = after(None, seen(Outcome.REFUSED), NOW)
    assert not once.shut
    assert next_at("app", timedelta(days=1), NOW, [once]) == NOW + AGAIN
    later = NOW + AGAIN
    twice = after(once, seen(Outcome.REFUSED), later)
    assert twice.shut
    assert twice.since == NOW
    assert next_at("app", timedelta(days=1), later, [twice]) > later + timedelta(hours=20)


def test_an_unclear_answer_neither_alarms_nor_ends_an_alarm_and_a_good_one_does():
    assert not after(None, seen(Outcome.UNCLEAR), NOW).shut
    shut = after(after(None, seen(Outcome.REFUSED), NOW), seen(Outcome.REFUSED), NOW + AGAIN)
    unclear = after(shut, seen(Outcome.UNCLEAR), NOW + AGAIN)
    assert unclear.shut
    well = after(unclear, seen(Outcome.GOOD), NOW + 2 * AGAIN)
    assert not well.shut
    assert well.well_at == NOW + 2 * AGAIN


def test_apps_are_spread_over_the_day():
    day = timedelta(days=1)
    first = sorted(next_at(f"app-{n}", day, NOW) - NOW for n in range(200))
    assert first[0] < timedelta(hours=1)
    assert first[-1] > timedelta(hours=23)
    again = [next_at(f"app-{n}", day, NOW, [after(None, seen(Outcome.GOOD), NOW)]) - NOW for n in range(50)]
    assert all(timedelta(hours=21) < wait < timedelta(hours=27) for wait in again)
