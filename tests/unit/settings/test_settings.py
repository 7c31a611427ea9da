"""Each bad configuration is one clear sentence: what, where, what to do. And no value is shown."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from monitor.cli.providers import check
from monitor.errors import ConfigurationError, KeyMissing, NotFound
from monitor.health.rotation import AfterLost
from monitor.providers import catalogue
from monitor.settings.file import load
from monitor.tokens.vault import Vault, new_key

APP = '[[apps]]\nid = "clio"\nprovider = "clio"\nclient_id = "x"\nclient_secret_env = "S"\n'


def loaded(tmp_path, text, **environ):
    path = tmp_path / "token-health.toml"
    path.write_text(text)
    return load(path, environ)


BAD = [
    ("[schedule]\nintervall = '5m'", "line 2: schedule.intervall: there is no such key; did you mean 'interval'?"),
    ("[shedule]\ninterval = '5m'", "shedule: there is no such key; did you mean 'schedule'?"),
    ("[schedule]\ninterval = '5 parsecs'", "line 2: schedule.interval: '5 parsecs' is no duration"),
    ("[schedule]\ninterval = 5", "line 2: schedule.interval: is a duration such as"),
    ("[schedule]\ninterval = '0s'", "line 2: schedule.interval: has to be longer than 0"),
    ("[schedule]\ntimeout = '-5s'", "schedule.timeout: '-5s' is negative"),
    ("[schedule]\njitter = 'ten'", "line 2: schedule.jitter: 'ten' is no share"),
    ("[schedule]\nconcurrency = 0", "line 2: schedule.concurrency: Input should be greater than or equal to 1"),
    ("[web]\nlisten = '8080'", "line 2: web.listen: '8080' is no address to listen on"),
    ("[web]\nclients_listen = 'x'", "line 2: web.clients_listen: 'x' is no address to listen on"),
    ("[web]\nproxies = ['*']", "'*' would believe whoever connects about who they are; name your proxy's address"),
    ("[web]\nproxies = ['0.0.0.0/0']", "'0.0.0.0/0' is every address there is"),
    ("[web]\nproxies = ['proxy.example']", "'proxy.example' is no address or network; write 10.1.2.3 or 10.1.0.0/16"),
    ("[web]\nconnections = 1", "line 2: web.connections: Input should be greater than or equal to 10"),
    ("[web]\npublic_url = 'http://example.com'", "web.public_url: has to start with https://"),
    ("[http]\nproxy = 'proxy:3128'", "line 2: http.proxy: is a URL such as"),
    ("[[apps]]\nid = 'a'\nprovider = 'clio'\nclient_id = 'x'", "needs exactly one of client_secret_env"),
    ("[[apps]]\nid = 'a'\nclient_id = 'x'\nclient_secret_env = 'S'", "needs a provider"),
    (APP + APP, "'clio' stands there more than once"),
    (APP + "[[apps]]\nid = 'b'\nprovider = 'clio'\nclient_id = 'x'\nclient_secret_env = 'S'\nregoin = 'us'",
     "line 11: apps.1.regoin: there is no such key; did you mean 'region'?"),
    ("[schedule\n", "not TOML"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "sentence"), BAD, ids=[sentence[:50] for _, sentence in BAD])
def test_a_mistake_is_named_with_its_line(tmp_path, text, sentence):
    with pytest.raises(ConfigurationError) as caught:
        loaded(tmp_path, text)
    assert sentence in str(caught.value)


def test_no_mistake_shows_a_secret(tmp_path):
    text = "[[apps]]\nid = 'a'\nprovider = 'clio'\nclient_secret = 'c4n4ry'\n[database]\nurl = 7\n"
    with pytest.raises(ConfigurationError) as caught:
        loaded(tmp_path, text)
    assert "c4n4ry" not in str(caught.value)


def test_the_environment_overrides_the_file(tmp_path):
    found = loaded(
        tmp_path, "[schedule]\ninterval = '5m'\n",
        TOKEN_HEALTH__SCHEDULE__INTERVAL="90s", TOKEN_HEALTH__SCHEDULE__CONCURRENCY="7",
        TOKEN_HEALTH__WEB__LISTEN="127.0.0.1:9", TOKEN_HEALTH__EMAIL__REMINDERS='["1d"]',
    )  # fmt: skip
    s = found.settings
    assert (s.schedule.interval, s.schedule.concurrency, s.web.listen) == (
        timedelta(seconds=90), 7, "127.0.0.1:9",
    )  # fmt: skip
    assert s.email.reminders == (timedelta(days=1),)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("TOKEN_HEALTH__SCHEDULE__INTERVALL", "TOKEN_HEALTH__SCHEDULE__INTERVAL"),
        ("TOKEN_HEALTH__BOGUS__X", "there is no such setting"),
        ("TOKEN_HEALTH__APPS__0__ID", "apps are set in the file"),
    ],
)
def test_an_unknown_variable_is_an_error_that_names_the_nearest(tmp_path, name, hint):
    with pytest.raises(ConfigurationError, match=hint):
        loaded(tmp_path, "", **{name: "1"})


def test_every_section_of_the_contract_is_known(tmp_path):
    found = loaded(
        tmp_path,
        '[smtp]\nurl = "smtp://127.0.0.1:1025"\nfrom = "Integrations <integrations@example.com>"\n'
        '[email]\nreminders = ["2d", "5d", "10d"]\nquiet_hours = "18:00-08:00"\noperator = "ops@example.com"\n'
        '[oncall]\nalertmanager_url = ""\nurls = []\n' + APP
        + 'region = "eu"\nscopes = ["contacts"]\nbase_url = ""\nprovider_file = ""\n',
    )  # fmt: skip
    assert found.settings.smtp.sender.startswith("Integrations")


def test_secrets_are_taken_from_where_the_file_says(tmp_path):
    vault = Vault([new_key()])
    text = APP.replace('client_secret_env = "S"', 'client_secret_file = "secret"')
    with pytest.raises(KeyMissing, match="cannot read secret"):
        loaded(tmp_path, text).apps(vault)
    (tmp_path / "secret").write_text("s3cret\n")
    assert loaded(tmp_path, text).apps(vault)["clio"].client_secret.reveal() == "s3cret"
    with pytest.raises(ConfigurationError, match="no variable S"):
        loaded(tmp_path, APP).apps(vault)
    (tmp_path / "url").write_text("sqlite:///elsewhere.db")
    found = loaded(tmp_path, '[database]\nurl_file = "url"\n')
    assert found.database_url() == f"sqlite:///{tmp_path}/elsewhere.db"


def test_apps_name_what_their_provider_does_not_have(tmp_path):
    vault = Vault([new_key()])
    for more, sentence in (
        ('region = "mars"', "has no region 'mars'; it has us, eu, ca, au"),
        ('scopes = ["emails"]', "has no scope 'emails'"),
    ):
        with pytest.raises(ConfigurationError, match=sentence):
            loaded(tmp_path, APP + more, S="x").apps(vault)
    with pytest.raises(NotFound, match="built in are"):
        loaded(tmp_path, APP.replace('"clio"\nclient', '"klio"\nclient'), S="x").apps(vault)
    with pytest.raises(ConfigurationError, match="set base_url"):
        loaded(tmp_path, APP.replace('provider = "clio"', 'provider = "oidc"'), S="x").apps(vault)


def test_every_region_of_clio_is_where_clio_says(tmp_path):
    vault = Vault([new_key()])
    hosts = {}
    for region in ("us", "eu", "ca", "au"):
        app = loaded(tmp_path, APP + f'region = "{region}"', S="x").apps(vault)["clio"]
        hosts[region] = (app.base_url, app.endpoints.token)
    assert hosts["us"] == ("https://app.clio.com", "https://app.clio.com/oauth/token")
    assert hosts["au"] == ("https://au.app.clio.com", "https://au.app.clio.com/oauth/token")


@pytest.mark.parametrize("name", list(catalogue.built_in()))
def test_the_built_in_providers_are_sound(name):
    assert catalogue.load(name).name == name


BAD_PROVIDERS = [
    ('token = "/oauth/token"', 'token = "oauth/token"', "oauth.token: is a path that starts with /"),
    ('token = "/oauth/token"', 'tokn = "/oauth/token"', "oauth.tokn: there is no such key; did you mean 'token'?"),
    ('account_id = "data.account.id"', 'account_id = "data..id"', "whoami.account_id: is no JMESPath"),
    ('account_id = "data.account.id"', "", "whoami: says with one of account_id, accounts and account_value"),
    ('"https://eu.app.clio.com"', '"http://eu.app.clio.com"', "regions.eu.base_url: has to start with https://"),
    ('description = "(?i)expired(?!.*revoked)"', 'description = "("', "rules.0.description: is no regular expression"),
    ('cause = "refresh_expired"', 'cause = "expired"', "rules.0.cause: Input should be"),
    ('cause = "refresh_expired"', 'cause = "ok"', "a rule names a failure"),
    ("status = 400", 'status = "four"', "status 'four' is a number such as 403"),
    ('access_lifetime = "7d"', "access_lifetime = 7", "oauth.access_lifetime: is a duration"),
    ('access_lifetime = "7d"', 'after_lost_answer = "maybe"', "oauth.after_lost_answer: Input should be"),
    ('access_lifetime = "7d"', 'after_lost_answer = "never"\nreuse_grace = "1m"',
     "reuse_grace says that a token may be sent again"),
]  # fmt: skip


HABITS = [
    ("rotates_refresh_token = false", AfterLost.RETRY),
    ("rotates_refresh_token = true", AfterLost.LAST_TRY),
    ('rotates_refresh_token = true\nafter_lost_answer = "retry"', AfterLost.RETRY),
    ('rotates_refresh_token = false\nafter_lost_answer = "last_try"', AfterLost.LAST_TRY),
    ('after_lost_answer = "never"', AfterLost.NEVER),
]


@pytest.mark.parametrize(("lines", "habit"), HABITS)
def test_what_may_be_done_after_a_lost_answer_follows_from_rotation_unless_the_file_says_it(
    tmp_path, lines, habit, capsys
):
    path = tmp_path / "mine.toml"
    text = catalogue.built_in()["clio"].read_text()
    path.write_text(text.replace('rotation = "none"', lines))
    assert catalogue.load_file(path).oauth.habit.habit is habit
    check(path)
    assert "After a lost answer a refresh token is " in capsys.readouterr().out


@pytest.mark.parametrize(("old", "new", "sentence"), BAD_PROVIDERS, ids=[s[:60] for *_, s in BAD_PROVIDERS])
def test_a_provider_file_is_checked_by_line(tmp_path, old, new, sentence):
    text = catalogue.built_in()["clio"].read_text()
    assert old in text
    path = tmp_path / "mine.toml"
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(ConfigurationError) as caught:
        catalogue.load_file(path)
    assert sentence in str(caught.value)
    assert "line " in str(caught.value)


def test_the_guards_settings_are_its_rules(tmp_path):
    usual = loaded(tmp_path, "").settings
    assert usual.guard_policy.surprise.once_in == timedelta(days=90)
    assert usual.guard_policy.wave.canary_after == timedelta(days=1)
    assert (usual.mail_policy.delay, usual.mail_policy.doubt_delay) == (
        timedelta(hours=1),
        timedelta(hours=8),
    )
    off = "[guard]\nonce_in = 'never'\ncanary_after = 'never'\nalone = 3\nsettle = '2h'\ndoubt_delay = '0s'\n"
    found = loaded(tmp_path, off + "[schedule]\ninterval = '2h'\n").settings
    assert (found.guard_policy.surprise.once_in, found.guard_policy.wave.canary_after) == (None, None)
    assert (found.guard_policy.wave.alone, found.guard_policy.surprise.settle) == (3, timedelta(hours=2))
    assert found.mail_policy.delay > timedelta(hours=2), "a whole round of probes at least"


@pytest.mark.parametrize(
    ("web", "clients", "operations"),
    [
        ("", "127.0.0.1:8080", "127.0.0.1:8080"),
        ("listen = '0.0.0.0:1'", "0.0.0.0:1", "0.0.0.0:1"),
        ("operations_listen = '127.0.0.1:2'", "127.0.0.1:8080", "127.0.0.1:2"),
        ("clients_listen = '0.0.0.0:3'", "0.0.0.0:3", "127.0.0.1:8080"),
        ("clients_listen = '[::]:3'\noperations_listen = '[::1]:4'", "[::]:3", "[::1]:4"),
    ],
)
def test_listen_serves_whom_no_address_of_their_own_is_given(tmp_path, web, clients, operations):
    found = loaded(tmp_path, f"[web]\n{web}\n").settings.web.listeners
    assert [one.address for one in found if one.clients] == [clients]
    assert [one.address for one in found if one.operations] == [operations]
    assert len(found) == (1 if clients == operations else 2)
    exposed = clients == operations and "127.0.0.1" not in clients
    assert any(one.exposed for one in found) is exposed


@pytest.mark.parametrize(
    ("web", "api"),
    [
        ("", "127.0.0.1:8080"),
        ("listen = '0.0.0.0:1'", "0.0.0.0:1"),
        ("operations_listen = '127.0.0.1:2'", "127.0.0.1:8080"),
        ("clients_listen = '0.0.0.0:3'\nlisten = '127.0.0.1:9'", "127.0.0.1:9"),
        (
            "clients_listen = '0.0.0.0:3'\noperations_listen = '[::1]:4'\nlisten = '127.0.0.1:9'",
            "127.0.0.1:9",
        ),
        ("clients_listen = '127.0.0.1:8080'\noperations_listen = '[::1]:4'", "127.0.0.1:8080"),
        # Two processes on one machine, each with the two addresses of its own: neither may take the default's.
        ("clients_listen = '0.0.0.0:3'\noperations_listen = '[::1]:4'", None),
    ],
)
def test_listen_serves_the_api(tmp_path, web, api):
    found = loaded(tmp_path, f"[web]\n{web}\n").settings.web.listeners
    assert [one.address for one in found if one.api] == ([api] if api else [])
    assert all(one.api or one.clients or one.operations for one in found)


@pytest.mark.parametrize(
    ("oidc", "said"),
    [
        ("issuer = 'http://idp.example'", "is an https:// URL"),
        ("issuer = 'https://idp.example/?x=1'", "has no query"),
        ("issuer = 'https://idp.example'\nclient_secret_env = 'X'", "an issuer needs client_id"),
        ("issuer = 'https://idp.example'\nclient_id = 'x'", "an issuer needs client_id"),
        ("issuer = 'https://idp.example'\nclient_id = 'x'\nclient_secret_env = 'X'", "nobody could come in"),
        ("issuer = 'https://idp.example'\nscopes = ['profile']", 'has to contain "openid"'),
        ("roles = { ops = 'king' }", "oidc.roles"),
    ],
)
def test_a_provider_that_would_let_nobody_or_everybody_in_is_refused(tmp_path, oidc, said):
    with pytest.raises(ConfigurationError, match=re.escape(said)):
        loaded(tmp_path, f"[oidc]\n{oidc}\n")
