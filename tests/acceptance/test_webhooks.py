"""A program is told of what came about, whatever becomes of the process that was to tell it; by the commands."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from standardwebhooks import Webhook

from tests.acceptance.test_processes import Program, cli, config, free_port, get, import_fleet, until
from tests.conftest import environ


class Receiver(ThreadingHTTPServer):
    """An endpoint in a thread: it keeps what it is sent, and may hold its answer back."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.taken: list[tuple[dict[str, str], bytes]] = []
        self.go = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}/hook"

    def of(self, kind: str) -> list[dict[str, str]]:
        return [headers for headers, body in list(self.taken) if json.loads(body)["type"] == kind]


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.taken.append(({k.lower(): v for k, v in self.headers.items()}, body))
        self.server.go.wait(20)
        with contextlib.suppress(OSError):
            self.send_response(204)
            self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def running(path: Path, ends_by: int = signal.SIGTERM) -> Iterator[None]:
    """A service while something is looked at, ended however that went."""
    program = Program(path, ("clio",))
    try:
        yield
    finally:
        program.end(ends_by)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()
    thread = threading.Thread(target=found.serve_forever, daemon=True)
    thread.start()
    yield found
    found.go.set()
    found.shutdown()
    found.server_close()


@pytest.mark.timeout(120)
def test_kill_9_between_verdict_and_delivery_and_the_event_comes_all_the_same(tmp_path, sandbox, receiver):
    sandbox.app("clio")
    port = free_port()
    path = config(tmp_path, sandbox, f"sqlite:///{tmp_path / 'th.db'}", port)
    grants = import_fleet(path, sandbox, "clio", "us", 1)
    made = json.loads(cli(path, "webhooks", "add", receiver.url, "--event", "connection.broken", "--json"))
    sandbox.do(grants[0], "revoke")
    with running(path, signal.SIGKILL):
        until(lambda: receiver.of("connection.broken") or None, 40)  # it came, and was not answered
    receiver.go.set()
    with running(path):
        found = until(
            lambda: len(receiver.of("connection.broken")) >= 2 and receiver.of("connection.broken"), 40
        )
        until(lambda: '"sent"' in cli(path, "webhooks", "show", made["id"], "--json"))
        status, metrics = get(port, "/metrics")
        assert status == 200 and 'token_health_webhook_deliveries_total{result="sent"} 1.0' in metrics
    assert {headers["webhook-id"] for headers in found} == {found[0]["webhook-id"]}
    headers, body = receiver.taken[-1]
    event = Webhook(made["secret"]).verify(body, headers)
    assert (event["data"]["connection"], event["data"]["cause"]) == ("firm-0", "revoked")
    # Neither a token nor the secret stands anywhere, nor is either sent.
    tokens = [
        pair[name]
        for pair in (
            line["tokens"] for line in map(json.loads, (tmp_path / "fleet.jsonl").read_text().splitlines())
        )
        for name in ("access_token", "refresh_token")
    ]
    written = b"".join(
        file.read_bytes() for file in tmp_path.iterdir() if file.name.startswith(("th.db", "run-"))
    )
    for canary in (*tokens, made["secret"]):
        assert canary.encode() not in written
        assert all(canary.encode() not in body for _, body in receiver.taken)
    assert all(b"@" not in body for _, body in receiver.taken)


def test_the_commands_of_webhooks(tmp_path, sandbox, receiver):
    sandbox.app("clio")
    receiver.go.set()
    path = config(tmp_path, sandbox, f"sqlite:///{tmp_path / 'th.db'}")
    assert "No program is told anything" in cli(path, "webhooks", "list")
    said = cli(path, "webhooks", "add", receiver.url, "--label", "tier=gold", "--connection", "acme-*")
    assert "shown this once: whsec_" in said
    (one,) = json.loads(cli(path, "webhooks", "list", "--json"))
    assert one["only"] == {"labels": {"tier": ["gold"]}, "connections": ["acme-*"]}
    assert (one["events"], one["state"], one["revision"]) == (["*"], "active", 1)
    assert "took it" in cli(path, "webhooks", "test", one["id"])
    assert json.loads(receiver.taken[0][1])["type"] == "webhook.test"
    assert "another secret" in cli(path, "webhooks", "rotate", one["id"])
    cli(path, "webhooks", "disable", one["id"])
    assert "disabled" in cli(path, "webhooks", "show", one["id"])
    cli(path, "webhooks", "replay", one["id"], "--since", "2026-11-01T00:00Z", code=2)
    assert "webhooks replay" in cli(path, "webhooks", "enable", one["id"])
    cli(path, "webhooks", "add", "http://169.254.169.254/latest", code=2)
    cli(path, "webhooks", "add", receiver.url, "--event", "connection.brokn", code=2)
    cli(path, "webhooks", "remove", one["id"], "--yes")
    assert json.loads(cli(path, "webhooks", "list", "--json")) == []


@pytest.mark.timeout(90)
def test_events_are_followed_as_they_come_about(tmp_path, sandbox):
    sandbox.app("clio")
    port = free_port()
    path = config(tmp_path, sandbox, f"sqlite:///{tmp_path / 'th.db'}", port)
    import_fleet(path, sandbox, "clio", "us", 1)
    words = ["events", "tail", "--type", "connection.*", "--after", "", "--json", "--config", str(path)]
    with (
        running(path),
        subprocess.Popen(
            [sys.executable, "-m", "monitor", *words],
            stdout=subprocess.PIPE,
            env=os.environ | environ("clio"),
            text=True,
        ) as tail,
    ):
        assert tail.stdout is not None
        try:
            first = json.loads(tail.stdout.readline())
            assert (first["type"], first["data"]["connection"]) == ("connection.created", "firm-0")
            cli(path, "connections", "pause", "firm-0")
            assert json.loads(tail.stdout.readline())["type"] == "connection.paused"
        finally:
            tail.send_signal(signal.SIGINT)
