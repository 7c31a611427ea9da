"""Files, environment and memory of a running service, as a neighbour on the same machine would look at them."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from monitor.host import confined, files
from monitor.tokens.vault import new_key, write_key_file
from tests.acceptance.test_cli import run
from tests.acceptance.test_processes import Program, cli, config, free_port, get, import_fleet, states, until
from tests.conftest import environ, postgres_url, write_config

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def modes(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mode & 0o777 for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("umask", ["000", "022", "077"])
def test_what_init_writes_is_its_owners_alone_under_any_umask(umask, tmp_path):
    home = tmp_path / "new" / "home"
    done = subprocess.run(
        ["sh", "-c", f'umask {umask}; exec "$0" -m monitor init --dir "$1"', sys.executable, str(home)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert modes(home) == {"token-health.toml": 0o600, "token-health.key": 0o600}
    assert home.stat().st_mode & 0o777 == home.parent.stat().st_mode & 0o777 == 0o700


def test_the_database_and_its_journals_are_their_owners_alone_while_the_service_runs(tmp_path, sandbox):
    sandbox.app("clio")
    port = free_port()
    path = config(tmp_path, sandbox, f"sqlite:///{tmp_path / 'th.db'}", port)
    before = os.umask(0)
    try:
        import_fleet(path, sandbox, "clio", "us", 2)
        program = Program(path, ("clio",))
        until(lambda: get(port, "/readyz")[0] == 200)
        found = modes(tmp_path)
        program.end()
    finally:
        os.umask(before)
    assert {name: found[name] for name in found if name.startswith("th.db")} == {
        "th.db": 0o600, "th.db-wal": 0o600, "th.db-shm": 0o600, "th.db.lock": 0o600,
    }  # fmt: skip


def test_doctor_names_files_that_others_may_read(tmp_path, sandbox):
    sandbox.app("clio")
    (tmp_path / "secret").write_text("s3cret")
    (tmp_path / "secret").chmod(0o600)
    path = write_config(tmp_path, sandbox.url, f"sqlite:///{tmp_path / 'th.db'}")
    path.write_text(
        path.read_text().replace('client_secret_env = "clio_SECRET"', 'client_secret_file = "secret"')
    )
    path.chmod(0o600)
    run("db", "upgrade", "--config", str(path))
    assert "for their owner only" in run("doctor", "--config", str(path)).stdout
    (tmp_path / "th.db").chmod(0o644)
    (tmp_path / "secret").chmod(0o640)
    said = "".join(run("doctor", "--config", str(path)).stdout.split())  # wrapped where the path is long
    assert "th.db(0644)" in said and "secret(0640)" in said and "chmod600" in said


def test_a_running_service_shows_no_secret_of_its_start(tmp_path, sandbox, monkeypatch):
    sandbox.app("clio")
    port, key = free_port(), new_key()
    path = config(
        tmp_path,
        sandbox,
        f"sqlite:///{tmp_path / 'th.db'}",
        port,
        more='\n[smtp]\npassword_env = "MAIL_PW"\n',
    )
    monkeypatch.setenv("TOKEN_HEALTH_KEYS", key.line())
    monkeypatch.setenv("MAIL_PW", "canary-mail")
    monkeypatch.setenv("TOKEN_HEALTH__SMTP__URL", "smtp://u:canary-url@127.0.0.1:9")
    import_fleet(path, sandbox, "clio", "us", 1)
    program = Program(path, ("clio",), from_nothing=True)
    try:
        until(lambda: get(port, "/readyz")[0] == 200)
        shown = Path(f"/proc/{program.process.pid}/environ").read_bytes()
        shown += Path(f"/proc/{program.process.pid}/cmdline").read_bytes()
        limits = Path(f"/proc/{program.process.pid}/limits").read_text()
    finally:
        assert program.end() == 0
    assert b"PATH=" in shown
    for secret in (key.material.reveal(), "canary-mail", "canary-url", "s3cret"):
        assert secret.encode() not in shown
    assert any(line.split()[4:6] == ["0", "0"] for line in limits.splitlines() if line.startswith("Max core"))


def test_a_page_that_points_its_own_name_at_the_service_reads_nothing(tmp_path, sandbox):
    """DNS rebinding: the visitor's browser sends the page's name as Host."""
    sandbox.app("clio")
    port = free_port()
    path = config(tmp_path, sandbox, f"sqlite:///{tmp_path / 'th.db'}", port)
    path.write_text(path.read_text() + 'public_url = "https://links.agency.com"\nhosts = ["th.agency.com"]\n')
    import_fleet(path, sandbox, "clio", "us", 1)
    program = Program(path, ("clio",))

    def asked_as(host: str) -> tuple[int, str]:
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
            connection.request("GET", "/metrics", headers={"Host": host})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    try:
        until(lambda: get(port, "/readyz")[0] == 200)
        for host in (
            "links.agency.com",
            "th.agency.com:9090",
            f"127.0.0.1:{port}",
            "localhost",
            "token-health",
        ):
            assert asked_as(host)[0] == 200, host
        status, said = asked_as("evil.com")
        assert status == 421 and "Firm 0" not in said and "[web] hosts" in said
    finally:
        assert program.end() == 0


def test_a_crash_leaves_no_image_of_the_memory(tmp_path):
    code = (
        "import ctypes, os, signal, resource\n"
        "from monitor.host.confined import leave_no_image\n"
        "resource.setrlimit(resource.RLIMIT_CORE, (resource.getrlimit(resource.RLIMIT_CORE)[1],) * 2)\n"
        "leave_no_image()\n"
        "print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0), flush=True)\n"  # PR_GET_DUMPABLE
        "os.kill(os.getpid(), signal.SIGABRT)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=tmp_path, stdout=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": str(Path(confined.__file__).parents[1])},
    )  # fmt: skip
    _, status = os.waitpid(process.pid, 0)
    process.returncode = status
    assert os.WTERMSIG(status) == signal.SIGABRT and not os.WCOREDUMP(status)
    assert process.stdout.read().strip() == "0"
    process.stdout.close()
    assert list(tmp_path.iterdir()) == []


def test_a_private_file_is_never_made_over_another_or_through_a_link(tmp_path):
    (tmp_path / "there").write_text("kept")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for name in ("there", "link"):
        with pytest.raises(OSError, match="exists"):
            files.create(tmp_path / name)
    assert (tmp_path / "there").read_text() == "kept" and not (tmp_path / "elsewhere").exists()


def test_who_loses_a_key_is_told_whose_tokens_went_with_it_and_what_to_do(tmp_path, sandbox):
    sandbox.app("clio")
    path = config(tmp_path, sandbox, f"sqlite:///{tmp_path / 'th.db'}")
    grants = import_fleet(path, sandbox, "clio", "us", 5)
    assert len(grants) == 5
    file = tmp_path / "token-health.key"
    lost = file.read_text().splitlines()[-1].split(".")[0]
    file.unlink()
    gone = run("run", "--config", str(path), env=environ())
    assert gone.returncode == 2 and "keys new" in gone.stderr
    write_key_file(file, [new_key()])
    for command in ("run", "status"):
        said = " ".join(run(command, "--config", str(path), env=environ()).stderr.split())
        assert f"Key '{lost}' seals the tokens of 5 connections (firm-0, firm-1, firm-2 and 2 more)" in said
        assert f"token-health keys forget {lost}" in said
    said = " ".join(run("doctor", "--config", str(path), env=environ()).stdout.split())
    assert "5 connections" in said and "keys forget" in said
    asked = run("keys", "forget", lost, "--config", str(path), env=environ())
    assert asked.returncode == 2 and "--yes" in asked.stderr
    assert "knows no key" in run("keys", "forget", "k0", "--yes", "--config", str(path), env=environ()).stderr
    assert "5 connections" in cli(path, "keys", "forget", lost, "--yes")
    found = json.loads(cli(path, "probe", "--all", "--json", code=1))
    assert {row["finding"] for row in found} == {"refresh_lost"}
    assert "us whoami" not in sandbox.seen()["requests"], "nothing was sent, since nothing opens"
    current = file.read_text().splitlines()[-1].split(".")[0]
    at_hand = run("keys", "forget", current, "--yes", "--config", str(path), env=environ())
    assert at_hand.returncode == 2 and "is at hand" in at_hand.stderr


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_backup_is_made_while_the_service_runs_and_another_goes_on_with_it(
    kind, tmp_path, sandbox, request
):
    sandbox.app("clio")

    def database(name: str) -> str:
        if kind == "sqlite":
            return f"sqlite:///{tmp_path / name}.db"
        return postgres_url(request.getfixturevalue("postgres_server"))

    port = free_port()
    path = config(tmp_path, sandbox, database("first"), port)
    import_fleet(path, sandbox, "clio", "us", 20)
    program = Program(path, ("clio",))
    try:
        until(lambda: set(states(path).values()) == {"ok"})
        file = tmp_path / "th.backup"
        said = " ".join(cli(path, "backup", str(file)).split())
        assert "20 connections" in said and "back the key file up too" in said
        again = run("restore", str(file), "--replace", "--yes", "--config", str(path), env=environ())
        assert again.returncode == 2, "the service runs on it"
        assert set(states(path).values()) == {"ok"}
    finally:
        assert program.end() == 0
    assert file.stat().st_mode & 0o777 == 0o600
    path = config(tmp_path, sandbox, database("second"), port)
    said = " ".join(cli(path, "restore", str(file)).split())
    assert "20 connections as they were on" in said
    assert "in doubt" not in said, "Clio Manage's refresh tokens are reused"
    second = run("restore", str(file), "--config", str(path), env=environ())
    assert second.returncode == 2 and "--replace" in second.stderr
    program = Program(path, ("clio",))
    try:
        until(lambda: get(port, "/readyz")[0] == 200)
        until(lambda: set(states(path).values()) == {"ok"})
    finally:
        assert program.end() == 0
