"""What is sent to an endpoint: the event as it is said, and headers that prove that we said it.

Standard Webhooks (github.com/standard-webhooks/standard-webhooks): the receiver checks the signature with the
secret that it was given, and the timestamp, which is the attempt's, against replays.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Sequence
from datetime import datetime

from standardwebhooks import Webhook

from monitor.secret import Secret


def new_secret() -> Secret:
    """Make a secret that signs: 256 random bits."""
    return Secret("whsec_" + base64.b64encode(secrets.token_bytes(32)).decode())


def headers(event_id: str, body: bytes, secrets_: Sequence[Secret], now: datetime) -> dict[str, str]:
    """Return the headers of an attempt; during a rotation each secret signs."""
    text = body.decode()
    signed = [Webhook(one.reveal()).sign(event_id, now, text) for one in secrets_]
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(signed),
    }
