"""Two processes are asked to change the same thing at the same moment: once, by one, and no reader is misled."""

from __future__ import annotations

import json
import threading

import pytest

from tests.acceptance.outside import House, house

PATCH = "application/merge-patch+json"


@pytest.mark.timeout(120)
def test_what_two_processes_are_asked_at_the_same_moment(tmp_path, sandbox, database_url):
    with house(tmp_path, sandbox, database_url, "web", "web") as one:
        one.authorize("acme", "clio", 3600, 500)
        _done_once(one)
        _nothing_is_lost(one)
        _walked(one)


def _done_once(one: House) -> None:
    """The same request under the same key: one effect, and the same secret for whoever was answered."""
    body = {"name": "made once", "scopes": ["connections:read"], "expires_at": "2027-02-01T00:00:00Z"}
    once = {"Idempotency-Key": "b6f1c1de-0001"}
    asked = [("POST", n % 2, "/keys") for n in range(8)]
    answers = one.at_once(*asked, keyed=False, json=body, headers=once)
    answers += one.at_once(*asked[:2], keyed=False, json=body, headers=once)  # those who came too early
    made = [answer.json() for answer in answers if answer.status_code == 201]
    early = [answer for answer in answers if answer.status_code != 201]
    assert {(answer.status_code, answer.json()["code"]) for answer in early} <= {
        (409, "idempotency_in_progress")
    }
    assert all(answer.headers["retry-after"] == "1" for answer in early)
    assert (
        len(made) >= 3 and len({key["secret"] for key in made}) == 1 and len({key["id"] for key in made}) == 1
    )
    assert one.ask("GET", "/me", 1, key=made[0]["secret"]).status_code == 200
    other = one.at_once(asked[0], keyed=False, json=body | {"name": "another"}, headers=once)[0]
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_reused")
    listed = one.at_once(("GET", 0, "/keys"), keyed=False)[0].json()["items"]
    assert [key["name"] for key in listed].count("made once") == 1


def _nothing_is_lost(one: House) -> None:
    """Of two who change what they both read, the later one is told; probes are no change."""
    etag = one.ask("GET", "/connections/acme").headers["etag"]
    one.ask("POST", "/connections/acme/probe?wait=20s", json={})
    assert one.ask("GET", "/connections/acme", 1).headers["etag"] == etag
    asked = [("PATCH", n % 2, "/connections/acme") for n in range(6)]
    given = {"If-Match": etag, "Content-Type": PATCH}
    answers = one.at_once(*asked, headers=given, content=json.dumps({"labels": {"tier": "gold"}}))
    assert sorted(answer.status_code for answer in answers) == [200] + [412] * 5
    now = {answer.json()["revision"] for answer in answers}
    assert len(now) == 1, "whoever is told that it changed is told where it is now"
    (blind,) = one.at_once(asked[0], headers={"Content-Type": PATCH}, content="{}")
    assert (blind.status_code, blind.json()["code"]) == (428, "precondition_required")


def _walked(one: House) -> None:
    """A fleet is leafed through at one process while another adds, removes and pauses others."""
    _import(
        one, [f"stands-{number:03}" for number in range(120)] + [f"goes-{number:03}" for number in range(20)]
    )
    ends = threading.Event()
    busy = threading.Thread(target=_change, args=(one, ends))
    busy.start()
    try:
        seen: list[str] = []
        path, cursor = "/connections?limit=9&sort=worst", ""
        while path:
            page = one.ask("GET", path).json()
            seen += [row["id"] for row in page["items"]]
            path = f"/connections?limit=9&sort=worst&cursor={page['next']}" if page["next"] else ""
            cursor = page["next"] or cursor
    finally:
        ends.set()
        busy.join()
    stood = [name for name in seen if name.startswith("stands-")]
    assert len(stood) == len(set(stood)) == 120
    for other in ("state=broken", "sort=id"):
        answer = one.ask("GET", f"/connections?limit=9&{other}&cursor={cursor}", 1)
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_cursor")
    assert one.ask("GET", f"/connections?limit=9&sort=worst&cursor={cursor}", 1).status_code == 200


def _import(one: House, names: list[str]) -> None:
    lines = [
        json.dumps({"id": name, "app": "clio", "client": {"name": "Firm", "contacts": []}}) for name in names
    ]
    head = {"Content-Type": "application/x-ndjson"}
    answer = one.ask("POST", "/imports", headers=head, content="\n".join(lines))
    assert answer.status_code == 200, answer.text


def _change(one: House, ends: threading.Event) -> None:
    for number in range(20):
        if ends.is_set():
            return
        _import(one, [f"comes-{number:03}"])
        gone = one.ask("DELETE", f"/connections/goes-{number:03}", 1, headers={"If-Match": "*"})
        assert gone.status_code == 204, gone.text
        one.ask("POST", "/connections/acme/pause", 1, json={})
