"""Tokens belong to the app that they were given to, and are sent to no other one's provider."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from monitor.errors import ImportRefused
from monitor.operations import exports, imports, intake, keys
from monitor.operations import links as asking
from monitor.operations.checkup import watched
from monitor.secret import Secret
from monitor.store import due, journal, leftovers, sealing
from monitor.store.tables import credential
from monitor.tokens.refresh import access_cell
from monitor.tokens.vault import Cell
from tests.conftest import ME, rigged
from tests.integration.test_consent import approve, browser_on, start, title, user_of

TWO = {"clio": {}, "plat": {"provider": "clio-platform", "extra": "requests_per_minute = 60000"}}


@pytest.fixture
async def two(tmp_path, sandbox, database_url):
    async with rigged(tmp_path, sandbox, database_url, apps=TWO) as found:
        await found.add("acme", scopes=("contacts",))
        await found.look()
        yield found


async def import_(rig, tmp_path, **record):
    path = tmp_path / "in.jsonl"
    record = {
        "id": "acme",
        "app": "plat",
        "client": {"name": "Firm acme", "contacts": ["it@acme.example"]},
    } | record
    path.write_text(json.dumps(record))
    return await imports.take_in(rig.parts, ME, intake.read(path, rig.parts.apps))


async def stored_as(rig, name):
    """The connection as it is, without what merely passes."""
    known = await rig.known(name)
    return known.place, known.sealed, known.account_id


async def test_another_app_without_tokens_of_its_own_is_refused_in_words_and_nothing_is_changed(
    two, tmp_path
):
    before = await stored_as(two, "acme")
    with pytest.raises(ImportRefused) as caught:
        await import_(two, tmp_path)
    assert caught.value.problems == [
        "acme: its tokens are for app 'clio' and would be sent to app 'plat'; give tokens of that one in the "
        "file, or remove the connection first."
    ]
    with pytest.raises(ImportRefused):
        record = intake.Record(id="acme", app="plat", client=intake.Client(name="A"))
        await imports.take_in(two.parts, ME, [record], dry_run=True)
    assert await stored_as(two, "acme") == before
    platform = two.sandbox.seen()
    await two.after(minutes=6)
    assert two.sandbox.seen().get("platform") == platform.get("platform")


async def test_the_tokens_of_the_old_app_are_no_tokens_of_the_new_one(two, tmp_path):
    held = exports.tokens_of(two.parts, await two.known("acme"))
    with pytest.raises(ImportRefused, match="1 line") as caught:
        await import_(two, tmp_path, tokens=held)
    assert caught.value.problems == ["acme: these tokens are of app 'clio', not of app 'plat'"]


async def test_with_tokens_of_its_own_it_leaves_the_old_app_with_all_that_was_under_way(two, tmp_path):
    known = await two.known("acme")
    link = await asking.new(two.parts, ME, "acme")
    (lease, *_) = await due.claim_named(
        two.parts.database,
        two.watching.presence.process,
        ["acme"],
        two.clock.now(),
        timedelta(minutes=1),
        apps=two.parts.apps,
    )
    entry = await journal.begin(
        two.parts.database,
        "acme",
        two.watching.presence.process,
        lease.epoch,
        known.sealed.version,
        two.clock.now(),
    )
    assert entry is not None
    async with browser_on(two) as browser:
        back = await approve(await start(browser, link), user_of(two, "acme"))
        done = await import_(two, tmp_path, tokens={"access_token": "new-one", "refresh_token": "other-one"})
        assert done.changed == ("acme",)
        answer = await browser.get(back)
        assert title(answer) == "This step was done already"
        assert title(await browser.get("/r/" + link.rsplit("/", 1)[1])) == "This link has expired"
    known = await two.known("acme")
    assert (known.place.app, known.account_id, known.account_name) == ("plat", None, None)
    opened = two.parts.vault.open(known.sealed.access, access_cell("acme", known.place))
    assert opened.reveal() == "new-one"
    assert await journal.unfinished(two.parts.database, "acme") is None
    assert await leftovers.waiting(two.parts.database) == []


async def test_a_provider_that_changed_under_an_apps_name_gets_no_token_of_before(two):
    app = two.parts.apps["clio"]
    moved = replace(app, provider=app.provider.model_copy(update={"name": "other"}))
    two.parts.apps["clio"] = moved
    before = two.sandbox.seen()
    await two.after(minutes=6)
    assert await two.settle("acme") == ("broken", "app_misconfigured")
    assert {k: v for k, v in two.sandbox.seen().items() if k != "at"} == {
        k: v for k, v in before.items() if k != "at"
    }
    _, check = await watched(two.parts, ME)
    assert check.ok is False and "They are sent nowhere" in check.says


async def test_a_token_of_before_opens_and_a_rotation_or_a_refresh_binds_it_to_its_app(two):
    known = await two.known("acme")
    vault, database = two.parts.vault, two.parts.database
    token = vault.open(known.sealed.access, access_cell("acme", known.place))
    async with database.write() as conn:
        await conn.execute(
            update(credential).values(access=vault.seal(token, Cell("credential", "acme", "access")))
        )
    assert await sealing.bound_to_row_alone(database) == 1
    await two.after(minutes=6)
    assert await two.state("acme") == ("healthy", "ok")
    _, check = await watched(two.parts, ME)
    assert [remedy.operation for remedy in check.remedies] == ["keys.rotate"]
    await keys.rotate(two.parts, ME)
    assert await sealing.bound_to_row_alone(database) == 0
    assert vault.open((await two.known("acme")).sealed.access, access_cell("acme", known.place)) == token


async def test_hashes_of_imports_are_under_a_key_that_rotations_keep(two, tmp_path):
    database, record = two.parts.database, {"app": "clio", "account_id": "100", "scopes": ["contacts"]}
    tokens = {"access_token": "t-1", "refresh_token": "r-1"}
    assert (await import_(two, tmp_path, tokens=tokens, **record)).changed == ("acme",)
    async with database.read() as conn:
        imported = (await conn.execute(select(credential.c.imported))).scalar_one()
    assert imported.startswith("k1.")
    await keys.rotate(two.parts, ME)
    assert (await import_(two, tmp_path, tokens=tokens, **record)).same == ("acme",)
    sealed = await sealing.kept_secret(database, "imports")
    assert two.parts.vault.open(sealed, Cell("own_secret", "imports", "sealed")) == two.parts.import_key
    assert two.parts.import_key != Secret("")
