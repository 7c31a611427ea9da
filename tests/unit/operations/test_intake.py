"""An import file is taken whole or not at all, and every bad line is named."""

from __future__ import annotations

import json

import pytest

from monitor.errors import ConfigurationError, ImportRefused
from monitor.operations import intake
from monitor.settings.file import load
from monitor.text.names import one_line
from monitor.tokens.vault import Vault, new_key

CONFIG = '[[apps]]\nid = "clio-us"\nprovider = "clio"\nclient_id = "x"\nclient_secret_env = "S"\n'
GOOD = {
    "id": "acme", "app": "clio-us",
    "client": {"name": "Acme LLP", "contacts": ["it@acme.example"], "locale": "en", "timezone": "America/New_York"},
    "scopes": ["contacts", "matters"], "account_id": "1234",
    "tokens": {"access_token": "a", "refresh_token": "r", "expires_at": "2026-11-23T12:00:00Z"},
    "labels": {"tier": "gold"},
}  # fmt: skip


@pytest.fixture
def apps(tmp_path):
    path = tmp_path / "token-health.toml"
    path.write_text(CONFIG)
    return load(path, {"S": "x"}).apps(Vault([new_key()]))


def write(tmp_path, *records, name="in.jsonl"):
    path = tmp_path / name
    path.write_text("\n".join(r if isinstance(r, str) else json.dumps(r) for r in records))
    return path


def with_(**more):
    return GOOD | more


def test_the_contracts_example_is_taken(tmp_path, apps):
    (record,) = intake.read(write(tmp_path, GOOD), apps)
    assert record.client.timezone == "America/New_York"
    assert record.tokens.refresh_token.get_secret_value() == "r"
    assert "'r'" not in repr(record) and "access_token='a'" not in repr(record)


def test_numbers_are_taken_for_ids_since_providers_have_them(tmp_path, apps):
    (record,) = intake.read(write(tmp_path, with_(account_id=1234)), apps)
    assert record.account_id == "1234"


BAD = [
    ("{", "line 2: not JSON"),
    ("[1]", "line 2: not a JSON object"),
    (with_(id="b", app="clio-eu"), "line 2: app 'clio-eu' is not configured; configured are clio-us"),
    (with_(id="b", scopes=["mails"]), "line 2: scopes: Clio Manage has no 'mails'"),
    (with_(id="b", scops=[]), "line 2: scops: there is no such key; did you mean 'scopes'?"),
    (with_(id=""), "line 2: id:"),
    (with_(id="b/../c"), "line 2: id:"),
    (with_(id="acme"), "line 2: id 'acme' stands on line 1 already"),
    (with_(id="b", client={"name": "B", "contacts": ["not an address"]}), "line 2: client.contacts.0: is no e-mail"),
    (with_(id="b", client={"name": "B", "timezone": "Mars/Olympus"}), "line 2: client.timezone: 'Mars/Olympus'"),
    (with_(id="b", client={"name": "B\nBcc: x"}), "line 2: client.name: has line breaks or control characters in it (U+000A)"),
    (with_(id="b", client={}), "line 2: client.name: is required and not there"),
    (with_(id="b", tokens={"access_token": "c4n4ry", "expires_at": "soon"}), "line 2: tokens.expires_at:"),
    (with_(id="b", tokens={"refresh_token": "c4n4ry"}), "line 2: tokens.access_token: is required"),
    (with_(id="b", tokens={"access_token": "c4n4ry", "expires_at": "2026-11-23T12:00:00"}), "timezone"),
    (with_(id="b", tokens={"access_token": "c4n4ry\r\nX: y"}), "line 2: tokens.access_token: has spaces, line breaks"),
    (with_(id="b", token_source={"url": "x"}), "token_source"),
]  # fmt: skip


