"""The whole story with each provider: connect, refresh, lose it in each of its ways, find out, mail, come back."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from monitor.operations import accounts
from monitor.providers import catalogue
from tests.conftest import ME, START, postgres_url
from tests.standins.dialect import Account
from tests.standins.dialects import EVERY, SLACK_OF_USERS
from tests.standins.stage import staged

THANKS = "Thank you, it works"
MOREAU, LINDGREN = Account("4711", "moreau"), Account("815", "lindgren")


@dataclass(frozen=True)
class Firm:
    """Who connects with a provider, what the connection needs, and what may befall it there."""

    scopes: tuple[str, ...] = ()
    account: Account = MOREAU
    other: Account = LINDGREN
    policy: str = ""  # the word of its dialect for what the client's administrator has to change
    more: dict[str, str] = field(default_factory=dict)  # other words for a refused refresh, and their causes


UUIDS = ("70784a63-d24b-46a9-a4db-0e70a274b056", "70784a63-d24b-46a9-a4db-0e70a274b057")
FIRMS = {
    "clio": Firm(("contacts",)),
    "clio-platform": Firm(),
    "dropbox": Firm(("files.metadata.read",), policy="who policy"),
    "github": Firm(("read:org",), policy="policy"),
    "google": Firm(("https://www.googleapis.com/auth/calendar.readonly",), policy="policy"),
    "hubspot": Firm(("crm.objects.contacts.read",), more={"hub": "revoked"}),
    "microsoft": Firm(("Mail.Read",), policy="policy", more={"expired": "refresh_expired"}),
    "quickbooks": Firm(
        ("com.intuit.quickbooks.accounting",), Account("123146", "moreau"), Account("99999", "x")
    ),
    "salesforce": Firm(("api",), policy="policy", more={"inactive": "revoked"}),
    "slack": Firm(("channels:read",), policy="who policy", more={"gone": "revoked"}),
    "xero": Firm(("accounting.settings",), Account(UUIDS[0], "moreau"), Account(UUIDS[1], "lindgren")),
}
EACH = sorted(FIRMS)
LANGUAGES = ("en", "de", "fr", "es")
THANKS_IN = {
    "en": THANKS,
    "de": "Danke, es funktioniert",
    "fr": "Merci, cela fonctionne",
    "es": "Gracias, funciona",
}


def stage(folder, provider, database, mailbox):
    return staged(folder, EVERY[provider], database, mailbox, FIRMS[provider].scopes)


async def connected(at, provider):
    """Connect acme by link and consent."""
    firm = FIRMS[provider]
    await at.client("acme", firm.scopes, locale=LANGUAGES[EACH.index(provider) % 4])
    assert await at.connect("acme", firm.account) == THANKS_IN[at.locale]
    await at.look()
    assert await at.state("acme") == ("healthy", "ok")
    assert at.standin.works(await at.token("acme"))


async def comes_back(at, provider):
    """Approve by the link of the last mail: healthy, and the middleware has tokens again."""
    assert await at.connect("acme", FIRMS[provider].account, link=at.box.link()) == THANKS_IN[at.locale]
    assert await at.state("acme") == ("healthy", "ok")
    await at.after(minutes=6)
    assert await at.state("acme") == ("healthy", "ok")
    assert at.standin.works(await at.token("acme"))
    hint = catalogue.load(provider).oauth.login_hint
    if hint:  # whoever authorized before is asked for
        assert at.asked[hint] in (FIRMS[provider].account.user, FIRMS[provider].account.name)


async def lost(at, cause):
    """Find out, and be told of it once."""
    await at.after(hours=1, minutes=1)
    assert await at.settle("acme") == ("broken", cause)
    before = len(at.box.taken)
    await at.mails(minutes=11)
    assert len(at.box.taken) == before + 1, at.box.subjects()
    says_what_the_provider_says(at, cause)
    if at.grant.refused:  # else its tokens are good, and it is single requests that are refused
        assert await at.token("acme") == "needs_person"


def says_what_the_provider_says(at, cause):
    """The mail has the provider's words: what to check, and which setting keeps us out."""
    provider, text = catalogue.load(at.standin.dialect.provider), " ".join(at.last_mail().split())
    assert provider.words.check is not None and provider.words.check[at.locale] in text
    if cause == "policy_blocked":
        assert any(one.title[at.locale] in text for one in provider.settings.values()), text
    else:
        assert provider.words.leads_to is not None and provider.words.leads_to[at.locale] in text


