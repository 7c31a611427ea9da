"""Who may come in, from outside: the commands, the program that does not start open, and signing in in a browser."""

from __future__ import annotations

import json
import urllib.error
import urllib.request

from tests.acceptance.test_cli import run
from tests.acceptance.test_processes import Program, cli, config, free_port, until
from tests.acceptance.test_story import accessibility_faults, picture
from tests.acceptance.test_story import page as page  # noqa: PLC0414 - the fixture
from tests.conftest import environ

PASSWORD = "correct horse battery"


def ask(url: str, key: str = "") -> tuple[int, dict]:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {key}"} if key else {})
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_the_program_does_not_start_where_strangers_would_find_it_open(tmp_path, sandbox):
    sandbox.app("clio")
    path = config(tmp_path, sandbox, f"sqlite:///{tmp_path / 'th.db'}")
    path.write_text(path.read_text().replace('listen = "127.0.0.1:', 'listen = "0.0.0.0:'))
    done = run("run", "--config", str(path), env=environ("clio"), timeout=30)
    assert done.returncode == 2 and "others reach the API" in done.stderr
    assert "'token-health users add NAME --role admin' adds the first user" in done.stderr
    checks = {one["check"]: one for one in json.loads(cli(path, "doctor", "--json", code=1))}
    assert checks["users"]["ok"] is False
    added = run(
        "users",
        "add",
        "anna",
        "--role",
        "admin",
        "--password-stdin",
        "--config",
        str(path),
        env=environ("clio"),
        stdin=PASSWORD + "\n",
    )
    assert added.returncode == 0, added.stderr
    checks = {one["check"]: one for one in json.loads(cli(path, "doctor", "--json"))}
    assert checks["users"]["ok"] is True
    refused = run("users", "add", "bob", "--config", str(path), env=environ("clio"))
    assert refused.returncode == 2 and "--password-stdin" in refused.stderr


def test_a_key_from_the_command_line_opens_the_api_until_it_is_revoked(tmp_path, sandbox):
    sandbox.app("clio")
    port = free_port()
    path = config(tmp_path, sandbox, f"sqlite:///{tmp_path / 'th.db'}", port)
    made = run(
        "api",
        "keys",
        "new",
        "middleware",
        "--scope",
        "connections:read",
        "--label",
        "tier=gold",
        "--config",
        str(path),
        env=environ("clio"),
    )
    key = made.stdout.strip()
    assert made.returncode == 0 and "nobody can show it again" in made.stderr and len(key) == 64
    me = f"http://127.0.0.1:{port}/api/v1/me"
    program = Program(path, ("clio",))
    try:
        until(lambda: _up(port))
        status, said = ask(me, key)
        assert (
            status == 200
            and said["scopes"] == ["connections:read"]
            and said["only"]["labels"] == {"tier": ["gold"]}
        )
        assert ask(me)[1]["principal"] == "loopback"
        other = json.loads(cli(path, "api", "keys", "rotate", "middleware", "--json"))["secret"]
        assert [ask(me, text)[0] for text in (key, other)] == [200, 200]
        (listed,) = json.loads(cli(path, "api", "keys", "list", "--json"))
        assert listed["state"] == "active" and listed["last_used_at"] and key not in json.dumps(listed)
        cli(path, "api", "keys", "revoke", "middleware", "--yes")
        until(lambda: ask(me, key)[0] == 401, seconds=6)
    finally:
        program.end()
    assert key not in program.text and other not in program.text


def test_somebody_signs_in_and_out_in_a_real_browser(tmp_path, sandbox, page):
    sandbox.app("clio")
    port = free_port()
    path = config(tmp_path, sandbox, f"sqlite:///{tmp_path / 'th.db'}", port)
    web = f"http://127.0.0.1:{port}"
    path.write_text(path.read_text().replace("[web]\n", f'[web]\npublic_url = "{web}"\n'))
    run(
        "users",
        "add",
        "anna",
        "--role",
        "admin",
        "--password-stdin",
        "--config",
        str(path),
        env=environ("clio"),
        stdin=PASSWORD + "\n",
    )
    program = Program(path, ("clio",))
    try:
        until(lambda: _up(port))
        page.goto(f"{web}/sign-in?next=/sign-in")
        picture(page, "sign-in")
        page.get_by_label("Name").fill("anna")
        page.get_by_label("Password").fill("not the password")
        page.get_by_role("button", name="Sign in").click()
        assert "4 more tries" in page.get_by_role("alert").inner_text()
        picture(page, "sign-in-wrong")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_text("You are anna").wait_for()
        picture(page, "signed-in")
        cookie = page.context.cookies()[0]
        assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Lax")
        page.get_by_role("button", name="Sign out").click()
        page.get_by_label("Password").wait_for()
        assert page.context.cookies() == []
        assert accessibility_faults(page.context.browser, f"{web}/sign-in") == []
        page.emulate_media(color_scheme="dark")
        picture(page, "sign-in-dark")
    finally:
        program.end()
    assert PASSWORD not in program.text


def _up(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False