@pytest.mark.parametrize(("bad", "sentence"), BAD, ids=[s[:45] for _, s in BAD])
def test_a_bad_line_is_named_and_shows_no_token(tmp_path, apps, bad, sentence):
    with pytest.raises(ImportRefused) as caught:
        intake.read(write(tmp_path, GOOD, bad), apps)
    said = "\n".join(caught.value.problems)
    assert sentence in said
    assert "c4n4ry" not in said


def test_every_bad_line_of_five_hundred_is_named(tmp_path, apps):
    lines = [with_(id=f"c{i}", app="nope" if i in (7, 77, 444) else "clio-us") for i in range(500)]
    with pytest.raises(ImportRefused, match="3 lines cannot be imported, so nothing was") as caught:
        intake.read(write(tmp_path, *lines), apps)
    assert [p.split(":")[0] for p in caught.value.problems] == ["line 8", "line 78", "line 445"]


def test_csv_is_taken_with_several_contacts_and_labels(tmp_path, apps):
    path = write(
        tmp_path,
        "id,app,client_name,contacts,scopes,access_token,refresh_token,expires_at,label.tier",
        '"acme",clio-us,"Acme, LLP",it@acme.example;boss@acme.example,contacts matters,a,r,2026-11-23T12:00:00Z,gold',
        "bolt,clio-us,Bolt,,,,,,",
        name="in.csv",
    )
    acme, bolt = intake.read(path, apps)
    assert acme.client.name == "Acme, LLP" and len(acme.client.contacts) == 2
    assert acme.labels == {"tier": "gold"} and acme.scopes == ("contacts", "matters")
    assert bolt.tokens is None, "pending: it was never authorized"


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (["id,app", "a,clio-us"], "line 1: column 'client_name' is missing"),
        (["id,app,client_name,colour", "a,clio-us,A,red"], "line 1: unknown column 'colour'"),
        (["id,app,client_name", "a,clio-us"], "line 2: has another number of columns"),
        (["id,app,client_name", "a,clio-us,A,B"], "line 2: has another number of columns"),
    ],
)
def test_csv_mistakes_are_named(tmp_path, apps, lines, sentence):
    with pytest.raises(ImportRefused) as caught:
        intake.read(write(tmp_path, *lines, name="in.csv"), apps)
    assert sentence in caught.value.problems[0]


def test_files_that_are_none_are_one_sentence(tmp_path, apps):
    with pytest.raises(ConfigurationError, match="no such file"):
        intake.read(tmp_path / "nope", apps)
    with pytest.raises(ConfigurationError, match="no connection in this file"):
        intake.read(write(tmp_path, "", ""), apps)
    (tmp_path / "bin").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigurationError, match="not UTF-8"):
        intake.read(tmp_path / "bin", apps)


@pytest.mark.parametrize("char", ["\u2028", "\u2029", "\x7f", "\x85", "\x9b", "\x00", "\x1b"])
def test_what_breaks_a_line_or_steers_a_terminal_stands_in_no_name_and_splits_none(tmp_path, apps, char):
    path = tmp_path / "in.jsonl"
    for more in ({"client": {"name": f"A{char}B"}}, {"account_id": f"1{char}"}, {"labels": {"a": f"x{char}"}},
                 {"labels": {f"x{char}": "a"}}, {"scopes": [f"a{char}"]}):  # fmt: skip
        path.write_text(json.dumps(with_(**more), ensure_ascii=char in "\x00\x1b"))
        with pytest.raises(ImportRefused) as caught:
            intake.read(path, apps)
        (said,) = caught.value.problems
        assert said.startswith("line 1: ") and f"control characters in it (U+{ord(char):04X})" in said


def test_what_turns_the_reading_direction_is_taken_in_a_name_and_left_out_where_it_is_shown(tmp_path, apps):
    (record,) = intake.read(write(tmp_path, with_(client={"name": "\u05d0\u200f\u202e\u200bB"})), apps)
    assert one_line(record.client.name) == "\u05d0B"
    assert one_line("a\u2028b\x7fc\x85d\u00ade") == "a b c de"


