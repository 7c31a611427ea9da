"""What ends in the weeks ahead, in sums."""

from __future__ import annotations

from datetime import date

from monitor.health.calendar import Kind, Needs
from monitor.health.horizon import Group, in_order, monday, weeks

TUESDAY = date(2026, 11, 24)


def group(on, needs=Needs.CLIENT, count=1, kind=Kind.GRANT, app="clio"):
    return Group(on, kind, needs, "clio", app, count)


def test_weeks_begin_on_mondays_and_this_one_is_the_first():
    assert monday(TUESDAY) == monday(date(2026, 11, 29)) == date(2026, 11, 23)
    found = weeks(
        [
            group(date(2026, 11, 29), count=3),
            group(date(2026, 11, 30), Needs.OPERATOR, 2),
            group(date(2026, 11, 30), count=5),
        ],
        TUESDAY,
    )
    assert [(one.begins, one.client, one.operator) for one in found[:2]] == [
        (date(2026, 11, 23), 3, 0),
        (date(2026, 11, 30), 5, 2),
    ]
    assert (len(found), found[1].both, found[-1].begins) == (13, 7, date(2027, 2, 15))


def test_what_is_over_what_is_far_and_what_nobody_has_to_act_on_is_in_none():
    far = date(2027, 2, 22)
    ends = [group(date(2026, 11, 22)), group(far), group(TUESDAY, Needs.NOBODY)]
    assert sum(one.both for one in weeks(ends, TUESDAY)) == 0


def test_of_one_day_the_operator_s_come_first():
    ours = group(TUESDAY, Needs.OPERATOR, kind=Kind.REFRESH_TOKEN, app="xero")
    assert in_order([group(TUESDAY), ours, group(date(2026, 11, 23))]) == [
        group(date(2026, 11, 23)),
        ours,
        group(TUESDAY),
    ]
