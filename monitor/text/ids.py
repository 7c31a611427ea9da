"""Names that the service gives: what kind of thing, and 128 random bits."""

from __future__ import annotations

import hashlib
import secrets

BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
LENGTH = 22  # base62 digits that hold 128 bits


def new_id(kind: str) -> str:
    """Return a new name, such as `evt_…`: unguessable, and good in a URL."""
    return f"{kind}_{base62(secrets.randbits(128), LENGTH)}"


def derived_id(kind: str, *of: str) -> str:
    """Return the name of what follows from other names: the same each time."""
    digest = hashlib.sha256("\x1f".join(of).encode()).digest()
    return f"{kind}_{base62(int.from_bytes(digest[:16]), LENGTH)}"


def base62(number: int, length: int) -> str:
    """Return a number in base 62, filled up with zeros."""
    digits = []
    while number:
        number, rest = divmod(number, 62)
        digits.append(BASE62[rest])
    return "".join(reversed(digits)).rjust(length, "0")
