"""HTTP to one server: keep-alive, bounded in time and size, no proxy, no redirect.

This is the one module that holds the key. It goes into one header, and is taken out of whatever comes back.
"""

from __future__ import annotations

import functools
import http.client
import io
import platform
import re
import socket
import ssl
import threading
import time
import uuid
from dataclasses import dataclass
from typing import Any, Optional, Union
from urllib.parse import urlsplit

from token_health_client._values import Heard, Lost, Reply, Request

BYTES = 1_048_576  # of an answer
CONNECT = 5.0  # seconds
IDLE = 20.0  # seconds after which a connection is no longer trusted to be open
KEPT = 8  # connections that wait for the next request
VERSION = "0.1.0"
USER_AGENT = f"token-health-client/{VERSION} python/{platform.python_version()}"
_KEY = re.compile(r"[\x21-\x7e]+")
_FAULTS = (OSError, http.client.HTTPException, ValueError)
_CLOSED = (ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError)


@dataclass(frozen=True)
class Address:
    """Where Token Health is: `https://host[:port][/prefix]`."""

    scheme: str
    host: str
    port: Optional[int]
    prefix: str

    @classmethod
    def of(cls, url: str) -> Address:
        """Read an address; ValueError says what is wrong with it, and never shows it."""
        try:
            parts = urlsplit(url.strip())
            host, port = parts.hostname or "", parts.port
            host.encode("idna" if ":" not in host else "ascii")
        except ValueError:
            raise ValueError("this is no address of Token Health") from None
        if parts.scheme not in ("https", "http") or not host:
            raise ValueError("the address of Token Health begins with https:// (or http://)")
        if parts.username is not None or parts.query or parts.fragment:
            raise ValueError(
                "the address of Token Health has no user, query or fragment: the key is passed apart"
            )
        if not re.fullmatch(r"[\x21-\x7e]*", parts.path):
            raise ValueError("the address of Token Health has a path that is no path")
        return cls(parts.scheme, host, port, parts.path.rstrip("/"))

    def path(self, request: Request) -> str:
        """Return the whole path of a request."""
        return f"{self.prefix}/api/v1{request.path}"

    def url(self, request: Request) -> str:
        """Return the whole URL of a request."""
        return f"{self}/api/v1{request.path}"

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}{'' if self.port is None else f':{self.port}'}{self.prefix}"


class Key:
    """The API key, which shows itself to nobody."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        text = text.strip() if isinstance(text, str) else ""
        if not _KEY.fullmatch(text):
            raise ValueError("the key of Token Health is missing, or is no key")
        self._text = text

    def headers(self, request: Request) -> dict[str, str]:
        """Return all headers of a request."""
        headers = {
            "Authorization": f"Bearer {self._text}",
            "Accept": "application/json, application/problem+json",
            "Accept-Encoding": "identity",
            "User-Agent": USER_AGENT,
            "X-Request-Id": uuid.uuid4().hex,
        }
        if request.etag is not None:
            headers["If-None-Match"] = request.etag
        if request.body is not None:
            headers["Content-Type"] = "application/json"
        return headers

    def without(self, status: int, headers: list[tuple[str, str]], body: bytes) -> Reply:
        """Return an answer that does not echo the key, whoever gave it."""
        kept = {name.lower(): value.replace(self._text, "…") for name, value in headers}
        return Reply(status, kept, body.replace(self._text.encode(), b"..."))

    def __repr__(self) -> str:
        return "Key(…)"

    def __reduce_ex__(self, protocol: object) -> Any:
        raise TypeError("a Key is not pickled")


def lost(error: BaseException, connected: bool) -> Lost:
    """Say what went wrong in the machine's own words: those of the other side may echo anything."""
    words = error.strerror if isinstance(error, OSError) else None
    if isinstance(error, socket.timeout):
        words = "no whole answer in time"
    return Lost(f"{type(error).__name__}: {words}" if words else type(error).__name__, connected)


