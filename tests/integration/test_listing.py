"""The fleet as a list: filtered, counted, sorted and paged, on both databases, against plain Python."""

from __future__ import annotations

import pytest

from monitor.health.listing import Filter, Sort
from monitor.store import listing
from tests.conftest import ME

NAMES = ["acme", "Bolt", "clay", "dora", "ever", "fern", "glow"]


@pytest.fixture
async def fleet(rig):
    for name in NAMES:
        await rig.add(name)
    await rig.look()
    rig.sandbox.do(rig.grants["clay"], "revoke")
    await rig.after(minutes=8)
    await rig.settle("clay")
    rig.sandbox.do(rig.grants["dora"], "revoke")
    await rig.after(minutes=5)
    from monitor.operations import connections

    await connections.pause(rig.parts, ME, ["glow"])
    return rig


async def ids(rig, which=None, sort=Sort.WORST):
    return [row.id async for row in listing.every(rig.parts.database, which, sort)]


async def test_the_worst_come_first_and_every_order_is_whole(fleet):
    worst = await ids(fleet)
    assert worst[:2] == ["clay", "dora"] and set(worst) == set(NAMES)
    assert worst.index("glow") == 2, "paused before healthy"
    assert await ids(fleet, sort=Sort.ID) == sorted(NAMES)
    assert (await ids(fleet, sort=Sort.SINCE))[0] == "glow", "what changed last"


@pytest.mark.parametrize("sort", list(Sort))
@pytest.mark.parametrize("size", [1, 2, 3, 7, 8])
async def test_pages_follow_one_another_without_a_gap_or_a_double(fleet, sort, size):
    found, after = [], None
    while True:
        page = await listing.page(fleet.parts.database, Filter(), sort, after, size)
        assert len(page.rows) <= size
        found += [row.id for row in page.rows]
        if (after := page.after) is None:
            break
    assert found == await ids(fleet, sort=sort)


async def test_what_moves_while_one_turns_the_page_hides_nobody_who_stood_still(fleet):
    first = await listing.page(fleet.parts.database, Filter(), Sort.WORST, None, 4)
    fleet.sandbox.do(fleet.grants["fern"], "revoke")
    await fleet.after(minutes=8)
    rest = await listing.page(fleet.parts.database, Filter(), Sort.WORST, first.after, 50)
    seen = [row.id for row in (*first.rows, *rest.rows)]
    assert set(NAMES) - {"fern"} <= set(seen) and len(seen) == len(set(seen))


@pytest.mark.parametrize(
    ("which", "wanted"),
    [
        (Filter(states=frozenset({"broken"})), {"clay"}),
        (Filter(states=frozenset({"broken", "suspect"})), {"clay", "dora"}),
        (Filter(states=frozenset({"broken"}), owners=frozenset({"operator"})), set()),
        (Filter(causes=frozenset({"revoked"})), {"clay", "dora"}),
        (Filter(ids=frozenset({"acme", "glow", "nobody"})), {"acme", "glow"}),
        (Filter(text="OL"), {"Bolt"}),
        (Filter(text="%"), set()),
        (Filter(text="_"), set()),
        (Filter(labels={"tier": "gold"}), set()),
        (Filter(in_doubt=True), set()),
        (Filter(providers=frozenset({"clio"})), set(NAMES)),
        (Filter(apps=frozenset({"elsewhere"})), set()),
    ],
)
async def test_filters_choose_and_counts_agree(fleet, which, wanted):
    assert set(await ids(fleet, which)) == wanted
    counted = await listing.counts(fleet.parts.database, which)
    assert counted.total == len(wanted) == sum(counted.states.values())


async def test_sums_are_by_what_connections_are(fleet):
    counted = await listing.counts(fleet.parts.database)
    assert counted.states == {"broken": 1, "suspect": 1, "paused": 1, "healthy": 4}
    assert counted.causes == {"revoked": 1} and counted.owners == {"client": 1}
    assert counted.providers == {"clio": 7}
