"""SMTP: STARTTLS, implicit TLS, authentication; one envelope a recipient, one connection a batch.

The message is sent up to its final dot, then `hand_over` is awaited, then the dot: whoever finds an
envelope in between after a crash knows that it was most likely taken (`outbox.claims`).
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from email.message import EmailMessage
from email.utils import parseaddr
from pathlib import Path
from types import TracebackType
from typing import Annotated, Literal
from urllib.parse import unquote, urlsplit

import aiosmtplib
from pydantic import AfterValidator, Field

from alerts.channels.channel import Read
from alerts.outbox.envelope import Outcome
from monitor.host.trust import trusted
from monitor.secret import Secret
from monitor.text import addresses
from monitor.text.echoes import without
from monitor.text.tomlfile import Positive, Section

NAME = "email"  # as deliveries and metrics have it
SECTION = "smtp"
SCHEMES = ("smtp", "smtps")
LOCAL = ("127.0.0.1", "::1", "localhost")
NO_UTF8 = "the mail server takes no address with letters beyond ASCII before the @ (it offers no SMTPUTF8)"
_LINK = re.compile(r"/r/([\w-]{16,})")
_DOT = re.compile(rb"^\.", re.MULTILINE)


def _sender(text: str) -> str:
    if text:
        addresses.read(Sender.parse(text).address)
    return text


class Settings(Section):
    """[smtp]: where mails go out. Without `from` none does."""

    url: str = "smtp://127.0.0.1:1025"
    url_file: Path | None = None
    url_env: str | None = None
    sender: Annotated[str, AfterValidator(_sender)] = Field(default="", alias="from")
    starttls: Literal["auto", "always", "never"] = "auto"
    username: str = ""
    password_file: Path | None = None
    password_env: str | None = None
    ca_file: Path | None = None
    timeout: Positive = timedelta(seconds=30)


def claims(url: str) -> bool:
    """Whether an address is a mail server's."""
    return urlsplit(url).scheme in SCHEMES


@dataclass(frozen=True, slots=True)
class Sender:
    """Who a mail is from: `Integrations <integrations@example.com>`, and where answers go.

    Addresses are as they go over the wire.
    """

    name: str
    address: str
    reply_to: str = ""

    @classmethod
    def parse(cls, text: str, reply_to: str = "") -> Sender:
        """Read a From. Raises ValueError."""
        name, address = parseaddr(text)
        if "@" not in address or any(c in text for c in "\r\n"):
            raise ValueError(f'{text!r} is no sender; write "Integrations <integrations@example.com>"')
        return cls(name, addresses.wire(address), addresses.wire(reply_to) if reply_to else "")

    @property
    def domain(self) -> str:
        """The domain that Message-IDs are made under."""
        return self.address.rpartition("@")[2]

    @property
    def needs_utf8(self) -> bool:
        """Whether only a mail server that offers SMTPUTF8 takes mail from us, whoever it is for."""
        return not (self.address + self.reply_to).isascii()


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
        if parts.scheme not in SCHEMES or not parts.hostname:
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


def given(settings: Settings, read: Read, directory: Path) -> Server:
    """Return the mail server of the settings. Raises ValueError for an address that is none."""
    url = read("smtp.url", settings.url, settings.url_env, settings.url_file)
    password = read("smtp.password", "", settings.password_env, settings.password_file)
    return Server.parse(
        url.reveal() if url else "",
        starttls=settings.starttls,
        username=settings.username,
        password=password,
        ca_file=directory / settings.ca_file if settings.ca_file else None,
        timeout=settings.timeout.total_seconds(),
    )


