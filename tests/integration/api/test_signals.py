"""POST …/signals: what the middleware says is looked into by ourselves, and changes nothing by itself."""

from __future__ import annotations

import asyncio
import hashlib
import random
from datetime import timedelta

import pytest

from monitor.health.signals import Kind
from monitor.operations.actor import Right
from monitor.store import custody
from monitor.tokens.refresh import access_cell
from tests.conftest import MAIL, GoingClock, rigged
from tests.integration.api.conftest import served
from tests.integration.api.test_frame import wrong

SIGNALS = "/connections/acme/signals"


@pytest.fixture
async def api(tmp_path, sandbox, mailbox, database_url):
    async with rigged(tmp_path, sandbox, database_url, more=MAIL.format(url=mailbox.url)) as rig:
        await rig.add("acme", scopes=("contacts",))
        for _ in range(3):
            await rig.after(minutes=5)
        async with served(rig, rig.watching) as found:
            found.program("mw", Right.SIGNALS_WRITE, Right.CONNECTIONS_READ)
            yield found


async def say(api, kind, path=SIGNALS, **more):
    answer = await api.post(path, {"kind": kind, "generation": 0} | more, as_="mw")
    assert answer.status_code == 202, answer.text
    return answer.json()


async def test_a_failure_brings_our_own_look_forward_once_a_minute(api):
    rig = api.rig
    first = await say(api, "unauthorized", answer={"status": 401})
    assert (first["effect"], first["generation"]) == ("probe_now", 0)
    assert (await rig.known("acme")).next_probe_at <= rig.clock.now()
    assert (await say(api, "unauthorized"))["effect"] == "coalesced"
    await rig.look()
    assert await rig.state("acme") == ("healthy", "ok"), "what a program says is no observation"
    rig.clock.tick(seconds=30)
    assert (await say(api, "unauthorized"))["effect"] == "coalesced"
    rig.clock.tick(seconds=31)
    assert (await say(api, "unauthorized"))["effect"] == "probe_now"


async def test_a_true_401_is_found_by_the_recheck(api):
    rig = api.rig
    rig.sandbox.do(rig.grants["acme"], "revoke")
    await say(api, "unauthorized")
    await rig.look()
    assert (await rig.state("acme"))[0] == "suspect"
    await rig.after(seconds=31)
    assert await rig.state("acme") == ("broken", "revoked")


async def test_a_success_spares_one_look_and_never_two(api):
    rig = api.rig
    before = (await rig.known("acme")).next_probe_at
    assert (await say(api, "success"))["effect"] == "spared"
    after = (await rig.known("acme")).next_probe_at
    assert after - before == timedelta(minutes=5)
    rig.clock.tick(seconds=11)
    assert (await say(api, "success"))["effect"] == "recorded"
    rig.clock.time = after
    await rig.look()
    known = await rig.known("acme")
    assert known.last_probe_at == after
    rig.clock.tick(seconds=11)
    assert (await say(api, "success"))["effect"] == "spared", "our own look came in between"


async def test_which_token_is_meant(api):
    digest = hashlib.sha256((await token_of(api)).encode()).hexdigest()
    assert (await say(api, "unauthorized", generation=7))["effect"] == "ignored"
    assert (await say(api, "unauthorized", generation=None))["effect"] == "recorded"
    found = await say(api, "unauthorized", generation=None, access_token_sha256=digest)
    assert found["effect"] == "probe_now"
    found = await say(api, "unauthorized", generation=None, access_token_sha256="0" * 64)
    assert (found["effect"], found["why"]) == ("ignored", "it is about another generation")


async def token_of(api) -> str:
    held = await custody.held(api.rig.parts.database, "acme")
    return api.rig.parts.vault.open(held.access, access_cell("acme", held.place)).reveal()


async def test_a_403_has_the_named_scope_checked(api):
    rig = api.rig
    before = rig.sandbox.seen()
    await say(api, "forbidden", scope="contacts", answer={"status": 403})
    await rig.look()
    paths = rig.sandbox.seen()
    assert paths != before
    known = await rig.known("acme")
    assert known.reads["contacts"] == known.last_probe_at


async def test_what_is_kept_is_redacted_and_shown_apart(api):
    token = await token_of(api)
    await say(
        api, "unauthorized",
        asked=f"GET https://me:secret@app.clio.com/api/v4/contacts.json?access_token={token}#x",
        answer={
            "status": 401, "body": f"no {token} of ivy@acme.example",
            "headers": {"Authorization": f"Bearer {token}", "WWW-Authenticate": 'Bearer error="invalid_token"', "Set-Cookie": "a=b"},
        },
    )  # fmt: skip
    (kept,) = (await api.get(SIGNALS, as_="mw")).json()["items"]
    assert kept["asked"] == "GET https://app.clio.com/api/v4/contacts.json"
    assert list(kept["headers"]) == ["www-authenticate"] and "invalid_token" in str(kept["headers"])
    assert token not in str(kept) and "ivy@" not in str(kept)
    found = (await api.get("/connections/acme/explain", as_="mw")).json()
    assert [one["kind"] for one in found["signals"]] == ["unauthorized"] and token not in str(found)
    assert found["evidence"] == [] or "401" not in str(found["evidence"])


