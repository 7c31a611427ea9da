"""What stands over the fleet, as resources: read, decided on, held and released, within what one may see."""

from __future__ import annotations

import pytest

from monitor.health.restriction import Restriction
from monitor.operations.actor import Right
from tests.integration.api.stage import staged
from tests.integration.api.test_frame import wrong


@pytest.fixture
async def stage(tmp_path, sandbox, database_url):
    async with staged(tmp_path, sandbox, database_url) as found:
        yield found


@pytest.fixture
async def api(stage):
    return stage.api


def part(stage, *connections: str, name: str = "part") -> str:
    return stage.api.program(name, only=Restriction(connections=connections))


async def good(answer, status: int = 200):
    assert answer.status_code == status, answer.text
    return answer.json() if answer.content else None


async def test_the_fleet_in_sums_with_what_stands_over_it(stage, api):
    found = await good(await api.get("/fleet"))
    assert (found["total"], found["states"]["broken"]) == (33, 8)
    assert found["owners"] == {"client": 8} and found["causes"] == {"revoked": 8}
    assert found["apps"] == {"app": 30, "clio": 3}
    assert [(one["id"], one["members"], one["guard"]) for one in found["guards"]] == [(stage.wave, 8, True)]
    assert found["fuse"] == {"blown_since": None, "wanted": 0, "released_until": None}
    assert [one["name"] for one in found["silences"]] == ["c20", "Firm acme"]
    few = api.program("few", Right.CONNECTIONS_READ)
    seen = await good(await api.get("/fleet", as_=few))
    assert [seen[name] for name in ("guards", "incidents", "fuse", "silences")] == [None] * 4


async def test_the_fleet_of_who_sees_a_part(stage, api):
    found = await good(await api.get("/fleet", as_=part(stage, "c00", "c20")))
    assert (found["total"], found["states"], found["fuse"]) == (2, {"broken": 1, "healthy": 1}, None)
    assert [(one["members"], one["reasons"]) for one in found["guards"]] == [(1, [])]
    assert [one["name"] for one in found["silences"]] == ["c20"]
    none = await good(await api.get("/fleet", as_=part(stage, "acme")))
    assert (none["total"], none["guards"]) == (1, [])


async def test_incidents_are_filtered_paged_and_told_with_what_belongs_to_them(stage, api):
    async def ids(query: str, **more):
        found = await good(await api.get(f"/incidents?{query}", **more))
        return [one["id"] for one in found["items"]]

    everything = await ids("")
    assert len(everything) == 9 and everything == sorted(everything, reverse=True)
    assert await ids("members=2") == [stage.wave] == await ids("guard=true")
    assert await ids("about=connection:c00&open=true") == [stage.own]
    assert await ids("open=false") == [] == await ids("cause=provider_outage") == await ids("owner=operator")
    first = await good(await api.get("/incidents?limit=5"))
    rest = await ids(f"limit=5&cursor={first['next']}")
    assert [one["id"] for one in first["items"]] + rest == everything
    found = await good(await api.get(f"/incidents/{stage.wave}?expand=connections,notices"))
    assert sorted(one["id"] for one in found["connections"]) == [f"c{n:02}" for n in range(8)]
    assert [one["id"] for one in found["notices"]] == [stage.failed]
    assert found["about"] == {"kind": "provider", "name": "clio"} and found["reasons"]
    (asked,) = [
        one["question"] for one in (await good(await api.get("/incidents?expand=question")))["items"]
        if one["question"]
    ]  # fmt: skip
    assert (asked["over"], asked["holds"], asked["alike"][0]) == ("clio", 8, "cause revoked")
    assert [one["operation"] for one in asked["choices"]] == [
        "notices.release", "notices.ask_first", "notices.drop",
    ]  # fmt: skip
    mine = await good(await api.get(f"/incidents/{stage.wave}?expand=question", as_=part(stage, "c00")))
    assert mine["question"] is None, "who sees a part is told of no others"
    wrong(await api.get("/incidents?about=moon:x"), 422, "invalid")
    wrong(await api.get("/incidents/9999"), 404, "not_found")


async def test_an_incident_has_no_more_members_than_one_sees(stage, api):
    mine = part(stage, "c00", "c01", "c20")
    path = f"/incidents/{stage.wave}?expand=connections,notices"
    found = await good(await api.get(path, as_=mine))
    assert (found["members"], found["reasons"]) == (2, [])
    assert [one["id"] for one in found["connections"]] == ["c00", "c01"]
    assert found["notices"][0]["connections"] == ["c00", "c20"]
    assert len((await good(await api.get("/incidents", as_=mine)))["items"]) == 3
    other = part(stage, "c2*", name="other")
    wrong(await api.get(path, as_=other), 404, "not_found")
    wrong(await api.get(f"/incidents/{stage.own}", as_=other), 404, "not_found")
    assert (await good(await api.get("/incidents", as_=other)))["items"] == []
    for word in ("release", "drop"):
        wrong(await api.post(f"/incidents/{stage.wave}/{word}", as_=mine), 403, "beyond_own_rights")
        wrong(await api.post(f"/incidents/{stage.wave}/{word}", as_=other), 404, "not_found")


