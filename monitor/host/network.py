"""Addresses of the network: whose they are, and who is believed about them."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from functools import lru_cache

# Of each request an address is asked about several times, and most come from few; strangers' are forgotten.
known = lru_cache(maxsize=10_000)
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def proxy(value: str) -> str:
    """Check one entry of `[web] proxies` (a validator): an address or a network."""
    if value.strip() == "*":
        raise ValueError(
            "'*' would believe whoever connects about who they are; name your proxy's address or its "
            "network, such as 10.1.0.0/16"
        )
    try:
        network = ipaddress.ip_network(value.strip())
    except ValueError:
        raise ValueError(f"{value!r} is no address or network; write 10.1.2.3 or 10.1.0.0/16") from None
    if network.prefixlen == 0:
        raise ValueError(
            f"{value!r} is every address there is, so whoever connects would be believed; name your proxy's"
        )
    return value.strip()


def network(value: str) -> str:
    """Check the name of a network (a validator)."""
    try:
        ipaddress.ip_network(value.strip())
    except ValueError:
        raise ValueError(f"{value!r} is no network; write 10.0.0.0/8") from None
    return value.strip()


def within(address: str, networks: Iterable[str]) -> bool:
    """Whether an address is in one of these networks; an IPv4 address also when it is written as IPv6."""
    return _within(address, tuple(networks))


@known
def _within(address: str, networks: tuple[str, ...]) -> bool:
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return any(found in ipaddress.ip_network(one) for one in networks)


def network_of_ours(value: str) -> str:
    """Check a network that something is allowed in (a validator): an address or a network, not all."""
    try:
        network = ipaddress.ip_network(value.strip())
    except ValueError:
        raise ValueError(f"{value!r} is no address or network; write 10.1.2.3 or 10.1.0.0/16") from None
    if network.prefixlen == 0:
        raise ValueError(f"{value!r} is every address there is; name your own networks")
    return value.strip()


@known
def loopback(host: str) -> bool:
    """Whether a host that is listened on is reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


@known
def whose(address: str) -> str:
    """Return the key under which requests from an address are counted together.

    A subscriber has at least a /64 of IPv6 to himself (RFC 6177), so that is one; an IPv4 address stays what
    it is, also when it is written as IPv6. What is no address at all is one stranger.
    """
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is None:
            return str(ipaddress.ip_network((int(found) >> 64 << 64, 64)))
        found = found.ipv4_mapped
    return str(found)
