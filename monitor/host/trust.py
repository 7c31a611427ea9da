"""Whose certificates are believed: this machine's authorities, or an authority of one's own."""

from __future__ import annotations

import ssl
from functools import cache
from pathlib import Path


def trusted(ca_file: Path | None, protocol: str = "http") -> ssl.SSLContext:
    """Return what checks the certificates of servers.

    The machine's authorities take 20 ms to read, and are the same for all who speak a protocol: libraries
    write into a context which protocol that is (ALPN, RFC 7301). A file of one's own is read each time, since
    it may have changed. Raises OSError or ssl.SSLError for a file that cannot be read.
    """
    return _of_this_machine(protocol) if ca_file is None else ssl.create_default_context(cafile=str(ca_file))


@cache
def _of_this_machine(_protocol: str) -> ssl.SSLContext:
    return ssl.create_default_context()
