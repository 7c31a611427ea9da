"""Promise 'secrets stay inside', at the door for programs: what they are given stands nowhere else.

Keys, tokens, secrets of webhooks, passwords and cookies are given out and used, also where they do not belong;
then all that was written and answered is searched.
"""

from __future__ import annotations

import json

import httpx
import pytest

from monitor.web.api.app import declared
from tests.acceptance.forked import command
from tests.acceptance.outside import APPS, house
from tests.acceptance.test_canaries import encodings
from tests.acceptance.test_processes import get, until
from tests.acceptance.test_webhooks import Receiver, receiver  # noqa: F401 - the fixture
from tests.conftest import environ

PASSWORD = "correct horse battery canary"
LOGS = '[log]\nformat = "json"\nlevel = "debug"\n'


def plain_reads() -> list[str]:
    """Every route that reads, of acme where it is about a connection; but for the stream, and tokens."""
    found = [one.path for one in declared() if one.method == "GET" and one.tag != "Tokens"]
    paths = [path.replace("{connection}", "acme") for path in found if "stream" not in path]
    return [path for path in paths if "{" not in path]


@pytest.mark.timeout(120)
def test_what_is_given_at_the_door_stands_nowhere_else(tmp_path, sandbox, sqlite_url, receiver: Receiver):  # noqa: F811
    receiver.go.set()
    answers: dict[str, str] = {}
    with house(tmp_path, sandbox, sqlite_url, "all", more=LOGS) as one:
        web = one.url(0, "").removesuffix("/api/v1")

        def here(method: str, what: str, **more) -> httpx.Response:
            """As whoever is on this machine."""
            return httpx.request(method, one.url(0, what), timeout=20, **more)

        def said(answer: httpx.Response) -> httpx.Response:
            """Have an answer searched: it goes to somebody who was not given the secret, or may be kept."""
            answers[f"{answer.request.method} {answer.request.url.path} {len(answers)}"] = (
                str(answer.headers) + answer.text
            )
            return answer

        one.authorize("acme", "clio", 3600, 500)
        # A secret that is made under an Idempotency-Key is said again, and is sealed where it is kept.
        once = {"Idempotency-Key": "make-them-once"}
        wanted = {"name": "second", "scopes": ["tokens:read"], "expires_at": "2027-02-01T00:00:00Z"}
        keys = [here("POST", "/keys", json=wanted, headers=once) for _ in range(2)]
        assert [key.status_code for key in keys] == [201, 201], keys[0].text
        assert keys[0].json() == keys[1].json() and keys[1].headers["idempotency-replayed"] == "true"
        hook = here("POST", "/webhooks", json={"url": receiver.url, "events": ["*"]}, headers=once | {
            "Idempotency-Key": "another"}).json()  # fmt: skip
        words = ("users", "add", "anna", "--role", "admin", "--password-stdin", "--config", str(one.path))
        assert command(*words, env=environ(*APPS), stdin=PASSWORD + "\n").returncode == 0
        with httpx.Client(base_url=web, headers={"Sec-Fetch-Site": "same-origin"}) as browser:
            said(browser.post("/sign-in", data={"name": "anna", "password": PASSWORD + "!"}))
            page = browser.post("/sign-in", data={"name": "anna", "password": PASSWORD})
            answers["signed in"] = page.text
            (cookie,) = {value for _, value in browser.cookies.items()}
            said(browser.get("/sign-in"))
            assert said(browser.get("/api/v1/me")).status_code == 200
            # Nor does a person who is signed in, or is on this machine, ever see a token.
            assert said(browser.get("/api/v1/connections/acme/token")).json()["needs"] == "tokens:read"
        assert said(here("GET", "/connections/acme/token")).status_code == 403
        assert said(here("POST", "/connections/acme/signals", json={"kind": "success"})).status_code == 403
        given = one.ask("GET", "/connections/acme/token", headers={"Accept-Encoding": "gzip, br"})
        token = given.json()["access_token"]
        assert (
            given.headers["cache-control"] == "no-store, private" and "content-encoding" not in given.headers
        )
        _put_where_they_do_not_belong(one, said, token, keys[0].json()["secret"])
        until(lambda: receiver.taken or None)
        for path in plain_reads():
            answer = said(here("GET", path))
            nothing = path.endswith("/links/preview")  # no mails go out here
            assert answer.status_code == (409 if nothing else 200), (path, answer.text)
        for path in ("/metrics", "/healthz", "/readyz"):
            answers[path] = get(one.processes[0].port, path)[1]
        (marked,) = [key for key in here("GET", "/keys").json()["items"] if key["name"] == "middleware"]
        assert marked["exposed_at"] is not None
        secrets = {
            "the token": token, "the key": one.key, "the second key": keys[0].json()["secret"],
            "the webhook's secret": hook["secret"].removeprefix("whsec_"), "the password": PASSWORD,
            "the cookie": cookie,
        }  # fmt: skip
        secrets |= {f"token {n}": text for n, text in enumerate(sandbox.call("/admin/given"))}
        one.end()
    written = {name: text.encode() for name, text in answers.items()}
    written |= {f"webhook {n}": body for n, (_, body) in enumerate(receiver.taken)}
    written |= {
        file.name: file.read_bytes()
        for file in tmp_path.rglob("*")
        if file.is_file() and not file.name.endswith(".key")
    }
    assert {"th.db", "/metrics"} <= written.keys() and any(name.startswith("run-") for name in written)
    found = [
        f"{name} in {where}"
        for name, secret in secrets.items()
        for where, what in written.items()
        if any(form in what for form in encodings(secret))
    ]
    assert found == []


def _put_where_they_do_not_belong(one, said, token: str, key: str) -> None:
    """Whoever is careless: a key in the URL, a token in a signal's words, a secret as a value that does not fit."""
    for where in (f"/connections?key={one.key}", f"/connections/{one.key}"):
        refused = said(one.ask("GET", where))
        assert (refused.status_code, refused.json()["code"]) == (400, "key_in_url")
        assert refused.headers["content-type"] == "application/problem+json"
        assert one.key not in refused.text
    careless = {
        "kind": "unauthorized", "generation": 0,
        "asked": f"GET https://app.clio.com/api/v4/contacts.json?access_token={token}",
        "answer": {"status": 401, "headers": {"www-authenticate": f'Bearer error="{token}"', "authorization": token},
                   "body": json.dumps({"error": f"the token {token} is not good", "key": key})},
    }  # fmt: skip
    assert said(one.ask("POST", "/connections/acme/signals", json=careless)).status_code == 202
    for wrong in ({"kind": token}, {"kind": "success", "generation": token}, {"kind": "success", "at": key}):
        assert said(one.ask("POST", "/connections/acme/signals", json=wrong)).status_code == 422
    tokens = {"access_token": {"really": token}, "refresh_token": key, "expires_at": token}
    record = {"app": "clio", "client": {"name": "Firm", "contacts": []}, "tokens": tokens}
    assert said(one.ask("PUT", "/connections/bolt", json=record)).status_code == 422
    assert said(one.ask("GET", "/me", key=key[:-1] + ("y" if key.endswith("x") else "x"))).status_code == 401
