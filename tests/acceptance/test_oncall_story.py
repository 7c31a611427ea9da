"""On-call's story from outside: an outage, a refused app and revocations, with Prometheus and without it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from dashboards import build
from monitor.cli.demo.stage import Reader
from monitor.metrics import ahead, catalogue
from tests.acceptance.oncall_stage import (
    ROOT,
    Middleware,
    Webhook,
    alertmanager,
    ask,
    filled,
    need,
    prometheus,
    queries,
)
from tests.acceptance.pictures import Drawing, take
from tests.acceptance.test_processes import Program, cli, free_port, get, until
from tests.conftest import Sandbox, write_config

CHROMIUM = shutil.which("chromium")
PICTURES = os.environ.get("PICTURES")  # a folder: the dashboards' data are drawn there
APPS = ("us", "eu", "plat")
MANY = 200
SETTINGS = """
[smtp]
url = "{smtp}"
from = "Northwind Integrations <integrations@northwind.example>"
[email]
delay = "0s"
quiet_hours = ""
[guard]
doubt_delay = "0s"
[web]
listen = "127.0.0.1:{port}"
public_url = "http://127.0.0.1:{port}"
[oncall]
team = "integrations"
calm = "2s"
patience = "5s"
{oncall}
"""


class Story:
    """A fleet at the sandbox, and what happens to it."""

    def __init__(self, folder: Path, sandbox: Sandbox, smtp: str, mailbox: str, oncall: str) -> None:
        self.sandbox, self.mailbox, self.port = sandbox, mailbox, free_port()
        idle = (ROOT / "monitor/providers/clio.toml").read_text()
        idle = idle.replace('name = "clio"', 'name = "clio-idle"', 1)
        idle = idle.replace('access_lifetime = "7d"', 'access_lifetime = "7d"\nrefresh_idle_lifetime = "5d"')
        (folder / "idle.toml").write_text(idle)
        apps = {
            "us": {"extra": 'team = "legal"'},
            "eu": {"path": "eu", "provider": "", "extra": 'provider_file = "idle.toml"', "scopes": []},
            "plat": {"provider": "clio-platform", "extra": "requests_per_minute = 60000"},
        }
        self.path = write_config(
            folder, sandbox.url, f"sqlite:///{folder / 'th.db'}", apps=apps,
            more=SETTINGS.format(smtp=smtp, port=self.port, oncall=oncall),
        )  # fmt: skip
        text = (
            self.path.read_text().replace('provider = ""\n', "").replace('interval = "5m"', 'interval = "2s"')
        )
        self.path.write_text(text.replace('recheck = "30s"', 'recheck = "1s"'))
        self.grants: dict[str, str] = {}
        for app, system, region, first, count in (
            ("us", "manage", "us", 1000, MANY), ("eu", "manage", "eu", 3000, 10), ("plat", "platform", "platform-us", 5000, 5)
        ):  # fmt: skip
            sandbox.app(app, system=system, redirect_uris=[f"http://127.0.0.1:{self.port}/oauth/callback"])
            self._authorize(folder, app, region, first, count)

    def _authorize(self, folder: Path, app: str, region: str, first: int, count: int) -> None:
        wishes = [
            {
                "client_id": app,
                "account_id": first + n,
                "account_name": f"{app} Firm {n}",
                "region": region,
            }
            for n in range(count)
        ]
        lines = []
        for n, (wish, made) in enumerate(zip(wishes, self.sandbox.grants(wishes), strict=True)):
            name, tokens = f"{app}-{n}", made["tokens"]
            self.grants[name] = made["grant"]
            expires = time.gmtime(time.time() + tokens["expires_in"])  # noqa: TID251 - the sandbox's own clock
            record = {
                "id": name, "app": app, "account_id": str(wish["account_id"]),
                "client": {
                    "name": wish["account_name"], "contacts": [f"it@{name}.example"], "locale": ("en", "de")[n % 2],
                },
                "tokens": {
                    "access_token": tokens["access_token"], "refresh_token": tokens["refresh_token"],
                    "expires_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", expires),
                },
            }  # fmt: skip
            lines.append(json.dumps(record))
        file = folder / f"{app}.jsonl"
        file.write_text("\n".join(lines))
        cli(self.path, "connections", "import", str(file), apps=APPS)

    def middleware(self, webhook: Webhook) -> Middleware:
        """A program beside it all: it works with a token, and is told what comes about."""
        scopes = ("--scope", "tokens:read", "--scope", "signals:write")
        key = cli(self.path, "api", "keys", "new", "middleware", *scopes, apps=APPS).strip()
        cli(self.path, "webhooks", "add", f"{webhook.url}/events", "--event", "connection.*", apps=APPS)
        return Middleware(f"http://127.0.0.1:{self.port}", key, "plat-0")

    def states(self) -> dict[str, str]:
        fleet = json.loads(get(self.port, "/api/v1/connections?limit=500")[1])["items"]
        return {row["id"]: f"{row['state']} {row['cause']}" for row in fleet}

    def link(self, name: str) -> str | None:
        with urllib.request.urlopen(f"{self.mailbox}/messages.json", timeout=5) as answer:
            for mail in json.load(answer):
                if mail["to"] == f"it@{name}.example" and "/r/" in mail["text"]:
                    return next(word for word in mail["text"].split() if "/r/" in word)
        return None

    def revocations(self, webhook: Webhook) -> None:
        """Two firms of two hundred remove the app; one comes back by its mail, first as the wrong firm."""
        for name in ("us-0", "us-1"):
            self.sandbox.do(self.grants[name], "revoke")
        link = until(lambda: self.link("us-0"))
        urllib.request.urlopen(link, timeout=5).close()
        Reader().approve(link, "us Firm 9")
        Reader().approve(link, "us Firm 0")
        until(lambda: self.states()["us-0"] == "healthy ok")
        until(lambda: {"us-1"} <= self._tickets(webhook))
        assert webhook.told() == [], "a client's own doing pages nobody"

    @staticmethod
    def _tickets(webhook: Webhook) -> set[str]:
        return {
            alert["labels"].get("connection", "")
            for where, message in list(webhook.taken)
            if where == "tickets"
            for alert in message["alerts"]
        }

    def outage(self, webhook: Webhook) -> None:
        """The provider is down for all two hundred, and comes back: one page, and its resolution."""
        self.sandbox.weather("down", "us")
        until(lambda: webhook.told() or None, 60)
        until(
            lambda: sum(found == "broken provider_outage" for found in self.states().values()) > MANY * 0.9,
            40,
        )
        self.sandbox.weather("fine", "us")
        until(lambda: webhook.told("resolved") or None, 60)
        assert (
            webhook.told() == webhook.told("resolved") == [("page/integrations", "TokenHealthProviderOutage")]
        )
        page = next(message for where, message in webhook.taken if where == "page/integrations")
        (alert,) = page["alerts"]
        assert alert["labels"]["provider"] == "clio" and alert["labels"]["severity"] == "page"
        assert alert["annotations"]["runbook_url"].endswith("/docs/runbooks/TokenHealthProviderOutage.md")
        assert "clio is down" in alert["annotations"]["summary"]

    def wave(self, seen: Callable[[], bool]) -> None:
        """Six firms at once are more than chance brings about: held, until somebody decides.

        A busy machine may find six breaks so far apart that they are no wave: then six more have their turn.
        """
        for first in (100, 110):
            names = [f"us-{n}" for n in range(first, first + 6)]
            for name in names:
                self.sandbox.do(self.grants[name], "revoke")
            with contextlib.suppress(AssertionError):
                until(lambda: self._held() >= 6)
                break
        assert self._held() >= 6
        until(seen, 60)
        assert not any(self.link(name) for name in names)
        cli(self.path, "notices", "drop", "--guard", "clio", apps=APPS)
        assert self._held() == 0

    def _held(self) -> int:
        found = re.search(
            r'^token_health_wave_clients\{.*state="held"\} (\d+)', get(self.port, "/metrics")[1], re.M
        )
        return int(found.group(1)) if found else 0

    def leaked_secret(self, webhook: Webhook) -> None:
        """The app's secret is changed at the provider and not here: one page, to the team whose app it is."""
        self.sandbox.app("us", secret="another-since-the-old-one-leaked")
        for n in range(20, 60):
            self.sandbox.do(self.grants[f"us-{n}"], "expire_access")
        until(lambda: len(_but_the_wave(webhook)) > 1, 60)
        until(lambda: sum(found == "broken app_misconfigured" for found in self.states().values()) >= 40)
        assert _but_the_wave(webhook)[1:] == [("page/legal", "TokenHealthAppMisconfigured")]


