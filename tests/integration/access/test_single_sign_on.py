"""Signing in at a real OpenID provider on loopback; and everything that says somebody else's word for it."""

from __future__ import annotations

import contextlib

import httpx
import pytest
from sqlalchemy import select

from monitor.host.trust import trusted
from monitor.operations import people
from monitor.operations.single_sign_on import SingleSignOn
from monitor.settings.builders import build_openid_provider, build_wire
from monitor.store.door_tables import person, session, trip
from monitor.web.app import application
from monitor.web.doorkeeper import Doorkeeper
from monitor.web.signin import SignIn
from tests.conftest import ME, START, SetClock, rigged
from tests.integration.access import provider as forged
from tests.integration.access.conftest import PUBLIC, SMALL, House
from tests.integration.access.provider import CLIENT, SECRET, Provider, running

OIDC = """
[web]
public_url = "{public}"
[oidc]
issuer = "{issuer}"
name = "Northwind SSO"
client_id = "{client}"
client_secret_file = "oidc-secret"
roles = {{ ops = "operator", "th-admins" = "admin", "Everyone" = "viewer" }}
"""


@contextlib.asynccontextmanager
async def with_provider(folder, sandbox, database):
    async with running(Provider(lambda: int(clock.now().timestamp()))) as provider:
        (folder / "oidc-secret").write_text(SECRET)
        more = OIDC.format(public=PUBLIC, issuer=provider.issuer, client=CLIENT) + SMALL
        async with rigged(folder, sandbox, database, more=more) as rig:
            clock = rig.clock
            wire = build_wire(rig.parts)
            house = House(rig, SingleSignOn(rig.parts, build_openid_provider(rig.parts, wire)))
            try:
                yield house, provider
            finally:
                await wire.close()


@pytest.fixture
async def sso(tmp_path, sandbox, sqlite_url):
    async with with_provider(tmp_path, sandbox, sqlite_url) as found:
        yield found


@pytest.fixture
async def sso_on_both(tmp_path, sandbox, database_url):
    async with with_provider(tmp_path, sandbox, database_url) as found:
        yield found


async def set_out(browser, target="/"):
    """Press the button, and agree at the provider; return the address that the browser is sent back to."""
    sent = await browser.get("/sign-in/oidc", params={"next": target})
    assert sent.status_code == 303
    async with httpx.AsyncClient(verify=trusted(None)) as person:
        return (await person.get(sent.headers["location"])).headers["location"]


async def come(house, target="/"):
    """All of the way, in a browser of its own."""
    async with house.caller() as browser:
        return await browser.get(await set_out(browser, target))


async def test_who_is_in_a_group_comes_in_with_its_role(sso_on_both):
    house, provider = sso_on_both
    async with house.caller() as browser:
        assert "Continue with Northwind SSO" in (await browser.get("/sign-in")).text
        back = await browser.get(await set_out(browser, "/connections?state=broken"))
        assert (back.status_code, back.headers["location"]) == (303, "/connections?state=broken")
        cookies = back.headers.get_list("set-cookie")
        mine = next(one for one in cookies if one.startswith("__Host-th="))
        assert {"Secure", "HttpOnly", "SameSite=lax", "Path=/", "Max-Age=604800"} <= set(mine.split("; "))
        me = (await browser.get("/api/v1/me")).json()
    assert (
        me["principal"] == "user:dana"
        and "connections:operate" in me["scopes"]
        and "keys:read" not in me["scopes"]
    )
    asked = provider.asked[0]
    assert asked["redirect_uri"] == f"{PUBLIC}/oidc/callback" and asked["scope"] == "openid profile email"
    assert ("user:dana", "user.sign_in") in await house.lines()
    assert (await people.every(house.parts, ME))[0].issuer == provider.issuer


@pytest.mark.parametrize(
    ("groups", "role"),
    [
        (["Everyone"], "viewer"),
        (["Everyone", "ops"], "operator"),
        (["th-admins", "x", "ops"], "admin"),
        ("ops", "operator"),
    ],
)
async def test_of_several_groups_the_highest_role_counts(sso, groups, role):
    house, provider = sso
    provider.claims["groups"] = groups
    assert (await come(house)).status_code == 303
    assert [one.role for one in await people.every(house.parts, ME)] == [role]


@pytest.mark.parametrize("groups", [None, [], ["OPS", "everyone"], "", 7, {"ops": True}, [["ops"]], [None]])
async def test_who_is_in_no_group_does_not_come_in(sso, groups):
    house, provider = sso
    provider.claims["groups"] = groups
    answer = await come(house)
    assert (
        answer.status_code == 403 and "in no group" in answer.text and "__Host-th=" not in str(answer.headers)
    )
    assert await people.every(house.parts, ME) == []


