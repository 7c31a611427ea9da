"""What acting on many does with each, and why it leaves one out: the table."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from monitor.health.acting import EVER, Action, Facts, Setup, Stand, Why, mends, why_not
from monitor.health.causes import TABLE, Cause, Owner
from monitor.health.incidents import Place
from monitor.health.lifecycle import Health, State
from monitor.health.listing import Listed

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
SETUP = Setup(frozenset({"clio"}))
REVOKED = Health(State.BROKEN, cause=Cause.REVOKED, owner=Owner.CLIENT)
OUTAGE = Health(State.BROKEN, cause=Cause.PROVIDER_OUTAGE, owner=Owner.PROVIDER)
OURS = Health(State.BROKEN, cause=Cause.APP_MISCONFIGURED, owner=Owner.OPERATOR)
FIRST_OURS = Health(State.BROKEN, cause=Cause.INSUFFICIENT_SCOPE, owner=Owner.OPERATOR)
WELL, DOUBT = Health(State.HEALTHY), Health(State.SUSPECT, cause=Cause.REVOKED, owner=Owner.CLIENT)
PAUSED, PENDING = Health(State.PAUSED), Health(State.PENDING)
REACHED = {"contacts": ("it@firm.example",)}


def stand(health: Health, app: str = "clio", *, newcomer: bool = False, **facts) -> Stand:
    row = Listed("a", Place(app, "clio", "us"), "Firm", (), {}, health, None, None, None, newcomer)
    return Stand(row, Facts(**facts))


@pytest.mark.parametrize(
    ("action", "found", "why"),
    [
        ("probe", stand(WELL), None),
        ("probe", stand(OUTAGE), None),
        ("probe", stand(PAUSED), Why.PAUSED),
        ("probe", stand(WELL, "gone"), Why.NO_APP),
        ("probe", stand(PENDING, newcomer=True), Why.NEVER_AUTHORIZED),
        ("probe", stand(PENDING), None),
        ("link", stand(REVOKED, **REACHED), None),
        ("link", stand(PENDING, newcomer=True, **REACHED), None),
        ("link", stand(REVOKED), Why.NO_CONTACT),
        ("link", stand(REVOKED, "gone", **REACHED), Why.NO_APP),
        ("link", stand(REVOKED, waits=True, **REACHED), Why.WAITS_FOR_YOU),
        ("link", stand(REVOKED, asked=True, **REACHED), Why.ASKED_LATELY),
        ("link", stand(OUTAGE, **REACHED), Why.PROVIDERS),
        ("link", stand(OURS, **REACHED), Why.OPERATORS),
        ("link", stand(FIRST_OURS, **REACHED), Why.OPERATORS),
        ("link", stand(WELL, **REACHED), Why.WELL),
        ("link", stand(DOUBT, **REACHED), Why.IN_DOUBT),
        ("link", stand(PENDING, **REACHED), Why.IN_DOUBT),
        ("link", stand(PAUSED, **REACHED), Why.PAUSED),
        ("pause", stand(REVOKED), None),
        ("pause", stand(PAUSED), Why.PAUSED_ALREADY),
        ("pause", stand(PAUSED, rests=True), None),
        ("resume", stand(PAUSED), None),
        ("resume", stand(PAUSED, "gone"), Why.NO_APP),
        ("resume", stand(WELL), Why.NOT_PAUSED),
        ("hold", stand(WELL), None),
        ("hold", stand(WELL, wider=True), None),
        ("unhold", stand(WELL, held=EVER), None),
        ("unhold", stand(WELL), Why.NOT_HELD),
        ("unhold", stand(WELL, wider=True), Why.HELD_WIDER),
        ("remove", stand(PAUSED, "gone"), None),
    ],
)
def test_the_table(action, found, why):
    assert why_not(Action(action), found, SETUP) is why


@pytest.mark.parametrize(
    ("held", "until", "why"),
    [
        (NOW, NOW, Why.HELD_ALREADY),
        (NOW, NOW - timedelta(hours=1), Why.HELD_ALREADY),
        (NOW, NOW + timedelta(hours=1), None),
        (NOW, None, None),
        (EVER, None, Why.HELD_ALREADY),
        (EVER, NOW, Why.HELD_ALREADY),
    ],
)
def test_a_hold_is_laid_where_none_lasts_as_long(held, until, why):
    assert why_not(Action.HOLD, stand(WELL, held=held), Setup(SETUP.apps, until=until)) is why


def test_without_a_sender_no_client_is_mailed():
    assert why_not(Action.LINK, stand(REVOKED, **REACHED), Setup(SETUP.apps, mails=False)) is Why.NO_MAILS


@pytest.mark.parametrize("cause", Cause)
def test_a_client_is_mailed_for_what_its_authorization_mends_and_for_nothing_else(cause):
    for owner in Owner:
        health = Health(State.BROKEN, cause=cause, owner=owner)
        done = why_not(Action.LINK, stand(health, **REACHED), SETUP) is None
        assert done is mends(health) is (owner is Owner.CLIENT and TABLE[cause].client_mail)


def test_each_reason_has_its_sentence_and_what_is_as_wanted_is_no_failure():
    assert all(why.says.endswith(".") for why in Why)
    assert not Why.PROVIDERS.as_wanted and Why.PAUSED_ALREADY.as_wanted
