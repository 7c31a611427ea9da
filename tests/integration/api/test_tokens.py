"""GET /connections/{id}/token: what programs get, what they are told instead, and how they wait."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from monitor.health.restriction import Restriction
from monitor.operations.actor import Right
from monitor.store import audit, uses
from tests.conftest import MAIL, GoingClock, Rig, another, rigged
from tests.integration.api.conftest import served
from tests.integration.api.test_frame import wrong

TOKEN = "/connections/acme/token"


@pytest.fixture
async def api(tmp_path, sandbox, mailbox, database_url):
    """A connection whose token lives an hour, on a clock that goes on."""
    more = MAIL.format(url=mailbox.url)
    async with rigged(tmp_path, sandbox, database_url, clock=GoingClock(), more=more) as rig:
        sandbox.app("clio", lifetime=3600)
        await rig.add("acme")
        await rig.look()
        rig.watching.presence.skew = timedelta(0)
        async with served(rig, rig.watching) as found:
            found.program("mw", Right.TOKENS_READ)
            yield found


async def look(rig: Rig, **span):
    await rig.after(**span)
    rig.watching.presence.skew = timedelta(0)  # PostgreSQL has the machine's clock, and this is another


async def test_a_token_with_all_that_a_program_has_to_know(api):
    answer = await api.get(TOKEN, as_="mw")
    assert answer.status_code == 200
    found = answer.json()
    token, etag = found.pop("access_token"), answer.headers["etag"]
    assert answer.headers["cache-control"] == "no-store, private"
    assert etag.strip('"').endswith(".0") and len(token) > 20
    assert 3590 <= found.pop("expires_in") <= 3600
    assert found.pop("expires_at").endswith("Z") and found["health"].pop("since").endswith("Z")
    assert found == {
        "connection": "acme", "token_type": "Bearer", "expiry": "said", "generation": 0, "refreshed": False,
        "base_url": api.rig.parts.apps["clio"].base_url, "account": {"id": "100", "name": "Firm acme"},
        "values": {}, "scopes": [], "health": {"state": "healthy", "cause": "ok", "owner": "nobody"}, "shortfall": None,
    }  # fmt: skip
    assert (await api.get(TOKEN, as_="mw", headers={"If-None-Match": etag})).status_code == 304


async def test_it_is_renewed_where_it_has_too_little_life_left(api):
    first = (await api.get(TOKEN, as_="mw")).json()
    api.rig.clock.tick(minutes=50)
    found = (await api.get(f"{TOKEN}?min_ttl=15m", as_="mw")).json()
    assert (found["generation"], found["refreshed"]) == (1, True)
    assert found["access_token"] != first["access_token"] and found["expires_in"] > 3500


@pytest.mark.parametrize(
    ("query", "at"),
    [
        ("min_ttl=25h", "?min_ttl"),
        ("min_ttl=soon", "?min_ttl"),
        ("wait=61s", "?wait"),
        ("accept_ttl=10m", "?accept_ttl"),
        ("force=true", "?force"),
    ],
)
async def test_what_cannot_be_asked_for(api, query, at):
    assert wrong(await api.get(f"{TOKEN}?{query}", as_="mw"), 422, "invalid")["errors"][0]["at"] == at


async def test_only_for_whoever_has_the_scope_and_sees_the_connection(api):
    assert wrong(await api.get(TOKEN, as_=api.program("ops", Right.CONNECTIONS_READ)), 403, "missing_scope")
    other = api.program("other", Right.TOKENS_READ, only=Restriction(apps=("elsewhere",)))
    assert wrong(await api.get(TOKEN, as_=other), 404, "not_found")
    assert wrong(await api.get("/connections/nobody/token", as_="mw"), 404, "not_found")
    assert (await api.ask("HEAD", TOKEN, as_="mw")).status_code == 405


async def test_an_operators_switch(api):
    await api.ask("PATCH", "/connections/acme", {"handout": False}, headers={"If-Match": "*"})
    assert wrong(await api.get(TOKEN, as_="mw"), 403, "handout_off")["connection"] == "acme"


async def test_where_a_person_has_to_act_it_is_said_who_and_how(api):
    rig = api.rig
    rig.sandbox.do(rig.grants["acme"], "revoke")
    await look(rig, minutes=61)
    refused = wrong(await api.get(TOKEN, as_="mw"), 503, "refresh_refused_once")
    assert refused["cause"] == "revoked"
    await rig.settle("acme")
    await rig.mails(minutes=11)
    rig.watching.presence.skew = timedelta(0)
    before = rig.sandbox.seen()
    answers = [await api.get(TOKEN, as_="mw") for _ in range(20)]
    found = wrong(answers[0], 409, "needs_person")
    assert (found["cause"], found["owner"], found["state"]) == ("revoked", "client", "broken")
    assert found["next_step"].startswith("An administrator of the client")
    assert [one["kind"] for one in found["told"]] == ["revoked"] and found["incident"]
    assert found["reconnect"] == {"post": "/api/v1/connections/acme/links"}, "without links:create"
    assert {one.status_code for one in answers} == {409} and rig.sandbox.seen() == before
    api.program("console", Right.TOKENS_READ, Right.LINKS_CREATE)
    told = await asyncio.gather(*(api.get(TOKEN, as_="console") for _ in range(5)))
    (link,) = {one.json()["reconnect"]["url"] for one in told}
    assert "/r/" in link


async def test_a_long_poll_returns_with_another_token_of_another_process(api):
    etag = (await api.get(TOKEN, as_="mw")).headers["etag"]
    same = await api.get(f"{TOKEN}?wait=1s", as_="mw", headers={"If-None-Match": etag})
    assert same.status_code == 304
    waiting = asyncio.create_task(api.get(f"{TOKEN}?wait=60s", as_="mw", headers={"If-None-Match": etag}))
    async with another(api.rig) as elsewhere:
        elsewhere.presence.skew = timedelta(0)
        held = await elsewhere.custody.read("acme")
        await elsewhere.custody._renewed(held, timedelta(seconds=10))
    answer = await asyncio.wait_for(waiting, 10)
    assert (answer.status_code, answer.json()["generation"]) == (200, 1)


async def test_a_long_poll_ends_with_the_connection(api):
    etag = (await api.get(TOKEN, as_="mw")).headers["etag"]
    waiting = asyncio.create_task(api.get(f"{TOKEN}?wait=60s", as_="mw", headers={"If-None-Match": etag}))
    await asyncio.sleep(0)  # noqa: TID251
    await api.ask("DELETE", "/connections/acme", headers={"If-Match": "*"})
    wrong(await asyncio.wait_for(waiting, 10), 404, "not_found")
    await api.rig.add("acme")
    again = await api.get(TOKEN, as_="mw", headers={"If-None-Match": etag})
    assert again.status_code == 200 and again.headers["etag"] != etag


async def test_reads_are_counted_and_the_first_is_in_the_audit_before_it_leaves(api):
    for _ in range(3):
        await api.get(TOKEN, as_="mw")
    database = api.rig.parts.database
    lines = [(e.actor, e.action) for e in await audit.of_subject(database, "acme") if "token." in e.action]
    assert sorted(lines) == [("key:mw", "token.first_read"), ("key:mw", "token.new_network")]
    await api.rig.watching.uses.write()
    ((use),) = await uses.of_connection(database, "acme")
    assert (use.key, use.times, use.generation) == ("mw", 3, 0)
    text = repr([line.detail for line in await audit.of_subject(database, "acme")])
    assert (await api.get(TOKEN, as_="mw")).json()["access_token"] not in text


async def test_of_processes_that_hand_out_the_first_one_at_once_one_writes_the_line(api):
    database, now = api.rig.parts.database, api.rig.clock.now()
    use = uses.Use("mw", "acme", 0, 1, now, now, 1)
    await asyncio.gather(*(uses.note_first(database, use, "key:mw", "", now) for _ in range(5)))
    lines = [one.action for one in await audit.of_subject(database, "acme")]
    assert lines.count("token.first_read") == 1
