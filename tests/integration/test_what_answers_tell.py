"""What a token answer tells beside the tokens: that a grant is born dead or narrower, when it ends, who it is of."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from monitor.operations import accounts, documents
from monitor.operations.explain import explained
from monitor.store.consent_tables import consent
from monitor.store.tables import audit
from tests.conftest import ME, START
from tests.integration.standin import authorize, listed, standing, take, tokens

PLAIN = """
[oauth]
authorize = "/authorize"
token = "/token"
default_scopes = ["openid"]
login_hint = "login_hint"
[whoami]
path = "/me"
account_id = "id"
user = "by"
[scopes.mail]
probe = "/mail"
also = ["https://madeup.example/mail"]
[scopes.files]
probe = "/files"
"""
WHO = {"id": "7", "by": "k.moreau@acme.example"}
DAY = timedelta(days=1)


@pytest.fixture
async def plain(tmp_path, httpserver, database_url, mailbox):
    async with standing(tmp_path, httpserver, database_url, PLAIN, mail=mailbox) as found:
        found[1].answers |= {"me": WHO, "mail": {"ok": 1}, "files": {"ok": 1}}
        found[1].token()
        yield found


async def line(rig, action):
    async with rig.parts.database.read() as conn:
        rows = await conn.execute(select(audit.c.detail).where(audit.c.action == action))
        return list(rows.scalars())


@pytest.mark.parametrize("oauth", ["", 'access_lifetime = "1h"'], ids=["told", "by its file"])
async def test_a_grant_that_is_born_dead_is_refused_and_nothing_is_overwritten(
    tmp_path, httpserver, database_url, oauth
):
    text = PLAIN.replace("[whoami]", f"{oauth}\n[whoami]")
    async with standing(tmp_path, httpserver, database_url, text) as (rig, provider):
        provider.answers["me"] = WHO
        await take(rig, tokens=tokens(rig))
        await rig.look()
        before = (await rig.known("acme")).sealed
        provider.token(refresh_token=None, expires_in=None if oauth else 3600)
        came = await authorize(rig)
        assert (came.status, came.title) == (409, "The approval is not complete")
        assert "we have been told" in came.text
        after = await rig.known("acme")
        assert (after.sealed, after.authorized_by) == (before, None)
        assert rig.meters.steps.labels("madeup", "born_dead")._value.get() == 1
        assert (await line(rig, "consent.born_dead"))[0]["user"] == "k.moreau@acme.example"
        provider.token()
        assert (await authorize(rig)).title == "Thank you, it works"


@pytest.mark.parametrize(("oauth", "ends"), [("", None), ("gives_refresh_token = false", 3600)])
async def test_tokens_that_never_end_or_a_provider_that_gives_none_are_no_dead_grants(
    tmp_path, httpserver, sqlite_url, oauth, ends
):
    text = PLAIN.replace("[whoami]", f"{oauth}\n[whoami]")
    async with standing(tmp_path, httpserver, sqlite_url, text) as (rig, provider):
        provider.answers["me"] = WHO
        await take(rig)
        provider.token(refresh_token=None, expires_in=ends)
        assert (await authorize(rig)).title == "Thank you, it works"


async def test_what_was_unticked_is_said_at_once_before_anything_is_probed(plain):
    rig, provider = plain
    await take(rig, scopes=["mail", "files"])
    provider.token(scope="openid https://madeup.example/mail")
    came = await authorize(rig)
    assert came.title == "Almost there" and "does not include: files." in came.text
    assert provider.paths() == ["/us/token", "/us/me"]
    assert (await rig.known("acme")).sealed.access is not None


@pytest.mark.parametrize("scope", [None, "openid mail files", "READ_ALL WRITE_ALL"])
async def test_an_answer_without_scopes_or_in_other_words_lacks_nothing(plain, scope):
    rig, provider = plain
    await take(rig, scopes=["mail", "files"])
    provider.token(scope=scope)
    assert (await authorize(rig)).title == "Thank you, it works"


async def test_a_scope_by_another_name_was_granted_so_a_refusal_is_the_users_role(plain):
    rig, provider = plain
    await take(rig, scopes=["mail"])
    provider.token(scope="openid https://madeup.example/mail")
    provider.answers["mail"] = (403, {"error": "forbidden"})
    await authorize(rig)
    await rig.after(minutes=8)
    assert await rig.settle("acme") == ("broken", "role_restricted")


async def test_a_connection_that_works_is_not_given_a_grant_that_reads_less(plain):
    rig, provider = plain
    await take(rig, scopes=["mail", "files"])
    provider.token(scope="openid mail files")
    await authorize(rig)
    before = (await rig.known("acme")).sealed
    provider.token(scope="openid mail")
    came = await authorize(rig)
    assert (came.status, came.title) == (409, "Part of the access was not approved")
    assert "does not include: files." in came.text
    assert (await rig.known("acme")).sealed == before
    assert (await line(rig, "consent.narrower"))[0]["missing"] == "files"
    provider.answers["me"] = (401, {"error": "invalid_token"})
    provider.answers["token"] = (400, {"error": "invalid_grant"})
    await rig.after(minutes=8)
    assert (await rig.settle("acme"))[0] == "broken"
    provider.answers["me"] = WHO
    provider.token(scope="openid mail")
    assert (await authorize(rig)).title == "Almost there", "it is better than what is broken"
    assert (await rig.known("acme")).sealed.version == before.version + 1


async def test_who_authorized_is_on_record_asked_for_again_and_named_to_the_clients_own(plain, mailbox):
    rig, provider = plain
    await take(rig)
    assert "login_hint" not in (await authorize(rig)).asked
    assert (await authorize(rig)).asked["login_hint"] == ["k.moreau@acme.example"]
    known = await rig.known("acme")
    assert documents.connection(known)["tokens"]["authorized_by"] == "k.moreau@acme.example"
    assert (
        "Last authorized by k.moreau@acme.example."
        in (await explained(rig.parts, ME, "acme")).document()["why"]
    )
    provider.token()
    await rig.after(minutes=58)
    assert (await rig.known("acme")).authorized_by == "k.moreau@acme.example", "a refresh leaves it"
    provider.answers["me"] = (401, {"error": "invalid_token"})
    provider.answers["token"] = (400, {"error": "invalid_grant", "error_description": "token was revoked"})
    await rig.after(minutes=8)
    await rig.settle("acme")
    await rig.mails(minutes=11)
    assert "Last authorized by k.moreau@acme.example." in mailbox.taken[-1].get_body(("plain",)).get_content()
    await take(rig, tokens=tokens(rig, access_token="another"))
    assert (await rig.known("acme")).authorized_by is None, "nobody knows who authorized a file's tokens"


TOLD = PLAIN.replace(
    "[whoami]",
    """
