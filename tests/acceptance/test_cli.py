"""The command line, as a person or a script uses it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.acceptance.test_processes import cli, import_fleet
from tests.conftest import environ, write_config


def run(*words, cwd=None, env=None, stdin=""):
    return subprocess.run(
        [sys.executable, "-m", "monitor", *words],
        capture_output=True, text=True, cwd=cwd, input=stdin, env=os.environ | (env or {}), timeout=90, check=False,
    )  # fmt: skip


@pytest.fixture
def fleet(tmp_path, sandbox):
    """A configuration with three connections, one of them revoked."""
    sandbox.app("clio")
    path = write_config(tmp_path, sandbox.url, f"sqlite:///{tmp_path / 'th.db'}")
    grants = import_fleet(path, sandbox, "clio", "us", 3)
    sandbox.do(grants[1], "revoke")
    return path


def test_init_writes_once_and_overwrites_nothing(tmp_path):
    first = run("init", "--dir", str(tmp_path))
    assert first.returncode == 0, first.stderr
    assert (tmp_path / "token-health.key").stat().st_mode & 0o777 == 0o600
    before = (tmp_path / "token-health.toml").read_text()
    again = run("init", "--dir", str(tmp_path))
    assert again.returncode == 2
    assert "is there already; nothing was written" in again.stderr
    assert (tmp_path / "token-health.toml").read_text() == before
    status = run("status", cwd=tmp_path)
    assert status.returncode == 0 and "No connections yet" in status.stdout
    nothing = run("run", cwd=tmp_path)
    assert nothing.returncode == 2 and "no [[apps]] yet" in nothing.stderr


def test_probe_says_by_its_exit_code_how_it_went(fleet):
    assert "3 connections: 1 in doubt" not in cli(fleet, "probe", "firm-0", code=0)
    found = json.loads(cli(fleet, "probe", "--all", "--json", code=1))
    assert {row["id"]: row["finding"] for row in found} == {
        "firm-0": "ok",
        "firm-1": "revoked",
        "firm-2": "ok",
    }
    done = run("probe", "nobody", "--config", str(fleet), env=environ())
    assert done.returncode == 2 and "There is no connection 'nobody'" in done.stderr
    assert run("probe", "--config", str(fleet), env=environ()).returncode == 2


def test_status_and_explain_are_for_people_and_for_programs(fleet):
    cli(fleet, "probe", "--all", code=1)
    rows = json.loads(cli(fleet, "status", "--json"))
    assert list(rows[0]) == [
        "id", "app", "client", "state", "cause", "owner", "since", "last_probe", "next_probe", "confidence",
    ]  # fmt: skip
    assert (rows[0]["id"], rows[0]["state"]) == ("firm-1", "suspect"), "worst first"
    table = cli(fleet, "status")
    assert "? suspect" in table and "3 connections" in table and "\x1b[" not in table
    assert all(len(line) <= 80 for line in table.splitlines())
    text = cli(fleet, "explain", "firm-1")
    for part in ("is in doubt", "Evidence", "401 invalid_token", "Who acts", "make it a confirmed break"):
        assert part in " ".join(text.split()), part
    document = json.loads(cli(fleet, "explain", "firm-1", "--json"))
    assert {"evidence", "rule", "notifications"} <= set(document)


def test_connections_are_listed_shown_exported_paused_and_removed(fleet):
    assert "firm-2" in cli(fleet, "connections", "list")
    shown = cli(fleet, "connections", "show", "firm-0")
    assert "tokens.refresh_token" in shown and "stored" in shown
    exported = cli(fleet, "connections", "export")
    assert len(exported.splitlines()) == 3 and "tokens" not in exported
    with_secrets = [
        json.loads(line) for line in cli(fleet, "connections", "export", "--with-secrets").splitlines()
    ]
    assert all(record["tokens"]["refresh_token"] for record in with_secrets)
    again = fleet.with_name("again.jsonl")
    again.write_text(exported)
    assert "0 added, 0 changed, 3 as they were" in cli(fleet, "connections", "import", str(again))
    assert "Paused: firm-0" in cli(fleet, "connections", "pause", "firm-0")
    assert "Already paused: firm-0" in cli(fleet, "connections", "pause", "firm-0")
    assert "Resumed: firm-0" in cli(fleet, "connections", "resume", "firm-0")
    refused = run("connections", "remove", "firm-0", "--config", str(fleet), env=environ())
    assert refused.returncode == 2 and "Add --yes" in refused.stderr
    assert "Removed: firm-0" in cli(fleet, "connections", "remove", "firm-0", "--yes")
    assert len(json.loads(cli(fleet, "status", "--json"))) == 2


def test_an_import_names_every_bad_line_and_takes_nothing(fleet):
    lines = [json.dumps({"id": f"n{i}", "app": "clio", "client": {"name": "N"}}) for i in range(500)]
    lines[9], lines[99] = "{", json.dumps({"id": "x", "app": "nope", "client": {"name": "N"}})
    file = fleet.with_name("bad.jsonl")
    file.write_text("\n".join(lines))
    done = run("connections", "import", str(file), "--config", str(fleet), env=environ())
    assert done.returncode == 2
    assert "line 10: not JSON" in done.stderr and "line 100: app 'nope' is not configured" in done.stderr
    assert "2 lines cannot be imported, so nothing was" in done.stderr
    assert len(json.loads(cli(fleet, "status", "--json"))) == 3
    file.write_text("\n".join(lines[:9]))
    assert "Nothing was written" in cli(fleet, "connections", "import", str(file), "--dry-run")
    assert json.loads(cli(fleet, "connections", "import", str(file), "--json"))["added"] == [
        f"n{i}" for i in range(9)
    ]


def test_doctor_checks_everything_and_says_what_is_wrong(fleet):
    checks = {c["check"]: c for c in json.loads(cli(fleet, "doctor", "--json"))}
    assert checks["clio"]["ok"] and "answers 401" in checks["clio"]["says"]
    assert checks["database"]["ok"] and checks["keys"]["ok"]
    text = fleet.read_text()
    fleet.write_text(text.replace('/us"', '/us"\n').replace("http://127.0.0.1", "http://127.0.0.2"))
    broken = run("doctor", "--config", str(fleet), env=environ())
    assert broken.returncode in (1, 2)


def test_providers_are_listed_shown_and_checked(tmp_path):
    assert "Clio Manage" in run("providers", "list").stdout
    shown = run("providers", "show", "clio").stdout
    mine = tmp_path / "mine.toml"
    mine.write_text(shown)
    assert run("providers", "check", str(mine)).returncode == 0
    mine.write_text(shown.replace("pkce", "pkc").replace("token =", "tokn ="))
    bad = run("providers", "check", str(mine))
    assert bad.returncode == 2 and "did you mean 'token'?" in bad.stderr and "line " in bad.stderr


def test_a_client_secret_may_stand_sealed_in_the_configuration(fleet):
    sealed = run("keys", "seal", "clio", "--config", str(fleet), env=environ(), stdin="s3cret\n")
    assert sealed.returncode == 0 and "s3cret" not in sealed.stdout
    fleet.write_text(fleet.read_text().replace('client_secret_env = "clio_SECRET"', sealed.stdout.strip()))
    done = run("probe", "firm-0", "--config", str(fleet))
    assert done.returncode == 0, done.stderr


def test_the_database_is_upgraded_and_may_be_again(tmp_path, sandbox):
    path = write_config(tmp_path, sandbox.url, f"sqlite:///{tmp_path / 'new.db'}")
    assert "is now at" in cli(path, "db", "upgrade")
    assert "was current already" in cli(path, "db", "upgrade")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["status", "--config", "nope.toml"], "there is no such configuration file"),
        (["statsu"], "statsu"),
        (["explain"], "connection"),
    ],
)
def test_a_usage_error_is_short_and_exits_2(words, said):
    done = run(*words)
    assert done.returncode == 2
    assert said in done.stderr and "Traceback" not in done.stderr


@pytest.mark.timeout(120)
def test_the_demo_finds_out_every_fate():
    done = run("demo", env={"NO_COLOR": "1", "COLUMNS": "100"})
    assert done.returncode == 0, done.stdout + done.stderr
    assert "13 of 13 fates found out" in done.stdout
    assert done.stdout.count("recovered; its incident is closed") >= 5
    assert "That was another account" in done.stdout and "Thank you, it works" in done.stdout