async def refreshes(at, times=3):
    """Let access tokens end."""
    life = at.standin.dialect.access_life
    for _ in range(times):
        at.clock.time += life
        await at.look()
        assert await at.settle("acme") == ("healthy", "ok")
        assert at.standin.works(await at.token("acme"))


@pytest.mark.parametrize("provider", EACH)
async def test_it_connects_refreshes_is_revoked_and_comes_back(tmp_path, sqlite_url, mailbox, provider):
    async with stage(tmp_path, provider, sqlite_url, mailbox) as at:
        await connected(at, provider)
        await refreshes(at)
        at.standin.end(at.grant)
        await lost(at, "revoked")
        await comes_back(at, provider)


async def test_on_postgresql_too(tmp_path, postgres_server, mailbox):
    async with stage(tmp_path, "salesforce", postgres_url(postgres_server), mailbox) as at:
        await connected(at, "salesforce")
        await refreshes(at)
        at.standin.end(at.grant)
        await lost(at, "revoked")
        await comes_back(at, "salesforce")


@pytest.mark.parametrize(
    ("provider", "word", "cause"),
    [(name, word, cause) for name, firm in FIRMS.items() for word, cause in firm.more.items()],
)
async def test_other_words_of_a_refused_refresh(tmp_path, sqlite_url, mailbox, provider, word, cause):
    async with stage(tmp_path, provider, sqlite_url, mailbox) as at:
        await connected(at, provider)
        at.standin.end(at.grant, word)
        await lost(at, cause)
        await comes_back(at, provider)


@pytest.mark.parametrize("provider", [name for name in EACH if FIRMS[name].policy])
async def test_a_policy_is_told_to_the_administrator_and_heals_when_it_changes(
    tmp_path, sqlite_url, mailbox, provider
):
    async with stage(tmp_path, provider, sqlite_url, mailbox) as at:
        await connected(at, provider)
        grant, word = at.grant, FIRMS[provider].policy
        if provider in ("dropbox", "github", "slack"):
            grant.blocked = word
        else:
            at.standin.end(grant, word)
        await lost(at, "policy_blocked")
        grant.blocked = grant.refused = ""
        await at.after(hours=6)
        assert await at.settle("acme") == ("healthy", "ok")
        assert at.standin.works(await at.token("acme"))


@pytest.mark.parametrize(
    ("provider", "word", "cause"),
    [("github", "restricted", "policy_blocked"), ("quickbooks", "who rights", "role_restricted")],
)
async def test_the_api_keeps_out_whoever_has_good_tokens(
    tmp_path, sqlite_url, mailbox, provider, word, cause
):
    async with stage(tmp_path, provider, sqlite_url, mailbox) as at:
        await connected(at, provider)
        at.grant.blocked = word
        await lost(at, cause)
        await comes_back(at, provider)


async def test_our_own_address_that_is_refused_is_no_clients_matter(tmp_path, sqlite_url, mailbox):
    async with stage(tmp_path, "salesforce", sqlite_url, mailbox) as at:
        await connected(at, "salesforce")
        at.standin.end(at.grant, "egress")
        await at.after(hours=1, minutes=1)
        assert (await at.settle("acme"))[1] == "egress_blocked"
        await at.mails(minutes=11)
        assert not [mail for mail in mailbox.taken if "acme" in str(mail["To"])]
        at.grant.refused = ""
        await at.after(hours=6)
        assert await at.settle("acme") == ("healthy", "ok")