refresh_idle_lifetime = "400d"
refresh_absolute_lifetime = "4000d"
refresh_expires_in = "idle_in"
grant_expires_in = "hard_in"
scope_separator = ","
granted_separator = ";"
scope_param = "user_scope"
nested = "of_user"
[whoami]""",
)


async def test_ends_that_an_answer_tells_are_kept_where_its_tokens_are_nested(
    tmp_path, httpserver, database_url
):
    async with standing(tmp_path, httpserver, database_url, TOLD) as (rig, provider):
        provider.answers |= {"me": WHO, "mail": {"ok": 1}, "files": {"ok": 1}}
        await take(rig, scopes=["mail", "files"])
        provider.token(scope="openid;mail;files", idle_in=100 * 86400, hard_in="864000")
        provider.answers["token"] = {"of_user": provider.answers["token"], "access_token": "the-bot's"}
        came = await authorize(rig)
        assert came.asked["user_scope"] == ["openid,mail,files"] and "scope" not in came.asked
        sealed = (await rig.known("acme")).sealed
        assert (sealed.refresh_ends_at, sealed.grant_ends_at) == (START + 100 * DAY, START + 10 * DAY)
        provider.token()  # a refresh answers at the top, and tells nothing this time
        await rig.after(minutes=58)
        sealed = (await rig.known("acme")).sealed
        assert sealed.refresh_ends_at is None and sealed.grant_ends_at == START + 10 * DAY
        provider.token(idle_in=50 * 86400, hard_in=0)
        await rig.after(minutes=58)
        sealed = (await rig.known("acme")).sealed
        assert sealed.refresh_ends_at is not None and sealed.grant_ends_at == START + 10 * DAY
        provider.token()
        provider.answers["token"] = {"of_user": provider.answers["token"]}
        await authorize(rig)
        sealed = (await rig.known("acme")).sealed
        assert (sealed.refresh_ends_at, sealed.grant_ends_at) == (None, None), "a new grant has new ends"


async def test_a_told_end_is_said_ahead_of_time_and_tells_run_out_from_withdrawn(
    tmp_path, httpserver, database_url, mailbox
):
    text = TOLD.replace('nested = "of_user"', "")
    async with standing(tmp_path, httpserver, database_url, text, mail=mailbox) as (rig, provider):
        provider.answers |= {"me": WHO}
        await take(rig)
        provider.token(idle_in=20 * 86400, hard_in=20 * 86400)
        await authorize(rig)
        provider.token()
        await rig.mails(days=15)
        assert any("soon" in subject or "renew" in subject.lower() for subject in mailbox.subjects())
        provider.answers["me"] = (401, {"error": "invalid_token"})
        provider.answers["token"] = (400, {"error": "invalid_grant"})
        await rig.after(days=6)
        assert await rig.settle("acme") == ("broken", "refresh_expired")
        assert (await rig.known("acme")).health.rule.endswith("+clock.told")


async def test_what_is_held_keeps_all_that_was_told(tmp_path, httpserver, database_url):
    text = TOLD.replace('nested = "of_user"', "").replace('account_id = "id"', 'accounts = "all[].id"')
    async with standing(tmp_path, httpserver, database_url, text) as (rig, provider):
        provider.answers["me"] = listed("A", "B") | {"by": "k@acme.example"}
        await take(rig)
        provider.token(idle_in=86400, hard_in=864000)
        assert (await authorize(rig)).title == "Thank you, we will look at it"
        await accounts.accept(rig.parts, ME, "acme", "a")
        known = await rig.known("acme")
        assert (known.sealed.refresh_ends_at, known.sealed.grant_ends_at) == (START + DAY, START + 10 * DAY)
        assert known.authorized_by == "k@acme.example"
        async with rig.parts.database.read() as conn:
            assert (await conn.execute(select(consent.c.outcome))).scalars().all() == ["held"]
