"""On-call is told once, by the right channel, through the same outbox; silences are honoured everywhere."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta

import pytest
from werkzeug import Request, Response

from alerts.channels.alertmanager import Alertmanager
from alerts.channels.notify import Notify, service
from alerts.outbox.envelope import Outcome
from alerts.silences import silences
from alerts.silences.windows import Over
from monitor.errors import ConfigurationError
from monitor.operations import notices
from monitor.secret import Secret
from monitor.settings.file import load
from monitor.settings.parts import opened
from monitor.store import audit
from monitor.wire.hooks import Hook
from tests.conftest import MAIL, ME, START, environ, rigged, write_config

ONCALL = """
[oncall]
team = "integrations"
calm = "2m"
patience = "3d"
[oncall.tiers]
gold = "4h"
{channels}
"""


class Receiver:
    """A real HTTP server that stands for Alertmanager, or for a service that apprise posts JSON to."""

    def __init__(self, server):
        self.server, self.alerts, self.messages, self.status = server, [], [], 200
        server.expect_request("/am/api/v2/alerts").respond_with_handler(self._alerts)
        server.expect_request("/hook", method="POST").respond_with_handler(self._message)
        server.expect_request("/other", method="POST").respond_with_handler(self._other)

    def _alerts(self, request: Request) -> Response:
        if self.status == 200:
            self.alerts += request.get_json()
        return Response("{}", self.status)

    def _message(self, request: Request) -> Response:
        if self.status == 200:
            self.messages.append(json.loads(request.data))
        return Response("", self.status)

    def _other(self, request: Request) -> Response:
        self.messages.append(json.loads(request.data) | {"other": True})
        return Response("", 200)

    @property
    def where(self) -> str:
        return f"127.0.0.1:{self.server.port}"

    def named(self) -> list[str]:
        return [alert["labels"]["alertname"] for alert in self.alerts]


@pytest.fixture
def receiver(httpserver):
    return Receiver(httpserver)


@pytest.fixture
async def am(tmp_path, sandbox, receiver, database_url, mailbox):
    """A rig whose pages go to Alertmanager; on SQLite and on PostgreSQL."""
    more = MAIL.format(url=mailbox.url) + ONCALL.format(channels="").replace(
        "[oncall]", f'[oncall]\nalertmanager_url = "http://{receiver.where}/am"'
    )
    async with rigged(
        tmp_path, sandbox, database_url, more=more, apps={"clio": {"extra": 'team = "legal"'}}
    ) as rig:
        yield rig


@pytest.fixture
async def hook(tmp_path, sqlite_url, sandbox, receiver):
    """A rig whose pages go to a web hook, on SQLite."""
    more = ONCALL.format(channels="").replace(
        "[oncall]", f'[oncall]\nurls = ["json://me:canary-in-an-address@{receiver.where}/hook"]'
    )
    async with rigged(tmp_path, sandbox, sqlite_url, more=more) as rig:
        yield rig


async def outage(rig, minutes: int = 20) -> None:
    rig.sandbox.weather("down")
    for _ in range(minutes):
        await rig.pages(minutes=1)


async def test_an_outage_of_many_is_one_page_and_its_end(am, receiver):
    await am.add(*(f"firm{n:02}" for n in range(12)))
    await am.look()
    await outage(am)
    assert receiver.named() == ["TokenHealthProviderOutage"]
    (page,) = receiver.alerts
    assert page["labels"] == {
        "alertname": "TokenHealthProviderOutage", "severity": "page", "owner": "provider",
        "team": "integrations", "cause": "provider_outage", "provider": "clio",
    }  # fmt: skip
    assert page["annotations"]["runbook_url"].endswith("/runbooks/TokenHealthProviderOutage.md")
    assert "clio is down" in page["annotations"]["summary"]
    am.sandbox.weather("fine")
    for _ in range(12):
        await am.pages(minutes=5)
    assert receiver.named() == ["TokenHealthProviderOutage"] * 2
    first, last = receiver.alerts
    assert last["labels"] == first["labels"]
    assert last["endsAt"] <= am.clock.now().isoformat() < first["endsAt"].replace("T09", "T99")


async def test_an_outage_longer_than_the_guards_window_is_still_one_page(am, receiver):
    await am.add(*(f"firm{n:02}" for n in range(12)))
    await am.look()
    await outage(am, 90)
    assert receiver.named() == ["TokenHealthProviderOutage"]


async def test_a_refused_app_is_one_page_to_its_team(am, receiver):
    await am.add(*(f"firm{n}" for n in range(6)))
    await am.look()
    am.sandbox.app("clio", secret="another", redirect_uris=[])
    for grant in am.grants.values():
        am.sandbox.do(grant, "expire_access")
    for _ in range(15):
        await am.pages(minutes=1)
    assert receiver.named() == ["TokenHealthAppMisconfigured"]
    assert receiver.alerts[0]["labels"]["team"] == "legal"
    assert receiver.alerts[0]["labels"]["app"] == "clio"


async def test_revocations_page_nobody_and_become_tickets_when_a_client_takes_too_long(am, receiver):
    await am.add("golden", labels={"tier": "gold"})
    await am.add(*(f"firm{n:02}" for n in range(30)))
    await am.look()
    # A day apart: two of thirty at once would be more than chance brings about.
    am.sandbox.do(am.grants["firm00"], "revoke")
    for _ in range(28):
        await am.pages(hours=1)
    am.sandbox.do(am.grants["golden"], "revoke")
    for _ in range(9):
        await am.pages(minutes=25)
    assert receiver.alerts == []
    for _ in range(3):
        await am.pages(minutes=30)
    (ticket,) = receiver.alerts
    assert ticket["labels"]["severity"] == "ticket"
    assert (ticket["labels"]["connection"], ticket["labels"]["tier"]) == ("golden", "gold")


async def test_a_mass_revocation_is_one_page_about_the_held_mails(am, receiver):
    await am.add(*(f"firm{n:02}" for n in range(12)))
    await am.look()
    for grant in am.grants.values():
        am.sandbox.do(grant, "revoke")
    for _ in range(20):
        await am.pages(minutes=1)
    assert receiver.named() == ["TokenHealthGuardHolding"]


async def test_held_mails_page_again_every_day_until_somebody_speaks(hook, receiver):
    await hook.add(*(f"firm{n:02}" for n in range(12)))
    await hook.look()
    for grant in hook.grants.values():
        hook.sandbox.do(grant, "revoke")

    async def live(hours):
        for _ in range(hours):
            await hook.pages(hours=1)
        return [message["type"] for message in receiver.messages]

    assert await live(3) == ["failure"]
    assert await live(25) == ["failure"] * 2, "a day later, and nobody has said anything"
    await notices.ask_first(hook.parts, ME, "clio", 3)
    assert await live(23) == ["failure"] * 2
    assert await live(2) == ["failure"] * 3
    await notices.drop(hook.parts, ME, "clio")
    assert await live(2) == ["failure"] * 3 + ["success"]


async def test_what_comes_back_before_it_was_told_to_be_over_is_no_second_page(am, receiver):
    await am.add(*(f"firm{n}" for n in range(6)))
    await am.look()
    await outage(am, 15)
    for _ in range(3):
        am.sandbox.weather("fine")
        for _ in range(4):
            await am.after(minutes=5)
        await am.pager.plan()  # over, and not told so yet
        am.sandbox.weather("down")
        for _ in range(15):
            await am.after(minutes=1)
        await am.pages()
    assert receiver.named() == ["TokenHealthProviderOutage"]


async def test_alertmanager_is_kept_alive_and_told_of_silences(am, receiver):
    await am.add(*(f"firm{n}" for n in range(6)))
    await am.look()
    await outage(am)
    now = am.clock.now()
    await am.pager.keep_alive()
    assert receiver.named() == ["TokenHealthProviderOutage"] * 2
    assert receiver.alerts[1]["startsAt"] == receiver.alerts[0]["startsAt"]
    assert receiver.alerts[1]["endsAt"] > receiver.alerts[0]["endsAt"]
    await silences.begin(
        am.parts.database, Over.PROVIDER, "clio", "known", now + timedelta(hours=2), now, "me"
    )
    await am.pager.keep_alive()
    silence = receiver.alerts[-1]
    assert silence["labels"]["alertname"] == "TokenHealthSilenced"
    assert (silence["labels"]["over"], silence["labels"]["provider"]) == ("provider", "clio")
    await am.pages(minutes=1)
    assert receiver.named().count("TokenHealthProviderOutage") == 3, "silent is not over"


async def test_a_silence_holds_the_page_until_it_ends(am, receiver):
    await am.add(*(f"firm{n}" for n in range(6)))
    await am.look()
    now = am.clock.now()
    await silences.begin(am.parts.database, Over.APP, "clio", "", now + timedelta(hours=1), now, "me")
    await silences.begin(
        am.parts.database, Over.PROVIDER, "clio", "move", now + timedelta(hours=1), now, "me"
    )
    await outage(am, 50)
    assert receiver.alerts == []
    await outage(am, 20)
    assert receiver.named() == ["TokenHealthProviderOutage"]


async def test_a_silence_takes_back_what_did_not_get_out_yet_and_an_end_that_waits(hook, receiver):
    await hook.add(*(f"firm{n}" for n in range(6)))
    await hook.look()
    database = hook.parts.database

    async def silent(minutes: int) -> None:
        now = hook.clock.now()
        await silences.begin(database, Over.PROVIDER, "clio", "", now + timedelta(minutes=minutes), now, "me")

    receiver.status = 503
    await outage(hook, 15)
    await silent(30)
    receiver.status = 200
    await outage(hook, 20)
    assert receiver.messages == [], "nobody was told, and nobody is told while it is silent"
    await outage(hook, 15)
    assert [m["type"] for m in receiver.messages] == ["failure"]
    hook.sandbox.weather("fine")
    for _ in range(4):
        await hook.after(minutes=5)
    await hook.pager.plan()  # over, and not told so yet
    hook.sandbox.weather("down")
    for _ in range(15):
        await hook.after(minutes=1)
    await silent(30)
    await hook.pages()
    assert [m["type"] for m in receiver.messages] == ["failure"], "it stands, and so is not over"


async def test_what_does_not_get_out_is_tried_again_and_not_told_to_be_over(hook, receiver):
    await hook.add(*(f"firm{n}" for n in range(6)))
    await hook.look()
    receiver.status = 503
    await outage(hook, 20)
    assert receiver.messages == []
    receiver.status = 200
    await hook.pages(minutes=6)
    assert [m["type"] for m in receiver.messages] == ["failure"]
    assert "clio is down" in receiver.messages[0]["title"]
    assert "runbooks/TokenHealthProviderOutage.md" in receiver.messages[0]["message"]
    hook.sandbox.weather("fine")
    for _ in range(12):
        await hook.pages(minutes=5)
    assert [m["type"] for m in receiver.messages] == ["failure", "success"]


async def test_what_an_app_shares_is_told_by_the_cause_that_it_has_now(am, receiver):
    """An incident outlives its first cause: whoever is paged for a limit mends no secret."""
    await am.add("firm0")
    await am.look()
    am.sandbox.weather("limited")
    for _ in range(60):
        await am.pages(minutes=1)
    assert receiver.named() == ["TokenHealthRateLimited"]
    am.sandbox.weather("fine")
    am.sandbox.app("clio", secret="another", redirect_uris=[])
    am.sandbox.do(am.grants["firm0"], "expire_access")
    for _ in range(40):
        await am.pages(minutes=1)
    assert await am.state("firm0") == ("broken", "app_misconfigured")
    assert "TokenHealthAppMisconfigured" in receiver.named()


async def test_promise_4_an_address_is_in_no_log_and_not_in_the_database(hook, receiver, tmp_path, capsys):
    await hook.add(*(f"firm{n}" for n in range(6)))
    await hook.look()
    receiver.status = 503
    await outage(hook, 10)
    receiver.status = 200
    await hook.pages(minutes=6)
    assert len(receiver.messages) == 1
    written = b"".join(path.read_bytes() for path in tmp_path.glob("th.db*"))
    printed = "".join(capsys.readouterr())
    assert b"json-" in written and "json-" in printed
    assert b"canary" not in written and "canary" not in printed


async def test_what_is_over_before_any_channel_took_it_is_not_told_at_all(hook, receiver):
    await hook.add(*(f"firm{n}" for n in range(6)))
    await hook.look()
    receiver.status = 503
    await outage(hook, 20)
    hook.sandbox.weather("fine")
    for _ in range(12):
        await hook.pages(minutes=5)
    receiver.status = 200
    for _ in range(5):
        await hook.pages(hours=1)
    assert receiver.messages == []


async def test_a_page_whose_sender_died_goes_out_again(hook, receiver):
    from alerts.outbox import claims
    from alerts.pages import opening
    from alerts.pages.story import PAGE
    from monitor.settings.builders import build_oncall

    await hook.add(*(f"firm{n}" for n in range(6)))
    await hook.look()
    hook.sandbox.weather("down")
    for _ in range(15):
        await hook.after(minutes=1)
    await opening.open_due(hook.parts.database, build_oncall(hook.parts), hook.clock.now())
    claimed = await claims.claim(hook.parts.database, PAGE, "another", hook.clock.now())
    assert len(claimed) == 1, "the page was written with the verdict"
    await hook.pages(seconds=30)
    assert receiver.messages == []
    await hook.pages(seconds=40)
    await hook.pages(seconds=40)
    assert [m["type"] for m in receiver.messages] == ["failure"]


async def test_several_processes_tell_it_once(am, receiver):
    from monitor.metrics.meters import Meters
    from monitor.settings.builders import build_pager

    await am.add(*(f"firm{n}" for n in range(6)))
    await am.look()
    am.sandbox.weather("down")
    pagers = [build_pager(am.parts, Meters(), f"process-{n}") for n in range(4)]
    for _ in range(15):
        await am.after(minutes=1)
        await asyncio.gather(*(pager.plan() for pager in pagers))
        await asyncio.gather(*(pager.pump() for pager in pagers))
    assert receiver.named() == ["TokenHealthProviderOutage"]


ROUTES = """
[[oncall.routes]]
name = "owners"
url = "json://{where}/hook"
owner = ["operator"]
[[oncall.routes]]
name = "gold-desk"
url = "json://{where}/other"
severity = ["ticket"]
provider = ["clio"]
labels = {{ tier = "gold" }}
"""


async def test_routes_choose_by_owner_severity_provider_and_label(tmp_path, sqlite_url, sandbox, receiver):
    more = ONCALL.format(channels=ROUTES.format(where=receiver.where)) + '[guard]\nonce_in = "never"\n'
    async with rigged(tmp_path, sandbox, sqlite_url, more=more) as rig:
        await rig.add("golden", labels={"tier": "gold"})
        await rig.add("plain", *(f"firm{n:02}" for n in range(30)))
        await rig.look()
        for name in ("golden", "plain"):
            rig.sandbox.do(rig.grants[name], "revoke")
        for _ in range(20):
            await rig.pages(minutes=20)
        for _ in range(10):
            await rig.pages(hours=8)
        assert [("other" in m, "golden" in m["title"]) for m in receiver.messages] == [(True, True)]
        rig.sandbox.weather("waf")
        for _ in range(20):
            await rig.pages(minutes=1)
        (page,) = [m for m in receiver.messages if "other" not in m]
        assert "no rule knows" in page["title"]


async def test_maintenance_lets_connections_rest_and_looks_again_afterwards(am, receiver, mailbox):
    from monitor.store import maintenance

    await am.add(*(f"firm{n}" for n in range(6)))
    await am.look()
    am.sandbox.do(am.grants["firm0"], "revoke")
    await am.after(minutes=8)
    await am.settle("firm0")
    rested, _ = await maintenance.keep(
        am.parts.database, {"provider clio": ("provider", "clio")}, am.clock.now()
    )
    assert rested == 5, "what was broken stays what it is"
    assert await am.state("firm0") == ("broken", "revoked")
    assert (await am.state("firm1"))[0] == "paused"
    before = am.sandbox.seen()
    await am.pages(minutes=30)
    am.sandbox.weather("down")
    await am.pages(minutes=30)
    assert before != am.sandbox.seen()  # firm0 is still looked at
    am.sandbox.weather("fine")
    _, woken = await maintenance.keep(am.parts.database, {}, am.clock.now())
    assert woken == 5
    await am.pages(minutes=1)
    assert (await am.state("firm1"))[0] == "healthy"
    assert receiver.alerts == []
    lines = await audit.of_subject(am.parts.database, "provider clio")
    assert [line.action for line in lines] == ["maintenance.end", "maintenance.begin"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[oncall]\nurls = ["nonsense://key-that-is-secret"]', "this is no address that apprise knows"),
        ('[oncall]\nalertmanager_url = "ftp://x"', "is a URL such as http://alertmanager.example:9093"),
        ('[oncall]\nalertmanager_url_env = "AM"', "oncall.alertmanager_url is a URL such as"),
        ('[oncall]\nalertmanager_url_file = "am"', "oncall.alertmanager_url is a URL such as"),
        ('[[oncall.routes]]\nname = "a"', "needs exactly one of url_file, url_env or url"),
        ('[[silences]]\nname = "night"\nprovider = "clio"\nweekly = "sometimes"', "is no weekly window"),
        ('[[silences]]\nname = "night"\nweekly = "sat 22:00-02:00"', "lies over one of"),
        ('[[silences]]\nname = "n"\nall = true', "needs either weekly, or until"),
        ('[oncall]\nurls_env = "NOWHERE"', "the environment has no variable NOWHERE"),
    ],
)
async def test_a_wrong_configuration_is_one_sentence_without_the_address(
    tmp_path, sqlite_url, sandbox, text, says
):
    from monitor.metrics.meters import Meters
    from monitor.settings.builders import build_pager

    path = write_config(tmp_path, sandbox.url, sqlite_url, more=text)
    (tmp_path / "am").write_text("ftp://secret@x")
    with pytest.raises(ConfigurationError) as error:
        async with opened(load(path, environ() | {"AM": "ftp://secret@x"})) as parts:
            build_pager(parts, Meters(), "test")
    assert says in str(error.value)
    assert "secret" not in str(error.value)


MATTER = {
    "labels": {
        "alertname": "TokenHealthProviderOutage",
        "severity": "page",
        "owner": "provider",
        "team": "a",
    },
    "summary": "clio is down",
    "description": "Confirmed.",
    "runbook": "https://wiki.example/TokenHealthProviderOutage.md",
    "since": "2026-11-23T09:00:00+00:00",
}


async def test_pagerduty_gets_one_incident_and_its_end(httpserver, monkeypatch):
    from apprise.plugins import pagerduty

    told = []

    def take(request: Request) -> Response:
        told.append(request.get_json())
        return Response("{}", 202)

    httpserver.expect_request("/enqueue").respond_with_handler(take)
    # PagerDuty's own address is the one thing that cannot be reached from here.
    monkeypatch.setattr(
        pagerduty,
        "PAGERDUTY_API_LOOKUP",
        dict.fromkeys(pagerduty.PAGERDUTY_REGIONS, httpserver.url_for("/enqueue")),
    )
    channel = Notify("pd", Secret("pagerduty://integration-key@api-key"))
    for over in (False, True):
        outcome, _ = await channel.send("TokenHealthProviderOutage/clio", MATTER, over=over, now=START)
        assert outcome is Outcome.SENT
    assert [message["event_action"] for message in told] == ["trigger", "resolve"]
    assert {message["dedup_key"] for message in told} == {"TokenHealthProviderOutage/clio"}


@pytest.mark.parametrize("scheme", ["opsgenie", "jira"])
async def test_where_apprise_would_swallow_the_end_it_is_said_as_a_message(scheme):
    plugin = service("x", Secret(f"{scheme}://00000000-0000-0000-0000-000000000000"), "some/key")
    assert (plugin.alias, plugin.action) == ("some/key", "new")


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, Outcome.SENT),
        (400, Outcome.FAILED),
        (401, Outcome.LATER),
        (429, Outcome.LATER),
        (503, Outcome.LATER),
    ],
)
async def test_what_alertmanager_answers_decides_what_comes_next(httpserver, status, outcome):
    httpserver.expect_request("/api/v2/alerts").respond_with_data("no", status)
    url = httpserver.url_for("").replace("http://", "http://user:hidden@")
    channel = Alertmanager(Hook(Secret(url)), "http://th.example")
    found, answer = await channel.send("key", MATTER, over=False, now=START)
    assert found is outcome
    assert "hidden" not in answer
    assert httpserver.log[0][0].authorization.password == "hidden"


async def test_an_alertmanager_that_is_not_there_is_tried_again():
    channel = Alertmanager(Hook(Secret("http://user:hidden@127.0.0.1:9"), timeout=2), "")
    outcome, answer = await channel.send("key", MATTER, over=False, now=START)
    assert outcome is Outcome.LATER and answer == "127.0.0.1:9: ConnectError"


TWO = """
[[oncall.routes]]
name = "slow"
url = "json://{slow}/hook"
[[oncall.routes]]
name = "quick"
url = "json://{where}/hook"
"""


async def test_a_channel_that_hangs_costs_the_others_no_second(tmp_path, sqlite_url, sandbox, receiver):
    """Each channel is worked off on its own, also in the service's ticks."""
    asked, release = asyncio.Event(), asyncio.Event()

    async def hang(reader, writer):
        asked.set()
        await release.wait()
        writer.close()

    slow = await asyncio.start_server(hang, "127.0.0.1", 0)
    port = slow.sockets[0].getsockname()[1]
    more = ONCALL.format(channels=TWO.format(slow=f"127.0.0.1:{port}", where=receiver.where))
    async with rigged(tmp_path, sandbox, sqlite_url, more=more) as rig:
        await rig.add(*(f"firm{n}" for n in range(6)))
        await rig.look()
        rig.sandbox.weather("down")
        for _ in range(15):
            await rig.after(minutes=1)
        works = dict(rig.pager.ticks())
        await works["oncall.due"]()
        hanging = asyncio.create_task(works["oncall.send.slow"]())
        await asked.wait()
        await works["oncall.send.quick"]()
        assert [m["type"] for m in receiver.messages] == ["failure"] and not hanging.done()
        # While it still hangs, what comes next goes out over the other one.
        rig.sandbox.weather("fine")
        for _ in range(12):
            await rig.after(minutes=5)
            await rig.pager.plan()
        await works["oncall.due"]()
        await works["oncall.send.quick"]()
        assert [m["type"] for m in receiver.messages] == ["failure", "success"] and not hanging.done()
        release.set()
        await hanging
    slow.close()
    await slow.wait_closed()


async def test_a_page_is_tried_for_as_long_as_its_matter_stands(hook, receiver):
    """A channel that was closed to us over a long weekend hears of it on Tuesday."""
    await hook.add(*(f"firm{n}" for n in range(6)))
    await hook.look()
    receiver.status = 503
    await outage(hook, 15)
    for _ in range(16):
        await hook.pages(hours=6)
    assert receiver.messages == []
    receiver.status = 200
    for _ in range(2):
        await hook.pages(minutes=6)
    assert [m["type"] for m in receiver.messages] == ["failure"]
