"""Over the API: a connection's values are read, changed and handed out; who authorized is masked for viewers."""

from __future__ import annotations

from datetime import timedelta

import pytest

from monitor.operations.actor import Right
from tests.integration.api.conftest import served
from tests.integration.standin import authorize, standing
from tests.integration.test_values import REALM

FILE = REALM.replace("[headers]", '[values.site]\ndefault = "main"\n[headers]')
ACME = {"id": "acme", "app": "madeup", "client": {"name": "Acme LLP"}}


@pytest.fixture
async def api(tmp_path, httpserver, database_url):
    async with standing(tmp_path, httpserver, database_url, FILE) as (rig, provider):
        provider.answers["info"] = {"name": "Acme LLP", "by": "k.moreau@acme.example"}
        provider.token()
        async with served(rig) as found:
            yield found


async def change(api, body, revision=None):
    shown = await api.get("/connections/acme")
    return await api.ask("PATCH", "/connections/acme", body, headers={"If-Match": shown.headers["etag"]})


async def test_values_are_read_and_changed_with_the_usual_revision(api):
    made = await api.post("/connections", ACME | {"values": {"realm": "9130"}})
    assert (made.json()["values"], made.json()["account_id"]) == ({"realm": "9130"}, "9130")
    changed = await change(api, {"values": {"site": "two"}})
    assert changed.json()["values"] == {"realm": "9130", "site": "two"}
    assert changed.headers["etag"] == '"r2"'
    again = await api.ask("PUT", "/connections/acme", changed.json(), headers={"If-Match": '"r2"'})
    assert (again.status_code, again.headers["etag"]) == (200, '"r2"'), "the same again is no change"
    without = {name: value for name, value in changed.json().items() if name in ("app", "client")}
    left = await api.ask("PUT", "/connections/acme", without, headers={"If-Match": '"r2"'})
    assert left.json()["values"] == changed.json()["values"], "left out, they stay"
    assert (await change(api, {"values": {"site": None}})).json()["values"] == {"realm": "9130"}
    assert (await change(api, {"values": None})).json()["values"] == {}
    for wrong in ({"realm": "a/b"}, {"other": "x"}, {"realm": "4242"}, {"realm": ""}, {"realm": 7}):
        assert (await change(api, {"values": wrong})).status_code == 422, wrong
    assert (await api.get("/connections/acme")).json()["values"] == {}


async def test_whoever_has_a_lease_is_fenced_off_by_a_changed_value(api):
    await api.post("/connections", ACME)
    await authorize(api.rig, realmId="9130")
    before = await api.rig.known("acme")
    assert (await change(api, {"values": {"site": "two"}})).status_code == 200
    after = await api.rig.known("acme")
    assert after.revision == before.revision + 1 and after.next_probe_at == api.rig.clock.now()
    assert after.sealed == before.sealed


async def test_programs_get_the_values_with_the_token_and_viewers_no_address_whole(api):
    await api.post("/connections", ACME)
    assert (await authorize(api.rig, realmId="9130")).title == "Thank you, it works"
    api.rig.watching.presence.skew = timedelta(0)
    api.program("viewer", Right.CONNECTIONS_READ)
    status = (await api.get("/connections/acme/status")).json()
    assert status["values"] == {"realm": "9130"}
    assert status["tokens"]["authorized_by"] == "k.moreau@acme.example"
    seen = (await api.get("/connections/acme/status", as_="viewer")).json()
    assert seen["tokens"]["authorized_by"] == "k…@acme.example"
    told = (await api.get("/connections/acme/explain", as_="viewer")).json()["why"]
    assert "Last authorized by k…@acme.example." in told
