"""Token Health as the client library sees it: tokens, signals, problems. And strangers who answer in its place."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, quote, unquote, urlsplit


class Clock:
    """A monotonic clock that stands still until it is moved; who sleeps moves it."""

    def __init__(self):
        self.now = 1_000.0
        self.slept = []

    def __call__(self):
        return self.now

    def tick(self, seconds):
        self.now += seconds

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.tick(seconds)


def problem(status, code, headers=(), **members):
    """An answer that is a problem (RFC 9457)."""
    told = {
        "type": f"urn:token-health:problem:{code}",
        "code": code,
        "status": status,
        "title": f"It is {code}",
    }
    return status, {"Content-Type": "application/problem+json", **dict(headers)}, {**told, **members}


def needs_person(connection="acme-clio", **members):
    return problem(
        409,
        "needs_person",
        connection=connection,
        state="broken",
        cause="revoked",
        owner="client",
        next_step="An administrator of the client authorizes the connection again.",
        told=[{"notice": 812, "kind": "revoked", "state": "sent"}],
        incident=4711,
        confidence=0.9,
        **{"reconnect": {"url": "https://th.example/r/x", "expires_at": "2026-11-24T18:12:03Z"}, **members},
    )


@dataclass
class Asked:
    """A request as it came."""

    method: str
    path: str
    query: dict
    headers: dict
    body: dict | None


@dataclass
class Connection:
    generation: int = 17
    expires_in: int | None = 3600
    more: dict = field(default_factory=dict)


class Played:
    """The server. `next` answers come first, once each; then `always`; then what the contract says."""

    def __init__(self, key, context=None):
        self.key = key
        self.scheme = "https" if context else "http"
        self.asked = []
        self.connections = {}
        self.next = []
        self.always = {}
        self.looked = {"cause": "ok"}
        self.at_look = lambda: None
        self.gate = None
        self.arrived = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.played = self
        if context:
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.005,), daemon=True)

    @property
    def url(self):
        return f"{self.scheme}://127.0.0.1:{self._server.server_port}"

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()

    def add(self, name, **wish):
        self.connections[name] = Connection(**wish)

    @property
    def reads(self):
        return [one for one in self.asked if one.path.endswith("/token")]

    @property
    def signals(self):
        """The signals of all batches, in order."""
        return [one for asked in self.asked if asked.path == "/signals" for one in asked.body["items"]]

    def answer(self, asked):
        if asked.headers.get("authorization") != f"Bearer {self.key}":
            return problem(401, "bad_credentials")
        if self.next:
            return self.next.pop(0)
        if asked.path == "/signals":
            return self.always.get("/signals") or (202, {}, {"effect": "recorded"})
        _, _, name, kind = asked.path.split("/")
        name = unquote(name)
        if kind in self.always:
            return self.always[kind]
        if name not in self.connections:
            return problem(404, "not_found")
        return self._signal(name) if kind == "signals" else self._token(name, asked)

    def _signal(self, name):
        self.at_look()
        return (
            200,
            {},
            {"effect": "probe_now", "generation": self.connections[name].generation, "looked": self.looked},
        )

    def _token(self, name, asked):
        known = self.connections[name]
        etag = f'"k3f9q2ma.{known.generation}"'
        if asked.headers.get("if-none-match") == etag:
            return 304, {"ETag": etag}, None
        told = {
            "connection": name,
            "access_token": f"secret-{quote(name)}-{known.generation}",
            "token_type": "Bearer",
            "expires_in": known.expires_in,
            "generation": known.generation,
            "base_url": "https://app.clio.example",
            "account": {"id": "1234", "name": "Acme LLP"},
            "values": {"realm": "9130"},
            "scopes": ["contacts", "matters"],
            "health": {"state": "healthy", "cause": "ok", "owner": "nobody"},
            "shortfall": None,
            "something_new": [1],
            **known.more,
        }
        return 200, {"ETag": etag}, told


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_):
        """Say nothing: a client that goes away is what tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def _serve(self):
        played = self.server.played
        url = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        path = url.path.replace("/prefix", "").replace("/api/v1", "", 1)
        asked = Asked(self.command, path, parse_qs(url.query), headers, json.loads(body) if body else None)
        played.asked.append(asked)
        played.arrived.set()
        if played.gate is not None:
            played.gate.wait(5)
        status, more, told = played.answer(asked)
        content = b"" if told is None else told if isinstance(told, bytes) else json.dumps(told).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "X-Request-Id": "01J9ABCDEF", **more}.items():
            self.send_header(name, value)
        if told is not None:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = _serve

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def stranger(talk):
    """A server of bare bytes: `talk(socket)` for each connection, on a thread of its own."""
    listening = socket.create_server(("127.0.0.1", 0))
    talks, stopping = [], threading.Event()

    def one(sock):
        with sock, contextlib.suppress(OSError):
            talk(sock)

    def accept():
        while not stopping.is_set():
            with contextlib.suppress(OSError):
                sock, _ = listening.accept()
                if stopping.is_set():
                    sock.close()
                    return
                talks.append(threading.Thread(target=one, args=(sock,), daemon=True))
                talks[-1].start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    port = listening.getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        stopping.set()
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port)).close()
        thread.join(5)
        listening.close()