async def test_who_has_taken_an_incident_up_is_told_to_whoever_looks(stage, api):
    path = f"/incidents/{stage.own}"
    assert (await api.post(f"{path}/acknowledge", {"note": "calling them"})).status_code == 204
    word = (await good(await api.get(path)))["acknowledged"]
    assert (word["by"], word["note"]) == ("key:all", "calling them")
    assert (await api.ask("DELETE", f"{path}/acknowledge")).status_code == 204
    assert (await good(await api.get(path)))["acknowledged"] is None
    wrong(await api.ask("DELETE", f"{path}/acknowledge"), 409, "wrong_state")
    assert (await api.post(f"{path}/acknowledge")).status_code == 204
    wrong(await api.post(f"{path}/release"), 409, "wrong_state")
    await api.post("/connections/c00/pause")
    wrong(await api.post(f"{path}/acknowledge"), 409, "wrong_state")


async def test_a_wave_is_released_a_few_first_and_then_all(stage, api):
    path = f"/incidents/{stage.wave}"
    first = await good(await api.post(f"{path}/release", {"first": 2}))
    assert (first["connections"], len(first["clients"])) == (None, 2)
    assert await good(await api.post(f"{path}/release")) == {"connections": 6, "clients": []}
    found = await good(await api.get(path))
    assert (found["mails"], found["guard"]) == ("released", False) and found["closed"]
    wrong(await api.post(f"{path}/drop"), 409, "wrong_state")


async def test_what_was_decided_is_taken_back_while_nobody_was_told(stage, api):
    path = f"/incidents/{stage.wave}"
    wrong(await api.post(f"{path}/hold"), 409, "wrong_state")
    wrong(await api.post(f"{path}/release", {"held": 7}), 409, "wrong_state")
    wrong(await api.post(f"{path}/drop", {"held": 9}), 409, "wrong_state")
    wrong(await api.post(f"{path}/release", {"held": 7, "first": 2}), 409, "wrong_state")
    for word in ("release", "drop"):
        assert (await good(await api.post(f"{path}/{word}", {"held": 8})))["connections"] == 8
        other = api.program("some", only=Restriction(connections=("c00",)))
        wrong(await api.post(f"{path}/hold", as_=other), 403, "beyond_own_rights")
        assert await good(await api.post(f"{path}/hold")) == {"connections": 8, "clients": []}
        found = await good(await api.get(path))
        assert (found["mails"], found["closed"]) == (None, None)
    wrong(await api.post(f"{path}/hold"), 409, "wrong_state")


async def test_the_connections_of_an_incident_are_paged_within_what_one_sees(stage, api):
    path = f"/incidents/{stage.wave}/connections"
    first = await good(await api.get(f"{path}?limit=5"))
    rest = await good(await api.get(f"{path}?limit=5&cursor={first['next']}"))
    assert [one["id"] for one in first["items"] + rest["items"]] == [f"c{n:02}" for n in range(8)]
    assert {(one["state"], one["cause"], one["told"], one["ended"]) for one in first["items"]} == {
        ("broken", "revoked", None, None)
    }
    (own,) = (await good(await api.get(f"/incidents/{stage.own}/connections")))["items"]
    assert (own["id"], own["incident"]) == ("c00", stage.own)
    mine = await good(await api.get(path, as_=part(stage, "c01", "c20")))
    assert [one["id"] for one in mine["items"]] == ["c01"]
    wrong(await api.get("/incidents/9999/connections"), 404, "not_found")


async def test_notices_are_read_shown_as_mails_and_tried_again(stage, api):
    found = await good(await api.get("/notices?state=failed"))
    assert [one["id"] for one in found["items"]] == [stage.failed]
    assert found["items"][0]["to"][0]["address"] == "it@firm.example"
    about = await good(await api.get("/notices?connection=novice"))
    assert stage.waiting in [one["id"] for one in about["items"]]
    wrong(await api.get("/notices?state=lost"), 422, "invalid")
    mail = await good(await api.get(f"/notices/{stage.waiting}/preview"))
    assert "/r/…" in mail["text"] and "/r/…" in mail["html"] and mail["subject"]
    assert [row["id"] for row in (await good(await api.get("/connections/novice/links")))["items"]] == []
    again = await good(await api.post(f"/notices/{stage.failed}/retry"))
    assert again["state"] == "sending"
    wrong(await api.post(f"/notices/{stage.failed}/retry"), 409, "wrong_state")
    wrong(await api.post("/notices/9999/retry"), 404, "not_found")
    wrong(await api.get("/notices/9999/preview"), 404, "not_found")


