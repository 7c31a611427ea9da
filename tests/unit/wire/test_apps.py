"""An app as one connection asks it, from what its provider's file and the settings say."""

from __future__ import annotations

import pytest

from monitor.errors import ConfigurationError
from monitor.settings.file import load
from monitor.tokens.vault import Vault, new_key

FILE = """
name = "madeup"
title = "Made Up"
[regions.us]
base_url = "https://api.us.example"
auth_url = "https://login.us.example"
[regions.us.hosts]
token = "https://token.us.example"
[oauth]
authorize = "/{values.tenant}/authorize"
token = "{hosts.token}/token"
revoke = "{hosts.token}/revoke"
[oauth.token_headers]
X-Tenant = "{values.tenant}"
[whoami]
path = "{values.instance}/me"
account_id = "id"
[scopes.books]
probe = "/books/{values.company}"
[values.tenant]
default = "common"
[values.instance]
hosts = [".api.us.example"]
[values.company]
account = true
[headers]
X-Company = "{values.company}"
X-Host = "{hosts.token}"
"""
APP = """
[[apps]]
id = "madeup"
client_id = "x"
client_secret_env = "S"
provider_file = "madeup.toml"
"""


def app_of(folder, more="", text=FILE):
    (folder / "madeup.toml").write_text(text)
    (folder / "token-health.toml").write_text(APP + more)
    loaded = load(folder / "token-health.toml", {"S": "s3cret"})
    return loaded.apps(Vault([new_key()]))["madeup"]


def test_hosts_defaults_and_the_account_stand_where_they_belong(tmp_path):
    app = app_of(tmp_path)
    mine = app.at({"instance": "https://a.api.us.example"}, "7/8")
    assert mine.endpoints.authorize == "https://login.us.example/common/authorize"
    assert mine.endpoints.token == "https://token.us.example/token"
    assert mine.endpoints.whoami == "https://a.api.us.example/me"
    assert mine.scope_url("books") == "https://api.us.example/books/7%2F8"
    assert dict(mine.headers) == {"X-Company": "7/8", "X-Host": "https://token.us.example"}
    assert dict(mine.token_headers) == {"X-Tenant": "common"} and mine.lacks == ()


def test_what_lacks_is_named_and_nothing_is_made_up(tmp_path):
    mine = app_of(tmp_path).at({})
    assert mine.lacks == ("instance",) and mine.endpoints.whoami == ""
    assert mine.endpoints.token and mine.scope_url("books") is None and mine.checks("books")
    assert dict(mine.headers) == {"X-Host": "https://token.us.example"}, "a header that lacks is not sent"


@pytest.mark.parametrize("text", ["https://evil.example", "https://a.api.us.example/x", ""])
def test_an_address_that_stands_in_the_database_is_looked_at_once_more(tmp_path, text):
    mine = app_of(tmp_path).at({"instance": text, "unknown": "x"})
    assert mine.endpoints.whoami == "" and mine.lacks == ("instance",)


def test_the_connections_own_goes_before_the_apps_and_that_before_the_default(tmp_path):
    app = app_of(tmp_path, 'values = { tenant = "acme" }')
    assert app.at({}).endpoints.authorize.endswith("/acme/authorize")
    assert app.at({"tenant": "own"}).endpoints.authorize.endswith("/own/authorize")


def test_a_base_url_of_the_apps_own_takes_the_place_of_every_host_and_may_be_an_address(tmp_path):
    app = app_of(tmp_path, 'base_url = "http://127.0.0.1:81/us"')
    assert app.endpoints.token == "http://127.0.0.1:81/us/token"
    assert app.own == {"http://127.0.0.1:81"}
    app = app_of(tmp_path, 'base_url = "http://127.0.0.1:81"\nhosts = { token = "http://127.0.0.1:82" }')
    assert app.endpoints.token == "http://127.0.0.1:82/token"
    assert app.own == {"http://127.0.0.1:81", "http://127.0.0.1:82"}


def test_an_app_without_placeholders_is_itself_for_every_connection(tmp_path):
    plain = FILE
    for old in ("{values.tenant}", "{values.instance}", "{values.company}"):
        plain = plain.replace(f"/{old}", "").replace(f'"{old}', '"')
    app = app_of(tmp_path, text=plain)
    assert app.at({"tenant": "x"}, "7") is app


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ('values = { tenant = "a/b" }', "values.tenant: 'a/b' does not fit"),
        ('values = { other = "a" }', "has no value 'other'"),
        ('values = { instance = "https://evil.example" }', "is on none of the hosts"),
        ('hosts = { other = "https://x.example" }', "the region has no host 'other'; it has token"),
        ('hosts = { token = "http://x.example" }', "has to start with https://"),
    ],
)
def test_what_the_settings_say_is_checked(tmp_path, more, said):
    with pytest.raises(ConfigurationError) as refused:
        app_of(tmp_path, more)
    assert said in str(refused.value)
