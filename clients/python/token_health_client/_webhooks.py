"""Webhooks of Token Health, checked as https://www.standardwebhooks.com says (symmetric, `v1`)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
import time
from collections.abc import Mapping
from typing import Any, Optional, Union

TOLERANCE = 300  # seconds
SHORTEST_SECRET = 16  # bytes; an empty one would let everybody sign


class WebhookRefused(Exception):
    """This request does not come from Token Health, or not now: answer 400 and do nothing."""


def verify_webhook(
    headers: Mapping[str, str], body: Union[bytes, str], secret: str, now: Optional[float] = None
) -> dict[str, Any]:
    """Return the event that a webhook brings: `type`, `timestamp`, `data`.

    An event may come twice: its `webhook-id` is the same. Order is not promised: `data["sequence"]` rises.

    Args:
        headers: of the request, in any case.
        body: as it came, before any parsing.
        secret: `whsec_…`, as it was shown when the webhook was made.
        now: seconds since 1970; the machine's clock if unsaid.

    Raises:
        WebhookRefused: unsigned, signed by another, altered, or more than 5 minutes old or ahead.
        ValueError: the secret is none.
    """
    key = _key(secret)
    given = {str(name).lower(): str(value) for name, value in headers.items()}
    content = body.encode("utf-8") if isinstance(body, str) else bytes(body)
    name, at = given.get("webhook-id", ""), given.get("webhook-timestamp", "")
    if not name or not re.fullmatch(r"[0-9]{1,12}", at):
        raise WebhookRefused("no webhook-id, or no webhook-timestamp")
    signed = f"{name}.{at}.".encode("utf-8", "surrogateescape") + content
    wanted = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest())
    # Each is compared: how long that takes says nothing about which one fits.
    fits = [
        hmac.compare_digest(wanted, one[3:].encode("utf-8", "replace"))
        for one in given.get("webhook-signature", "").split(" ")
        if one.startswith("v1,")
    ]
    if not any(fits):
        raise WebhookRefused("no signature fits")
    if abs((time.time() if now is None else now) - int(at)) > TOLERANCE:
        raise WebhookRefused("signed more than 5 minutes ago, or ahead")
    return _event(content)


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret[6:] if secret.startswith("whsec_") else secret, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) < SHORTEST_SECRET:
        raise ValueError("a webhook's secret is whsec_ and at least 16 bytes in base64")
    return key


def _event(content: bytes) -> dict[str, Any]:
    try:
        event = json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError):
        event = None
    if not isinstance(event, dict) or not isinstance(event.get("type"), str):
        raise WebhookRefused("signed, but no event")
    return event
