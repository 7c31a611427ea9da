"""Whether a request left this process: what the transport did, not what its errors are called.

A refresh token whose request never left is unused; one of which a single byte left may be spent. Errors do
not tell the two apart (a lack of descriptors, a reset and a refusal look alike in some libraries), so both
transports are asked while they work: httpcore by its `trace` extension, aiohttp by its TraceConfig.

Both speak up right before the first byte is handed to the socket. So `left` may be true where nothing came
through, and is never false where something did.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import aiohttp
import httpcore


class Departure:
    """One request on its way."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = False

    async def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Take one of httpcore's events, such as `http11.send_request_headers.started`."""
        if event.endswith(".send_request_headers.started"):
            # A proxy is first asked for a tunnel, with our extensions on its request.
            self.left = self.left or info["request"].method != b"CONNECT"
        elif event.endswith(".send_request_headers.failed") and isinstance(
            info["exception"], httpcore.LocalProtocolError
        ):
            self.left = False  # it could not be written down as HTTP, so nothing of it was


def aiohttp_trace() -> aiohttp.TraceConfig:
    """Return what tells the Departure that a request of the session brings as `trace_request_ctx`."""
    config = aiohttp.TraceConfig()

    async def leaves(_session: object, context: Any, _params: object) -> None:
        departure = context.trace_request_ctx
        if isinstance(departure, Departure):
            departure.left = True

    config.on_request_headers_sent.append(leaves)
    return config
