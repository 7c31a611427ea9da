"""The attack that lost a client's pair: idle sockets until no descriptor is left, and a refresh that is due."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import socket
import subprocess
import sys
import threading

from tests.acceptance.test_processes import cli, config, free_port, get, import_fleet, states, until
from tests.conftest import MAIL, environ

DESCRIPTORS, SOCKETS = 400, 390
HALF = b"GET /r/abc HTTP/1.1\r\nHost: x\r\nX-Slow: "


class Idle:
    """Half-sent requests, held open; whatever the server closes is opened anew at once."""

    def __init__(self, port: int) -> None:
        self._port, self._over = port, threading.Event()
        self._held: list[socket.socket | None] = [None] * SOCKETS
        self.opened = 0
        self._thread = threading.Thread(target=self._hold, daemon=True)

    def _hold(self) -> None:
        while not self._over.is_set():
            for i, held in enumerate(self._held):
                if held is None or self._closed(held):
                    self._held[i] = self._open()
            self._over.wait(0.02)

    def _closed(self, held: socket.socket) -> bool:
        try:
            if held.recv(1) == b"":
                held.close()
                return True
        except BlockingIOError:
            return False
        except OSError:
            held.close()
            return True
        return False

    def _open(self) -> socket.socket | None:
        with contextlib.suppress(OSError):
            found = socket.create_connection(("127.0.0.1", self._port), timeout=0.2)
            found.setblocking(False)
            found.send(HALF)
            self.opened += 1
            return found
        return None

    def __enter__(self) -> Idle:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(20)
        for held in self._held:
            if held is not None:
                held.close()


def run(path, log, *, descriptors):
    return subprocess.Popen(
        [sys.executable, "-m", "monitor", "run", "--config", str(path)],
        stdout=log,
        stderr=log,
        env=os.environ | environ("plat"),
        # No thread of this process holds a lock that the child would want.
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors // 2, descriptors)),  # noqa: PLW1509
    )


def test_four_hundred_descriptors_and_idle_sockets_lose_no_client_anything(tmp_path, sandbox, catcher):
    smtp, _ = catcher
    sandbox.app("plat", system="platform", lifetime=3600)
    port = free_port()
    path = config(
        tmp_path,
        sandbox,
        f"sqlite:///{tmp_path / 'th.db'}",
        port,
        apps={"plat": {"provider": "clio-platform"}},
        more=MAIL.format(url=f"smtp://{smtp}").replace('delay = "10m"', 'delay = "0s"'),
    )
    grants = import_fleet(path, sandbox, "plat", "platform-us", 3)
    with (tmp_path / "run.log").open("w+b") as log:
        process = run(path, log, descriptors=DESCRIPTORS)
        try:
            until(lambda: set(states(path, "plat").values()) == {"ok"})
            with Idle(port) as idle:
                until(lambda: idle.opened >= SOCKETS)
                before = sandbox.seen()["refreshes"]
                for grant in grants:
                    sandbox.do(grant, "expire_access")
                until(lambda: sandbox.seen()["refreshes"] >= before + len(grants))
                assert get(port, "/healthz")[0] == 200
                assert get(port, "/metrics")[0] == 200
                until(lambda: set(states(path, "plat").values()) == {"ok"})
                assert len(os.listdir(f"/proc/{process.pid}/fd")) < DESCRIPTORS - 64, (
                    "refreshes have a reserve"
                )
                assert process.poll() is None
        finally:
            process.terminate()
            assert process.wait(15) == 0
        log.seek(0)
        text = log.read().decode()
    assert "Traceback" not in text and "refresh_lost" not in text
    assert "process.exhausted" not in text, "it never came to that"
    assert sandbox.seen()["used_twice"] == 0
    listed = json.loads(cli(path, "notices", "list", "--json", "--all", apps=("plat",)))
    assert listed["notices"] == [], "nobody is mailed"


def test_what_does_not_fit_into_the_descriptors_is_refused_in_one_sentence(tmp_path, sandbox):
    path = config(
        tmp_path, sandbox, f"sqlite:///{tmp_path / 'th.db'}", apps={"plat": {"provider": "clio-platform"}}
    )
    with (tmp_path / "run.log").open("w+b") as log:
        assert run(path, log, descriptors=300).wait(20) == 2
        log.seek(0)
        text = " ".join(log.read().decode().split())
    assert "schedule.concurrency (100) and the listeners' connections (100) need 396 file descriptors" in text
    assert "this process may have 300" in text and "Traceback" not in text