@pytest.mark.parametrize("provider", [name for name in EACH if EVERY[name].probes])
async def test_a_scope_that_is_gone(tmp_path, sqlite_url, mailbox, provider):
    """Where its words do not tell a scope from the user's rights, what the grant read before decides."""
    async with stage(tmp_path, provider, sqlite_url, mailbox) as at:
        await connected(at, provider)
        at.grant.scopes -= set(FIRMS[provider].scopes)
        await at.after(days=1)
        state, cause = await at.settle("acme")
        assert (state, cause) in {("broken", "insufficient_scope"), ("broken", "role_restricted")}
        await at.mails(minutes=11)
        assert await at.connect("acme", FIRMS[provider].account, link=mailbox.link()) == THANKS_IN[at.locale]
        await at.after(minutes=6)
        assert await at.settle("acme") == ("healthy", "ok")


@pytest.mark.parametrize("provider", EACH)
async def test_another_account_changes_nothing(tmp_path, sqlite_url, mailbox, provider):
    firm = FIRMS[provider]
    async with stage(tmp_path, provider, sqlite_url, mailbox) as at:
        await connected(at, provider)
        token, mine = await at.token("acme"), at.grant
        assert await at.connect("acme", firm.other) != THANKS_IN[at.locale]
        assert await at.token("acme") == token and at.standin.works(token)
        assert await at.state("acme") == ("healthy", "ok")
        # What was granted by mistake is given back, as the provider wants to be asked for it.
        await at.granter.revoke_leftovers()
        assert not mine.refused
        assert bool(at.grant.refused) == bool(catalogue.load(provider).oauth.revoke)


@pytest.mark.parametrize("provider", [name for name in EACH if name != "quickbooks"])
async def test_a_token_that_speaks_for_another_account(tmp_path, sqlite_url, mailbox, provider):
    """QuickBooks' tokens cannot: the company stands in each URL."""
    async with stage(tmp_path, provider, sqlite_url, mailbox) as at:
        await connected(at, provider)
        at.grant.whose = FIRMS[provider].other
        await lost(at, "wrong_account")
        await comes_back(at, provider)


@pytest.mark.parametrize(
    ("provider", "idle", "end"),
    [
        ("quickbooks", timedelta(seconds=8_726_400), timedelta(days=1825)),
        ("github", timedelta(seconds=15_897_600), None),
        ("google", None, None),
    ],
)
async def test_what_is_told_of_its_end_is_kept(tmp_path, sqlite_url, mailbox, provider, idle, end):
    async with stage(tmp_path, provider, sqlite_url, mailbox) as at:
        await connected(at, provider)
        sealed = (await at.known("acme")).sealed
        assert sealed.refresh_ends_at == (idle and START + idle)
        assert sealed.grant_ends_at == (end and START + end)


async def test_an_organisation_that_xero_took_off_the_list(tmp_path, sqlite_url, mailbox):
    async with stage(tmp_path, "xero", sqlite_url, mailbox) as at:
        await connected(at, "xero")
        at.grant.blocked = "removed"
        await lost(at, "revoked")
        await comes_back(at, "xero")


async def test_a_token_that_reaches_two_organisations(tmp_path, sqlite_url, mailbox):
    """A person says which of them is meant; then each request is about that one."""
    firm = FIRMS["xero"]
    async with stage(tmp_path, "xero", sqlite_url, mailbox) as at:
        await at.client("acme", firm.scopes)
        assert await at.connect("acme", firm.other, firm.account) != THANKS
        await accounts.accept(at.parts, ME, "acme", firm.account.id)
        await at.after(minutes=6)
        assert await at.settle("acme") == ("healthy", "ok")
        asked = [one for one in at.standin.seen if one.place.endswith("/Organisation")]
        assert {one.headers["xero-tenant-id"] for one in asked} == {firm.account.id}
        at.grant.accounts.remove(firm.account)
        await lost(at, "wrong_account")


@pytest.mark.parametrize("provider", EACH)
async def test_a_grant_that_is_born_dead_overwrites_nothing(tmp_path, sqlite_url, mailbox, provider):
    async with stage(tmp_path, provider, sqlite_url, mailbox) as at:
        await connected(at, provider)
        token = await at.token("acme")
        at.standin.stingy = True
        assert await at.connect("acme", FIRMS[provider].account) != THANKS_IN[at.locale]
        assert await at.token("acme") == token and at.standin.works(token)
        await at.after(minutes=6)
        assert await at.state("acme") == ("healthy", "ok")


