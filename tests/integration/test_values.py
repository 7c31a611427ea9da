"""Values of a connection over real HTTP: where they come from, where they stand, and what is never taken."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pytest_httpserver import HTTPServer

from monitor.errors import ImportRefused
from monitor.health.handout import Wish
from monitor.operations import accounts, exports, imports, intake
from tests.conftest import ME, START, GoingClock
from tests.integration.standin import Standin, authorize, listed, standing, take, tokens

REALM = """
[oauth]
authorize = "/authorize"
token = "/token"
[whoami]
path = "/v3/company/{values.realm}/info"
account_value = "realm"
account_name = "name"
user = "by"
[values.realm]
callback = "realmId"
[headers]
X-Realm = "{values.realm}"
"""
INSTANCE = """
[oauth]
authorize = "/authorize"
token = "/token"
[whoami]
path = "{values.instance}/userinfo"
account_id = "org"
[values.instance]
token = "instance_url"
hosts = [".madeup.example"]
"""


@pytest.fixture
async def realm(tmp_path, httpserver, database_url):
    async with standing(tmp_path, httpserver, database_url, REALM) as found:
        found[1].answers["info"] = {"name": "Acme LLP", "by": "k.moreau@acme.example"}
        found[1].token()
        yield found


async def test_a_value_of_the_callback_is_the_account_and_stands_in_the_urls_from_then_on(realm):
    rig, provider = realm
    await take(rig)
    came = await authorize(rig, realmId="9130")
    assert came.title == "Thank you, it works", came.text
    known = await rig.known("acme")
    assert (known.account_id, known.account_name, dict(known.values)) == (
        "9130",
        "Acme LLP",
        {"realm": "9130"},
    )
    assert known.authorized_by == "k.moreau@acme.example"
    await rig.after(minutes=6)
    assert provider.paths()[-1] == "/us/v3/company/9130/info"
    assert await rig.state("acme") == ("healthy", "ok")


async def test_another_realm_is_another_account_and_nothing_is_overwritten(realm):
    rig, _ = realm
    await take(rig)
    await authorize(rig, realmId="9130")
    before = await rig.known("acme")
    came = await authorize(rig, realmId="9999")
    assert (came.status, came.title) == (409, "That was another account")
    after = await rig.known("acme")
    assert (after.sealed, after.values, after.account_id) == (before.sealed, before.values, "9130")


@pytest.mark.parametrize("said", ["../../admin", "9130/x", "..", "", "9130\r\nX: y", "x" * 300])
async def test_a_value_that_does_not_fit_is_not_taken_and_nothing_is_asked_with_it(realm, said):
    rig, provider = realm
    await take(rig)
    came = await authorize(rig, realmId=said)
    assert came.title == "Made Up did not accept our request"
    assert provider.paths() == ["/us/token"] and (await rig.known("acme")).sealed.access is None


async def test_a_realm_that_whoami_refuses_is_nobodys(realm):
    rig, provider = realm
    await take(rig)
    provider.answers["info"] = (403, {"error": "not_yours"})
    assert (await authorize(rig, realmId="9130")).status == 503
    assert (await rig.known("acme")).account_id is None


async def test_what_lacks_a_value_is_an_honest_finding_and_the_operators(realm):
    rig, provider = realm
    await take(rig, tokens=tokens(rig))
    await rig.look()
    assert await rig.settle("acme") == ("broken", "app_misconfigured")
    assert provider.asked == []
    known = await rig.known("acme")
    assert known.health.rule == "values.missing" and known.health.owner.value == "operator"
    await take(rig, tokens=tokens(rig), values={"realm": "9130"})
    assert (await rig.known("acme")).account_id == "9130", "the value is the account"
    await rig.look()
    await rig.settle("acme")
    assert await rig.settle("acme") == ("healthy", "ok")


async def test_people_accept_another_account_and_the_value_goes_with_it(realm):
    rig, provider = realm
    await take(rig)
    await authorize(rig, realmId="9130")
    epoch = (await rig.known("acme")).revision
    await accounts.accept(rig.parts, ME, "acme", "4242")
    known = await rig.known("acme")
    assert dict(known.values) == {"realm": "4242"} and known.revision == epoch + 1
    assert known.next_probe_at == rig.clock.now()
    await rig.look()
    assert provider.paths()[-1] == "/us/v3/company/4242/info"


async def test_values_go_in_and_out_by_file_and_are_checked(realm, tmp_path):
    rig, _ = realm
    text = "id,app,client_name,value.realm\nacme,madeup,Acme,9130\n"
    await imports.take_in(rig.parts, ME, intake.parse(text, rig.parts.apps, csv_=True))
    found = [one async for one in exports.records(rig.parts, ME)]
    assert found[0]["values"] == {"realm": "9130"} and found[0]["account_id"] == "9130"
    for values, said in (
        ({"realm": "a/b"}, "does not fit"),
        ({"other": "x"}, "has no 'other'; it has realm"),
        ({"realm": "1"}, "are the same thing"),
    ):
        record = {"id": "b", "app": "madeup", "client": {"name": "B"}, "account_id": "2", "values": values}
        with pytest.raises(ImportRefused) as refused:
            record = intake.Record.model_validate(record)
            await imports.put_one(rig.parts, ME, record, {}, None)
        assert said in " ".join(refused.value.problems)


@pytest.fixture
def second():
    server = HTTPServer(host="127.0.0.1")
    server.start()
    yield server
    server.clear()
    server.stop()


async def test_an_address_of_the_answer_is_gone_to_and_followed_when_it_moves(
    tmp_path, httpserver, second, database_url
):
    extra = f'auth_url = "{second.url_for("").rstrip("/")}"'
    async with standing(tmp_path, httpserver, database_url, INSTANCE, extra=extra) as (rig, first):
        other = Standin(second)
        first.answers["userinfo"] = other.answers["userinfo"] = {"org": "00D1"}
        await take(rig)
        other.token(instance_url=first.url)
        assert (await authorize(rig)).title == "Thank you, it works"
        assert dict((await rig.known("acme")).values) == {"instance": first.url}
        assert first.paths() == ["/userinfo"] * len(first.asked) and first.asked
        other.token(instance_url=other.url)  # the organization moved
        seen = len(first.asked)
        await rig.after(minutes=59)
        assert dict((await rig.known("acme")).values) == {"instance": other.url}
        assert other.paths()[-1] == "/userinfo" and len(first.asked) == seen
        other.token(instance_url="https://evil.example")
        await rig.after(minutes=59)
        assert dict((await rig.known("acme")).values) == {"instance": other.url}, "not one of its hosts"
        assert await rig.state("acme") == ("healthy", "ok")


async def test_imported_tokens_without_their_address_are_refreshed_at_once_since_that_brings_it(
    tmp_path, httpserver, database_url
):
    async with standing(tmp_path, httpserver, database_url, INSTANCE) as (rig, provider):
        provider.answers["userinfo"] = {"org": "00D1"}
        provider.token(instance_url=provider.url)
        await take(rig, tokens=tokens(rig))
        await rig.look()
        assert provider.paths() == ["/us/token", "/userinfo"]
        assert await rig.state("acme") == ("healthy", "ok")
        provider.answers["token"] = (400, {"error": "invalid_grant"})
        await take(rig, "bolt", tokens=tokens(rig, refresh_token="dead"))
        await rig.look()
        assert (await rig.settle("bolt"))[1] == "revoked", "what the refresh says counts"


LIST = """
[oauth]
authorize = "/authorize"
token = "/token"
[whoami]
path = "/connections"
accounts = "all[].id"
account_names = "all[].name"
"""


@pytest.fixture
async def several(tmp_path, httpserver, database_url):
    async with standing(tmp_path, httpserver, database_url, LIST) as found:
        found[1].token()
        yield found


async def test_the_only_account_of_a_list_is_taken_and_another_list_is_another_account(several):
    rig, provider = several
    provider.answers["connections"] = listed("Acme")
    await take(rig)
    assert (await authorize(rig)).title == "Thank you, it works"
    known = await rig.known("acme")
    assert (known.account_id, known.account_name) == ("acme", "Acme")
    provider.answers["connections"] = listed("Beta", "Acme")
    await rig.after(minutes=6)
    assert await rig.state("acme") == ("healthy", "ok"), "it is one of them"
    provider.answers["connections"] = listed("Beta", "Gamma")
    came = await authorize(rig)
    assert came.title == "That was another account" and "Beta, Gamma" in came.text
    await rig.after(minutes=8)
    assert await rig.settle("acme") == ("broken", "wrong_account")


async def test_an_empty_list_is_a_connection_that_was_removed(several):
    rig, provider = several
    provider.answers["connections"] = listed("Acme")
    await take(rig)
    await authorize(rig)
    provider.answers["connections"] = listed()
    await rig.after(minutes=6)
    assert await rig.settle("acme") == ("broken", "revoked")
    assert (await rig.known("acme")).health.rule == "whoami.no_accounts_left"
    assert (await authorize(rig)).title == "Made Up did not accept our request"


@pytest.mark.parametrize("by", ["callback", "import"])
async def test_of_several_accounts_a_person_names_one(several, by):
    rig, provider = several
    provider.answers["connections"] = listed("Acme", "Beta")
    if by == "callback":
        await take(rig)
        assert (await authorize(rig)).title == "Thank you, we will look at it"
    else:
        await take(rig, tokens=tokens(rig))
        await rig.look()
    assert (await rig.known("acme")).sealed.access is None
    grant = (await accounts.waiting(rig.parts, ME))[0]
    assert "Acme (acme), Beta (beta)" in grant.sentence and grant.account.ids == ("acme", "beta")
    await accounts.accept(rig.parts, ME, "acme", "beta")
    known = await rig.known("acme")
    assert (known.account_id, known.account_name) == ("beta", "Beta")
    await rig.look()
    assert await rig.state("acme") == ("healthy", "ok")
    assert await accounts.waiting(rig.parts, ME) == []


TENANT = """
[oauth]
authorize = "/authorize"
token = "/{values.tenant}/token"
revoke = "/{values.tenant}/revoke"
revoke_ends = "grant"
[whoami]
path = "/me"
account_id = "id"
[values.tenant]
default = "common"
whoami = "tid"
[scopes.books]
probe = "/books?company={values.company}"
[values.company]
account = true
[headers]
X-Company = "{values.company}"
"""


async def test_whoami_brings_a_value_and_refresh_demand_and_revocation_are_asked_with_it(
    tmp_path, httpserver, database_url
):
    async with standing(tmp_path, httpserver, database_url, TENANT) as (rig, provider):
        provider.answers |= {"me": {"id": "7 7", "tid": "T-1"}, "books": {"ok": 1}, "revoke": {}}
        provider.token()
        await take(rig, tokens=tokens(rig), scopes=["books"], account_id="7 7")
        await rig.look()
        assert provider.paths() == ["/us/me", "/us/books?company=7%207"]
        assert dict((await rig.known("acme")).values) == {"tenant": "T-1"}
        provider.answers["me"] = (401, {"error": "invalid_token"})
        await rig.after(minutes=8)
        assert "/us/T-1/token" in provider.paths(), "a refresh goes to its own tenant"
        provider.answers["me"] = {"id": "7 7", "tid": "T-1"}
        await authorize(rig)
        assert await rig.granter.revoke_leftovers() == 1
        assert provider.paths()[-1] == "/us/T-1/revoke"


async def test_a_renewal_on_demand_is_asked_with_the_connections_values(tmp_path, httpserver, database_url):
    clock = GoingClock()
    async with standing(tmp_path, httpserver, database_url, TENANT, clock=clock) as (rig, provider):
        provider.answers |= {"me": {"id": "7", "tid": "T-1"}}
        provider.token()
        ends = START + timedelta(minutes=20)
        await take(rig, tokens=tokens(rig, expires_at=ends), values={"tenant": "T-9"}, account_id="7")
        await rig.look()
        rig.watching.presence.skew = timedelta(0)
        held = await rig.watching.custody.read("acme")
        got = await rig.watching.custody.have(held, Wish(timedelta(minutes=40)), timedelta(seconds=10))
        assert got.refreshed and provider.paths()[-1] == "/us/T-1/token", "whoami said so"
