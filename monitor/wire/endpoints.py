"""Messages posted to addresses that other people gave us: webhooks, which must not be a way into our network.

A name is resolved once, for each attempt, and what it resolves to is what is connected to: it cannot be one
address when it is looked at and another when it is used. TLS and `Host` keep the name. Redirects are answers,
and never followed. No proxy of [http] is used: behind one nobody could say where a name leads.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from monitor.errors import ConfigurationError
from monitor.host.network import Network
from monitor.host.trust import trusted
from monitor.wire.answers import asked_to_wait
from monitor.wire.targets import Address, is_cloud_name, is_this_machine, literal, what_it_is

if TYPE_CHECKING:  # loaded where something is posted: most commands post nothing
    import aiohttp

TIMEOUT = 15.0  # seconds for a whole attempt
LARGEST_ANSWER = 500  # bytes of an answer that are worth keeping
LONGEST_URL = 2000
USER_AGENT = "token-health/1"
_NOT_HTTPS = "does not start with https:// (webhooks.insecure_networks allows http to some networks)"
# What resolves a name: host and port -> addresses.
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


class Posted(NamedTuple):
    """What became of an attempt: a status, None without an answer, what was said, and when to try again."""

    status: int | None
    said: str
    retry_at: datetime | None = None

    @property
    def taken(self) -> bool:
        """Whether the other side has it."""
        return self.status is not None and 200 <= self.status < 300


class NotGoneTo(Exception):
    """An address that we do not go to, and why."""


@dataclass(frozen=True, slots=True)
class Reach:
    """Where messages may go.

    `private`: to private networks. `insecure`: networks to which http is good enough. `own`: hosts and ports
    that this service listens on, which are never gone to.
    """

    private: bool = False
    insecure: tuple[Network, ...] = ()
    own: tuple[tuple[str, int], ...] = ()

    def refused(self, url: str) -> str | None:
        """Return why nothing is sent to a URL, as far as it shows before its name is resolved."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            return "is no URL"
        if len(url) > LONGEST_URL or not host or not url.isascii() or not url.isprintable() or " " in url:
            return "is no URL"
        if parts.scheme not in ("https", "http"):
            return "does not start with https://"
        if parts.username is not None or parts.password is not None or parts.fragment:
            return "has a user name, a password or a fragment in it"
        if is_cloud_name(host):
            return "is the metadata service of a cloud"
        address = literal(host)
        if address is None and is_this_machine(host):
            address = ipaddress.ip_address("127.0.0.1")
        if address is not None:
            return self.of_address(address, parts.scheme, host, port)
        return _NOT_HTTPS if parts.scheme == "http" and not self.insecure else None

    def of_address(self, address: Address, scheme: str, host: str, port: int | None) -> str | None:
        """Return why an address that a host is, or resolves to, is not gone to; None where it is."""
        what, number = what_it_is(address), port or (443 if scheme == "https" else 80)
        if self._is_own(address, number):
            return "is this service itself"
        if what == "this machine" and is_this_machine(host):
            return None  # whoever names it means it; a stranger's name that leads there does not
        if what not in (None, "private"):
            return f"is {what}"
        good_enough = any(address in network for network in self.insecure)
        if scheme == "http" and not good_enough:
            return _NOT_HTTPS
        if what == "private" and not self.private and not good_enough:
            return "is private (webhooks.private_networks allows that)"
        return None

    def _is_own(self, address: Address, port: int) -> bool:
        return any(
            port == number and (str(address) == host or address.is_loopback or _is_ours(address))
            for host, number in self.own
        )