async def test_of_a_notice_one_sees_the_own_part(stage, api):
    mine = part(stage, "c00")
    assert (await good(await api.get(f"/notices/{stage.failed}", as_=mine)))["connections"] == ["c00"]
    wrong(await api.post(f"/notices/{stage.failed}/retry", as_=mine), 403, "beyond_own_rights")
    listed = await good(await api.get("/notices", as_=mine))
    assert [one["id"] for one in listed["items"]] == [stage.failed]
    other = part(stage, "c05", name="other")
    assert (await good(await api.get("/notices", as_=other)))["items"] == []
    for path in (f"/notices/{stage.failed}", f"/notices/{stage.failed}/preview"):
        wrong(await api.get(path, as_=other), 404, "not_found")
    wrong(await api.post(f"/notices/{stage.failed}/retry", as_=other), 404, "not_found")
    wrong(await api.post("/fuse/release", as_=mine), 403, "beyond_own_rights")


async def test_mails_are_held_and_released(stage, api):
    held = await good(
        await api.post("/notices/hold", {"over": "client", "name": "Firm acme", "for": "3d"}), 201
    )
    shown = await good(await api.get(f"/silences/{held['id']}"))
    assert (shown["number"], shown["over"], shown["by"]) == (held["number"], "client", "key:all")
    again = await good(await api.post("/notices/release", {"over": "client", "name": "Firm acme"}))
    assert again == {"released": 2}
    wrong(await api.post("/notices/release", {"over": "client", "name": "Firm acme"}), 404, "not_found")
    wrong(await api.post("/notices/hold", {"over": "client", "name": "nobody"}), 404, "not_found")
    wrong(await api.post("/notices/hold", {"over": "all", "name": "x"}), 422, "invalid")
    wrong(await api.post("/notices/hold", {"over": "client"}), 422, "invalid")
    assert (await api.post("/fuse/release")).status_code == 204
    assert (await good(await api.get("/fleet")))["fuse"]["released_until"] is not None


async def test_silences_are_laid_listed_and_ended(stage, api):
    body = {"over": "app", "name": "clio", "from": "2026-11-24T02:00:00Z", "for": "90m", "maintenance": True}
    made = await api.post("/silences", body)
    found = await good(made, 201)
    assert made.headers["location"] == f"/api/v1/silences/{found['id']}"
    assert (found["from"], found["until"]) == ("2026-11-24T02:00:00Z", "2026-11-24T03:30:00Z")
    assert await good(await api.get(f"/silences/{found['id']}")) == found
    listed = (await good(await api.get("/silences")))["items"]
    assert sorted(one["by"] for one in listed if one["from_file"]) == ["the configuration (sunday)"]
    first = await good(await api.get("/silences?limit=2"))
    rest = await good(await api.get(f"/silences?limit=2&cursor={first['next']}"))
    assert first["items"] + rest["items"] == listed and rest["next"] is None
    (given,) = [one["id"] for one in listed if one["from_file"]]
    wrong(await api.ask("DELETE", f"/silences/{given}"), 409, "wrong_state")
    assert (await api.ask("DELETE", f"/silences/{found['id']}")).status_code == 204
    wrong(await api.ask("DELETE", f"/silences/{found['id']}"), 404, "not_found")
    wrong(await api.get("/silences/sil_x"), 404, "not_found")
    past = {"over": "app", "name": "clio", "until": "2026-01-01T00:00:00Z"}
    wrong(await api.post("/silences", past), 409, "wrong_state")
    wrong(await api.post("/silences", past | {"for": "1h"}), 422, "invalid")


