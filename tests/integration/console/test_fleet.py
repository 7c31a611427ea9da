"""The fleet's page: its verdict, filters in the address, lines that stand for many, pages, what was said."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape

import pytest

from monitor.health.causes import Cause, Owner
from monitor.health.lifecycle import State
from monitor.operations import connections
from monitor.operations.overview import SIZE
from monitor.store import hours
from tests.conftest import ME, START
from tests.integration import fleets
from tests.integration.console.conftest import words
from tests.integration.fleets import One


def ids(answer):
    """The connections of a page, in their order; a line that stands for many by its incident's number."""
    return re.findall(r'id="row-([^"]+)"', answer.text)


def links(answer, attribute):
    """The addresses of links that have this attribute."""
    return [unescape(found) for found in re.findall(rf'{attribute}[^>]* href="([^"]+)"', answer.text)]


def sick(name, owner=Owner.CLIENT, **more):
    return One(name, State.BROKEN, owner, Cause.REVOKED, START - timedelta(hours=1), **more)


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
    person = await fleet.admin()
    page = await person.get("/")
    assert page.status_code == 200
    assert "1 client has to reconnect." in words(page)
    assert "4 connections of 4 clients. 50.0 % healthy; every look is on time." in words(page)
    assert ids(page) == ["clay", "dora"], "those that are not healthy"
    said = words(page)
    assert "Access was withdrawn revoked" in said
    assert "State: not healthy" in said
    assert "By me paused" in said
    assert "access was withdrawn" in said, "what changed"
    assert "2 of 4 Export" in said
    every = await person.get("/?state=any")
    assert set(ids(every)) == {"acme", "bolt", "clay", "dora"} and ids(every)[0] == "clay"
    assert "State: any" in words(every)
    assert ids(await person.get("/?q=ACM")) == ["acme"], "who is looked for is found however they are"
    assert ids(await person.get("/?q=ACM&state=broken")) == []


async def test_who_only_looks_sees_it_all_and_can_choose_nothing(fleet):
    page = await (await fleet.viewer()).get("/")
    assert ids(page) == ["clay", "dora"]
    assert 'name="id"' not in page.text and "class=bulk" not in page.text
    assert "Add connections" not in words(page)
    operators = await (await fleet.operator()).get("/")
    assert operators.text.count('name="id"') == 2
    assert 'action="/bulk"' in operators.text
    assert {"probe", "link", "pause", "resume", "hold"} <= set(
        re.findall(r'name="action" value="(\w+)"', operators.text)
    )


async def test_tiles_and_chips_are_links_that_filter_and_take_themselves_away(small):
    await fleets.write(small.parts.database, [One("well"), sick("a"), sick("b", Owner.OPERATOR, app="xero")])
    person = await small.admin()
    page = await person.get("/?owner=operator&app=xero&sort=since")
    assert ids(page) == ["b"]
    text = unescape(page.text)
    assert '<a href="/?app=xero&sort=since" aria-current="true">' in text, "the pressed tile"
    assert 'href="/?owner=operator&sort=since" aria-label="App: xero. Remove this filter"' in text
    assert (
        'href="/?state=any&owner=operator&app=xero&sort=since" aria-label="State: not healthy. Remove' in text
    )
    assert '/fleet.csv?owner=operator&app=xero&sort=since"' in text
    # What a form of one filter carries along of the others.
    form = re.search(r'<form id="f-cause"[^>]*>(.*?)</form>', page.text)[1]
    assert re.findall(r'name="(\w+)" value="(\w+)"', form) == [
        ("owner", "operator"),
        ("app", "xero"),
        ("sort", "since"),
    ]
    assert 'aria-sort="descending"' in page.text


@pytest.mark.parametrize(
    "query",
    [
        "state=nope",
        "owner=me",
        "cause=x",
        "sort=up",
        "label=tier",
        "incident=x",
        "after=x",
        "after=bm8",
        "before=W10",
        "q=%00",
    ],
)
async def test_what_no_link_of_ours_says_is_said_to_be_wrong(small, query):
    page = await (await small.admin()).get(f"/?{query}")
    assert page.status_code == (400 if query == "q=%00" else 422), (
        page.text
    )  # what is no text is read nowhere