@pytest.mark.parametrize("provider", [name for name in EACH if EVERY[name].probes])
async def test_a_scope_that_the_client_unticks_is_said_at_once(tmp_path, sqlite_url, mailbox, provider):
    firm = FIRMS[provider]
    async with stage(tmp_path, provider, sqlite_url, mailbox) as at:
        await at.client("acme", firm.scopes)
        headline = await at.connect("acme", firm.account, unticked=" ".join(firm.scopes))
        assert headline != THANKS, at.page
        assert (await at.settle("acme"))[1] in ("insufficient_scope", "role_restricted")
        assert await at.connect("acme", firm.account) == THANKS


async def test_a_user_of_slack_whose_tokens_lie_deeper(tmp_path, sqlite_url, mailbox):
    async with staged(tmp_path, SLACK_OF_USERS, sqlite_url, mailbox, FIRMS["slack"].scopes) as at:
        await connected(at, "slack")
        await refreshes(at)


@pytest.mark.parametrize("provider", EACH)
async def test_who_declines_is_thanked_by_nobody_and_may_come_again(tmp_path, sqlite_url, mailbox, provider):
    async with stage(tmp_path, provider, sqlite_url, mailbox) as at:
        await at.client("acme", FIRMS[provider].scopes)
        assert await at.connect("acme", FIRMS[provider].account, decision="decline") != THANKS_IN[at.locale]
        assert at.standin.grants == []
        assert await at.connect("acme", FIRMS[provider].account) == THANKS_IN[at.locale]


@pytest.mark.parametrize("provider", EACH)
async def test_a_limit_mails_nobody_and_passes(tmp_path, sqlite_url, mailbox, provider):
    async with stage(tmp_path, provider, sqlite_url, mailbox) as at:
        await connected(at, provider)
        at.standin.limited = True
        for _ in range(4):
            await at.mails(minutes=31)
        assert (await at.state("acme"))[1] in ("ok", "rate_limited")
        at.standin.limited = False
        await at.after(days=1, minutes=1)
        await at.settle("acme")
        await at.after(hours=2)
        assert await at.settle("acme") == ("healthy", "ok")
        assert mailbox.subjects() == []


@pytest.mark.parametrize("provider", EACH)
async def test_a_refresh_whose_answer_is_lost(tmp_path, sqlite_url, mailbox, provider):
    """Where old tokens stay good nothing is lost; where they do not, one mail asks, when nothing is left."""
    dialect = EVERY[provider]
    async with stage(tmp_path, provider, sqlite_url, mailbox) as at:
        await connected(at, provider)
        at.standin.fates.append("lost")
        at.clock.time += dialect.access_life - timedelta(minutes=1)
        await at.look()
        kept = dialect.rotation in ("none", "overlapping", "grace", "daily")
        for _ in range(12):
            await at.mails(minutes=5)
        if kept:
            assert await at.state("acme") == ("healthy", "ok")
            assert mailbox.subjects() == []
            assert at.standin.works(await at.token("acme"))
        else:
            assert await at.state("acme") == ("broken", "refresh_lost")
            assert len(mailbox.subjects()) == 1
            await comes_back(at, provider)


@pytest.mark.parametrize("provider", EACH)
async def test_a_secret_that_is_refused_is_the_operators(tmp_path, sqlite_url, mailbox, provider):
    async with stage(tmp_path, provider, sqlite_url, mailbox) as at:
        await connected(at, provider)
        at.standin.fates.extend(["client"] * 50)
        at.clock.time += at.standin.dialect.access_life
        await at.look()
        assert await at.settle("acme") == ("broken", "app_misconfigured")
        await at.mails(minutes=11)
        assert not [mail for mail in mailbox.taken if "acme" in str(mail["To"])]
        at.standin.fates.clear()
        await at.after(hours=2)
        assert await at.settle("acme") == ("healthy", "ok")
