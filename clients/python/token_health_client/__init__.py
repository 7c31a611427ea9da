"""Access tokens from Token Health, and word to it of how they fared."""

from token_health_client._async import AsyncTokenHealth
from token_health_client._client import TokenHealth
from token_health_client._errors import (
    Forbidden,
    NeedsPerson,
    NotCustodian,
    NotFound,
    Problem,
    Rejected,
    StillRefused,
    TokenHealthError,
    TryLater,
    Unauthorized,
    Unreachable,
)
from token_health_client._token import Token
from token_health_client._webhooks import WebhookRefused, verify_webhook
from token_health_client._wire import VERSION

__version__ = VERSION

__all__ = [
    "AsyncTokenHealth",
    "Forbidden",
    "NeedsPerson",
    "NotCustodian",
    "NotFound",
    "Problem",
    "Rejected",
    "StillRefused",
    "Token",
    "TokenHealth",
    "TokenHealthError",
    "TryLater",
    "Unauthorized",
    "Unreachable",
    "WebhookRefused",
    "__version__",
    "verify_webhook",
]