async def test_one_line_stands_for_many_and_opens_in_place(console):
    database = console.parts.database
    many = [sick(f"out-{n:02}", Owner.PROVIDER) for n in range(30)]
    await fleets.write(database, [*many, sick("alone", client="The one firm")])
    number = await fleets.share(database, [one.id for one in many], since=START)
    person = await console.admin()
    page = await person.get("/")
    assert ids(page) == ["alone", f"incident-{number}"]
    assert "31 of 31 Export" in words(page)
    assert "2 lines of 31, where one incident stands for 30 connections" in words(page)
    (toggle,) = links(page, 'class="open')
    assert toggle == f"/?open={number}#row-incident-{number}"
    opened = await person.get(toggle.partition("#")[0])
    assert ids(opened)[1:4] == [f"incident-{number}", "out-00", "out-01"]
    assert "5 more: show all of them" in words(opened)
    rest = await person.get(f"/?incident={number}")
    assert len(ids(rest)) == 30
    assert "Incident: " in words(rest)
    assert f'name="incident" value="{number}"' in rest.text, "all that match are those of the incident"


async def test_pages_lead_there_and_back(small):
    await fleets.write(small.parts.database, [sick(f"c-{n:03}") for n in range(2 * SIZE + 10)])
    person = await small.admin()
    first = await person.get("/?sort=id")
    assert len(ids(first)) == SIZE and links(first, 'rel="prev"') == []
    second = await person.get(*links(first, 'rel="next"'))
    third = await person.get(*links(second, 'rel="next"'))
    assert len({*ids(first), *ids(second), *ids(third)}) == 2 * SIZE + 10
    assert links(third, 'rel="next"') == []
    back = await person.get(*links(third, 'rel="prev"'))
    assert ids(back) == ids(second)
    assert ids(await person.get(*links(back, 'rel="prev"'))) == ids(first)
    assert "after=" not in "".join(links(second, 'scope="col"[^>]*><a')), (
        "another order begins at its first page"
    )


async def test_names_are_as_they_are_and_harm_nothing(small):
    long, odd = "A" * 60, '<script>alert("x")</script>'
    await fleets.write(
        small.parts.database,
        [sick("long", client=long), sick("odd", client=odd), sick("rtl", client="שלום ושות׳")],
    )
    page = await (await small.admin()).get("/")
    assert odd not in page.text and odd in words(page)
    assert "<bdi>שלום ושות׳</bdi>" in page.text and long in page.text


async def test_nothing_matches_and_all_is_well(small):
    person = await small.admin()
    await fleets.write(small.parts.database, [One("a"), One("b", app="xero")])
    well = await person.get("/")
    assert "All 2 are healthy." in words(well)
    assert "Every connection of these is healthy." in words(well)
    assert 'href="/?state=any"' in well.text
    none = await person.get("/?state=broken&app=xero")
    assert "No connection is broken. Remove this filter: App: xero" in words(none)
    assert 'href="/?state=broken"' in none.text, "the filter's way out"


async def test_the_list_is_sent_as_a_file(small):
    await fleets.write(small.parts.database, [sick("a", client="=1+1"), One("b")])
    answer = await (await small.viewer()).get("/fleet.csv?state=any&sort=id")
    assert answer.headers["content-type"].startswith("text/csv")
    assert "attachment" in answer.headers["content-disposition"]
    lines = answer.text.splitlines()
    assert [line.split(",")[:2] for line in lines[1:]] == [["a", "'=1+1"], ["b", "Firm"]]


async def test_a_day_later_tiles_say_what_became_more(small):

    await fleets.write(small.parts.database, [One("a"), sick("b")])
    await hours.note(small.parts.database, small.parts.clock.now())
    await fleets.write(small.parts.database, [sick("c"), sick("d")])
    person = await small.admin()
    assert "change in 24 h" not in words(await person.get("/"))
    small.rig.clock.tick(hours=24)
    person = await small.anybody()
    page = words(await person.get("/"))
    assert "change in 24 h 3 Broken +2 0 Suspect 0" in page
