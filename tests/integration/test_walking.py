"""Pages of a list along indexes, on both databases: what plain Python finds, in every order, there and back."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import update

from monitor.health.causes import Cause, Owner
from monitor.health.lifecycle import State
from monitor.health.listing import NOT_HEALTHY, Filter, Sort
from monitor.store import listing, walking
from monitor.store.tables import watch
from tests.conftest import START
from tests.integration import fleets
from tests.integration.fleets import One

KEYS = {
    Sort.WORST: lambda one: one.key[:3],
    Sort.SINCE: lambda one: one.key[1:3],
    Sort.ID: lambda one: one.id,
    Sort.CLIENT: lambda one: (one.client, one.id),
}
OWNERS = {State.BROKEN: list(Owner)[1:], State.SUSPECT: [Owner.NOBODY, Owner.CLIENT]}
FILTERS = {
    "all": (Filter(), lambda _: True),
    "not healthy": (Filter(states=NOT_HEALTHY), lambda one: one.state is not State.HEALTHY),
    "client's": (Filter(owners=frozenset({"client"})), lambda one: one.owner is Owner.CLIENT),
    "cause and app": (
        Filter(causes=frozenset({"revoked"}), apps=frozenset({"xero"})),
        lambda one: one.cause is Cause.REVOKED and one.app == "xero",
    ),
    "text": (Filter(text="IRM 3"), lambda one: "irm 3" in one.client.lower()),
    "beginning": (Filter(text="Firm 3", begins=True), lambda one: one.client.startswith("Firm 3")),
    "label": (Filter(labels={"tier": "gold"}), lambda one: one.labels.get("tier") == "gold"),
    "label, broken": (
        Filter(labels={"tier": "gold"}, states=frozenset({"broken"})),
        lambda one: one.labels.get("tier") == "gold" and one.state is State.BROKEN,
    ),
    "nobody": (Filter(text="no such"), lambda _: False),
}


def ones(seed: int, size: int = 60) -> list[One]:
    chance = random.Random(seed)  # noqa: S311 - not for secrets
    found = []
    for number in range(size):
        state = chance.choice([*State, State.HEALTHY, State.HEALTHY])
        owner = chance.choice(OWNERS.get(state, [Owner.NOBODY]))
        # Few moments, so that many are of the same; of some nobody knows since when.
        since = None if chance.random() < 0.1 else START - timedelta(hours=chance.randrange(5))
        cause = chance.choice([Cause.REVOKED, Cause.UNEXPECTED]) if state is State.BROKEN else Cause.OK
        client, app = f"Firm {chance.randrange(8)}", chance.choice(["clio", "xero"])
        label = {"tier": chance.choice(["gold", "tin"])} if chance.random() < 0.6 else {}
        found.append(One(f"c-{number:03}", state, owner, cause, since, client, app, label))
    return found


@pytest.fixture(params=["few", "many"])
def way(request, monkeypatch):
    """Whether what a page is of is collected, or walked along an index."""
    if request.param == "many":
        monkeypatch.setattr(walking, "FEW", 3)
        monkeypatch.setattr(walking, "NAMED", 2)
    return request.param


async def turned(database, which, sort, size, *, back=False, without=()):
    """Leaf through all pages."""
    found, after = [], None
    while True:
        page = await listing.page(database, which, sort, after, size, back=back, without=without)
        assert [row.id for row in page.rows] == [key.id for key in page.keys]
        found = [*(row.id for row in page.rows), *found] if back else [*found, *(row.id for row in page.rows)]
        if (after := page.after) is None:
            return found


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.usefixtures("way")
async def test_every_filter_in_every_order_there_and_back_is_what_plain_python_finds(database, seed):
    fleet = ones(seed)
    await fleets.write(database, fleet)
    for name, (which, fits) in FILTERS.items():
        for sort, key in KEYS.items():
            wanted = [one.id for one in sorted(filter(fits, fleet), key=key, reverse=sort is Sort.SINCE)]
            for size in (7, 100):
                assert await turned(database, which, sort, size) == wanted, (name, sort, size)
                assert await turned(database, which, sort, size, back=True) == wanted, (name, sort, size)
        assert await listing.total(database, which, 1000) == len(wanted), name
        assert await listing.total(database, which, 2) == min(len(wanted), 3), name


@pytest.mark.usefixtures("way")
async def test_a_shared_incident_s_members_are_left_out_and_are_found_by_its_number(database):
    fleet = ones(7)
    await fleets.write(database, fleet)
    broken = [one.id for one in fleet if one.state is State.BROKEN]
    number = await fleets.share(database, broken[:5])
    for sort, key in KEYS.items():
        left = [one for one in fleet if one.id not in broken[:5]]
        wanted = [one.id for one in sorted(left, key=key, reverse=sort is Sort.SINCE)]
        assert await turned(database, Filter(), sort, 7, without=[number]) == wanted
        members = await turned(database, Filter(incidents=frozenset({number})), sort, 3)
        assert set(members) == set(broken[:5])
    own = await fleets.number_of(database, broken[6])
    assert await turned(database, Filter(incidents=frozenset({own})), Sort.WORST, 3) == [broken[6]]


@pytest.mark.parametrize("sort", list(Sort))
@pytest.mark.usefixtures("way")
async def test_while_a_fleet_moves_each_that_stood_still_is_seen_once(database, sort):
    chance, fleet = random.Random(3), ones(11)  # noqa: S311
    await fleets.write(database, fleet)
    moved, seen, after, now = set(), [], None, START
    while True:
        page = await listing.page(database, Filter(), sort, after, 5)
        seen += [row.id for row in page.rows]
        if (after := page.after) is None:
            break
        for one in chance.sample(fleet, 3):
            moved.add(one.id)
            now += timedelta(minutes=1)
            state = chance.choice(list(State))
            owner = chance.choice(OWNERS.get(state, [Owner.NOBODY]))
            async with database.write() as conn:
                values = {"state": state.value, "owner": owner.value, "since": now}
                await conn.execute(update(watch).where(watch.c.connection == one.id).values(values))
    still = {one.id for one in fleet} - moved
    assert still <= set(seen)
    assert all(seen.count(name) == 1 for name in still)


async def test_a_search_that_takes_too_long_is_for_what_begins_with_the_text(database, monkeypatch):
    await fleets.write(
        database, [One("acme", client="Müller"), One("b", client="Also acme"), One("c", client="acme too")]
    )
    which, begins = await listing.narrowed_in_time(database, Filter(text="ACME"))
    assert (which.ids, begins) == ({"acme", "b", "c"}, False)
    if database.is_sqlite:
        return  # it has no such bound

    real = walking.narrowed

    async def slow(conn, asked):
        if not asked.begins:
            await conn.exec_driver_sql("SELECT pg_sleep(5)")
        return await real(conn, asked)

    monkeypatch.setattr(listing, "PATIENCE", timedelta(milliseconds=30))
    monkeypatch.setattr(walking, "narrowed", slow)
    which, begins = await listing.narrowed_in_time(database, Filter(text="acme"))
    assert (which.ids, begins) == ({"acme", "c"}, True)


def test_a_filter_that_chooses_by_name_keeps_what_it_says_of_how_they_are():
    from monitor.store import choosing

    asked = Filter(states=NOT_HEALTHY, text="x", ids=frozenset("ab"), incidents=frozenset({3}))
    assert choosing.named(asked, frozenset("bc")) == replace(asked, text="", ids=frozenset("b"))
