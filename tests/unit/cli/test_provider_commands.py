"""`providers check` and `providers try`, as people use them on a file of their own."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from monitor.cli.providers import commands
from monitor.errors import ConfigurationError

MINE = """name = "mine"
title = "Mine"
[regions.all]
base_url = "https://api.example"
hosts = { files = "https://files.example" }
[oauth]
authorize = "/authorize"
token = "/token"
refresh_idle_lifetime = "60d"
[whoami]
path = "/me/{values.realm}"
account_id = "id"
[values.realm]
callback = "realm"
[scopes.bills]
probe = "{hosts.files}/bills"
[errors]
refusal = "ok == `false`"
fields = { number = "numbers" }
headers = ["x-trace"]
[settings.mfa]
title = "Conditional access"
[[rules]]
step = "refresh"
fields = { number = ["53003"] }
cause = "policy_blocked"
setting = "mfa"
[[rules]]
step = "whoami"
text = "^Bad_OAuth_Token$"
cause = "revoked"
weigh = true
[[rules]]
status = 477
cause = "rate_limited"
wait = "2h"
[[rules]]
step = "callback"
description = "must be installed"
cause = "policy_blocked"
setting = "mfa"
"""

ANSWERS = {
    "policy": "# verdict: policy_blocked\n# heard: not_done\n# rule: mine.rules[0]\n# setting: mfa\n# step: refresh\n"
    'HTTP/1.1 400 Bad Request\nx-trace: t-1\n\n{"error": "invalid_grant", "numbers": [53003]}',
    "idle": "# verdict: refresh_expired\n# idle: 61d\n# proved: seen\n# step: refresh\nHTTP/1.1 400 Bad\n\n"
    '{"error": "invalid_grant"}',
    "told": "# verdict: refresh_expired\n# rule: rfc6749.invalid_grant\n# step: refresh\nHTTP/1.1 400 Bad\n\n"
    '{"error": "invalid_grant"}\n# step: introspect\nHTTP/1.1 200 OK\n\n{"active": false, "exp": 1700000000}',
    "dead": "# verdict: refresh\n# step: whoami\nHTTP/1.1 403 Forbidden\n\nBad_OAuth_Token",
    "dead-alone": "# verdict: revoked\n# refresh_token: none\n# step: whoami\nHTTP/1.1 403 No\n\nBad_OAuth_Token",
    "gone": "# verdict: revoked\n# step: whoami\nHTTP/1.1 403 Forbidden\n\nBad_OAuth_Token\n"
    '# step: refresh\nHTTP/1.1 400 Bad\n\n{"error": "invalid_grant"}',
    "page": "# verdict: unexpected\n# step: whoami\nHTTP/1.1 403 No\n\n<b>Bad_OAuth_Token</b>",
    "moved": '# verdict: rate_limited\n# step: whoami\nHTTP/1.1 477 Migrating\n\n{"message": "later"}',
    "unknown": '# verdict: unexpected\n# step: whoami\nHTTP/1.1 200 OK\n\n{"ok": false, "id": 7}',
    "well": '# verdict: ok\n# account: 7\n# step: whoami\nHTTP/1.1 200 OK\n\n{"ok": true, "id": 7}',
    "another": '# verdict: wrong_account\n# account: 8\n# step: whoami\nHTTP/1.1 200 OK\n\n{"id": 7}',
    "renewed": '# verdict: ok\n# heard: pair\n# step: refresh\nHTTP/1.1 200 OK\n\n{"access_token": "a"}',
    "born-dead": "# verdict: born_dead\n# step: code\nHTTP/1.1 200 OK\n\n"
    '{"access_token": "a", "expires_in": 3600}',
    "born": '# verdict: ok\n# step: code\nHTTP/1.1 200 OK\n\n{"access_token": "a", "refresh_token": "r"}',
    "declined": "# verdict: declined\n# step: callback\nHTTP/1.1 302 Found\n"
    "location: https://us.example/oauth/callback?error=access_denied&state=x\n\n",
    "not-installed": "# verdict: policy_blocked\n# setting: mfa\n# step: callback\nHTTP/1.1 302 Found\n"
    "Location: https://us.example/cb?error=invalid_client&error_description=app+must+be+installed\n\n",
    "bad-request": "# verdict: refused\n# step: callback\nHTTP/1.1 302 Found\n"
    "location: https://us.example/oauth/callback?error=invalid_scope\n\n",
    "no-code": '# verdict: good\n# step: exchange\nHTTP/1.1 400 Bad\n\n{"error": "invalid_grant"}',
    "no-client": '# verdict: refused\n# step: exchange\nHTTP/1.1 401 No\n\n{"error": "invalid_client"}',
    "no-idea": "# verdict: unclear\n# step: exchange\nHTTP/1.1 403 No\n\n<html>",
    "back": "# verdict: ok\n# step: callback\nHTTP/1.1 302 Found\nlocation: https://us.example/?code=c&state=x\n\n",
    "code": '# verdict: app_misconfigured\n# step: code\nHTTP/1.1 401 No\n\n{"error": "invalid_client"}',
    "bills": "# verdict: insufficient_scope\n# granted: files\n# step: scope\n# scope: bills\nHTTP/1.1 403 No\n\n"
    '{"error": "forbidden"}',
    "role": "# verdict: role_restricted\n# read_before: bills\n# step: scope\n# scope: bills\nHTTP/1.1 403 No\n\n"
    '{"error": "forbidden"}',
}  # fmt: skip


@pytest.fixture
def run(tmp_path):
    (tmp_path / "mine.toml").write_text(MINE)
    (tmp_path / "answers").mkdir()
    for name, text in ANSWERS.items():
        (tmp_path / "answers" / f"{name}.http").write_text(text)

    def invoke(command, *more):
        done = CliRunner().invoke(commands, [command, str(tmp_path / "mine.toml"), *more])
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done.exit_code, " ".join(done.stdout.split())

    invoke.here = tmp_path
    return invoke


def tried(run, *more):
    code, said = run("try", "--answers", str(run.here / "answers"), *more)
    return code, json.loads(said) if "--json" in more else said


def test_every_recorded_answer_gets_the_verdict_that_a_look_would_give(run):
    code, said = tried(run, "--json")
    assert {one["file"]: one["wrong"] for one in said["answers"] if one["wrong"]} == {}
    assert (code, said["provider"], said["rules_not_reached"]) == (0, "mine", [])
    by_name = {one["file"].removesuffix(".http"): one for one in said["answers"]}
    assert by_name["moved"]["wait"] == 7200 and by_name["policy"]["owner"] == "client"
    assert by_name["dead"]["rule"] == "mine.rules[1]" and by_name["dead"]["owner"] == "nobody"
    assert by_name["well"]["account"] == "7"
    assert by_name["gone"]["answers"] == [
        {"step": "whoami", "status": 403},
        {"step": "refresh", "status": 400},
    ]


def test_a_verdict_that_is_not_the_wanted_one_is_shown_and_leaves_with_1(run):
    (run.here / "answers" / "policy.http").write_text(ANSWERS["policy"].replace("53003", "1"))
    code, said = tried(run)
    assert code == 1 and "waits 2h" in said
    assert "✗ policy.http: verdict: revoked, not policy_blocked" in said
    assert f"{len(ANSWERS) - 1} of {len(ANSWERS)} as wanted, {len(ANSWERS) - 1} unproved, 1 seen" in said
    assert "No answer came to mine.rules[0]." in said


def test_a_file_that_says_all_it_needs_is_checked_without_a_word_more(run):
    code, said = run("check")
    assert code == 0 and "4 rules of its own" in said and "!" not in said


IN_VAIN = [
    ("status = 477", 'status = 477\ncause = "rate_limited"\n[[rules]]\nstatus = 477\nerror = "x"',
     "line 36: rules.3: can never match: rules.2 is wider and stands before it"),
    ('text = "^Bad_OAuth_Token$"', "text = 'x'\nerror = 'y'", "line 28: rules.1: can never match: error and fields"),
    ("/me/{values.realm}", "/me", "line 13: values.realm: nobody uses it"),
    ('title = "Conditional access"', 'title = "x"\n[settings.other]\ntitle = "y"',
     "line 23: settings.other: nobody uses it"),
    ("{hosts.files}/bills", "/bills", "line 5: regions.all.hosts.files: nobody uses it"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "sentence"), IN_VAIN, ids=[s for *_, s in IN_VAIN])
def test_what_stands_in_a_file_in_vain_is_said_and_is_no_mistake(run, old, new, sentence):
    (run.here / "mine.toml").write_text(MINE.replace(old, new, 1))
    code, said = run("check")
    assert code == 0 and f"! {sentence}" in said


WRONG = [
    ("fields = { number = [\"53003\"] }", "fields = { nmber = ['1'] }",
     "line 25: rules.0.fields: 'nmber' is not one of errors.fields; did you mean 'number'?"),
    ('setting = "mfa"', 'setting = "mta"', "line 27: rules.0.setting: 'mta' is not one of [settings]; did you mean 'mfa'?"),
    ("{values.realm}", "{values.relm}", "line 11: whoami.path: {values.relm} is not one of [values]; did you mean 'realm'?"),
    ("{hosts.files}/bills", "{hosts.file}/bills", "line 16: scopes.bills.probe: regions.all has no host 'file'"),
    ('token = "/token"', "", "oauth.token: is needed, since there is no oauth.discover"),
    ("status = 477", "status = []", "line 34: rules.2.status: "),
    ('wait = "2h"', "wiat = '2h'", "line 36: rules.2.wiat: there is no such key; did you mean 'wait'?"),
    ('text = "^Bad_OAuth_Token$"', "text = 'x'\ncontent = 'html'", "line 31: rules.1.content: text is of a body"),
    ('refresh_idle_lifetime = "60d"', 'rotation = "grace"', "line 9: oauth.rotation: reuse_grace and rotation"),
    ('refresh_idle_lifetime = "60d"', 'token_headers = { Host = "x" }', "line 9: oauth.token_headers.Host: "),
    ('refresh_idle_lifetime = "60d"', 'revoke_call = { fields = { t = "{tokn}" } }',
     "line 9: oauth.revoke_call.fields.t: has {tokn}, which is none of {token}"),
    ('probe = "{hosts.files}/bills"', 'probe = "/b"\ncall = { body = "json", headers = { x-t = "{values.relm}" } }',
     "line 17: scopes.bills.call.headers.x-t: {values.relm} is not one of [values]; did you mean 'realm'?"),
    ("ok == `false`", "!ok", "line 18: errors.refusal: is true of an answer that says nothing"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "sentence"), WRONG, ids=[s[:60] for *_, s in WRONG])
def test_what_parts_of_a_file_say_of_one_another_is_checked_by_line(run, old, new, sentence):
    assert old in MINE
    (run.here / "mine.toml").write_text(MINE.replace(old, new, 1))
    with pytest.raises(ConfigurationError) as caught:
        run("check")
    assert sentence in str(caught.value)


def test_all_mistakes_are_named_at_once(run):
    text = MINE
    for old, new, _ in WRONG[:4] + WRONG[6:7]:
        text = text.replace(old, new, 1)
    (run.here / "mine.toml").write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        run("check")
    for *_, sentence in WRONG[:4] + WRONG[6:7]:
        assert sentence in str(caught.value)