def _is_ours(address: Address) -> bool:
    """Whether an address is this machine's: only such a one can be bound to."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as trial:
            trial.bind((str(address), 0))
    except OSError:
        return False
    return True


def tls(ca_file: Path | None) -> ssl.SSLContext:
    """Return what checks the certificates of endpoints. Raises ConfigurationError."""
    try:
        return trusted(ca_file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"http.ca_file: {ca_file}: cannot be read: {error}.") from None


async def by_system(host: str, port: int) -> list[str]:
    """Resolve a name as this machine does."""
    rows = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(row[4][0]) for row in rows))


class Poster:
    """Posts messages; made inside the running loop, closed at the end."""

    def __init__(
        self, reach: Reach, tls: ssl.SSLContext, *, resolve: Resolve = by_system, timeout: float = TIMEOUT
    ) -> None:
        self._reach, self._tls, self._resolve, self._timeout = reach, tls, resolve, timeout

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], now: datetime) -> Posted:
        """Post a message on a connection of its own; what fails is an answer, never an exception."""
        if (why := self._reach.refused(url)) is not None:
            return Posted(None, f"not sent: the address {why}")
        import aiohttp

        try:
            async with asyncio.timeout(self._timeout), self._session(url) as session:
                return await _post(session, url, body, headers, now)
        except TimeoutError:
            return Posted(None, f"no answer within {self._timeout:g} seconds")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            why = _not_gone_to(error)
            return Posted(None, f"not sent: the address {why}" if why else type(error).__name__)

    def _session(self, url: str) -> aiohttp.ClientSession:
        import aiohttp

        parts = urlsplit(url)
        connector = aiohttp.TCPConnector(
            ssl=self._tls,
            resolver=_resolver(self._reach, parts.scheme, self._resolve),
            use_dns_cache=False,
            force_close=True,
        )
        return aiohttp.ClientSession(
            connector=connector, trust_env=False, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=None),
        )  # fmt: skip


async def _post(
    session: aiohttp.ClientSession, url: str, body: bytes, headers: Mapping[str, str], now: datetime
) -> Posted:
    from yarl import URL

    own = {"User-Agent": USER_AGENT, "Content-Type": "application/json"}
    async with session.post(
        URL(url, encoded=True), data=body, headers={**own, **headers}, allow_redirects=False
    ) as answer:
        said = await answer.content.read(LARGEST_ANSWER)
        text = " ".join(said.decode("utf-8", "replace").split())
        shown = "".join(c if c.isprintable() else "?" for c in text)
        return Posted(answer.status, shown, _retry_at(answer.headers.get("Retry-After", ""), now))


def _resolver(reach: Reach, scheme: str, resolve: Resolve) -> aiohttp.abc.AbstractResolver:
    """Return what tells aiohttp the addresses of a name: those that it then connects to, and no others."""
    from aiohttp.abc import AbstractResolver, ResolveResult

    class Vetted(AbstractResolver):
        async def resolve(
            self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
        ) -> list[ResolveResult]:
            found = [ipaddress.ip_address(text.partition("%")[0]) for text in await resolve(host, port)]
            for address in found:
                if (why := reach.of_address(address, scheme, host, port)) is not None:
                    raise OSError(0, "not gone to") from NotGoneTo(why)
            return [
                ResolveResult(
                    hostname=host, host=str(one), port=port, proto=socket.IPPROTO_TCP,
                    flags=socket.AI_NUMERICHOST,
                    family=socket.AF_INET if one.version == 4 else socket.AF_INET6,
                )
                for one in found
            ]  # fmt: skip

        async def close(self) -> None:
            pass

    return Vetted()


def _not_gone_to(error: BaseException) -> str | None:
    """Return why an address was refused, where that is what is at the bottom of an error."""
    below: BaseException | None = error
    while below is not None:
        if isinstance(below, NotGoneTo):
            return str(below)
        below = below.__cause__ or below.__context__
    return None


def _retry_at(text: str, now: datetime) -> datetime | None:
    """Return when an endpoint takes messages again, a day ahead at most."""
    wait = asked_to_wait(text, now)
    return now + min(wait, timedelta(days=1)) if wait is not None and wait > timedelta(0) else None
