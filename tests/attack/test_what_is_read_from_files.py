"""Any import and any provider file is taken, or refused in words; nothing else comes of it."""

from __future__ import annotations

import csv
import io
import json

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from monitor.errors import ConfigurationError, ImportRefused, TokenHealthError
from monitor.operations import intake
from monitor.operations.columns import COLUMNS
from monitor.providers import catalogue
from monitor.settings.file import load
from monitor.settings.whole import Settings
from monitor.text.tomlfile import Section
from monitor.tokens.vault import Vault, new_key
from tests.attack.odd import deep, documents, encoded, texts

CONFIG = '[[apps]]\nid = "clio-us"\nprovider = "clio"\nclient_id = "x"\nclient_secret_env = "S"\n'
KEYS = ("id", "app", "client", "name", "contacts", "locale", "timezone", "scopes", "account_id", "tokens",
        "access_token", "refresh_token", "expires_at", "labels")  # fmt: skip
GOOD = {"id": "a", "app": "clio-us", "client": {"name": "A", "contacts": ["it@a.example"]}}
once = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@pytest.fixture
def apps(tmp_path):
    path = tmp_path / "token-health.toml"
    path.write_text(CONFIG)
    return load(path, {"S": "x"}).apps(Vault([new_key()]))


def taken_or_refused(path, apps):
    try:
        records = intake.read(path, apps)
    except (ImportRefused, ConfigurationError) as refused:
        sentences = str(refused).splitlines()
        assert sentences and all(sentence.strip() for sentence in sentences), "a refusal says something"
        assert max(map(len, sentences)) < 2_000, "and does not repeat what it was given"
        return
    for record in records:
        json.dumps(record.model_dump(mode="json")).encode()
        "\n".join([record.id, record.client.name, *record.labels]).encode()


def near(good, keys):
    """The good record with something odd in one or more of its places."""
    return st.dictionaries(st.sampled_from(keys), documents(*keys), max_size=3).map(lambda odd: good | odd)


@once
@given(st.lists(near(GOOD, KEYS).map(encoded) | st.binary(max_size=80), max_size=3).map(b"\n".join))
@example(deep(50_000)[1])
@example(deep(50_000)[3])
@example(
    b'{"id": "a", "app": "clio-us", "client": {"name": "A", "contacts": []}, "account_id": '
    + b"9" * 5_000
    + b"}"
)
def test_any_lines_are_taken_or_refused_in_words(tmp_path, apps, raw):
    path = tmp_path / "in.jsonl"
    path.write_bytes(raw)
    taken_or_refused(path, apps)


def table(rows):
    out = io.StringIO(newline="")
    csv.writer(out).writerows(rows)
    return out.getvalue().encode("utf-8", "surrogatepass")


cells = texts.filter(lambda text: "\ud800" not in text)
columns = st.lists(st.sampled_from([*COLUMNS, "label.tier", "label.", "nothing"]), max_size=6)


@once
@given(
    st.tuples(columns, st.lists(st.lists(cells, max_size=8), max_size=4)).map(
        lambda parts: table([["id", "app", "client_name", *parts[0]], *parts[1]])
    )
    | st.binary(max_size=200)
)
@example(table([["id", "app", "client_name"], ["a", "clio-us", "A" * 140_000]]))
@example(b'id,app,client_name\na,clio-us,"A\n' + b"x" * 200_000)
@example(b"id,app,client_name\na,clio-us,\0")
def test_any_table_is_taken_or_refused_in_words(tmp_path, apps, raw):
    path = tmp_path / "in.csv"
    path.write_bytes(raw)
    taken_or_refused(path, apps)


BUILT_IN = {name: path.read_text(encoding="utf-8") for name, path in catalogue.built_in().items()}
LINES = sorted({line for text in BUILT_IN.values() for line in text.splitlines()})
odd_lines = (
    st.sampled_from(LINES)
    | st.tuples(st.sampled_from(LINES), texts).map(lambda pair: pair[0].partition("=")[0] + "= " + json.dumps(pair[1]))
    | st.tuples(st.sampled_from(LINES), st.sampled_from(["[]", "{}", "true", "1e999", "nan", "9" * 5_000, "'(a+)+$'"])).map(
        lambda pair: pair[0].partition("=")[0] + "= " + pair[1]
    )
)  # fmt: skip


@once
@given(
    st.lists(odd_lines, min_size=1, max_size=25).map("\n".join),
    st.sampled_from(sorted(BUILT_IN)),
    st.booleans(),
)
@example("x = " + "[" * 5_000, "clio", False)
def test_any_provider_file_is_taken_or_refused_in_words(tmp_path, text, base, onto):
    path = tmp_path / "odd.toml"
    path.write_bytes(((BUILT_IN[base] + "\n" if onto else "") + text).encode("utf-8", "surrogatepass"))
    try:
        catalogue.load_file(path)
    except TokenHealthError as refused:
        assert str(refused).strip()


def _keys_of_sections():
    """Every `section.key` of a configuration, as its models have them."""
    for section, entry in Settings.model_fields.items():
        model = entry.annotation
        if isinstance(model, type) and issubclass(model, Section):
            for key in model.model_fields:
                yield section, key


odd_values = texts.map(json.dumps) | st.sampled_from(
    ["[]", "{}", "true", "-1", "0", "1e999", "nan", '["http://[bad"]', '"http://[bad"', '"1000000000d"', "[[]]", '"0:0"']
)  # fmt: skip


@once
@given(st.sampled_from(sorted(_keys_of_sections())), odd_values)
@example(("web", "public_url"), '"http://[bad"')
@example(("web", "listen"), '"[::1:80"')
@example(("smtp", "url"), '"smtp://[bad"')
@example(("oncall", "alertmanager_url"), '"http://[bad"')
@example(("http", "proxy"), '"http://[bad"')
def test_any_value_of_a_configuration_is_taken_or_refused_in_words(tmp_path, place, value):
    section, key = place
    path = tmp_path / "token-health.toml"
    path.write_bytes(f"[{section}]\n{key} = {value}\n".encode("utf-8", "surrogatepass"))
    try:
        load(path, {})
    except TokenHealthError as refused:
        assert str(path) in str(refused)


@once
@given(st.binary(max_size=120) | texts.map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_are_no_configuration(tmp_path, raw):
    path = tmp_path / "token-health.toml"
    path.write_bytes(raw)
    try:
        load(path, {})
    except TokenHealthError as refused:
        assert str(path) in str(refused)
