"""The whole program from outside, as processes: killed, stopped, and several at once."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.acceptance.forked import Running, command
from tests.conftest import Sandbox, environ, postgres_url, write_config

FAST = 'interval = "2s"\nrecheck = "1s"\nrefresh_ahead = "10m"\nscope_interval = "1h"\n'


def config(folder: Path, sandbox: Sandbox, database: str, port: int | None = None, **more) -> Path:
    """A configuration whose story runs in seconds."""
    path = write_config(folder, sandbox.url, database, **more)
    text = path.read_text()
    text = text.replace('interval = "5m"\nrecheck = "30s"\ntimeout = "2s"\n', FAST + 'timeout = "2s"\n')
    path.write_text(text + f'\n[web]\nlisten = "127.0.0.1:{port or free_port()}"\n')
    return path


# Below those that the kernel gives to whoever asks for any; a part for each worker, and never the last one again.
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 20
_PORTS = itertools.count(os.getpid())


def free_port() -> int:
    """Return a port that nobody else takes before the service which is to listen there is up."""
    while True:
        port = 20_000 + _WORKER * 500 + next(_PORTS) % 500
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


RUNNING: set[Program] = set()  # those of the test that runs; none outlives it (conftest)


class Program:
    """One `token-health run`: forked off what is loaded, or, `from_nothing`, as a shell would start it."""

    def __init__(
        self,
        path: Path,
        apps: tuple[str, ...],
        port: int | None = None,
        descriptors: int | None = None,
        role: str = "all",
        *,
        from_nothing: bool = False,
    ) -> None:
        env = os.environ | environ(*apps)
        if port is not None:
            env["TOKEN_HEALTH__WEB__LISTEN"] = f"127.0.0.1:{port}"
        file = path.with_name(f"run-{time.monotonic_ns()}.log")
        self.log = file.open("w+b")
        words = ["run", "--role", role, "--config", str(path)]
        self.process: Running | subprocess.Popen[bytes]
        if descriptors is None and not from_nothing:
            self.process = Running(*words, log=file, env=env)
        else:
            shell = ["sh", "-c", f'ulimit -n {descriptors} && exec "$@"', "sh"] if descriptors else []
            self.process = subprocess.Popen(
                [*shell, sys.executable, "-m", "monitor", *words], stdout=self.log, stderr=self.log, env=env
            )
        RUNNING.add(self)

    def end(self, number: int = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(15)
        RUNNING.discard(self)
        self.log.seek(0)
        self.text = self.log.read().decode()
        self.log.close()
        return code


def cli(path: Path, *words: str, apps: tuple[str, ...] = ("clio",), code: int = 0) -> str:
    done = command(*words, "--config", str(path), env=environ(*apps))
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def import_fleet(
    path: Path,
    sandbox: Sandbox,
    app: str,
    region: str,
    count: int,
    *,
    name: str = "firm",
    first: int = 0,
    apps: tuple[str, ...] = (),
) -> list[str]:
    """Authorize and import a fleet, with accounts and contacts numbered from `first`; return the grants."""
    wishes = [
        {"client_id": app, "account_id": 100 + i, "account_name": f"Firm {i}", "region": region}
        for i in range(first, first + count)
    ]
    made = sandbox.grants(wishes)
    lines = []
    for i, grant in enumerate(made, first):
        tokens = grant["tokens"]
        expires = time.gmtime(time.time() + tokens["expires_in"])  # noqa: TID251 - the sandbox's own clock
        lines.append(
            json.dumps(
                {
                    "id": f"{name}-{i}", "app": app, "account_id": str(100 + i),
                    "client": {"name": f"Firm {i}", "contacts": [f"it@{i}.example"]},
                    "tokens": {
                        "access_token": tokens["access_token"], "refresh_token": tokens["refresh_token"],
                        "expires_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", expires),
                    },
                }
            )
        )  # fmt: skip
    file = path.with_name("fleet.jsonl")
    file.write_text("\n".join(lines))
    cli(path, "connections", "import", str(file), apps=apps or (app,))
    return [grant["grant"] for grant in made]


def until(true, seconds: float = 60, every: float = 0.1):
    """Wait for something that a process does; a bound, not a measure."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if (found := true()) is not None and found is not False:
            return found
        time.sleep(every)
    raise AssertionError("it did not come about")


