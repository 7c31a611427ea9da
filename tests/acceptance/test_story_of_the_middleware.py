"""Mended where it counts: the client approves in a browser, and the middleware works again by itself."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from token_health_client import NeedsPerson, TokenHealth, verify_webhook

from tests.acceptance.test_processes import Program, cli, config, free_port, import_fleet, states, until
from tests.acceptance.test_story import MAIL, mails
from tests.acceptance.test_story import page as page  # noqa: PLC0414 - the fixture
from tests.acceptance.test_webhooks import Receiver
from tests.acceptance.test_webhooks import receiver as receiver  # noqa: PLC0414 - the fixture

LIBRARY = Path(__file__).parents[2] / "clients" / "python"


@contextmanager
def middleware(web: str, key: str, *firms: str) -> Iterator[queue.SimpleQueue[str]]:
    """The demo's middleware at work, and what it says; nobody speaks to it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "monitor.sandbox.middleware", *firms],
        stdout=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": str(LIBRARY), "TOKEN_HEALTH_URL": web, "TOKEN_HEALTH_KEY": key},
    )  # fmt: skip
    said: queue.SimpleQueue[str] = queue.SimpleQueue()
    assert process.stdout is not None
    reading = threading.Thread(target=lambda: [said.put(line.strip()) for line in process.stdout or ()])
    reading.start()
    try:
        yield said
    finally:
        process.terminate()
        process.wait(10)
        reading.join(10)
        process.stdout.close()


def approved(page, mailbox: str) -> None:
    """The client reads the mail, follows its link, and approves."""
    page.goto(f"{mailbox}/mail/0")
    page.goto(page.frame_locator("iframe").locator("a[href*='/r/']").first.get_attribute("href"))
    page.get_by_role("button", name="Continue to Clio Manage").click()
    page.get_by_label("Firm 0").check()
    page.get_by_role("button", name="Approve").click()
    assert page.locator("h1").inner_text() == "Thank you, it works"


def recovered(receiver: Receiver, secret: str) -> dict:
    """What the webhook said of the recovery, as a receiver with the library reads it."""
    headers, body = until(
        lambda: next((one for one in receiver.taken if b'"connection.recovered"' in one[1]), None)
    )
    return verify_webhook(headers, body, secret)["data"]


@pytest.mark.timeout(90)
def test_the_client_approves_and_the_middleware_works_again(
    tmp_path, database_url, sandbox, catcher, page, receiver
):
    smtp, mailbox = catcher
    receiver.go.set()
    port = free_port()
    web = f"http://127.0.0.1:{port}"
    sandbox.app("clio", redirect_uris=[f"{web}/oauth/callback"])
    path = config(tmp_path, sandbox, database_url, port, more=MAIL.format(smtp=smtp))
    path.write_text(path.read_text() + f'public_url = "{web}"\n')
    (grant,) = import_fleet(path, sandbox, "clio", "us", 1)
    scopes = [
        word for right in ("tokens:read", "signals:write", "events:read") for word in ("--scope", right)
    ]
    key = cli(path, "api", "keys", "new", "middleware", *scopes).strip()
    hook = json.loads(cli(path, "webhooks", "add", receiver.url, "--event", "connection.*", "--json"))

    program = Program(path, ("clio",))
    try:
        until(lambda: states(path).get("firm-0") == "ok")
        with TokenHealth(web, key) as th, middleware(web, key, "firm-0") as said:
            first = th.token("firm-0")
            until(lambda: sandbox.seen()["requests"].get("us resource"))  # it is at work
            sandbox.do(grant, "revoke")

            # Its work stops with a cause, and without a token.
            assert said.get(timeout=30) == "firm-0 parked: revoked, the client acts"
            th.forget("firm-0")
            with pytest.raises(NeedsPerson) as stuck:
                th.token("firm-0")
            why = stuck.value
            assert (why.state, why.cause, why.owner) == ("broken", "revoked", "client")
            assert why.next_step == "An administrator of the client authorizes the connection again."
            assert first.access_token not in repr(why.problem.members)

            # The client is asked and approves; nobody else does anything.
            until(lambda: len(mails(mailbox)) >= 1)
            approved(page, mailbox)
            assert said.get(timeout=30) == "firm-0 works again"

            data = recovered(receiver, hook["secret"])
            assert (data["connection"], data["state"], data["was"]["cause"]) == (
                "firm-0",
                "healthy",
                "revoked",
            )
            th.forget(data["connection"])  # as whoever takes the webhook does
            again = th.token("firm-0")
            assert again.generation == data["generation"] > first.generation
            assert again.access_token != first.access_token
        until(lambda: len(mails(mailbox)) >= 2)
    finally:
        program.end()
    for secret in (first.access_token, again.access_token, key):
        assert secret not in program.text
