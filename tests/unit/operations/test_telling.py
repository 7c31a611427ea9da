"""What was said of a connection, and what follows: every case of it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from alerts.mails.lately import Mail
from alerts.silences.windows import Over, Silenced
from monitor.health.causes import Cause, Owner
from monitor.health.claim import Claim
from monitor.health.incidents import Place
from monitor.health.lifecycle import Health, State
from monitor.health.listing import Listed
from monitor.health.pauses import Pause
from monitor.operations.telling import Facts, What, paged_of, telling
from monitor.store.steps import Steps
from tests.conftest import START as NOW

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
BROKE = Steps(incident=7, broke_at=NOW - 5 * HOUR)


def row(state=State.BROKEN, owner=Owner.CLIENT, *, claim=None, newcomer=False):
    health = Health(state=state, since=NOW - 5 * HOUR, cause=Cause.REVOKED, owner=owner)
    return Listed(
        "a", Place("app", "clio", ""), "Firm", (), {}, health, NOW, NOW, None, newcomer, claim=claim
    )


def mail(slot="ask", state="sent", hours=4, **more):
    at = NOW - hours * HOUR
    values = {
        "kind": "revoked",
        "number": 0,
        "incident": 7,
        "unconfirmed": False,
        "requested_by": None,
    } | more
    settled = at if state not in ("waiting", "sending") else None
    return Mail(
        slot,
        values["kind"],
        values["number"],
        state,
        values["incident"],
        at,
        settled,
        values["unconfirmed"],
        None,
    )


def told(given, mails=(), steps=BROKE, *, paged=None, silence=None, pause=None):
    found = telling(given, Facts(mails, steps, paged, silence, pause), NOW)
    return found.said.what, found.follows.what if found.follows else None


REMINDS = mail("reminder", "waiting", -20, number=1)


@pytest.mark.parametrize(
    ("mails", "steps", "wanted"),
    [
        ([], BROKE, (What.NOTHING, None)),
        ([], BROKE._replace(held=True), (What.GUARD_HOLDS, What.DECIDE)),
        ([], BROKE._replace(dropped=True), (What.DROPPED, None)),
        ([mail(state="waiting", hours=-1)], BROKE, (What.MAIL_WAITS, What.LOOKED_AT_FIRST)),
        ([REMINDS, mail()], BROKE, (What.MAILED, What.REMINDER)),
        (
            [mail("handover", "waiting", -30), mail("reminder", number=3)],
            BROKE,
            (What.REMINDED, What.HANDOVER),
        ),
        ([mail(unconfirmed=True)], BROKE, (What.PERHAPS_MAILED, None)),
        ([mail(state="failed")], BROKE, (What.MAIL_FAILED, None)),
        ([mail()], BROKE._replace(opened_at=NOW - HOUR), (What.OPENED, None)),
        ([mail()], BROKE._replace(opened_at=NOW - 2 * HOUR, started_at=NOW - HOUR), (What.STARTED, None)),
        ([mail()], BROKE._replace(opened_at=NOW - 9 * HOUR), (What.MAILED, None)),
        (
            [mail()],
            BROKE._replace(started_at=NOW - HOUR, outcome="wrong_account", outcome_at=NOW),
            (What.OTHER_ACCOUNT, None),
        ),
        ([mail()], BROKE._replace(outcome="declined", outcome_at=NOW), (What.DECLINED, None)),
        ([mail()], BROKE._replace(outcome="declined", outcome_at=NOW - 9 * HOUR), (What.MAILED, None)),
        ([mail()], BROKE._replace(waits=True), (What.WAITS_FOR_PERSON, What.DECIDE)),
        ([mail(incident=3)], BROKE, (What.NOTHING, None)),
    ],
)
def test_of_what_a_client_has_to_mend(mails, steps, wanted):
    assert told(row(), mails, steps) == wanted


def test_of_who_was_never_authorized():
    new = row(State.PENDING, Owner.NOBODY, newcomer=True)
    invited = mail(kind="first_authorization", incident=None)
    assert told(new, [invited], Steps()) == (What.INVITED, None)
    assert told(new, [], Steps()) == (What.NOTHING, None)


def test_of_what_nobody_or_on_call_is_told():
    assert told(row(State.SUSPECT)) == (What.UNCONFIRMED_BREAK, None)
    assert told(row(owner=Owner.OPERATOR)) == (What.NOTHING, What.CLIENT_HEARS_NOTHING)
    assert told(row(owner=Owner.PROVIDER), paged=NOW) == (What.PAGED, What.CLIENT_HEARS_NOTHING)
    silence = Silenced(Over.ALL, "", "a move", "cli:ann", NOW, None)
    assert told(row(), [mail()], silence=silence) == (What.SILENCED, None)
    for_good, for_now = Pause("cli:ann"), Pause("cli:ann", NOW + DAY, "moves house")
    assert told(row(State.PAUSED, Owner.NOBODY), pause=for_good) == (What.PAUSED, None)
    assert told(row(State.PAUSED, Owner.NOBODY), pause=for_now) == (What.PAUSED, What.RESUMES)
    thanks = mail("resolved", incident=7)
    assert told(row(State.HEALTHY, Owner.NOBODY), [thanks]) == (What.THANKED, None)


def test_whoever_is_on_it_is_what_follows():
    claim = Claim("Sam", NOW + HOUR)
    assert told(row(claim=claim), [REMINDS, mail()]) == (What.MAILED, What.CLAIMED)
    assert told(row(claim=Claim("Sam", NOW - HOUR)), [REMINDS, mail()]) == (What.MAILED, What.REMINDER)


def test_on_call_was_told_of_what_its_page_is_about():
    outage = ({"provider": "clio", "cause": "provider_outage"}, NOW)
    one = ({"provider": "clio", "app": "app", "connection": "a", "cause": "unexpected"}, NOW - HOUR)
    ours = ({"alertname": "TokenHealthNotReady"}, NOW)
    pages = [ours, outage, one]
    assert paged_of(pages, "clio", "app", "b", "provider_outage") == NOW
    assert paged_of(pages, "clio", "app", "a", "unexpected") == NOW - HOUR
    assert paged_of(pages, "clio", "app", "b", "unexpected") is None
    assert paged_of(pages, "xero", "app", "b", "provider_outage") is None
