"""That somebody is on it, over the API."""

from __future__ import annotations

from monitor.operations.actor import Right
from tests.integration.api.test_frame import wrong
from tests.integration.test_mails import _break

ANNA = {"who": "anna@acme.example", "until": "2026-12-01T00:00:00Z"}
AT = "/connections/acme/claim"


async def test_a_claim_is_laid_shown_and_taken_back(api):
    await api.rig.add("acme")
    wrong(await api.post(AT, ANNA), 409, "wrong_state")
    await _break(api.rig, "acme")
    etag = (await api.get("/connections/acme")).headers["etag"]
    laid = await api.post(AT, ANNA)
    assert laid.status_code == 200 and laid.json()["claim"] == ANNA
    assert (await api.get("/connections/acme/status")).json()["claim"] == ANNA
    assert (await api.get("/connections/acme")).headers["etag"] == etag, "nothing that is configured changed"
    (row,) = (await api.get("/connections")).json()["items"]
    assert row["claim"] == ANNA
    for _ in range(2):
        assert (await api.ask("DELETE", AT)).status_code == 204
    assert (await api.get("/connections/acme/status")).json()["claim"] is None


async def test_what_is_wrong_with_a_claim_is_said_at_its_place(api):
    await api.rig.add("acme", tokens=False)
    for body, at in (
        (ANNA | {"until": "2026-01-01T00:00:00Z"}, "/until"),
        (ANNA | {"until": "2028-01-01T00:00:00Z"}, "/until"),
        (ANNA | {"until": None}, "/until"),
        (ANNA | {"who": " "}, "/who"),
        (ANNA | {"why": "x"}, "/why"),
    ):
        (error,) = wrong(await api.post(AT, body), 422, "invalid")["errors"]
        assert error["at"] == at


async def test_who_only_looks_sees_no_address_that_somebody_gave_as_a_name(api):
    await api.rig.add("acme", tokens=False)
    await api.post(AT, ANNA)
    viewer = api.program("viewer", Right.CONNECTIONS_READ)
    for path in ("/connections", "/connections/acme/status", "/connections/acme/explain"):
        answer = await api.get(path, as_=viewer)
        assert answer.status_code == 200 and "a…@acme.example" in answer.text, path
        assert "anna@acme.example" not in answer.text, path