def states(path: Path, app: str = "clio", port: int | None = None) -> dict[str, str]:
    """How each connection is: as the service that runs says, or, where none answers, the command.

    It is asked again and again by who waits, and a command costs twenty times what an answer does.
    """
    port = port or int(re.findall(r'^listen = ".*:(\d+)"', path.read_text(), re.M)[-1])
    status, text = get(port, "/api/v1/connections?limit=500")
    rows = (
        json.loads(text)["items"] if status == 200 else json.loads(cli(path, "status", "--json", apps=(app,)))
    )
    return {
        row["id"]: "in doubt" if row["refresh_in_doubt_since"] else row["cause"] or row["state"]
        for row in rows
    }


def get(port: int, page: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{page}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""


def test_sigterm_ends_what_is_under_way_and_gives_everything_back(tmp_path, sandbox):
    sandbox.app("clio")
    port = free_port()
    path = config(tmp_path, sandbox, f"sqlite:///{tmp_path / 'th.db'}", port)
    import_fleet(path, sandbox, "clio", "us", 20)
    program = Program(path, ("clio",), from_nothing=True)
    until(lambda: get(port, "/readyz")[0] == 200)
    until(lambda: set(states(path).values()) == {"ok"})
    sandbox.weather("slow", seconds=1.0)
    until(lambda: sandbox.seen()["requests"]["us whoami"] > 25)
    began = time.monotonic()
    assert program.end() == 0, program.text
    assert time.monotonic() - began < 10, "the contract's ten seconds"
    assert "service.stopped" in program.text and "Traceback" not in program.text
    import sqlite3

    with sqlite3.connect(tmp_path / "th.db") as db:
        assert db.execute("SELECT count(*) FROM watch WHERE lease_by IS NOT NULL").fetchone() == (0,)
        assert db.execute("SELECT count(*) FROM process").fetchone() == (0,)
    db.close()


def test_a_service_starts_and_is_ready_without_an_app_that_has_connections(tmp_path, sandbox):
    for app in ("clio", "gone"):
        sandbox.app(app)
    port, database = free_port(), f"sqlite:///{tmp_path / 'th.db'}"
    import_fleet(config(tmp_path, sandbox, database, apps={"gone": {}}), sandbox, "gone", "us", 1)
    path = config(tmp_path, sandbox, database, port)
    program = Program(path, ("clio",))
    until(lambda: get(port, "/readyz")[0] == 200)
    until(lambda: 'token_health_connections_unwatched{app="gone"} 1' in get(port, "/metrics")[1])
    assert "1 connection of app 'gone', which is not in" in cli(path, "status")
    cli(path, "connections", "pause", "firm-0")
    for words in (("connections", "resume", "firm-0"), ("probe", "firm-0"), ("reauthorize", "firm-0")):
        cli(path, *words, code=2)
    assert program.end() == 0
    assert "app.not_configured" in program.text and "Traceback" not in program.text


def test_a_second_service_on_the_same_sqlite_file_says_so(tmp_path, sandbox):
    sandbox.app("clio")
    port = free_port()
    path = config(tmp_path, sandbox, f"sqlite:///{tmp_path / 'th.db'}", port)
    first = Program(path, ("clio",))
    until(lambda: get(port, "/healthz")[0] == 200)
    second = Program(path, ("clio",), free_port())
    assert second.process.wait(20) == 2
    second.end()
    assert "runs on this SQLite file" in second.text and "Traceback" not in second.text
    first.end()


@pytest.mark.timeout(180)
def test_promise_2_kill_9_in_the_middle_of_refreshes_loses_nothing_silently(tmp_path, sandbox):
    """Rotating refresh tokens that live for seconds, and a service that is killed again and again.

    At the end each connection works, or says refresh_lost after a last try; and no refresh token was sent
    again while the access token that came with it was worth anything. A kill costs as many pairs as are renewed
    at once, at most: so few that six leave some.
    """
    sandbox.app("plat", system="platform", lifetime=4)
    sandbox.limits(platform_per_second=100000)
    path = config(
        tmp_path, sandbox, f"sqlite:///{tmp_path / 'th.db'}", schedule="concurrency = 8",
        apps={"plat": {"provider": "clio-platform", "extra": "requests_per_minute = 600000"}},
    )  # fmt: skip
    import_fleet(path, sandbox, "plat", "platform-us", 60)
    for kill in range(6):
        program = Program(path, ("plat",))
        before = sandbox.seen()["refreshes"]
        # Within refreshes, each time at another moment.
        until(lambda before=before: sandbox.seen()["refreshes"] > before + 5, every=0.01)
        time.sleep(0.03 * kill)
        program.end(signal.SIGKILL)
    program = Program(path, ("plat",), from_nothing=True)
    until(lambda: set(states(path, "plat").values()) <= {"ok", "refresh_lost"})
    program.end()
    seen = sandbox.seen()
    assert seen["early"] == 0
    assert seen["refreshes"] > 40
    found = list(states(path, "plat").values())
    assert found.count("ok") >= 1, found


@pytest.mark.timeout(400)
def test_three_processes_share_the_work_and_one_is_killed_again_and_again(tmp_path, sandbox, postgres_server):
    """On PostgreSQL: every connection is probed on time, none by two at once, no token sent again in vain."""
    sandbox.app("plat", system="platform", lifetime=6)
    sandbox.limits(platform_per_second=100000)
    database = postgres_url(postgres_server)
    path = config(
        tmp_path, sandbox, database, schedule="concurrency = 4",  # what a kill may cost
        apps={"plat": {"provider": "clio-platform", "extra": "requests_per_minute = 600000"}},
    )  # fmt: skip
    grants = import_fleet(path, sandbox, "plat", "platform-us", 60)
    ports = [free_port() for _ in range(3)]
    programs = [Program(path, ("plat",), port) for port in ports]
    until(lambda: all(get(port, "/readyz")[0] == 200 for port in ports))
    fleets = [get(port, "/metrics")[1].count("token_health_connections{") for port in ports]
    assert sorted(bool(n) for n in fleets) == [False, False, True], "the fleet is exported once"
    for kill in range(4):
        looked = {g: len(v["times"]) for g, v in sandbox.seen()["looks"].items()}
        programs[kill % 2].end(signal.SIGKILL)
        programs[kill % 2] = Program(path, ("plat",), ports[kill % 2])

        def all_again(looked=looked):
            now = sandbox.seen()["looks"]
            return sum(len(now.get(g, {"times": []})["times"]) > looked.get(g, 0) for g in grants) > 50

        until(all_again, 90)
    until(lambda: set(states(path, "plat", ports[2]).values()) <= {"ok", "refresh_lost"}, 60)
    for program in programs:
        program.end()
    seen = sandbox.seen()
    assert max(look["at_once"] for look in seen["looks"].values()) == 1, "none by two at once"
    assert seen["early"] == 0
    assert seen["refreshes"] > 60
    found = list(states(path, "plat").values())
    assert set(found) <= {"ok", "refresh_lost"}, found
    assert found.count("ok") > 40, found


def test_a_lost_key_is_named_at_start_before_anything_is_probed(tmp_path, sandbox):
    sandbox.app("clio")
    path = config(tmp_path, sandbox, f"sqlite:///{tmp_path / 'th.db'}")
    import_fleet(path, sandbox, "clio", "us", 1)
    key = (tmp_path / "token-health.key").read_text().splitlines()[-1].split(".")[0]
    (tmp_path / "token-health.key").unlink()
    from monitor.tokens.vault import new_key, write_key_file

    write_key_file(tmp_path / "token-health.key", [new_key()])
    program = Program(path, ("clio",))
    assert program.process.wait(20) == 2
    program.end()
    assert key in program.text and "nothing was probed" in program.text
    assert "us whoami" not in sandbox.seen()["requests"]


def test_keys_are_rotated_while_the_service_runs(tmp_path, sandbox):
    sandbox.app("clio", lifetime=5)
    port = free_port()
    path = config(tmp_path, sandbox, f"sqlite:///{tmp_path / 'th.db'}", port)
    import_fleet(path, sandbox, "clio", "us", 10)
    program = Program(path, ("clio",))
    until(lambda: set(states(path).values()) == {"ok"})
    for _ in range(2):
        assert "sealed with key" in cli(path, "keys", "rotate")
    looked = sandbox.seen()["requests"]["us whoami"]
    until(lambda: sandbox.seen()["requests"]["us whoami"] > looked + 40)
    assert set(states(path).values()) == {"ok"}
    program.end()
    assert "keys.reloaded" in program.text and "Traceback" not in program.text
