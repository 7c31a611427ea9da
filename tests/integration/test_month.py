"""Promise 1, 'no wrong e-mail', over days of trouble and through single incidents, on virtual time.

The whole month is `python -m tests.month`, the table of incidents `python -m tests.month scenarios`.
"""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.month import draws
from tests.month.draws import CREEPING, SUDDEN, Incident, Mass
from tests.month.fleet import EVERYWHERE, HOUR, PLACES
from tests.month.run import live

FIRMS = 60
PEACE = 1 * HOUR


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("firms", "where"), [(12, PLACES), (33, EVERYWHERE)], ids=["clio", "every provider"])
async def test_days_of_trouble_bring_no_wrong_no_missing_and_no_double_mail(tmp_path, firms, where):
    report = await live(
        tmp_path,
        lambda begin, clock: draws.month(firms, 2, begin, clock, 7, where=where),
        2,
        person=3 * HOUR,
    )
    assert report.faults == []
    assert report.owed >= 3 and report.asked >= report.owed and report.restarts >= 5
    assert report.pages


async def one(folder, what, hours: int, person: timedelta | None = None):
    """Live one incident or mass revocation, and some hours on."""
    return await live(
        folder,
        lambda begin, clock: draws.one_event(what, FIRMS, begin, hours / 24, clock, 6, peace=PEACE, inside=1),
        hours / 24,
        person=person,
    )


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("incident", "hours"),
    [
        pytest.param(Incident(0.10, SUDDEN, 2 * HOUR), 13, id="all at once, for two hours"),
        pytest.param(Incident(0.10, CREEPING, 6 * HOUR, 4 * HOUR), 18, id="one by one, over four hours"),
    ],
)
async def test_a_provider_that_refuses_a_tenth_of_the_clients_mails_none_of_them(tmp_path, incident, hours):
    report = await one(tmp_path, incident, hours)
    assert report.struck == 6
    assert report.faults + report.alone + report.canaries == []
    # Who really revoked in the middle of it hears of it, late, and nobody has to decide anything.
    assert len(report.delays["incident"]) == 1
    assert report.held >= 6 and report.guard_pages == 1 and not report.still_held


@pytest.mark.timeout(300)
async def test_clients_who_really_revoked_together_hear_of_it_once_when_a_person_has_decided(tmp_path):
    report = await one(tmp_path, Mass(0.10), 9, person=3 * HOUR)
    assert report.faults + report.still_held == []
    assert report.decisions == {"released": 1} and report.guard_pages == 1
    assert len(report.delays["mass"]) == 6
    assert max(report.delays["mass"]) < 4.5
