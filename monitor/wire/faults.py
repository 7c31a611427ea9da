"""From an exception of a transport to a fault: what happened, by the causes below the exception.

Whether the request left is known before (`departure`); this decides only what it is called.
"""

from __future__ import annotations

import errno
import socket
import ssl

import aiohttp
import httpx

from monitor.health.evidence import Fault, FaultKind
from monitor.host.shortage import causes, shortage

_UNREACHABLE = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL}
_UNASKABLE = (httpx.PoolTimeout, httpx.UnsupportedProtocol, httpx.InvalidURL, httpx.LocalProtocolError)


def fault_of(error: BaseException, *, left: bool, answered: bool = False) -> Fault:
    """Say what happened. `left`: a byte of the request may have been sent; `answered`: headers arrived."""
    chain = causes(error)
    if (what := shortage(error)) is not None:
        return Fault(FaultKind.EXHAUSTED, f"this process had no {what} left", left)
    if any(isinstance(e, _UNASKABLE) for e in chain):
        return Fault(FaultKind.OURS, type(error).__name__, left)
    if not isinstance(error, httpx.TransportError | aiohttp.ClientError | OSError):
        # A token that cannot stand in a header, or a fault in our code: ours, and its text is never shown.
        return Fault(FaultKind.OURS, f"the request could not be made: {type(error).__name__}", left)
    if answered or any(isinstance(e, aiohttp.ClientPayloadError) for e in chain):
        cut = any(isinstance(e, httpx.RemoteProtocolError | aiohttp.ClientPayloadError) for e in chain)
        return Fault(FaultKind.TRUNCATED if cut else FaultKind.RESET, "the answer broke off", True)
    return _on_the_way(chain) if left else _before_it_left(chain)


def timed_out(waited: str, *, left: bool) -> Fault:
    """Say that all of a request took too long."""
    if left:
        return Fault(FaultKind.READ_TIMEOUT, f"no complete answer within {waited}", True)
    return Fault(FaultKind.CONNECT_TIMEOUT, f"no connection within {waited}", False)


def _before_it_left(chain: list[BaseException]) -> Fault:
    if any(isinstance(e, socket.gaierror | aiohttp.ClientConnectorDNSError) for e in chain):
        return Fault(FaultKind.DNS, "the host's name was not resolved", False)
    if any(isinstance(e, httpx.TimeoutException | TimeoutError | aiohttp.ServerTimeoutError) for e in chain):
        return Fault(FaultKind.CONNECT_TIMEOUT, "no connection in time", False)
    if any(isinstance(e, ssl.SSLError | aiohttp.ClientConnectorCertificateError) for e in chain):
        return Fault(FaultKind.TLS, _tls_reason(chain), False)
    if any(
        isinstance(e, aiohttp.ClientProxyConnectionError | aiohttp.ClientHttpProxyError | httpx.ProxyError)
        for e in chain
    ):
        return Fault(FaultKind.UNREACHABLE, "the proxy of [http] did not connect us", False)
    if any(isinstance(e, OSError) and e.errno in _UNREACHABLE for e in chain):
        return Fault(FaultKind.UNREACHABLE, "no route to the host", False)
    if any(isinstance(e, ConnectionRefusedError) for e in chain):
        return Fault(FaultKind.REFUSED, "the connection was refused", False)
    return Fault(FaultKind.REFUSED, "no connection was made", False)


def _on_the_way(chain: list[BaseException]) -> Fault:
    if any(isinstance(e, aiohttp.ServerTimeoutError | httpx.TimeoutException) for e in chain):
        return Fault(FaultKind.READ_TIMEOUT, "no answer in time", True)
    return Fault(FaultKind.RESET, "the connection was closed before an answer", True)


def _tls_reason(chain: list[BaseException]) -> str:
    for error in chain:
        if isinstance(error, ssl.SSLCertVerificationError):
            return f"certificate: {error.verify_message}"
    return "the TLS handshake failed"
