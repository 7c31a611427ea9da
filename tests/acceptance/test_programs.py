"""token and signals send: by hand what programs do, through the API and with a key."""

from __future__ import annotations

import json

from tests.acceptance.test_access import _up
from tests.acceptance.test_cli import run
from tests.acceptance.test_processes import Program, cli, config, free_port, import_fleet, states, until
from tests.conftest import environ


def test_a_token_and_a_signal_by_hand(tmp_path, sandbox):
    sandbox.app("clio")
    port = free_port()
    path = config(tmp_path, sandbox, f"sqlite:///{tmp_path / 'th.db'}", port)
    path.write_text(path.read_text() + f'public_url = "http://127.0.0.1:{port}"\n')
    (grant,) = import_fleet(path, sandbox, "clio", "us", 1)
    scopes = ("--scope", "tokens:read", "--scope", "signals:write")
    key = cli(path, "api", "keys", "new", "by-hand", *scopes).strip()
    given = json.loads((tmp_path / "fleet.jsonl").read_text())["tokens"]["access_token"]

    def asks(*words: str, as_: str = key):
        done = run(*words, "--config", str(path), env=environ("clio") | {"TOKEN_HEALTH_API_KEY": as_})
        assert key not in done.stdout + done.stderr and "Traceback" not in done.stderr
        return done

    down = asks("token", "firm-0")
    assert down.returncode == 2 and "does not answer" in down.stderr
    program = Program(path, ("clio",))
    try:
        until(lambda: _up(port) and states(path).get("firm-0") == "ok")
        found = asks("token", "firm-0", "--min-ttl", "10m")
        assert (found.returncode, found.stdout) == (0, f"{given}\n"), found.stderr
        assert f"firm-0: generation 0, good for 7 days, at {sandbox.url}/us" in found.stderr
        sandbox.do(grant, "expire_access")
        said = asks(
            "signals",
            "send",
            "firm-0",
            "unauthorized",
            "--generation",
            "0",
            "--status",
            "401",
            "--wait",
            "20s",
        )
        assert said.returncode == 0, said.stderr
        assert said.stdout == "firm-0: probe_now\nWe looked: ok, generation 1\n"
        again = json.loads(asks("signals", "send", "firm-0", "success", "--generation", "0", "--json").stdout)
        assert (again["effect"], again["generation"]) == ("ignored", 1)
        assert json.loads(asks("token", "firm-0", "--json").stdout)["generation"] == 1

        for words, as_, told in (
            (("token", "firm-0"), "thk_wrong", "bad_credentials"),
            (("token", "firm-0"), "", "TOKEN_HEALTH_API_KEY holds no API key"),
            (("token", "nobody"), key, "not_found"),
            (("token", "firm-0", "--min-ttl", "soon"), key, "--min-ttl"),
            (("token", "firm-0", "--url", "http://th.example"), key, "unencrypted"),
            (("token", "firm-0", "--url", sandbox.url), key, "not as the API does"),
        ):
            refused = asks(*words, as_=as_)
            assert refused.returncode == 2 and told in refused.stderr, (words, refused.stderr)
            assert refused.stdout == ""

        sandbox.do(grant, "revoke")
        cli(path, "probe", "firm-0", code=1)  # a doubt, and then a fact
        stuck = until(lambda: "(needs_person)" in (done := asks("token", "firm-0")).stderr and done)
        assert stuck.returncode == 1 and "revoked, the client acts. An administrator" in stuck.stderr
    finally:
        program.end()