DEEP = "[" * 100_000


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ('{"id": ' + DEEP, "line 2: not JSON: it is nested too deeply"),
        ('{"id": ' + "7" * 5000 + "}", "line 2: not JSON: a number in it has thousands of digits"),
        ('{"id": NaN}', "line 2: not JSON: NaN is no number in JSON"),
        ('{"id": -Infinity}', "line 2: not JSON: -Infinity is no number in JSON"),
        (with_(id="b", account_id="7" * 256), "line 2: account_id: is longer than 255 characters"),
        (with_(id="b", account_id=int("7" * 3000)), "line 2: account_id: is longer than 255 characters"),
        (with_(id="b", labels={str(n): "x" for n in range(51)}), "line 2: labels: has 51 entries; 50 at most are taken"),
        (with_(id="b", labels={"a": "x" * 201}), "line 2: labels.a: is longer than 200 characters"),
        (with_(id="b", scopes=["contacts"] * 201), "line 2: scopes: has 201 entries; 200 at most are taken"),
        (with_(id="b", client={"name": "x" * 201}), "line 2: client.name: is longer than 200 characters"),
        (with_(id="b", app="x" * 101), "line 2: app: is longer than 100 characters"),
        (with_(id="b", client={"name": "\ud800"}), "line 2: client.name: "),
    ],
    ids=range(12),
)  # fmt: skip
def test_what_is_endless_or_no_number_is_one_sentence_and_nothing_is_taken(tmp_path, apps, line, sentence):
    with pytest.raises(ImportRefused) as caught:
        intake.read(write(tmp_path, GOOD, line), apps)
    (said,) = caught.value.problems
    assert said.startswith(sentence) and len(said) < 200


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (["id,app,client_name", f"a,clio-us,{'x' * 140_000}"], "line 2: a field is longer than 128 KiB"),
        (["id,app," + "x" * 140_000, "a"], "line 1: a field is longer than 128 KiB"),
        (["id,app,client_name,id", "a,clio-us,A,b"], "line 1: column 'id' stands there twice"),
        (["id,app,client_name", "a,clio-us,A\x00B"], "line 2: "),
    ],
)
def test_strange_csv_is_one_sentence(tmp_path, apps, lines, sentence):
    with pytest.raises(ImportRefused) as caught:
        intake.read(write(tmp_path, *lines, name="in.csv"), apps)
    (said,) = caught.value.problems
    assert said.startswith(sentence) and len(said) < 200


def test_a_mistake_of_a_csv_line_names_the_column(apps):
    text = (
        "id,app,client_name,contacts,locale,access_token,label.team\n"
        f"a b,clio-us,,it@a.example nobody,English,a token,{'x' * 201}\n"
    )
    found = intake.look(text, apps, csv_=True)
    assert {one.line for one in found.wrong} == {2}
    assert sorted(one.said for one in found.wrong) == [
        "access_token: has spaces, line breaks or other characters that no token has",
        "client_name: is empty",
        "contacts: is no e-mail address: An email address must have an @-sign.",
        "id: is letters and digits, after the first one also . _ @ : -",
        "label.team: is longer than 200 characters",
        "locale: 'English' is no language; write one such as en, de or pt_BR",
    ]


@pytest.mark.parametrize(
    ("text", "csv_", "said"),
    [
        (
            "id;app;client_name\na;b;c\n",
            True,
            "the columns are separated by semicolons; separate them by commas",
        ),
        ('[\n{"id": "a"}\n]', False, "not JSON"),
    ],
)
def test_what_is_wrong_with_the_whole_file_is_said_once(apps, text, csv_, said):
    (wrong,) = intake.look(text, apps, csv_=csv_).wrong
    assert wrong.line == 1 and wrong.said.startswith(said)


def test_a_workbook_is_no_file_of_connections():
    with pytest.raises(ConfigurationError, match="save the sheet as CSV"):
        intake.decoded(b"PK\x03\x04...")
    assert intake.decoded("\ufeffid".encode()) == "id"
