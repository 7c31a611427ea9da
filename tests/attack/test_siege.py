"""Promises 1 and 2 under attack: the outside story holds while strangers do their worst to the same process."""

from __future__ import annotations

import pytest

from tests.attack.siege import Siege, table


@pytest.mark.timeout(180)
async def test_promises_1_and_2_hold_while_strangers_do_their_worst(tmp_path, sandbox, mailbox):
    report = await Siege(tmp_path, sandbox, mailbox, seconds=12).run()
    assert report.faults() == [], table(report)
    assert all(report.thrown.values()), report.thrown