async def test_a_flood_is_counted_and_fifty_are_kept(api):
    rig = api.rig
    for _ in range(20):
        await say(api, "unreachable")
    rig.clock.tick(seconds=11)
    await rig.watching.hearing.write()
    (kept,) = (await api.get(SIGNALS, as_="mw")).json()["items"]
    assert (kept["times"], kept["effect"]) == (20, "recorded")
    for _ in range(60):
        rig.clock.tick(seconds=11)
        await say(api, "unreachable")
    rig.clock.tick(seconds=11)
    await rig.watching.hearing.write()
    assert len((await api.get(SIGNALS, as_="mw")).json()["items"]) == 50


async def test_several_at_once(api):
    given = [{"connection": name, "kind": "unauthorized", "generation": 0} for name in ("acme", "nobody")]
    answer = await api.post("/signals", {"items": given}, as_="mw")
    assert [one["effect"] for one in answer.json()["items"]] == ["probe_now", "ignored"]
    wrong(await api.post("/signals", {"items": given * 51}, as_="mw"), 422, "invalid")


@pytest.mark.parametrize(
    "body",
    [
        {"kind": "broken"}, {"kind": "success", "generation": "0"}, {"kind": "success", "at": "yesterday"},
        {"kind": "success", "access_token": "x"}, {"kind": "success", "access_token_sha256": "x"},
        {"kind": "success", "answer": {"status": 1}}, {"kind": "success", "answer": {"status": 200, "body": "x" * 4097}},
    ],
)  # fmt: skip
async def test_what_is_no_signal(api, body):
    wrong(await api.post(SIGNALS, body, as_="mw"), 422, "invalid")


async def test_only_for_whoever_has_the_scope(api):
    other = api.program("other", Right.CONNECTIONS_READ)
    wrong(await api.post(SIGNALS, {"kind": "success"}, as_=other), 403, "missing_scope")
    wrong(await api.post("/connections/nobody/signals", {"kind": "success"}, as_="mw"), 404, "not_found")


async def test_random_lies_change_no_state_and_mail_nobody(api):
    """Checks 14's lies, on our own clock: looks come in time, and nothing else does."""
    rig, dice = api.rig, random.Random(14)  # noqa: S311
    history = [await rig.state("acme")]
    for _ in range(150):
        rig.clock.tick(seconds=dice.randint(0, 20))
        at = rig.clock.now() + timedelta(seconds=dice.choice([0, 0, 0, -30, 400, -400]))
        await say(
            api, dice.choice([kind.value for kind in Kind]), generation=dice.choice([0, 0, 0, 1, None]),
            at=at.isoformat(), answer={"status": 401, "headers": {"retry-after": "900"}},
        )  # fmt: skip
        await rig.look()
        history.append(await rig.state("acme"))
        known = await rig.known("acme")
        assert known.next_probe_at - known.last_probe_at <= timedelta(minutes=15)
    assert set(history) == {("healthy", "ok")}
    assert await rig.mails(minutes=30) == 0


async def test_a_real_break_under_lying_successes_is_found_within_three_intervals(api):
    rig = api.rig
    rig.sandbox.do(rig.grants["acme"], "revoke")
    for _ in range(90):
        await say(api, "success")
        await rig.after(seconds=11)
    assert await rig.state("acme") == ("broken", "revoked")


async def test_our_own_look_is_waited_for(tmp_path, sandbox, database_url):
    async with rigged(tmp_path, sandbox, database_url, clock=GoingClock()) as rig:
        await rig.add("acme")
        await rig.look()
        async with served(rig, rig.watching) as api:
            api.program("mw", Right.SIGNALS_WRITE)
            sandbox.do(rig.grants["acme"], "expire_access")
            asked = asyncio.create_task(
                api.post(f"{SIGNALS}?wait=20s", {"kind": "unauthorized", "generation": 0}, as_="mw")
            )
            while not asked.done():
                await rig.look()
                await asyncio.sleep(0.02)  # noqa: TID251 - the loop's tick
            answer = await asked
    assert answer.status_code == 200, answer.text
    assert (answer.json()["looked"]["cause"], answer.json()["generation"]) == ("ok", 1)
