"""The text of an API key: who it says that it is, its secret, and a checksum that finds what was mistyped.

    thk_<10 base62: the key's handle>_<43 base62: 256 random bits><6 base62: CRC-32 of all before>

A text that was cut, or typed wrong, is known as such without a database; scanners of repositories find one
by its form, and by the checksum that it is one (as GitHub's tokens are found).
"""

from __future__ import annotations

import hashlib
import re
import secrets
import zlib

from monitor.secret import Secret
from monitor.text.ids import BASE62, base62

PREFIX = "thk"
HANDLE, SECRET, CHECKSUM = 10, 43, 6  # base62 digits
_FORM = re.compile(rf"{PREFIX}_([0-9A-Za-z]{{{HANDLE}}})_[0-9A-Za-z]{{{SECRET + CHECKSUM}}}")


def new_handle() -> str:
    """Return what a new key is found by; it stands in its text in clear."""
    return "".join(secrets.choice(BASE62) for _ in range(HANDLE))


def make(handle: str) -> Secret:
    """Return a new text of the key with this handle."""
    body = f"{PREFIX}_{handle}_{base62(secrets.randbits(256), SECRET)}"
    return Secret(body + _checksum(body))


def handle_of(text: str) -> str | None:
    """Return the handle that a text names, None where it is no key: cut, mistyped, or something else."""
    match = _FORM.fullmatch(text)
    if match is None or _checksum(text[:-CHECKSUM]) != text[-CHECKSUM:]:
        return None
    return match.group(1)


def found_in(text: str) -> list[str]:
    """Return what has the form of a key inside a longer text, such as a URL."""
    return [match.group() for match in _FORM.finditer(text)]


def digest(text: str) -> str:
    """Return what is stored of a key. Its 256 bits cannot be guessed, so no slow hash is needed."""
    return hashlib.sha256(text.encode()).hexdigest()


def _checksum(body: str) -> str:
    return base62(zlib.crc32(body.encode()), CHECKSUM)
