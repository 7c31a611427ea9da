"""Names and answers of others are text in a page, in whichever service it is read: looked at as it arrives there."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.channels.alertmanager import Alertmanager
from alerts.channels.inert import JOINER, inert
from alerts.channels.notify import Notify
from alerts.outbox.envelope import Outcome
from monitor.secret import Secret
from monitor.wire.hooks import Hook

NOW = datetime(2026, 10, 5, tzinfo=UTC)
RUNBOOK = "https://runbooks.example/revoked"
EVIL = (
    "<!channel> <!here|x> <@U123> <@&42> <#7> <at>all</at> <users/all> @everyone @here me@channel @all @room @**all** "
    "<http://evil.example|click> <https://evil.example> [click](http://evil.example) [a] (http://evil.example) "
    "![](http://evil.example/x.png) [b][1] [1]: http://evil.example <a href='//evil.example'>x</a> <img src=x> "
    "slack://evil.example www.evil.example"
)
# What one service or another makes something of.
LIVE = re.compile(
    r"[<>]|@(everyone|here|channel|all|room)|(?<![\w.+-])@(?!\u2060)|\]\s*[\[(:]|\w://|www\.", re.IGNORECASE
)
MATTER = {
    "labels": {"severity": "page", "client": f"Firm {EVIL}"},
    "summary": f"Firm {EVIL}",
    "description": f"It said: {EVIL}",
    "runbook": RUNBOOK,
    "since": NOW.isoformat(),
}


@pytest.fixture
def service(monkeypatch) -> Iterator[tuple[str, list[str]]]:
    """A server that takes whatever a plugin sends, with Slack's, Discord's and Telegram's addresses put there."""
    import apprise.plugins.discord
    import apprise.plugins.slack
    import apprise.plugins.telegram

    bodies: list[str] = []

    class Takes(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers.get("content-length", 0))).decode())
            answer = (
                b"ok"
                if self.path.startswith("/T1")
                else b'{"ok": true, "access_token": "a", "event_id": "e"}'
            )
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_PUT = do_GET = do_POST

        def log_message(self, *_args: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Takes)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(apprise.plugins.slack.NotifySlack, "webhook_url", url)
    monkeypatch.setattr(apprise.plugins.discord.NotifyDiscord, "notify_url", url)
    monkeypatch.setattr(apprise.plugins.telegram.NotifyTelegram, "notify_url", f"{url}/bot")
    yield url, bodies
    server.shutdown()
    thread.join()
    server.server_close()


SERVICES = {
    "slack": "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#general?image=no",
    "slack in blocks": "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#general?blocks=yes&image=no",
    "discord": "discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js?avatar=no",
    "discord in embeds": "discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js?format=markdown&avatar=no",
    "telegram": "tgram://123456789:abcdefg_hijklmnop/12315544/",
    "telegram in markdown": "tgram://123456789:abcdefg_hijklmnop/12315544/?format=markdown",
    "mattermost": "mmost://HOST/3ccdd113474722377935511fc85d3dd4?image=no",
    "rocket.chat": "rocket://web/hook1234567890@HOST/#general?avatar=no",
    "ntfy": "ntfy://HOST/topic?image=no",
    "ntfy in markdown": "ntfy://HOST/topic?format=markdown&image=no",
    "gotify": "gotify://HOST/abcdefghijklmnopqr",
    "json": "json://HOST/",
}
# What the plugins themselves add: their own tags, mark and home page.
THEIRS = re.compile(r"</?b>|https://github\.com/caronc/apprise|^#\s|https://runbooks\\?\.example/revoked")


@pytest.mark.parametrize("name", SERVICES)
@pytest.mark.parametrize("over", [False, True])
async def test_nothing_of_others_is_a_mention_a_link_or_a_tag(name, over, service):
    url, bodies = service
    channel = Notify(name, Secret(SERVICES[name].replace("HOST", url.removeprefix("http://"))))
    outcome, said = await channel.send("k", MATTER, over=over, now=NOW)
    assert outcome is Outcome.SENT, said
    texts = [text for body in bodies for text in _texts(json.loads(body))]
    shown = "\n".join(texts)
    assert "evil" in shown and "It said" in shown
    assert re.search(r"https://runbooks\\?\.example/revoked", shown)
    # A backslash before a character is markdown's way to say that it is none.
    plain = re.sub(r"\\(.)", r"\1", THEIRS.sub("", shown))
    assert LIVE.search(plain) is None, LIVE.search(plain)
    assert "allow_mentions" not in "".join(bodies)


def _texts(document: Any) -> Iterator[str]:
    if isinstance(document, str):
        yield document
    for entry in (
        document.values() if isinstance(document, dict) else document if isinstance(document, list) else ()
    ):
        yield from _texts(entry)


async def test_alertmanager_gets_nothing_that_its_receivers_would_read_as_markup(service):
    url, bodies = service
    outcome, _ = await Alertmanager(Hook(Secret(url)), "https://h.example").send(
        "k", MATTER, over=False, now=NOW
    )
    assert outcome is Outcome.SENT
    notes = json.loads(bodies[0])[0]["annotations"]
    assert notes["runbook_url"] == RUNBOOK
    assert not any(LIVE.search(notes[key]) for key in ("summary", "description"))


@given(st.text(st.sampled_from("<>@[](): /everyonhcalmtp.w!*_\\|\n"), max_size=60))
def test_no_text_is_live_and_people_read_the_same(text):
    changed = inert(text)
    assert LIVE.search(changed) is None
    assert changed.replace(JOINER, "").replace("‹", "<").replace("›", ">") == text


def test_addresses_of_people_stay_as_they_are():
    assert (
        inert("Ask ann@firm.example (or 10:30, a: b) [see]") == "Ask ann@firm.example (or 10:30, a: b) [see]"
    )