def _but_the_wave(webhook: Webhook) -> list[tuple[str, str]]:
    """What was paged; on a slow machine the wave lasts for the two minutes that make it a page, too."""
    return [page for page in webhook.told() if page[1] != "TokenHealthGuardHolding"]


def exported(story: Story, what: str) -> str:
    folder = story.path.parent / "exported"
    cli(story.path, "export", what, str(folder), apps=APPS)
    (file,) = [path for path in folder.iterdir() if what[:5] in path.name]
    return file.read_text()


@pytest.mark.timeout(300)  # two servers of others, and a busy machine
def test_with_prometheus(tmp_path, sandbox, catcher):
    need("prometheus", "prometheus-alertmanager")
    webhook = Webhook()
    story = Story(tmp_path, sandbox, *catcher, oncall="")
    middleware = story.middleware(webhook)
    program = Program(story.path, APPS)
    try:
        until(lambda: get(story.port, "/readyz")[0] == 200)
        with (
            alertmanager(tmp_path, exported(story, "alertmanager"), webhook) as manager,
            prometheus(tmp_path, exported(story, "rules"), manager, story.port) as server,
        ):
            until(lambda: set(story.states().values()) == {"healthy ok"}, 60)
            until(lambda: _found(server, "token_health_reauthorization_steps_total"))
            story.revocations(webhook)
            story.outage(webhook)
            # Long enough to be on the dashboards afterwards, whose points are seconds apart.
            lasted = 'count_over_time (token_health_wave_clients{state="held"}[5m]) > 8'
            story.wave(lambda: _found(server, lasted))
            cli(story.path, "silence", "add", "--app", "eu", "--reason", "a test", apps=APPS)
            story.leaked_secret(webhook)
            until(lambda: _found(server, "token_health_silence_active"))

            def empty():
                lines = [
                    f"{document['title']}: {where}: {expr}"
                    for document in map(build.document, build.ALL)
                    for where, expr in queries(document)
                    if not _found(server, filled(expr, provider="clio.*", app=".*", cause=".*", locale=".*",
                                                 connection="us-1" if "step" not in expr else "us-0"))
                ]  # fmt: skip
                # Only the idle provider's refresh tokens run out, and only a broken connection has a cause.
                lines = [line for line in lines if "refresh_token" not in line or "$connection" not in line]
                # Nothing ends that somebody has to act on, no door has had its turn, no reads are metered, and
                # no campaign runs.
                quiet = (*ahead.ALL, catalogue.CAMPAIGN_CONNECTIONS, catalogue.CAMPAIGN_STOPPED)
                return [line for line in lines if not any(metric.name in line for metric in quiet)]

            # A scrape that came late on a busy machine leaves a gap of a second.
            with contextlib.suppress(AssertionError):
                until(lambda: empty() == [])
            assert empty() == [], "a panel without data"
            assert len(_but_the_wave(webhook)) == 2, webhook.told()
            if PICTURES and CHROMIUM:
                pages = {
                    document["uid"]: Drawing(
                        server,
                        document,
                        60,
                        provider="clio.*",
                        app=".*",
                        cause=".*",
                        locale=".*",
                        connection="us-1",
                    ).page()
                    for document in map(build.document, build.ALL)
                }
                take(CHROMIUM, pages, Path(PICTURES))
    finally:
        middleware.close()
        assert program.end() == 0, program.text
        webhook.close()
    assert "Traceback" not in program.text