async def test_nobody_is_silenced_beyond_what_one_sees(stage, api):
    mine = part(stage, "c20", "c21")
    assert [one["name"] for one in (await good(await api.get("/silences", as_=mine)))["items"]] == ["c20", ""]
    for over, name, code in (
        ("all", "", "beyond_own_rights"), ("app", "app", "beyond_own_rights"),
        ("provider", "clio", "beyond_own_rights"), ("connection", "c00", "not_found"),
        ("client", "Firm acme", "not_found"), ("app", "clio", "not_found"),
    ):  # fmt: skip
        for path in ("/silences", "/notices/hold", "/notices/release"):
            answer = await api.post(path, {"over": over, "name": name}, as_=mine)
            wrong(answer, 404 if code == "not_found" else 403, code)
    assert (await api.post("/silences", {"over": "connection", "name": "c21"}, as_=mine)).status_code == 201
    other = part(stage, "c05", name="other")
    wrong(await api.get(f"/silences/{stage.silence}", as_=other), 404, "not_found")
    wrong(await api.ask("DELETE", f"/silences/{stage.silence}", as_=other), 404, "not_found")
    assert (await api.ask("DELETE", f"/silences/{stage.silence}", as_=mine)).status_code == 204
    api.program("app", only=Restriction(apps=("app",)))
    assert (await api.post("/silences", {"over": "app", "name": "app"}, as_="app")).status_code == 201


async def test_providers_and_apps_are_told_without_their_secrets(stage, api):
    assert "clio" in [one["name"] for one in (await good(await api.get("/providers")))["items"]]
    assert (await good(await api.get("/providers/clio")))["title"]
    wrong(await api.get("/providers/..%5C"), 404, "not_found")
    found = {one["id"]: one for one in (await good(await api.get("/apps")))["items"]}
    assert (found["app"]["configured"], found["app"]["connections"]) == (False, 30)
    clio = await good(await api.get("/apps/clio"))
    assert clio == found["clio"] and (clio["connections"], clio["interval_seconds"]) == (3, 300)
    assert clio["last_probe"] == clio["last_success"] == "2026-11-23T10:00:00Z"
    assert [name for name in clio if "secret" in name] == ["secret_expires"], "the day, never the secret"
    mine = part(stage, "acme")
    seen = (await good(await api.get("/apps", as_=mine)))["items"]
    assert [(one["id"], one["connections"]) for one in seen] == [("clio", 1)]
    wrong(await api.get("/apps/app", as_=mine), 404, "not_found")


async def test_the_audit_is_read_by_what_was_done_by_whom_and_since_when(stage, api):
    await api.post("/connections/acme/pause", headers={"X-Request-Id": "request-0001"})
    (line,) = (await good(await api.get("/audit?subject=acme&actor=key:all&action=connection.pause")))[
        "items"
    ]
    assert (line["from"], line["request_id"], line["detail"]) == ("127.0.0.1", "request-0001", {})
    assert (await good(await api.get("/audit?since=2027-01-01T00:00:00Z")))["items"] == []
    first = await good(await api.get("/audit?limit=2"))
    assert first["next"] and len(first["items"]) == 2
    mine = part(stage, "acme")
    lines = (await good(await api.get("/audit?limit=500", as_=mine)))["items"]
    assert {one["subject"] for one in lines} == {"acme"}


async def test_settings_and_checkup_are_told_without_any_secret(stage, api, monkeypatch):
    monkeypatch.setenv("clio_SECRET", "s3cret")
    found = await good(await api.get("/settings"))
    assert found["smtp"]["url"] == found["database"]["url"] == "set" and found["oncall"]["urls"] == ["set"]
    assert found["web"]["public_url"].startswith("http") and found["apps"][0]["client_secret"] is None
    checked = await good(await api.get("/doctor"))
    assert {"configuration", "database", "smtp"} <= {one["check"] for one in checked["items"]}
    assert checked["ok"] is False, "there is no mail server"
    for path in ("/settings", "/doctor"):
        wrong(await api.get(path, as_=part(stage, "acme")), 403, "beyond_own_rights")


async def test_who_only_looks_sees_no_address_whole_wherever_it_stands(stage, api):
    reading = [right for right in Right if right.value.endswith(":read") and right is not Right.TOKENS_READ]
    viewer = api.program("viewer", *reading)
    for path in (
        f"/notices/{stage.failed}", "/notices", f"/incidents/{stage.wave}?expand=notices",
        "/connections/novice/notices", "/connections/novice/explain", "/connections/c00/explain", "/audit",
        f"/notices/{stage.waiting}/preview", "/doctor", "/settings",
    ):  # fmt: skip
        whole, masked = (await api.get(path)).text, (await api.get(path, as_=viewer)).text
        assert "it@" not in masked and "ops@" not in masked, path
        if "/notices" in path and "preview" not in path:
            assert "it@" in whole, path


async def test_how_many_others_broke_is_not_told_to_who_sees_a_part(stage, api):
    whole = (await good(await api.get("/connections/c00/explain")))["told"]
    assert "8 clients" in str(whole), whole
    seen = await api.get("/connections/c00/explain", as_=part(stage, "c00"))
    assert seen.status_code == 200 and "8 clients" not in seen.text and "fleet guard" in seen.text
