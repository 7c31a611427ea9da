"""How providers are reached, as the file says it, and as whom.

Every command reads it, and few ask a provider: no HTTP client is loaded here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator

from monitor import __version__
from monitor.text.tomlfile import Section

USER_AGENT = f"token-health/{__version__}"


def _proxy(url: str) -> str:
    if url and (urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname):
        raise ValueError("is a URL such as http://proxy.example:3128")
    return url


class HttpSettings(Section):
    """[http]: how providers are reached.

    Proxy variables of the environment are not read: bearer tokens go through a proxy only where this
    file says so.
    """

    proxy: Annotated[str, AfterValidator(_proxy)] = ""
    ca_file: Path | None = None
    # Whether a server's metadata may name endpoints in private networks (`wire.targets`).
    private_endpoints: bool = False
