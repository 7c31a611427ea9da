"""Where the metadata of a server may send us: not to ourselves, nor to what only our own network reaches.

Metadata is a stranger's word (RFC 8414 6.2, RFC 9700 4.15): an endpoint at 127.0.0.1 or 169.254.169.254 would
have us post tokens, and our own credentials, to whatever listens there. The issuer's own host is the
operator's word, and is asked nothing. A server that is on this machine itself (a sandbox, a test) may name
this machine.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from urllib.parse import urlsplit

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# What clouds tell their machines, and who may do what there: not all of it is link-local.
_CLOUDS = {
    ipaddress.ip_address(text)
    for text in ("169.254.169.254", "100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254")
}
_CLOUD_NAMES = ("metadata.google.internal", "metadata.goog", "metadata", "instance-data")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")  # RFC 6052: an IPv4 address inside an IPv6 one
LONGEST_URL = 2000


def literal(host: str) -> Address | None:
    """Return the address that a host is, also as `127.1` or `0x7f000001`; None where it is a name."""
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        pass
    if not host or not all(c in "0123456789abcdefABCDEFxX." for c in host):
        return None
    try:
        return ipaddress.ip_address(socket.inet_aton(host))
    except OSError:
        return None


def _inner(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 one stands for, where it does."""
    if isinstance(address, ipaddress.IPv6Address):
        teredo = address.teredo[1] if address.teredo else None
        inside = address.ipv4_mapped or address.sixtofour or teredo
        if inside is None and address in _NAT64:
            inside = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        return inside or address
    return address


def what_it_is(address: Address) -> str | None:
    """Return why an address is nobody's public one, None where it is."""
    found = _inner(address)
    if found in _CLOUDS:
        return "the metadata service of a cloud"
    for is_so, what in (
        (found.is_loopback, "this machine"),
        (found.is_unspecified, "no address"),
        (found.is_link_local, "link-local"),
        (found.is_multicast, "multicast"),
        # 100.64.0.0/10 is shared within a carrier or a cluster, and neither private nor global.
        (found.is_private or not found.is_global, "private"),
    ):
        if is_so:
            return what
    return None


def is_this_machine(host: str) -> bool:
    """Whether a host is this machine, by name or number."""
    name, address = host.lower().rstrip("."), literal(host)
    if address is not None:
        return _inner(address).is_loopback
    return name in ("localhost", "localhost.localdomain") or name.endswith(".localhost")


def is_cloud_name(host: str) -> bool:
    """Whether a host is known as what clouds tell their machines."""
    return host.lower().rstrip(".") in _CLOUD_NAMES


def refused(url: str, issuer: str, *, private: bool) -> str | None:
    """Return why an endpoint of a server's metadata is not gone to, None where it may be.

    `private`: addresses of private networks may be named. Names are looked at by `resolved`.
    """
    try:
        parts, home = urlsplit(url), urlsplit(issuer)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return "is no URL"
    if len(url) > LONGEST_URL or not host or not url.isprintable() or " " in url:
        return "is no URL"
    if parts.username is not None or parts.fragment:
        return "has a user name or a fragment in it"
    at_home = is_this_machine(home.hostname or "")
    if parts.scheme != "https" and not (parts.scheme == "http" and at_home and is_this_machine(host)):
        return "does not start with https://"
    if host == home.hostname:
        return None
    if is_this_machine(host):
        return None if at_home else "is this machine"
    if is_cloud_name(host):
        return "is the metadata service of a cloud"
    address = literal(host)
    return _said(what_it_is(address), private) if address is not None else None


def _said(what: str | None, private: bool) -> str | None:
    if what is None or (what == "private" and private):
        return None
    hint = " (http.private_endpoints allows that)" if what == "private" else ""
    return f"is {what}{hint}"


async def resolved(url: str, issuer: str, *, private: bool) -> str | None:
    """Return why the addresses behind an endpoint's name are not gone to, None where they may be.

    A look, and no promise: a name may have other addresses when it is connected to. One that has none now
    is let through, since connecting says so better.
    """
    host, home = urlsplit(url).hostname or "", urlsplit(issuer).hostname or ""
    if host == home or is_this_machine(home) or literal(host) is not None:
        return None
    try:
        rows = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return None
    whats = [what_it_is(ipaddress.ip_address(str(row[4][0]).partition("%")[0])) for row in rows]
    return next((why for what in whats if (why := _said(what, private)) is not None), None)
