"""What ends: of grants, unused tokens, secrets, keys and a provider's ways, on both databases and over the API."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from importlib.resources import files

import pytest
from icalendar import Calendar
from sqlalchemy import insert, update

from monitor.health.calendar import Kind, Needs
from monitor.health.restriction import Restriction
from monitor.operations import api_keys, calendar, connections, horizon
from monitor.operations.actor import Right
from monitor.operations.calendar import Asked
from monitor.store.campaign_tables import campaign, campaign_member
from monitor.store.tables import credential
from tests.conftest import ME, START, by, rigged
from tests.integration.api.conftest import served

DAY = timedelta(days=1)
ENDS = """
[[ends]]
what = "Broad contacts scopes end; clients have to approve narrower ones"
on = 2027-02-10
scopes = ["contacts"]
page = "https://vendor.example/granular"
[[ends]]
what = "Scopes that nobody has end"
on = 2027-02-10
scopes = ["bills"]
"""


@pytest.fixture
async def api(tmp_path, sandbox, database_url):
    """Firms of an app whose tokens idle out after 60 days, and whose grants end after 80."""
    known = files("monitor.providers").joinpath("clio.toml").read_text()
    lasts = 'client_auth = "body"\nrefresh_idle_lifetime = "60d"\nrefresh_absolute_lifetime = "80d"\n'
    (tmp_path / "lasting.toml").write_text(known.replace('client_auth = "body"\n', lasts) + ENDS)
    app = {"extra": 'provider_file = "lasting.toml"\nsecret_expires = 2027-01-20'}
    async with rigged(tmp_path, sandbox, database_url, apps={"clio": app}) as rig, served(rig) as found:
        await rig.add("acme", "bolt", "clay", scopes=("contacts",), labels={"tier": "gold"})
        await rig.add("dora")
        await rig.look()
        await told(rig, "bolt", grant_ends_at=START + 20 * DAY)
        await told(rig, "clay", refresh_expires_at=START + 5 * DAY)
        await told(rig, "acme", authorized_at=START)
        yield found


async def told(rig, name, **values):
    async with rig.parts.database.write() as conn:
        await conn.execute(update(credential).where(credential.c.connection == name).values(**values))


async def everything(rig, actor=ME, **asked):
    return [entry async for entry in calendar.every(rig.parts, actor, Asked(**asked))]


async def test_it_says_what_ends_who_acts_and_what_prevents_it(api):
    found = await everything(api.rig)
    assert [entry.key for entry in found] == sorted(entry.key for entry in found)
    by_name = {(entry.name, entry.kind): entry for entry in found}
    secret = by_name["clio", Kind.CLIENT_SECRET]
    assert (secret.at, secret.needs, secret.connections) == (
        datetime(2027, 1, 20, tzinfo=UTC), Needs.OPERATOR, 4,
    )  # fmt: skip
    assert by_name["bolt", Kind.GRANT].at == START + 20 * DAY
    assert by_name["acme", Kind.GRANT].at == START + 80 * DAY, "by the file, from the authorization"
    end = by_name["clio", Kind.PROVIDER_END]
    assert (end.connections, end.page) == (3, "https://vendor.example/granular")
    assert "nobody" not in end.what
    clay = by_name["clay", Kind.REFRESH_TOKEN]
    assert clay.at == START + 5 * DAY, "what an answer told goes before the file"
    assert clay.needs is Needs.NOBODY and clay.prevented_by is not None and clay.prevented_by.at < clay.at
    assert "dora" not in {name for name, kind in by_name if kind is Kind.GRANT}, "nobody knows since when"


async def test_a_paused_connection_s_token_is_used_by_nobody(api):
    await connections.pause(api.rig.parts, ME, ["clay"])
    (clay,) = [e for e in await everything(api.rig, kinds=frozenset({"refresh_token"})) if e.name == "clay"]
    assert (clay.needs, clay.prevented_by) == (Needs.OPERATOR, None)
    assert "resume it" in clay.what
    found = await everything(api.rig, kinds=frozenset({"refresh_token"}), needs=frozenset({"operator"}))
    assert [entry.name for entry in found] == ["clay"]
    kept = await everything(api.rig, kinds=frozenset({"refresh_token"}), needs=frozenset({"nobody"}))
    assert sorted(entry.name for entry in kept) == ["acme", "bolt", "dora"]


async def test_what_broke_so_that_its_client_is_asked_has_ended_already(api):
    rig = api.rig
    rig.sandbox.do(rig.grants["bolt"], "revoke")
    await rig.after(minutes=8)
    assert await rig.settle("bolt") == ("broken", "revoked")
    assert "bolt" not in {entry.name for entry in await everything(rig)}


@pytest.mark.parametrize("size", [1, 2, 3])
async def test_pages_follow_one_another_without_a_gap_or_a_double(api, size):
    for name in ("acme", "dora"):  # of one moment, from one source and from two
        await told(api.rig, name, grant_ends_at=START + 20 * DAY)
    whole = (await api.get("/calendar", params={"limit": 500})).json()["items"]
    found, cursor = [], None
    while True:
        asked = {"limit": size} | ({"cursor": cursor} if cursor else {})
        told_ = (await api.get("/calendar", params=asked)).json()
        found += told_["items"]
        if (cursor := told_["next"]) is None:
            break
    assert found == whole
    assert len(whole) == len({(one["kind"], one["about"]["name"]) for one in whole}) == 9


async def test_filters_choose(api):
    async def names(**params):
        return [one["about"]["name"] for one in (await api.get("/calendar", params=params)).json()["items"]]

    assert await names(kind="grant") == ["bolt", "acme"]
    assert await names(kind="grant", until=(START + 30 * DAY).isoformat()) == ["bolt"]
    assert await names(app="elsewhere") == []
    assert await names(provider="clio", needs="client") == ["bolt", "acme"]
    assert (await api.get("/calendar", params={"kind": "birthday"})).status_code == 422


async def test_a_key_sees_its_own_part_alone(api):
    rig = api.rig
    api.program("one", Right.CONNECTIONS_READ, only=Restriction(connections=("bolt",)))
    items = (await api.get("/calendar", as_="one")).json()["items"]
    assert {one["about"]["name"] for one in items} == {"bolt"}, "nor secrets, which are the catalogue's"
    api.program("part", Right.CONNECTIONS_READ, Right.CATALOGUE_READ, only=Restriction(connections=("acme",)))
    items = (await api.get("/calendar", as_="part", params={"needs": "operator"})).json()["items"]
    assert [(one["kind"], one["connections"]) for one in items] == [("client_secret", 1), ("provider_end", 1)]
    api.program("none", Right.CATALOGUE_READ)
    assert (await api.get("/calendar", as_="none")).status_code == 403
    await api_keys.new(rig.parts, by("anna"), "nightly", [Right.CONNECTIONS_READ.value])
    items = (await api.get("/calendar", params={"kind": "api_key"})).json()["items"]
    assert [one["title"] for one in items] == [f"An API key ends: {items[0]['about']['name']}"]
    assert (await api.get("/calendar", as_="one", params={"kind": "api_key"})).json()["items"] == []


async def test_other_calendars_read_it(api):
    answer = await api.get("/calendar.ics")
    assert answer.headers["content-type"].startswith("text/calendar")
    assert all(len(line) <= 75 for line in answer.content.split(b"\r\n")), "folded (RFC 5545 3.1)"
    assert b"@acme.example" not in answer.content and b"it@" not in answer.content
    events = {str(e["uid"]): e for e in Calendar.from_ical(answer.content).walk("VEVENT")}
    titles = sorted(str(event["summary"]) for event in events.values())
    assert titles == [
        "A client secret ends: clio",
        "A provider ends something: clio",
        "An authorization ends: acme (Firm acme)",
        "An authorization ends: bolt (Firm bolt)",
    ]
    await told(api.rig, "bolt", grant_ends_at=START + 25 * DAY)
    again = Calendar.from_ical((await api.get("/calendar.ics")).content).walk("VEVENT")
    assert {str(e["uid"]) for e in again} == set(events), "one that moved is the same event"
    with contextlib.suppress(KeyError):
        pytest.fail(f"nobody is invited: {next(iter(events.values()))['attendee']}")
    assert (await api.get("/calendar.ics", as_=None)).status_code == 401, "no key, no calendar"


async def test_in_sums_it_says_whose_turn_it_is_by_day_and_what_is_kept_alive(api):
    await told(api.rig, "acme", grant_ends_at=START + 20 * DAY)
    await connections.pause(api.rig.parts, ME, ["clay"])
    found = await horizon.show(api.rig.parts, ME)
    by_what = {(one.kind, one.on): one for one in found.groups}
    grants = by_what[Kind.GRANT, (START + 20 * DAY).date()]
    assert (grants.count, grants.needs, grants.app, grants.asked) == (2, Needs.CLIENT, "clio", 0)
    alone = by_what[Kind.REFRESH_TOKEN, (START + 5 * DAY).date()]
    assert (alone.name, alone.client, alone.needs) == ("clay", "Firm clay", Needs.OPERATOR), "nobody uses it"
    assert by_what[Kind.CLIENT_SECRET, date(2027, 1, 20)].entry is not None
    (kept,) = found.kept
    assert (kept.provider, kept.count, kept.left, kept.left_first) == ("clio", 3, 1, START + 5 * DAY)
    assert kept.first is not None and kept.first > START
    assert sum(week.client for week in found.weeks) == 2
    assert found.unknown == ()


async def test_sums_are_of_what_is_asked_for(api):
    of_bolt = await horizon.show(api.rig.parts, ME, Asked(clients=frozenset({"Firm bolt"})))
    assert {one.name for one in of_bolt.groups} == {"bolt"}
    assert [one.count for one in of_bolt.kept] == [1]
    assert (await horizon.show(api.rig.parts, ME, Asked(apps=frozenset({"other"})))).groups == []
    only = replace(ME, only=Restriction(connections=("bolt",)))
    assert [one.count for one in (await horizon.show(api.rig.parts, only)).kept] == [1]


async def test_a_campaign_that_asks_is_counted(api):
    await told(api.rig, "acme", grant_ends_at=START + 20 * DAY)
    asks = {"id": "cmp_1", "reason": "they end", "chosen": {}, "pace": 5, "until": START.date()}
    asks |= {"phase": "running", "created_at": START, "changed_at": START, "created_by": "", "changed_by": ""}
    async with api.rig.parts.database.write() as conn:
        await conn.execute(insert(campaign).values(**asks))
        await conn.execute(insert(campaign_member).values(campaign="cmp_1", connection="bolt"))
    found = await horizon.show(api.rig.parts, ME, Asked(kinds=frozenset({"grant"})))
    (grants,) = [one for one in found.groups if one.count == 2]
    assert grants.asked == 1


async def test_programs_read_the_sums(api):
    found = (await api.get("/calendar/summary", params={"client": "Firm bolt"})).json()
    assert [(one["kind"], one["count"], one["needs"]) for one in found["days"]] == [("grant", 1, "client")]
    assert len(found["weeks"]) == 13
    items = (await api.get("/calendar", params={"client": "Firm bolt"})).json()["items"]
    assert {one["client"] for one in items} == {"Firm bolt"}