async def test_groups_may_come_from_the_user_info_of_the_same_person(sso):
    house, provider = sso
    provider.claims["groups"], provider.userinfo = None, {"sub": "248289761001", "groups": ["ops"]}
    assert (await come(house)).status_code == 303
    provider.userinfo = {"sub": "somebody else", "groups": ["th-admins"]}
    assert (await come(house)).status_code == 403


async def test_another_group_is_another_role_and_none_ends_sessions(sso_on_both):
    house, provider = sso_on_both
    async with house.caller() as browser:
        await browser.get(await set_out(browser))
        assert (await browser.get("/api/v1/me")).status_code == 200
        provider.claims["groups"] = ["Everyone"]
        await come(house)
        assert (await browser.get("/api/v1/me")).status_code == 401, "the role is another"
        await browser.get(await set_out(browser))
        provider.claims["groups"] = []
        await come(house)
        assert (await browser.get("/api/v1/me")).status_code == 401, "nothing is left of it"
    assert len(await people.every(house.parts, ME)) == 1


async def test_a_provider_that_is_not_ours_any_more_vouches_for_nobody(sso):
    house, _ = sso
    async with house.caller() as browser:
        await browser.get(await set_out(browser))
        assert (await browser.get("/api/v1/me")).status_code == 200
        settings = house.parts.loaded.settings
        settings.__dict__["oidc"] = settings.oidc.model_copy(update={"issuer": "https://another.example"})
        assert (await browser.get("/api/v1/me")).status_code == 401


async def test_a_name_is_not_who_somebody_is(sso):
    house, provider = sso
    await house.add("dana", "admin")
    await come(house)
    provider.claims["preferred_username"] = "dana.b"
    await come(house)
    found = {one.name: (one.role, one.issuer) for one in await people.every(house.parts, ME)}
    assert found.pop("dana") == ("admin", None)
    ((name, who),) = found.items()
    assert name.startswith("dana (usr_") and who == ("operator", provider.issuer)


FORGERIES = [
    forged.unsigned, forged.unsigned_with_a_key, forged.by_the_public_key, forged.by_the_client_secret,
    forged.by_another_key, forged.with_its_own_key, forged.altered, forged.nonsense,
]  # fmt: skip


@pytest.mark.parametrize("sign", FORGERIES)
@pytest.mark.parametrize("offered", [["RS256"], ["none", "HS256", "RS256"]])
async def test_no_forged_signature_is_believed_whatever_the_metadata_offers(sso, sign, offered):
    house, provider = sso
    provider.sign, provider.metadata = sign, {"id_token_signing_alg_values_supported": offered}
    answer = await come(house)
    assert answer.status_code == 403 and "did not say who you are" in answer.text
    assert await people.every(house.parts, ME) == []
    provider.sign = None
    assert (await come(house)).status_code == 303, "and an honest one is"


NOW = int(START.timestamp())


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "another"}, {"nonce": None}, {"nonce": ""}, {"nonce": ["x"]},
        {"aud": "another"}, {"aud": None}, {"aud": ["another"]}, {"aud": [CLIENT, "another"], "azp": "another"},
        {"aud": [CLIENT, "another"]}, {"azp": "another"},
        {"iss": "https://evil.example"}, {"iss": None}, {"iss": PUBLIC},
        {"exp": NOW - 61}, {"exp": None}, {"exp": "later"}, {"iat": None}, {"iat": NOW + 3600}, {"nbf": NOW + 3600},
        {"sub": None}, {"sub": ""}, {"sub": 7}, {"sub": "x" * 256}, {"at_hash": "bm90IGl0"},
    ],
    ids=str,
)  # fmt: skip
async def test_no_claim_is_another_than_it_has_to_be(sso, claims):
    house, provider = sso
    provider.claims |= claims
    answer = await come(house)
    assert answer.status_code == 403, claims
    assert await people.every(house.parts, ME) == []


async def test_a_state_is_good_once_and_in_the_browser_that_set_out(sso_on_both):
    house, _ = sso_on_both
    async with house.caller() as browser, house.caller() as other:
        back = await set_out(browser)
        assert (await other.get(back)).status_code == 403, "another browser"
        kept = dict(browser.cookies)
        assert (await browser.get(back)).status_code == 303
        async with house.caller() as again:
            again.cookies.update(kept)
            assert (await again.get(back)).status_code == 403, "the same once more, its cookie too"
        for made_up in ("/oidc/callback?code=x&state=y", "/oidc/callback?code=x", "/oidc/callback"):
            assert (await other.get(made_up)).status_code == 403
        assert (await other.get("/oidc/callback?code=x&code=x&state=y")).status_code == 400