def _found(server: str, expr: str) -> bool:
    """Whether Prometheus has something to show for an expression, now or within the last minutes."""
    now = time.time()  # noqa: TID251 - Prometheus's own clock
    found = ask(server, "/api/v1/query_range", query=expr, start=str(now - 180), end=str(now), step="5")[
        "result"
    ]
    return any(any(value != "NaN" for _, value in one["values"]) for one in found)


def test_without_prometheus(tmp_path, sandbox, catcher):
    need("prometheus-alertmanager")
    webhook = Webhook()
    shipped = (ROOT / "alerts/rules/alertmanager.example.yml").read_text()
    # Two teams, as 'export alertmanager' writes them for this configuration.
    from alerts.rules import alertmanager as text

    assert shipped == text.text("integrations", [])
    with alertmanager(tmp_path, text.text("integrations", ["legal"]), webhook) as manager:
        story = Story(tmp_path, sandbox, *catcher, oncall=f'alertmanager_url = "{manager}"')
        program = Program(story.path, APPS)
        try:
            until(lambda: get(story.port, "/readyz")[0] == 200)
            until(lambda: set(story.states().values()) == {"healthy ok"}, 60)
            story.revocations(webhook)
            story.outage(webhook)
            story.leaked_secret(webhook)
            listed = json.loads(cli(story.path, "oncall", "list", "--json", apps=APPS))
            (page,) = [m for m in listed["matters"] if m["labels"]["severity"] == "page"]
            assert page["told"] == ["alertmanager"]
            said = json.loads(cli(story.path, "notices", "list", "--all", "--json", apps=APPS))["notices"]
            assert ("clear", "TokenHealthProviderOutage") in [(item["slot"], item["kind"]) for item in said]
            assert "On-call was told over alertmanager: clio refuses our app us" in " ".join(
                cli(story.path, "explain", "us-20", apps=APPS).split()
            )
            assert len(webhook.told()) == 2, webhook.told()
        finally:
            assert program.end() == 0, program.text
            webhook.close()
    assert "Traceback" not in program.text
