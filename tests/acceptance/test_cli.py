"""The command line, as a person or a script uses it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from tests.acceptance.forked import command
from tests.acceptance.test_processes import cli, import_fleet
from tests.conftest import environ, write_config


def run(*words, cwd=None, env=None, stdin="", timeout=90):
    if words[0] not in ("demo", "init", "--version", "--help"):
        return command(*words, cwd=cwd, env=env, stdin=stdin, timeout=timeout)
    return subprocess.run(
        [sys.executable, "-m", "monitor", *words],
        capture_output=True, text=True, cwd=cwd, input=stdin, env=os.environ | (env or {}), timeout=timeout, check=False,
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
    assert f"token-health run --config {tmp_path}/token-health.toml" in " ".join(first.stdout.split())
    assert "open http://127.0.0.1:8080/ in a browser" in " ".join(first.stdout.split())


def test_without_an_app_each_command_says_so_and_none_fails_for_it(tmp_path):
    assert run("init", "--dir", str(tmp_path)).returncode == 0
    doctor = run("doctor", cwd=tmp_path)
    assert doctor.returncode == 0 and "! apps" in doctor.stdout and "No app yet" in doctor.stdout
    status = run("status", cwd=tmp_path)
    assert "No connections yet, and no app: the console's first page leads to both." in status.stdout
    listed = run("apps", "list", cwd=tmp_path)
    assert listed.returncode == 0 and "No app yet" in listed.stdout
    for words in (
        ["status"],
        ["providers", "list"],
        ["calendar"],
        ["notices", "list"],
        ["connections", "list"],
    ):
        assert run(*words, cwd=tmp_path).returncode == 0, words
    (tmp_path / "clients.csv").write_text("id,app,client_name\nacme,clio-us,Acme LLP\n")
    refused = run("connections", "import", "clients.csv", cwd=tmp_path)
    said = " ".join((refused.stdout + refused.stderr).split())
    assert refused.returncode == 2 and "app 'clio-us' is not configured: there is no [[apps]] yet" in said


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
        "refresh_in_doubt_since", "claim", "paused_until",
    ]  # fmt: skip
    assert (rows[0]["id"], rows[0]["state"]) == ("firm-1", "suspect"), "worst first"
    table = cli(fleet, "status")
    assert "? suspect" in table and "3 connections" in table and "\x1b[" not in table
    assert all(len(line) <= 80 for line in table.splitlines())
    text = cli(fleet, "explain", "firm-1")
    for part in ("is in doubt", "Evidence", "401 invalid_token", "Who acts", "make it a confirmed break",
                 "Its probes", "1 probe, 0 % good; 1 revoked"):  # fmt: skip
        assert part in " ".join(text.split()), part
    document = json.loads(cli(fleet, "explain", "firm-1", "--json"))
    assert {"evidence", "rule", "notifications"} <= set(document)
    (day,) = document["probes"]
    assert (day["probes"], day["good"], day["mean_seconds"], day["others"]) == (1, 0, None, {"revoked": 1})


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
    assert "Paused until 2" in cli(
        fleet, "connections", "pause", "firm-0", "--for", "3d", "--reason", "they move"
    )
    assert "paused it: they move" in cli(fleet, "explain", "firm-0")
    over = ("connections", "pause", "firm-0", "--until", "2020-01-01T08:00Z", "--config", str(fleet))
    assert "until: is over already" in run(*over, env=environ()).stderr
    assert "Resumed: firm-0" in cli(fleet, "connections", "resume", "firm-0")
    assert "firm-0: its token is not handed out." in cli(fleet, "connections", "handout", "firm-0", "off")
    assert "handed out, as before" in cli(fleet, "connections", "handout", "firm-1", "on")
    refused = run("connections", "remove", "firm-0", "--config", str(fleet), env=environ())
    assert refused.returncode == 2 and "Add --yes" in refused.stderr
    assert "Removed: firm-0" in cli(fleet, "connections", "remove", "firm-0", "--yes")
    assert len(json.loads(cli(fleet, "status", "--json"))) == 2


def test_somebody_says_that_they_are_on_it_and_takes_it_back(fleet):
    anna = ("--who", "Anna, Acme", "--until")
    for until, said in (("2026-01-01", "until: is over already"), ("soon", "--until: 'soon' is no time")):
        refused = run("connections", "claim", "firm-1", *anna, until, "--config", str(fleet), env=environ())
        assert refused.returncode == 2 and said in " ".join(refused.stderr.split())
    assert "firm-1: nobody is on it, as before." in cli(fleet, "connections", "unclaim", "firm-1")
    file = fleet.with_name("new.jsonl")
    file.write_text(json.dumps({"id": "new", "app": "clio", "client": {"name": "New"}}))
    cli(fleet, "connections", "import", str(file))
    day = f"{datetime.now(UTC) + timedelta(days=30):%Y-%m-%d}"  # noqa: TID251 - the command's own clock
    on_it = f"Anna, Acme is on it until {day} 00:00 UTC: the client is not reminded before."
    assert f"new: {on_it}" in " ".join(cli(fleet, "connections", "claim", "new", *anna, day).split())
    assert on_it in " ".join(cli(fleet, "explain", "new").split())
    claims = {row["id"]: row["claim"] for row in json.loads(cli(fleet, "status", "--json"))}
    assert claims["firm-1"] is None
    assert claims["new"] == {"who": "Anna, Acme", "until": f"{day}T00:00:00Z"}
    assert "claim.who" in cli(fleet, "connections", "show", "new")
    assert "new: nobody is on it any more." in cli(fleet, "connections", "unclaim", "new")


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
    assert checks["listeners"]["ok"] and "proxies" not in checks
    open_to_all = {
        "TOKEN_HEALTH__WEB__LISTEN": "0.0.0.0:8080", "TOKEN_HEALTH__WEB__PUBLIC_URL": "https://th.example",
    }  # fmt: skip
    said = run("doctor", "--config", str(fleet), "--json", env=environ() | open_to_all).stdout
    checks = {c["check"]: c["says"] for c in json.loads(said)}
    assert "/metrics names every client" in checks["listeners"]
    assert "all clients share one rate limit" in checks["proxies"]
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
    assert "is now at" in " ".join(cli(path, "db", "upgrade").split())
    assert "was current already" in cli(path, "db", "upgrade")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["status", "--config", "nope.toml"], "there is no such configuration file"),
        (["statsu"], "statsu"),
        (["explain"], "Missing argument 'ID'"),
    ],
)
def test_a_usage_error_is_short_and_exits_2(words, said):
    done = run(*words)
    assert done.returncode == 2
    assert said in done.stderr and "Traceback" not in done.stderr


@pytest.mark.timeout(420)
def test_the_demo_finds_out_every_fate():
    done = run("demo", env={"NO_COLOR": "1", "COLUMNS": "100"}, timeout=400)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "13 of 13 fates found out" in done.stdout
    assert done.stdout.count("recovered; its incident is closed") >= 5
    assert "That was another account" in done.stdout and "Thank you, it works" in done.stdout
    assert "middleware: maple parked: revoked, the client acts" in done.stdout
    assert "middleware: maple works again," in done.stdout
    wave = " ".join(done.stdout.partition("Second act")[2].split())
    assert "6 clients of clio broke together (6 connections); the mails to 6 of them are held." in wave
    assert "each was asked once" in wave


def test_a_wave_is_shown_as_the_question_it_is_and_decided(tmp_path, sandbox):
    sandbox.app("clio")
    path = write_config(
        tmp_path, sandbox.url, f"sqlite:///{tmp_path / 'th.db'}", schedule="confirm_after = 1"
    )
    for grant in import_fleet(path, sandbox, "clio", "us", 12)[:5]:
        sandbox.do(grant, "revoke")
    cli(path, "probe", "--all", code=1)
    for words in (("notices", "list"), ("status",)):
        said = " ".join(cli(path, *words).split())
        for part in (
            "5 clients of clio broke together (5 connections); the mails to 5 of them are held.",
            "chance brings about as many hardly ever", "Alike cause revoked", "none healed by itself",
            "If nobody decides, one client is asked on trial in 24 hours", "token-health notices drop --guard clio",
            "token-health notices release --guard clio --first 3",
        ):  # fmt: skip
            assert part in said
    (wave,) = json.loads(cli(path, "notices", "list", "--json"))["guards"]
    assert (wave["over"], wave["holds"], wave["held"], wave["clients"], len(wave["choices"])) == (
        "clio", 5, 5, 5, 4,
    )  # fmt: skip
    why = " ".join(cli(path, "explain", "firm-0").split())
    assert "The client is not told: 5 clients of clio broke together" in why
    assert "It belongs to a larger incident" in why and "notices release --guard clio --first 3" in why
    assert cli(path, "notices", "release", "--guard", "clio", "--first", "2").startswith("Asked first")
    done = run("notices", "release", "--first", "2", "--config", str(path), env=environ())
    assert done.returncode == 2 and "--first goes with --guard NAME" in done.stderr
    assert "of 3 connections" in cli(path, "notices", "drop", "--guard", "clio")
    done = run("notices", "release", "--guard", "clio", "--config", str(path), env=environ())
    assert done.returncode == 2 and "No wave is held over 'clio'" in done.stderr


def test_silences_are_laid_shown_and_lifted(fleet):
    assert "Nothing is silent." in cli(fleet, "silence", "list")
    said = cli(
        fleet, "silence", "add", "--provider", "clio", "--for", "4h", "--reason", "they move", "--maintenance"
    )
    assert "Maintenance over provider clio until" in said
    (item,) = json.loads(cli(fleet, "silence", "list", "--json"))
    assert (item["over"], item["name"], item["maintenance"], item["holds"]) == (
        "provider",
        "clio",
        True,
        True,
    )
    assert "they move" in cli(fleet, "status").replace("\n", " ")
    assert "In maintenance by" in cli(fleet, "explain", "firm-0")
    said = " ".join(cli(fleet, "silence", "add", "--provider", "clio", "--from", "2126-12-01T02:00Z").split())
    assert (
        "from 2126-12-01 02:00 until" in said and f"Beside it over the same: no. {item['id']}, from" in said
    )
    said = " ".join(cli(fleet, "silence", "end", "--provider", "clio").split())
    assert (
        f"Ended: no. {item['id']} over provider clio" in said and "Still over the same: no. 2, from" in said
    )
    assert "Called off: no. 2 over provider clio" in cli(fleet, "silence", "end", "2")
    assert "Nothing is silent." in cli(fleet, "silence", "list")
    for words, says in (
        (("silence", "end", "2"), "There is no silence 2, or it is over"),
        (("silence", "end", "2", "--all"), "Give numbers, or what the silences lie over; not both."),
        (("notices", "retry"), "Name the notices to try again, or give --all."),
        (("notices", "retry", "7"), "Notice 7 is no mail that failed at an address"),
        (("silence", "end", "--app", "clio"), "No silence lies over app 'clio'"),
        (("silence", "add"), "Say which, one of"),
        (("silence", "add", "--all", "--for", "soon"), "--for: 'soon' is no duration"),
        (("silence", "add", "--all", "--from", "2026-01-01T00:00"), "has no zone"),
        (("silence", "add", "--client", "Nobody & Sons"), "There is no client 'Nobody & Sons'"),
    ):
        done = run(*words, "--config", str(fleet), env=environ())
        assert done.returncode == 2 and says in " ".join(done.stderr.split()), done.stderr


def test_on_call_is_listed_and_its_channels_tried(fleet, httpserver):
    assert "Nothing for an engineer to do." in cli(fleet, "oncall", "list")
    done = run("oncall", "test", "--config", str(fleet), env=environ())
    assert done.returncode == 2 and "on-call has no channel" in done.stderr
    httpserver.expect_request("/hook").respond_with_data("", 200)
    httpserver.expect_request("/gone").respond_with_data("", 500)
    where = f"json://127.0.0.1:{httpserver.port}"
    fleet.with_name("urls").write_text(f"{where}/hook\n{where}/gone\n")
    fleet.write_text(fleet.read_text() + '\n[oncall]\nurls_file = "urls"\n')
    done = run("oncall", "test", "--config", str(fleet), env=environ())
    assert done.returncode == 2 and "1 channel did not take the message" in done.stderr
    assert "✓ json-" in done.stdout and "✗ json-" in done.stdout
    assert str(httpserver.port) not in done.stdout, "an address may be a secret"
    assert "json-" in run("doctor", "--config", str(fleet), env=environ()).stdout


def test_what_others_load_is_written_with_this_agencys_names(fleet, tmp_path):
    fleet.write_text(
        fleet.read_text()
        + 'team = "legal"\n[oncall]\nteam = "platform"\nrunbooks = "https://wiki.example/th"\n'
    )
    for what, names in (
        ("rules", ["token-health.rules.yml"]),
        ("alertmanager", ["alertmanager.yml"]),
        (
            "dashboards",
            [
                f"token-health-{name}.json"
                for name in ("connection", "fleet", "funnel", "programs", "service")
            ],
        ),
    ):
        cli(fleet, "export", what, str(tmp_path / what))
        assert sorted(path.name for path in (tmp_path / what).iterdir()) == names
    rules = (tmp_path / "rules" / "token-health.rules.yml").read_text()
    assert "runbook_url: https://wiki.example/th/TokenHealthDown.md" in rules
    assert "team: platform" in rules and "team: integrations" not in rules
    assert "page-legal" in (tmp_path / "alertmanager" / "alertmanager.yml").read_text()
    assert (
        "https://wiki.example/th/README.md"
        in (tmp_path / "dashboards" / "token-health-fleet.json").read_text()
    )
    # Without a configuration they are written as they are shipped.
    plain = run("export", "rules", str(tmp_path / "plain"), cwd=tmp_path / "rules")
    assert plain.returncode == 0, plain.stderr


def test_a_fresh_key_for_the_environment():
    key = run("keys", "new").stdout.strip()
    assert "." in key and "\n" not in key


def test_the_audit_says_who_did_what_as_a_table_and_as_json(fleet):
    cli(fleet, "connections", "pause", "firm-0", code=0)
    found = json.loads(cli(fleet, "audit", "--action", "connection.pause", "--json", code=0))
    assert [(line["subject"], line["action"], line["from"]) for line in found] == [
        ("firm-0", "connection.pause", None)
    ]
    assert found[0]["actor"].startswith("cli:")
    shown = cli(fleet, "audit", "--subject", "firm-0", "--since", "1h", code=0)
    assert "connection.pause" in shown and "firm-0" in shown
    assert "No line" in cli(fleet, "audit", "--actor", "nobody", code=0)
    wrong = run("audit", "--since", "moonday", "--config", str(fleet), env=environ())
    assert wrong.returncode == 2 and "--since: 'moonday' is no time" in wrong.stderr


def test_a_campaign_is_previewed_begun_looked_at_paused_and_reported(tmp_path, sandbox):
    sandbox.app("clio")
    more = '[smtp]\nurl = "smtp://127.0.0.1:9"\nfrom = "us@agency.example"\n'
    path = write_config(tmp_path, sandbox.url, f"sqlite:///{tmp_path / 'th.db'}", more=more)
    import_fleet(path, sandbox, "clio", "us", 5)
    asked = ("campaign", "new", "--filter", "provider=clio", "--reason", "Its [permissions] end.")
    when = ("--wave", "2/d", "--until", "2999-06-30")
    done = run(*asked, *when, "--config", str(path), env=environ())
    assert done.returncode == 2 and "three years" in done.stderr
    today = datetime.now(UTC).date()  # noqa: TID251 - the command has the real clock
    until = f"{today + timedelta(days=1)}"
    text = cli(path, *asked, "--wave", "1/d", "--until", until, "--dry-run")
    assert "5 connections of 5 clients, in 5 waves: 1 first" in text.replace("\n", " ")
    assert f"Too late for {until}: 3/d would be in time" in text.replace("\n", " ")
    assert "There is no campaign" in cli(path, "campaign", "list")
    until = f"{today + timedelta(days=90)}"
    made = json.loads(cli(path, *asked, "--wave", "2/d", "--until", until, "--yes", "--json"))
    assert made["state"] == "running" and made["id"] in cli(path, "campaign", "list")
    shown = cli(path, "campaign", "show", made["id"])
    assert "5 to come" in shown and "Its [permissions] end." in shown
    cli(path, "campaign", "pause", made["id"], "--why", "holidays")
    assert "Paused: holidays" in cli(path, "campaign", "show", made["id"])
    cli(path, "campaign", "resume", made["id"])
    assert "asks to approve again by" in cli(path, "explain", "firm-0").replace("\n", " ")
    cli(path, "campaign", "stop", made["id"], "--yes")
    report = cli(path, "campaign", "report", made["id"])
    assert report.startswith(f"# Campaign {made['id']}") and "## Who is left" in report
    for wrong, said in (("provider", "no NAME=VALUE"), ("colour=red", "nothing to choose connections by")):
        words = ("campaign", "new", "--filter", wrong, "--reason", "x", "--until", until)
        done = run(*words, "--config", str(path), env=environ())
        assert done.returncode == 2 and said in done.stderr.replace("\n", " ")