@dataclass(frozen=True, slots=True)
class Letter:
    """One message to one address, as it goes over the wire. `utf8`: it needs SMTPUTF8 (RFC 6531)."""

    data: bytes
    sender: str
    to: str
    utf8: bool = False
    links: tuple[Secret, ...] = ()  # what only its reader may know

    @classmethod
    def of(cls, message: EmailMessage) -> Letter:
        """Take a message with one sender and one recipient. Raises what cannot be written."""
        sender, to = (message[name].addresses[0].addr_spec for name in ("From", "To"))
        text = message.get_body(("plain",))
        links = _LINK.findall(text.get_content()) if text is not None else []
        return cls(
            message.as_bytes(),
            sender,
            to,
            message.policy.utf8,  # type: ignore[attr-defined]
            tuple(map(Secret, dict.fromkeys(links))),
        )


class Unreachable(Exception):
    """The server takes nothing from us now, whoever it is for. The text says why, in one line."""


class Interrupted(Exception):
    """The connection was lost before the message was handed over: it is as if it had not been tried."""


class Session:
    """One connection to the server, for several envelopes. Raises Unreachable when it cannot be made."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._secrets: tuple[Secret, ...] = _login(server)
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
            await self._hello()
        except (aiosmtplib.SMTPException, OSError, ssl.SSLError) as error:
            raise self._unreachable(self._brief(error)) from None
        if not self.open:
            raise self._unreachable("it closes the connection after its greeting")
        return self

    async def _hello(self) -> None:
        """Ask what the server offers, unless TLS or the login needed to know already."""
        if self._smtp.is_ehlo_or_helo_needed:
            try:
                await self._smtp.ehlo()
            except aiosmtplib.SMTPHeloError:
                await self._smtp.helo()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._smtp.close()  # in the middle of a message a QUIT would be one more line of it
        elif self._smtp.is_connected:
            try:
                await self._smtp.quit()
            except (aiosmtplib.SMTPException, OSError):
                self._smtp.close()

    @property
    def open(self) -> bool:
        """Whether another envelope can go this way."""
        return self._smtp.is_connected

    @property
    def utf8(self) -> bool:
        """Whether the server takes addresses with letters beyond ASCII before the @."""
        return self._smtp.supports_extension("smtputf8")

    async def greet(self, sender: str, *, utf8: bool = False) -> None:
        """Ask whether the server takes mail from this sender. Raises Unreachable where it does not."""
        try:
            await self._from(sender, utf8=utf8)
            await self._smtp.rset()
        except aiosmtplib.SMTPSenderRefused as error:
            raise self._unreachable(f"takes no mail from {sender}: {self._said(error)}") from None
        except (TimeoutError, aiosmtplib.SMTPException, OSError) as error:
            raise self._unreachable(self._brief(error)) from None

    async def send(self, letter: Letter, hand_over: Callable[[], Awaitable[bool]]) -> tuple[Outcome, str]:
        """Send one envelope; return what became of it and the server's words.

        Raises Interrupted, or Unreachable: then the letter was not handed over, and the session is closed.
        """
        handed, self._secrets = False, _login(self._server) + letter.links
        try:
            refused = await self._open_envelope(letter)
            if refused is not None:
                return refused
            assert self._smtp.protocol is not None  # noqa: S101 - connected: it has just answered
            self._smtp.protocol.write(
                _DOT.sub(b"..", letter.data) + (b"" if letter.data.endswith(b"\r\n") else b"\r\n")
            )
            if not await hand_over():
                # The lease went to somebody else meanwhile. Without its dot the message is none.
                self._smtp.close()
                return Outcome.LATER, "the lease ran out before it was handed over"
            handed = True
            end = await self._smtp.execute_command(b".")
            if end.code == 250:
                return Outcome.SENT, self._text(end.code, end.message)
            return self._verdict(end.code, end.message, Outcome.FAILED)
        except (TimeoutError, aiosmtplib.SMTPException, OSError) as error:
            self._smtp.close()
            if handed:
                return Outcome.UNCONFIRMED, f"handed over, then {self._brief(error)}"
            raise Interrupted(self._brief(error)) from None

    async def _open_envelope(self, letter: Letter) -> tuple[Outcome, str] | None:
        """Say who writes to whom, and that the message comes; None when the server waits for it."""
        beyond_ascii = not letter.to.isascii()
        if beyond_ascii and not self.utf8:
            return Outcome.REFUSED, NO_UTF8
        try:
            await self._from(letter.sender, utf8=letter.utf8)
            await self._smtp.rcpt(letter.to, encoding="utf-8" if letter.utf8 else "ascii")
        except aiosmtplib.SMTPResponseException as error:
            self._not_of_the_envelope(error.code, error.message)
            if isinstance(error, aiosmtplib.SMTPSenderRefused) and not beyond_ascii:
                # What it has against the sender it has against every mail of ours.
                raise self._unreachable(f"takes no mail from {letter.sender}: {self._said(error)}") from None
            await self._reset()
            return self._verdict(error.code, error.message, Outcome.REFUSED)
        start = await self._smtp.execute_command(b"DATA")
        if start.code != 354:
            self._not_of_the_envelope(start.code, start.message)
            await self._reset()
            return self._verdict(start.code, start.message, Outcome.FAILED)
        return None

    async def _from(self, sender: str, *, utf8: bool) -> None:
        if utf8 and not self.utf8:
            raise self._unreachable(f"{NO_UTF8}, and our own has such letters")
        options = ["SMTPUTF8", "BODY=8BITMIME"] if utf8 else []
        await self._smtp.mail(sender, options=options, encoding="utf-8" if utf8 else "ascii")

    def _unreachable(self, why: str) -> Unreachable:
        self._smtp.close()
        return Unreachable(f"{self._server.name}: {why}")

    def _not_of_the_envelope(self, code: int, message: str) -> None:
        """Raise where an answer is about the server or about us, at whatever step it came.

        421: it is about to close the connection (RFC 5321 3.8). The others ask for a login or for TLS, or
        say that these failed (RFC 4954 6, RFC 3207 4).
        """
        if code == 421:
            self._smtp.close()
            raise Interrupted(self._text(code, message))
        if code in (454, 530, 534, 535, 538):
            raise self._unreachable(self._text(code, message))

    async def _reset(self) -> None:
        if self._smtp.is_connected:
            try:
                await self._smtp.rset()
            except aiosmtplib.SMTPException:
                self._smtp.close()

    def _verdict(self, code: int, message: str, permanent: Outcome) -> tuple[Outcome, str]:
        """4yz passes, 5yz does not (RFC 5321 4.2.1). 552 on a recipient is a full mailbox: passes too."""
        passes = code < 500 or (code == 552 and permanent is Outcome.REFUSED)
        return (Outcome.LATER if passes else permanent), self._text(code, message)

    def _text(self, code: int, message: str) -> str:
        """Quote the server, without the login and the links that it may be quoting itself."""
        said = without(message[:4000], self._secrets)
        return f"{code} {' '.join(said.split())}"[:300]

    def _said(self, error: aiosmtplib.SMTPResponseException) -> str:
        return self._text(error.code, error.message)

    def _brief(self, error: BaseException) -> str:
        if isinstance(error, aiosmtplib.SMTPResponseException):
            return f"{type(error).__name__}: {self._said(error)}"
        said = without(str(error)[:4000], self._secrets)
        return f"{type(error).__name__}: {' '.join(said.split())}"[:300]


def _login(server: Server) -> tuple[Secret, ...]:
    """Return what a login sends: RFC 4616's triple is taken apart by its characters of zero."""
    return (server.password,) if server.password is not None else ()


def _context(server: Server) -> ssl.SSLContext | None:
    if not (server.implicit_tls or server.starttls):
        return None
    try:
        return trusted(server.ca_file, "smtp")
    except (OSError, ssl.SSLError):
        raise Unreachable(f"smtp.ca_file: {server.ca_file} cannot be read.") from None
