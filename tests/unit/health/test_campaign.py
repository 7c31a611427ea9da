"""Campaigns as decisions: never more than the pace, nobody twice, and a wave that goes wrong stops it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.health import campaign as c
from monitor.health.campaign import Member, Mishap, Phase

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def fleet(clients, each=1, **more):
    return [Member(f"c{n}-{k}", f"firm{n}", **more) for n in range(clients) for k in range(each)]


class Life:
    """A campaign that lives on: hour by hour some clients are awake, some mails leave, some come back."""

    def __init__(self, members, pace):
        self.members, self.pace = {m.connection: m for m in members}, pace
        self.sent: list[tuple[datetime, str]] = []  # an invitation, to whom
        self.taken: Counter[str] = Counter()

    def step(self, now, awake, leaves, approves):
        members = [replace(m, ready=m.client in awake) for m in self.members.values()]
        for name in c.let_go(members, now):
            self.put(name, wave=None, chosen_at=None)
        members = [replace(m, ready=m.client in awake) for m in self.members.values()]
        chosen = c.choose(members, self.pace, now)
        if chosen is not None:
            for name in chosen.connections:
                assert self.members[name].wave is None and self.members[name].open
                assert self.members[name].client in awake
                self.put(name, wave=chosen.wave, chosen_at=now)
        again = c.choose([replace(m, ready=m.client in awake) for m in self.members.values()], self.pace, now)
        assert again is None, "planning twice plans nothing new"
        due = [m for m in self.members.values() if m.untold and m.client in awake and m.client in leaves]
        for client in {m.client for m in due}:
            self.sent.append((now, client))
        for m in due:
            self.put(m.connection, invited_at=now)
            self.taken[m.connection] += 1
        for m in list(self.members.values()):
            if m.client in approves and m.open:
                self.put(m.connection, approved_at=now)

    def put(self, name, **values):
        self.members[name] = replace(self.members[name], **values)


some = st.sets(st.integers(0, 29)).map(lambda found: {f"firm{n}" for n in found})


@given(
    st.integers(1, 30), st.integers(1, 3), st.integers(1, 12),
    st.lists(st.tuples(st.integers(1, 30), some, some, some), max_size=60),
)  # fmt: skip
def test_no_day_has_more_than_the_pace_and_nobody_is_invited_twice_or_after_approving(
    clients, each, pace, hours
):
    life, now = Life(fleet(clients, each), pace), NOW
    for gap, awake, leaves, approves in hours:
        now += gap * HOUR
        life.step(now, awake, leaves, approves)
    for at, _ in life.sent:
        assert sum(at <= other < at + DAY for other, _ in life.sent) <= pace
    assert all(count == 1 for count in life.taken.values())
    for member in life.members.values():
        if member.invited_at and member.approved_at:
            assert member.invited_at <= member.approved_at
    first = {m.client for m in life.members.values() if m.wave == 1}
    assert len(first) <= c.canary(clients, pace)


@given(st.integers(1, 60), st.integers(1, 20))
def test_a_campaign_in_which_all_goes_well_is_through_in_the_waves_that_were_foretold(clients, pace):
    life, everybody = Life(fleet(clients), pace), {f"firm{n}" for n in range(60)}
    told = c.forecast(clients, pace, NOW, date(2100, 1, 1))
    for day in range(told.waves):
        life.step(NOW + day * DAY, everybody, everybody, set())
    assert {m.invited_at is not None for m in life.members.values()} == {True}
    assert max(m.wave for m in life.members.values()) == told.waves
    until = told.last_wave
    assert c.forecast(clients, pace, NOW, until).in_time
    assert not c.forecast(clients, pace, NOW, until - DAY).in_time
    assert c.forecast(clients, c.forecast(clients, pace, NOW, until).needed, NOW, until).in_time


def wave(told, *mishaps, number=1, at=NOW, mended=0):
    found = [Member(f"{number}-{n}", f"{number}-firm{n}", number, NOW, NOW) for n in range(told)]
    for place, mishap in enumerate(mishaps):
        found[place] = replace(found[place], mishap=mishap, mishap_at=at)
        if mishap is Mishap.REFUSED:
            found[place] = replace(found[place], invited_at=None)
    for place in range(mended):
        found[place] = replace(found[place], approved_at=at + HOUR)
    return found


BEFORE = NOW - HOUR


@pytest.mark.parametrize(
    ("members", "stops"),
    [
        (wave(3, Mishap.DECLINED, Mishap.DECLINED), False),  # two of three are no three
        (wave(3, *[Mishap.DECLINED] * 3), True),
        (wave(15, *[Mishap.REFUSED] * 3), False),  # a fifth is not more than a fifth
        (wave(14, *[Mishap.REFUSED] * 3), True),
        (wave(10, Mishap.DECLINED, Mishap.WRONG_ACCOUNT, Mishap.REFUSED), True),
        (wave(10, *[Mishap.WRONG_ACCOUNT] * 3, mended=1), False),  # one has put it right itself
        (wave(10, *[Mishap.BROKE] * 3, mended=3), True),  # an approval that broke was no approval
        (wave(4, Mishap.DECLINED) + wave(4, *[Mishap.DECLINED] * 2, number=2), False),  # no wave has three
        (wave(4, *[Mishap.DECLINED] * 3) + wave(50, number=2), True),  # the one before, heard of late
        (wave(10, *[Mishap.DECLINED] * 3, at=BEFORE - HOUR), False),  # a person has answered that
    ],
)
def test_the_rule_by_which_it_stops(members, stops):
    assert (c.trouble(members, BEFORE) is not None) is stops


def test_a_client_with_several_connections_counts_once():
    one = [Member(f"c{n}", "firm", 1, NOW, NOW, mishap=Mishap.DECLINED, mishap_at=NOW) for n in range(5)]
    assert c.trouble(one, BEFORE) is None


@given(st.lists(st.sampled_from([None, *Mishap]), min_size=1, max_size=40))
def test_a_stop_is_for_good_until_a_person_has_answered_it(mishaps):
    members = wave(len(mishaps), *mishaps)
    found = c.trouble(members, BEFORE)
    if found is not None:
        assert c.trouble(members, BEFORE) == found, "time alone changes nothing"
        assert c.trouble(members, NOW) is None
        assert str(found.written_to) in found.sentence and f"wave {found.wave}" in found.sentence


def test_it_is_done_when_all_have_approved_and_an_hour_has_shown_that_it_works():
    ends = NOW + 10 * DAY
    done = [replace(m, approved_at=NOW) for m in fleet(3)]
    assert c.finished(done, ends, NOW + HOUR / 2) is None
    assert c.finished(done, ends, NOW + HOUR) is Phase.DONE
    assert c.finished(fleet(3), ends, NOW) is None
    assert c.finished(fleet(3), ends, ends) is Phase.OVER
    assert c.finished([replace(m, left=True) for m in fleet(3)], ends, NOW) is Phase.DONE


@pytest.mark.parametrize(("text", "pace"), [("50/d", 50), (" 1/day ", 1), ("10000 / d", 10_000)])
def test_a_pace_is_read(text, pace):
    assert c.pace_of(text) == pace


@pytest.mark.parametrize("text", ["", "50", "0/d", "10001/d", "50/h", "-1/d", "5.5/d", "٥/d"])
def test_what_is_no_pace_is_refused(text):
    with pytest.raises(ValueError, match="is no pace"):
        c.pace_of(text)


@pytest.mark.parametrize(
    ("clients", "pace", "first"), [(1, 50, 3), (40, 50, 3), (100, 50, 5), (2000, 50, 50), (9, 2, 2)]
)
def test_the_canary_is_small(clients, pace, first):
    assert c.canary(clients, pace) == first
