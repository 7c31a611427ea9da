"""SMTP: STARTTLS, implicit TLS, authentication; one envelope a recipient, one connection a batch.

The message is sent up to its final dot, then `hand_over` is awaited, then the dot: whoever finds an
envelope in between after a crash knows that it was most likely taken (`alerts.outbox`).
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from types import TracebackType
from urllib.parse import unquote, urlsplit

import aiosmtplib

from alerts.channels import Outcome
from monitor.errors import ConfigurationError
from monitor.secret import Secret

LOCAL = ("127.0.0.1", "::1", "localhost")
_DOT = re.compile(rb"^\.", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Server:
    """Where mail goes out. `starttls` None: wherever it is not this machine."""

    host: str
    port: int
    implicit_tls: bool = False
    starttls: bool = True
    username: str = ""
    password: Secret | None = None
    ca_file: Path | None = None
    timeout: float = 30.0
    hostname: str | None = None

    @classmethod
    def parse(
        cls,
        url: str,
        *,
        starttls: str = "auto",
        username: str = "",
        password: Secret | None = None,
        ca_file: Path | None = None,
        timeout: float = 30.0,
    ) -> Server:
        """Read `smtp://user:password@host:587` or `smtps://host`. Raises ValueError without its value."""
        parts = urlsplit(url)
        try:
            port = parts.port
        except ValueError:
            raise ValueError("has a port that is no number") from None
        if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
            raise ValueError("is smtp://HOST:PORT or smtps://HOST:PORT")
        implicit = parts.scheme == "smtps"
        encrypt = {"auto": parts.hostname not in LOCAL, "always": True, "never": False}[starttls]
        return cls(
            parts.hostname,
            port or (465 if implicit else 587 if encrypt else 25),
            implicit,
            encrypt and not implicit,
            unquote(parts.username or "") or username,
            Secret(unquote(parts.password)) if parts.password else password,
            ca_file,
            timeout,
        )

    @property
    def name(self) -> str:
        """Say it without its password."""
        return f"{self.host}:{self.port}"


class Unreachable(Exception):
    """No session with the server: nothing was sent. The text says why, in one line."""


class Session:
    """One connection to the server, for several envelopes. Raises Unreachable when it cannot be made."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._smtp = aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            use_tls=server.implicit_tls,
            start_tls=server.starttls and not server.implicit_tls,
            timeout=server.timeout,
            local_hostname=server.hostname,
            tls_context=_context(server),
        )

    async def __aenter__(self) -> Session:
        try:
            await self._smtp.connect()
            if self._server.username and self._server.password is not None:
                await self._smtp.login(self._server.username, self._server.password.reveal())
        except (aiosmtplib.SMTPException, OSError, ssl.SSLError) as error:
            self._smtp.close()
            raise Unreachable(f"{self._server.name}: {_brief(error)}") from None
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._smtp.is_connected:
            try:
                await self._smtp.quit()
            except (aiosmtplib.SMTPException, OSError):
                self._smtp.close()

    @property
    def open(self) -> bool:
        """Whether another envelope can go this way."""
        return self._smtp.is_connected

    async def send(
        self, message: EmailMessage, sender: str, to: str, hand_over: Callable[[], Awaitable[bool]]
    ) -> tuple[Outcome, str]:
        """Send one envelope; return what became of it and the server's words."""
        data = message.as_bytes()
        handed = False
        try:
            options = await self._open_envelope(sender, to)
            if isinstance(options, tuple):
                return options
            start = await self._smtp.execute_command(b"DATA")
            if start.code != 354:
                await self._reset()
                return _verdict(start.code, start.message, Outcome.FAILED)
            assert self._smtp.protocol is not None  # noqa: S101 - connected: it has just answered
            self._smtp.protocol.write(_DOT.sub(b"..", data) + (b"" if data.endswith(b"\r\n") else b"\r\n"))
            if not await hand_over():
                # The lease went to somebody else meanwhile. Without its dot the message is none.
                self._smtp.close()
                return Outcome.LATER, "the lease ran out before it was handed over"
            handed = True
            end = await self._smtp.execute_command(b".")
            if end.code == 250:
                return Outcome.SENT, _text(end.code, end.message)
            return _verdict(end.code, end.message, Outcome.FAILED)
        except (TimeoutError, aiosmtplib.SMTPException, OSError) as error:
            self._smtp.close()
            if handed:
                return Outcome.UNCONFIRMED, f"handed over, then {_brief(error)}"
            return Outcome.LATER, _brief(error)

    async def _open_envelope(self, sender: str, to: str) -> tuple[Outcome, str] | None:
        # An address with letters beyond ASCII needs SMTPUTF8 (RFC 6531) from the server.
        utf8 = not to.isascii()
        if utf8 and not self._smtp.supports_extension("smtputf8"):
            return Outcome.REFUSED, "the mail server takes no address with letters beyond ASCII (SMTPUTF8)"
        options = ["SMTPUTF8", "BODY=8BITMIME"] if utf8 else []
        encoding = "utf-8" if utf8 else "ascii"
        try:
            await self._smtp.mail(sender, options=options, encoding=encoding)
        except aiosmtplib.SMTPResponseException as error:
            await self._reset()
            return _verdict(error.code, error.message, Outcome.FAILED)
        try:
            await self._smtp.rcpt(to, encoding=encoding)
        except aiosmtplib.SMTPResponseException as error:
            await self._reset()
            return _verdict(error.code, error.message, Outcome.REFUSED)
        return None

    async def _reset(self) -> None:
        if self._smtp.is_connected:
            try:
                await self._smtp.rset()
            except aiosmtplib.SMTPException:
                self._smtp.close()


def _verdict(code: int, message: str, permanent: Outcome) -> tuple[Outcome, str]:
    """4yz passes, 5yz does not (RFC 5321 4.2.1). 552 on a recipient is a full mailbox: that passes too."""
    passes = code < 500 or (code == 552 and permanent is Outcome.REFUSED)
    return (Outcome.LATER if passes else permanent), _text(code, message)


def _text(code: int, message: str) -> str:
    return f"{code} {' '.join(message.split())}"[:300]


def _context(server: Server) -> ssl.SSLContext | None:
    if not (server.implicit_tls or server.starttls):
        return None
    try:
        return ssl.create_default_context(cafile=str(server.ca_file) if server.ca_file else None)
    except (OSError, ssl.SSLError):
        raise ConfigurationError(f"smtp.ca_file: {server.ca_file} cannot be read.") from None


def _brief(error: BaseException) -> str:
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return f"{type(error).__name__}: {_text(error.code, error.message)}"
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]
