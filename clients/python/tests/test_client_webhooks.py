"""Webhooks: who may speak to you."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

import pytest

from token_health_client import WebhookRefused, verify_webhook

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_" + base64.b64encode(bytes(32)).decode()
NOW = 1763982723
BODY = json.dumps(
    {"type": "connection.recovered", "timestamp": "…", "data": {"connection": "acme-clio", "sequence": 42}}
).encode()


def signature(secret=SECRET, at=str(NOW), name="evt_1", body=BODY):
    key = base64.b64decode(secret[6:])
    return (
        "v1,"
        + base64.b64encode(hmac.new(key, f"{name}.{at}.".encode() + body, hashlib.sha256).digest()).decode()
    )


def headers(signed=None, at=str(NOW), name="evt_1"):
    return {
        "Webhook-Id": name,
        "webhook-timestamp": at,
        "WEBHOOK-SIGNATURE": signature() if signed is None else signed,
    }


def test_the_event_comes_out():
    assert verify_webhook(headers(), BODY, SECRET, NOW)["data"] == {"connection": "acme-clio", "sequence": 42}
    assert verify_webhook(headers(), BODY.decode(), SECRET, NOW)["type"] == "connection.recovered"


def test_any_of_several_signatures_may_fit():
    both = f"v2,xyz {signature(OTHER)} {signature()} v1a,abc"
    assert verify_webhook(headers(both), BODY, SECRET, NOW)
    assert verify_webhook(headers(both), BODY, OTHER, NOW)


@pytest.mark.parametrize("seconds", [-300, 300])
def test_five_minutes_are_tolerated(seconds):
    assert verify_webhook(headers(), BODY, SECRET, NOW + seconds)


@pytest.mark.parametrize(
    ("given", "body", "now"),
    [
        (headers(), BODY, NOW + 301),
        (headers(), BODY, NOW - 301),
        (headers(), BODY + b" ", NOW),
        (headers(name="evt_2"), BODY, NOW),
        (headers(at=str(NOW + 1)), BODY, NOW),
        (headers(signature(OTHER)), BODY, NOW),
        (headers(""), BODY, NOW),
        (headers("v1,"), BODY, NOW),
        (headers("v1,ü\ud800"), BODY, NOW),
        (headers(signature()[3:]), BODY, NOW),
        (headers(signature().replace("v1,", "v1a,")), BODY, NOW),
        (headers(at="nan"), BODY, NOW),
        (headers(at="1_763_982_723"), BODY, NOW),
        (headers(at="9" * 400), BODY, NOW),
        ({}, BODY, NOW),
    ],
)
def test_what_does_not_fit_is_refused(given, body, now):
    with pytest.raises(WebhookRefused):
        verify_webhook(given, body, SECRET, now)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"\xff", b'{"type": 3}', b"[" * 200_000])
def test_signed_but_no_event_is_refused(body):
    with pytest.raises(WebhookRefused):
        verify_webhook(headers(signature(body=body)), body, SECRET, NOW)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_AAAA", "whsec_***", "ü"])
def test_a_secret_that_everybody_could_guess_is_none(secret):
    with pytest.raises(ValueError, match="whsec_"):
        verify_webhook(headers(), BODY, secret, NOW)


def test_what_the_reference_implementation_signed_is_verified():
    given = {
        "webhook-id": "evt_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,7EbSPIeJiLFTE+KKJOFkfsVt2yk3iBqFi2/5Bc79jqU=",
    }
    assert verify_webhook(given, b'{"type": "webhook.test"}', SECRET, 1614265330) == {"type": "webhook.test"}


def test_the_reference_signs_and_this_verifies():
    reference = pytest.importorskip("standardwebhooks")
    from datetime import datetime, timezone

    signed = reference.Webhook(SECRET).sign("evt_1", datetime.fromtimestamp(NOW, timezone.utc), BODY.decode())
    assert signed == signature()
    assert verify_webhook(headers(f"{signature(OTHER)} {signed}"), BODY, SECRET, NOW)
