"""Somebody is on it: reminders rest until then, nothing else does, and no mail comes of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.mails.plan import plan
from alerts.mails.quiet import Quiet
from alerts.mails.standing import Case, Said, Slot
from monitor.health.causes import Cause
from monitor.health.lifecycle import State
from tests.conftest import START
from tests.unit.alerts.mails.test_notices import CASES, CLIENT, POLICY, case

DAY = timedelta(days=1)
ASKED = Said(Slot.ASK, START, {"a": 1, "b": 1}, addresses=CLIENT.contacts)


def reminder(cases: list[Case], said: list[Said], now: datetime):
    (found,) = [w for w in plan(CLIENT, cases, said, POLICY, now) if w.slot is Slot.REMINDER]
    return found


@pytest.mark.parametrize("days", [3, 12, 89])
def test_a_reminder_that_is_due_meanwhile_waits_until_the_claim_ends(days):
    until = START + days * DAY
    at_once = reminder([case(claimed_until=until)], [ASKED], START)
    assert (at_once.due_at, at_once.number) == (until, 1)
    assert reminder([case(claimed_until=until)], [ASKED], until - timedelta(minutes=1)) == at_once


def test_a_claim_that_ends_before_a_reminder_is_due_moves_nothing():
    assert reminder([case(claimed_until=START + DAY)], [ASKED], START).due_at == START + 2 * DAY


def test_what_waited_through_the_night_of_the_client_waits_for_the_morning():
    until = datetime.fromisoformat("2026-11-28T03:00+00:00")  # 22:00 in New York
    quiet = replace(POLICY, quiet=Quiet.parse("20:00-07:00"))
    found = plan(CLIENT, [case(claimed_until=until)], [ASKED], quiet, START)
    assert [w.due_at.isoformat()[:16] for w in found if w.slot is Slot.REMINDER] == ["2026-11-28T12:00"]


def test_what_is_claimed_goes_along_with_no_other_reminder_and_the_other_does_not_wait():
    until = START + 2 * DAY + timedelta(hours=6)  # within the day in which reminders are one mail
    cases = [case("a"), case("b", claimed_until=until)]
    found = reminder(cases, [ASKED], START)
    assert ([item.connection for item in found.items], found.due_at) == (["a"], START + 2 * DAY)


def test_an_invitation_that_is_claimed_is_not_followed_either():
    newcomer = replace(case(), state=State.PENDING, incident=None, opened_at=None, cause=Cause.OK)
    invited = Said(Slot.ASK, START, {"a": None})
    until = START + 9 * DAY
    assert reminder([replace(newcomer, claimed_until=until)], [invited], START).due_at == until


def test_first_mails_thanks_and_the_handover_are_as_ever():
    until = START + 80 * DAY
    claimed, free = case(claimed_until=until), case()
    reminded = [Said(Slot.REMINDER, START + n * DAY, {"a": 1}, i) for i, n in enumerate((2, 5, 10), 1)]
    for said in ([], [ASKED, *reminded], [replace(ASKED, arrived=False, why="550 no such user")]):
        others = [
            [w for w in plan(CLIENT, [one], said, POLICY, START + 14 * DAY) if w.slot is not Slot.REMINDER]
            for one in (claimed, free)
        ]
        assert others[0] == others[1] != []
    healed = replace(claimed, state=State.HEALTHY, incident=None, healed=((1, START + DAY),))
    assert [w.slot for w in plan(CLIENT, [healed], [ASKED], POLICY, START + DAY)] == [Slot.RESOLVED]


SAID = st.lists(
    st.builds(
        lambda slot, minutes, names, incident, arrived: Said(
            slot, START + timedelta(minutes=minutes), dict.fromkeys(names, incident), arrived=arrived
        ),
        st.sampled_from([Slot.ASK, Slot.REMINDER]),
        st.integers(0, 60 * 24 * 15),
        st.sets(st.sampled_from("abcd"), min_size=1),
        st.integers(1, 9),
        st.sampled_from([True, None, False]),
    ),
    max_size=8,
)


@given(CASES, SAID, st.integers(0, 60 * 24 * 40), st.sampled_from(["", "20:00-07:00, weekends"]))
def test_no_mail_goes_that_would_not_have_gone_without_the_claim(cases, said, minutes, quiet):
    """Whatever was said and whenever one looks: what is due with claims is due without them, too."""
    now, policy = START + timedelta(minutes=minutes), replace(POLICY, quiet=Quiet.parse(quiet))

    def due(among: list[Case]) -> dict[Slot, set]:
        wishes = plan(CLIENT, among, said, policy, now)
        return {w.slot: set(w.items) for w in wishes if w.due_at <= now}

    with_claims, without = due(cases), due([replace(one, claimed_until=None) for one in cases])
    for slot, items in with_claims.items():
        assert items <= without.get(slot, set())
        assert slot is Slot.REMINDER or items == without[slot], "nothing else rests"
    missing = {slot for slot, items in without.items() if items != with_claims.get(slot)}
    assert missing <= {Slot.REMINDER}


@given(
    st.lists(st.tuples(st.integers(0, 60 * 24 * 20), st.integers(1, 60 * 24 * 30)), max_size=4),
    st.lists(st.integers(1, 60 * 24), min_size=1, max_size=60),
)
def test_claims_that_come_and_go_bring_no_reminder_sooner_and_none_more(claims, steps):
    """A life with claims beside the same life without: each reminder comes later, or not at all."""

    def lived(*, claimed: bool) -> list[datetime]:
        now, said = START, [ASKED]
        for minutes in steps:
            now += timedelta(minutes=minutes)
            laid = [
                START + timedelta(minutes=at + length)
                for at, length in claims
                if START + timedelta(minutes=at) <= now
            ]
            known = case(claimed_until=laid[-1] if claimed and laid else None)
            for wish in plan(CLIENT, [known], said, POLICY, now):
                if wish.slot is Slot.REMINDER and wish.due_at <= now:
                    said.append(Said(wish.slot, now, {"a": 1}, wish.number))
        return [s.at for s in said if s.slot is Slot.REMINDER]

    claimed, free = lived(claimed=True), lived(claimed=False)
    assert len(claimed) <= len(free)
    assert all(later >= sooner for later, sooner in zip(claimed, free, strict=False))
