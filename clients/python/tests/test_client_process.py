"""The package in processes: alone, forked, at its end, and the worker that README shows."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import warnings
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def python(code, *flags, **environ):
    done = subprocess.run(
        [
            sys.executable,
            "-W",
            "error",
            *flags,
            "-c",
            f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{code}",
        ],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env={**os.environ, **environ},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_standard_library_is_enough():
    out = python(
        "import token_health_client as t; from token_health_client import *\n"
        "print(sorted({n.partition('.')[0] for n, m in sys.modules.items() if 'site-packages' in str(getattr(m, '__file__', ''))}))",
        "-I",
        "-S",
    )
    assert out.strip() == "[]"


def test_what_waits_at_the_interpreters_end_is_sent(server):
    python(
        "import token_health_client as t, os\n"
        "th = t.TokenHealth(os.environ['URL'], os.environ['KEY'])\n"
        "th.saw(th.token('acme-clio'), 401)",
        URL=server.url,
        KEY=server.key,
    )
    assert [one["kind"] for one in server.signals] == ["unauthorized"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_has_the_tokens_and_nothing_else_of_its_parents(th, server, clock):
    server.add("globex")
    token = th.token("acme-clio")
    th.saw(token, 401)
    th._flights.board("globex", "read")  # the parent's thread is under way with it when the child is made
    sending = th._outbox._lock.acquire()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        code = 1
        try:
            same = th.token("acme-clio") is token
            other = th.token("globex").generation == 17
            th.saw(token, 403)
            th.close()
            code = 0 if same and other else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert sending
    th._outbox._lock.release()
    assert [one["kind"] for one in server.signals] == ["forbidden"]
    clock.tick(3400)
    assert th.token("acme-clio").generation == 17
    th.flush()
    assert [one["kind"] for one in server.signals] == ["forbidden"] + ["unauthorized"] * (
        len(server.signals) - 1
    )


def test_whoever_forgets_to_close_leaves_no_thread_behind(make, server):
    from token_health_client import TokenHealth

    th = TokenHealth(server.url, server.key)
    th.saw(th.token("acme-clio"), 401)
    thread = th._sender._thread
    del th
    gc.collect()
    thread.join(5)
    assert not thread.is_alive()
    assert len(server.signals) == 1


class _Provider(BaseHTTPRequestHandler):
    def do_GET(self):
        status = 401 if self.headers["Authorization"].endswith("17") else 200
        self.send_response(status)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_):
        pass


def test_the_worker_of_the_readme_runs(server):
    provider = ThreadingHTTPServer(("127.0.0.1", 0), _Provider)
    threading.Thread(target=provider.serve_forever, args=(0.005,), daemon=True).start()
    base_url = f"http://127.0.0.1:{provider.server_port}"
    for name in ("acme-clio", "globex"):
        server.add(name, more={"base_url": base_url})
    server.at_look = lambda: setattr(server.connections["acme-clio"], "generation", 18)
    server.connections["globex"].generation = 5
    done = subprocess.run(
        [
            sys.executable,
            ROOT / "examples" / "worker.py",
            "/api/contacts.json",
            "acme-clio",
            "globex",
            "initech",
        ],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "TOKEN_HEALTH_URL": server.url,
            "TOKEN_HEALTH_KEY": server.key,
        },
    )
    provider.shutdown()
    provider.server_close()
    assert done.stdout.splitlines() == [
        "acme-clio: 200, 2 bytes",
        "globex: 200, 2 bytes",
        "initech: It is not_found (not_found, request 01J9ABCDEF)",
    ]
    assert done.stderr == ""
    assert [one["kind"] for one in server.signals] == ["success", "success"]
