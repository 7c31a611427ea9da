"""The fleet's page: its verdict, filters in the address, lines that stand for many, pages, what was said."""

from __future__ import annotations

import re

import pytest

from monitor.operations import connections
from tests.conftest import ME
from tests.integration.console.conftest import words


def ids(answer):
    """The connections of a page, in their order; an incident's line by its number."""
    return re.findall(r'data-row="([^"]+)"', answer.text)


@pytest.fixture
async def fleet(console):
    rig = console.rig
    for name in ("acme", "bolt", "clay", "dora"):
        await rig.add(name)
    await rig.look()
    rig.sandbox.do(rig.grants["clay"], "revoke")
    await rig.after(minutes=8)
    await rig.settle("clay")
    await connections.pause(rig.parts, ME, ["dora"])
    rig.clock.tick(seconds=10)
    return console


async def test_the_verdict_is_a_sentence_with_a_number_and_the_worst_is_shown_first(fleet):
    page = await (await fleet.admin()).get("/")
    assert page.status_code == 200
    assert "1 client has to reconnect." in words(page)
    assert "4 connections of 4 clients. 50.0 % healthy; every look is on time." in words(page)
    assert ids(page) == ["clay", "dora"], "those that are not healthy"
    assert "Access was withdrawn" in words(page)
    assert "State: not healthy" in words(page)
    every = await (await fleet.admin()).get("/?state=any")
    assert ids(every)[:2] == ["clay", "dora"] and set(ids(every)) == {"acme", "bolt", "clay", "dora"}
    assert "State: any" in words(every)