class Wire:
    """Connections to one server, each used by one thread at a time."""

    def __init__(self, address: Address, key: Key, cafile: Optional[str] = None) -> None:
        self._address = address
        self._key = key
        self._context = ssl.create_default_context(cafile=cafile) if address.scheme == "https" else None
        self._lock = threading.Lock()
        self._idle: list[tuple[_Connection, float]] = []

    def send(self, request: Request) -> Heard:
        """Send a request and read its answer; what goes wrong is a value, not an exception."""
        deadline = time.monotonic() + request.seconds
        kept = self._take()
        if kept is not None:
            try:
                return self._exchange(kept, request, deadline)
            except _CLOSED:
                pass  # by the server, while nobody used it: once more, on a new one
            except _FAULTS as error:
                return lost(error, connected=True)
        try:
            fresh = self._open(deadline)
        except _FAULTS as error:
            return lost(error, connected=False)
        try:
            return self._exchange(fresh, request, deadline)
        except _FAULTS as error:
            return lost(error, connected=True)

    def close(self) -> None:
        """Close what is idle."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection, _ in idle:
            connection.close()

    def after_fork(self) -> None:
        """In a child: let go of the parent's connections, without a word to the server."""
        self._lock = threading.Lock()
        self.close()

    def _take(self) -> Optional[_Connection]:
        stale = []
        try:
            with self._lock:
                while self._idle:
                    connection, since = self._idle.pop()
                    if time.monotonic() - since < IDLE:
                        return connection
                    stale.append(connection)
            return None
        finally:
            for connection in stale:
                connection.close()

    def _open(self, deadline: float) -> _Connection:
        timeout = max(0.001, min(CONNECT, deadline - time.monotonic()))
        host, port = self._address.host, self._address.port
        connection: _Connection
        if self._context is not None:
            connection = http.client.HTTPSConnection(host, port, timeout=timeout, context=self._context)
        else:
            connection = http.client.HTTPConnection(host, port, timeout=timeout)
        try:
            connection.connect()
        except BaseException:
            connection.close()
            raise
        return connection

    def _exchange(self, connection: _Connection, request: Request, deadline: float) -> Reply:
        """Send and read on a connection, and keep it for the next if it may be."""
        done = False
        try:
            sock = connection.sock
            sock.settimeout(_left(deadline))
            connection.response_class = functools.partial(_Response, deadline=deadline)  # type: ignore[assignment]
            connection.request(
                request.method, self._address.path(request), request.body, self._key.headers(request)
            )
            with connection.getresponse() as response:
                body = response.read(BYTES + 1)
                if len(body) > BYTES:
                    raise _TooLong
                if response.length:
                    raise http.client.IncompleteRead(b"", response.length)
                reply = self._key.without(response.status, response.getheaders(), body)
                done = not response.will_close
            return reply
        finally:
            if done:
                self._keep(connection)
            else:
                connection.close()

    def _keep(self, connection: _Connection) -> None:
        with self._lock:
            if len(self._idle) < KEPT:
                self._idle.append((connection, time.monotonic()))
                return
        connection.close()


_Connection = Union[http.client.HTTPConnection, http.client.HTTPSConnection]


class _TooLong(http.client.HTTPException):
    """An answer of more than BYTES."""


class _Response(http.client.HTTPResponse):
    """An answer that has to be whole by a deadline, however slowly it drips."""

    def __init__(self, sock: socket.socket, *args: Any, deadline: float, **named: Any) -> None:
        super().__init__(sock, *args, **named)
        self.fp = io.BufferedReader(_Within(self.fp.detach(), sock, deadline))


class _Within(io.RawIOBase):
    """A socket's stream, each read of which has what is left of the time."""

    def __init__(self, stream: io.RawIOBase, sock: socket.socket, deadline: float) -> None:
        self._stream = stream
        self._sock = sock
        self._deadline = deadline

    def readable(self) -> bool:
        """Tell the buffer above that it may read."""
        return True

    def readinto(self, buffer: Any) -> Optional[int]:
        """Read what has come."""
        self._sock.settimeout(_left(self._deadline))
        return self._stream.readinto(buffer)

    def close(self) -> None:
        """Close the stream with the buffer."""
        self._stream.close()
        super().close()


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise socket.timeout("no whole answer in time")
    return left
