"""A server's metadata is a stranger's word: it sends us neither to ourselves nor inside our own network."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Response

from monitor.health.evidence import Fault, FaultKind, account_number
from monitor.settings.file import load
from monitor.tokens.vault import Vault, new_key
from monitor.wire import targets
from monitor.wire.answers import pick
from monitor.wire.apps import App, discover
from monitor.wire.client import Wire
from monitor.wire.settings import HttpSettings

REMOTE = "https://login.example.com"
OIDC = """
[[apps]]
id = "sso"
provider = "oidc"
base_url = "{url}"
client_id = "x"
client_secret_env = "S"
"""
INSIDE = [
    ("http://127.0.0.1:9/t", "does not start with https://"),
    ("https://127.0.0.1/t", "is this machine"),
    ("https://127.1/t", "is this machine"),
    ("https://2130706433/t", "is this machine"),
    ("https://0x7f000001/t", "is this machine"),
    ("https://[::1]/t", "is this machine"),
    ("https://[::ffff:127.0.0.1]/t", "is this machine"),
    ("https://localhost./t", "is this machine"),
    ("https://x.localhost/t", "is this machine"),
    ("https://0.0.0.0/t", "is no address"),
    ("https://169.254.169.254/t", "is the metadata service of a cloud"),
    ("https://[64:ff9b::a9fe:a9fe]/t", "is the metadata service of a cloud"),
    ("https://[fd00:ec2::254]/t", "is the metadata service of a cloud"),
    ("https://100.100.100.200/t", "is the metadata service of a cloud"),
    ("https://metadata.google.internal/t", "is the metadata service of a cloud"),
    ("https://169.254.7.7/t", "is link-local"),
    ("https://[fe80::1]/t", "is link-local"),
    ("https://224.0.0.1/t", "is multicast"),
    ("https://10.1.2.3/t", "is private (http.private_endpoints allows that)"),
    ("https://100.64.1.1/t", "is private (http.private_endpoints allows that)"),
    ("https://[2002:0a01:0203::1]/t", "is private (http.private_endpoints allows that)"),
    ("https://user@login.example.com/t", "has a user name or a fragment in it"),
    ("https://[::1/t", "is no URL"),
    ("https://x:99999/t", "is no URL"),
    ("https://x.example/\u202et", "is no URL"),
    ("ftp://x.example/t", "does not start with https://"),
]


@pytest.mark.parametrize(("url", "why"), INSIDE, ids=[url for url, _ in INSIDE])
def test_an_endpoint_of_a_remote_issuer_is_never_ourselves_nor_inside(url, why):
    assert targets.refused(url, REMOTE, private=False) == why


@pytest.mark.parametrize(
    "url", ["https://login.example.com/t", "https://8.8.8.8/t", "https://other.example/t"]
)
def test_public_endpoints_and_the_issuers_own_host_are_gone_to(url):
    assert targets.refused(url, REMOTE, private=False) is None


def test_private_networks_are_gone_to_by_setting_and_ourselves_by_none():
    assert targets.refused("https://10.1.2.3/t", REMOTE, private=True) is None
    assert targets.refused("https://169.254.169.254/t", REMOTE, private=True) is not None
    assert targets.refused("http://127.0.0.1:7/t", "http://localhost:8", private=False) is None


async def test_a_name_that_leads_inside_is_refused_and_one_that_leads_nowhere_says_so_when_it_is_asked():
    assert await targets.resolved("https://localhost.example.invalid/t", REMOTE, private=False) is None
    loop_name = "ip6-loopback"
    why = await targets.resolved(f"https://{loop_name}/t", REMOTE, private=False)
    assert why in ("is this machine", None), "None where this machine's hosts file does not have it"


@pytest.fixture
def app(tmp_path, httpserver: HTTPServer) -> App:
    path = tmp_path / "token-health.toml"
    path.write_text(OIDC.format(url=httpserver.url_for("").rstrip("/")))
    return load(path, {"S": "x"}).apps(Vault([new_key()]))["sso"]


@pytest.fixture
async def wire():
    found = Wire(HttpSettings(), timeout=timedelta(seconds=5), concurrency=2)
    yield found
    await found.close()


def metadata(app: App, **more) -> str:
    url = app.auth_url
    return json.dumps(
        {
            "issuer": url, "authorization_endpoint": f"{url}/a", "token_endpoint": f"{url}/t",
            "userinfo_endpoint": f"{url}/u", "authorization_response_iss_parameter_supported": True,
        } | more
    )  # fmt: skip


def serve(httpserver: HTTPServer, body: str | bytes) -> None:
    httpserver.expect_request("/.well-known/openid-configuration").respond_with_response(Response(body))


async def test_a_server_on_this_machine_may_name_this_machine(app, wire, httpserver):
    serve(httpserver, metadata(app))
    found = await discover(app, wire)
    assert isinstance(found, App) and found.endpoints.token == f"{app.auth_url}/t"
    assert found.endpoints.iss_required and app.provider.oauth.pkce


async def test_one_bad_endpoint_and_nothing_of_the_metadata_is_taken(app, wire, httpserver):
    serve(httpserver, metadata(app, revocation_endpoint="https://169.254.169.254/latest"))
    found = await discover(app, wire)
    assert found == Fault(
        FaultKind.OURS,
        "the server's metadata names revoke at 169.254.169.254, which is the metadata service of a cloud",
    )


NOT_JSON = "the server's metadata is not JSON that can be read: "


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("[" * 60_000, NOT_JSON + "it is nested too deeply"),
        ('{"issuer": ' + "7" * 5000 + "}", NOT_JSON + "a number in it has thousands of digits"),
        ('{"issuer": NaN}', NOT_JSON + "NaN is no number in JSON"),
        (b"\xff\xfe{}", NOT_JSON),
        ("[]", "the server's metadata names another issuer than base_url"),
        ('{"issuer": 7}', "the server's metadata names another issuer than base_url"),
        ("x" * 70_000, "more than 64 KiB"),
    ],
    ids=range(7),
)
async def test_metadata_that_is_none_is_one_sentence(app, wire, httpserver, body, says):
    serve(httpserver, body)
    found = await discover(app, wire)
    assert isinstance(found, Fault) and found.detail.startswith(says)


async def test_an_issuer_elsewhere_may_not_name_the_server_that_it_was_read_from_on_this_machine(
    app, wire, httpserver
):
    serve(httpserver, metadata(app, issuer=REMOTE))
    remote = replace(app, auth_url=REMOTE)
    assert (
        targets.refused(app.auth_url + "/t", remote.auth_url, private=True) == "does not start with https://"
    )


@pytest.mark.parametrize("said", [float("nan"), float("inf"), 10**5000, True, None, ["1"], {}], ids=range(7))
def test_what_is_no_name_of_an_account_is_none(said):
    assert pick("id", {"id": said}) is None


def test_an_accounts_id_is_never_cut_so_that_two_accounts_become_one():
    assert account_number("7" * 255) == "7" * 255
    assert [account_number(text) for text in ("7" * 256, "7\u202e8", "7\x008", " ", None)] == [None] * 5