async def test_a_stolen_code_is_of_no_use_in_another_browsers_trip(sso):
    """Login CSRF and code injection (RFC 9700 4.5): the attacker's code, the victim's state, or the other way."""
    house, _ = sso
    async with house.caller() as victim, house.caller() as attacker:
        theirs, mine = httpx.URL(await set_out(victim)), httpx.URL(await set_out(attacker))
        mixed = theirs.copy_set_param("code", mine.params["code"])
        assert (await victim.get(mixed)).status_code == 403, "the verifier is the victim's"
        assert (await victim.get(mine)).status_code == 403, "the state is the attacker's"


async def test_a_trip_takes_ten_minutes_at_most(sso):
    house, _ = sso
    async with house.caller() as browser:
        back = await set_out(browser)
        house.rig.clock.tick(minutes=10)
        assert (await browser.get(back)).status_code == 403
        await set_out(browser)
        house.rig.clock.tick(minutes=10)
        await people.forget(house.parts)
    async with house.parts.database.read() as conn:
        assert (await conn.execute(select(trip))).all() == []


async def test_nobody_fills_the_database_with_trips(sso):
    house, _provider = sso
    served = application(None, None, house.parts.loaded.settings.web.names, sign_in=house_door(house))
    async with house.caller(app=served) as flood, house.caller("203.0.113.77", app=served) as other:
        answers = [await flood.get("/sign-in/oidc") for _ in range(61)]
        assert [one.status_code for one in answers] == [303] * 60 + [429]
        assert answers[-1].headers["retry-after"] == "60" and "Wait a minute" in answers[-1].text
        assert (await other.get("/sign-in/oidc")).status_code == 303
        house.rig.clock.tick(minutes=1)
        assert (await flood.get("/sign-in/oidc")).status_code == 303


def house_door(house) -> SignIn:
    return SignIn(house.parts, Doorkeeper(house.parts, "127.0.0.1"), house.single)


async def test_another_providers_answer_is_not_exchanged(sso):
    house, provider = sso
    async with house.caller() as browser:
        back = await set_out(browser)
        assert (await browser.get(f"{back}&iss=https://evil.example")).status_code == 403
        assert len(provider.codes) == 1, "its code was not sent anywhere"
        assert (await browser.get(f"{await set_out(browser)}&iss={provider.issuer}")).status_code == 303


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "https://evil.example"}, {"authorization_endpoint": "http://evil.example/authorize"},
        {"authorization_endpoint": None}, {"authorization_endpoint": "javascript:alert(1)"},
        {"authorization_endpoint": "https://[bad"}, {"id_token_signing_alg_values_supported": ["none", "HS256"]},
    ],
    ids=str,
)  # fmt: skip
async def test_metadata_that_cannot_be_believed_sends_nobody_anywhere(sso, metadata):
    house, provider = sso
    provider.metadata = metadata
    async with house.caller() as browser:
        answer = await browser.get("/sign-in/oidc")
    assert answer.status_code == 503 and "cannot be reached just now" in answer.text


async def test_a_provider_that_is_down_is_said_and_others_still_sign_in(sso):
    house, provider = sso
    provider.down = True
    async with house.caller() as browser:
        assert (await browser.get("/sign-in/oidc")).status_code == 503
        provider.down = False
        assert (await browser.get("/sign-in/oidc")).status_code == 303


async def test_a_new_key_of_the_providers_is_fetched(sso):
    house, provider = sso
    assert (await come(house)).status_code == 303
    provider.key = forged.RSAKey.generate_key(2048, {"kid": "k2"})
    provider.sign = lambda of, claims: forged.jwt.encode({"alg": "RS256", "kid": "k2"}, claims, of.key)
    assert (await come(house)).status_code == 303


async def test_the_secret_goes_in_the_form_where_the_provider_wants_it_there(sso):
    house, provider = sso
    provider.metadata = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
    assert (await come(house)).status_code == 303


async def test_a_declined_sign_in_is_said(sso):
    house, _ = sso
    async with house.caller() as browser:
        answer = await browser.get("/oidc/callback?error=access_denied&state=x")
    assert answer.status_code == 403 and "did not let you in" in answer.text


async def test_nothing_of_it_is_stored_but_hashes(sso):
    house, provider = sso
    async with house.caller() as browser:
        await browser.get(await set_out(browser))
        await set_out(browser)
        kept = [value for name, value in browser.cookies.items()]
    async with house.parts.database.read() as conn:
        rows = repr([(await conn.execute(select(one))).all() for one in (person, session, trip)])
    assert kept and not any(value in rows for value in kept) and provider.asked[-1]["state"] not in rows
    assert isinstance(house.rig.clock, SetClock)
