"""A program and a running service: its token, what it saw, and a wait that does not hold up the end."""

from __future__ import annotations

import http.client
import json
import threading
import urllib.error
import urllib.request

from tests.acceptance.test_access import _up
from tests.acceptance.test_processes import Program, cli, config, free_port, import_fleet, states, until


def test_a_program_gets_its_token_says_what_it_saw_and_waits_for_another(tmp_path, sandbox):
    sandbox.app("clio")
    port = free_port()
    path = config(tmp_path, sandbox, f"sqlite:///{tmp_path / 'th.db'}", port)
    (grant,) = import_fleet(path, sandbox, "clio", "us", 1)
    scopes = ("--scope", "tokens:read", "--scope", "signals:write")
    key = cli(path, "api", "keys", "new", "middleware", *scopes).strip()
    base = f"http://127.0.0.1:{port}/api/v1/connections/firm-0"

    def ask(what: str, body: object = None, **headers: str):
        given = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"} | headers
        data = None if body is None else json.dumps(body).encode()
        try:
            with urllib.request.urlopen(
                urllib.request.Request(base + what, data, given), timeout=70
            ) as answer:
                return answer.status, dict(answer.headers), json.load(answer)
        except urllib.error.HTTPError as error:
            text = error.read()
            return error.code, dict(error.headers), json.loads(text) if text else None

    program = Program(path, ("clio",))
    try:
        until(lambda: _up(port) and states(path).get("firm-0") == "ok")
        status, headers, token = ask("/token")
        assert status == 200 and token["generation"] == 0 and "content-encoding" not in headers
        etag = headers["etag"]
        assert ask("/token", **{"If-None-Match": etag})[0] == 304
        # Its token is refused: we look, renew it, and whoever waits has the new one.
        waited: list = []
        waiter = threading.Thread(
            target=lambda: waited.append(ask("/token?wait=60s", **{"If-None-Match": etag}))
        )
        waiter.start()
        sandbox.do(grant, "expire_access")
        status, _, looked = ask(
            "/signals?wait=20s", {"kind": "unauthorized", "generation": 0, "answer": {"status": 401}}
        )
        assert (status, looked["looked"]["cause"], looked["generation"]) == (200, "ok", 1)
        waiter.join(10)
        assert waited[0][0] == 200 and waited[0][2]["generation"] == 1
        assert "unauthorized" in cli(path, "explain", "firm-0")
        cli(path, "connections", "handout", "firm-0", "off")
        assert ask("/token")[2]["code"] == "handout_off"
        cli(path, "connections", "handout", "firm-0", "on")
        # A wait that is under way does not hold up the end.
        etag = ask("/token")[1]["etag"]
        waiting = http.client.HTTPConnection("127.0.0.1", port, timeout=70)
        headers = {"Authorization": f"Bearer {key}", "If-None-Match": etag}
        waiting.request("GET", "/api/v1/connections/firm-0/token?wait=60s", headers=headers)
        ask("/token")  # one loop answers both: what was sent before is under way
    finally:
        code = program.end()
    assert code == 0, program.text
    ended = waiting.getresponse()
    assert ended.status == 503 and json.load(ended)["code"] == "stopping"
    waiting.close()
    assert token["access_token"] not in program.text and key not in program.text
