"""Promise 1, 'no wrong e-mail', over days of trouble. The whole month: `python -m tests.month` (see CONTRIBUTING)."""

from __future__ import annotations

import pytest

from tests.month.run import live


@pytest.mark.timeout(300)
async def test_days_of_trouble_bring_no_wrong_no_missing_and_no_double_mail(tmp_path):
    report = await live(tmp_path, firms=40, days=2, interval=60)
    assert (report.wrong, report.missed, report.duplicates) == ([], [], [])
    assert report.owed >= 3 and report.asked >= report.owed and report.restarts >= 5
    assert sum(report.weather.values()) >= 7
