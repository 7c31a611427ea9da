"""A string that does not show itself."""

from __future__ import annotations

import hmac
from typing import NoReturn


class Secret:
    """A token, code or client secret. Shows nothing in str, repr, format or pickle.

    The one way to its text is `reveal()`, which is easy to search for: each call is a place where a secret
    leaves us: to the provider, the vault, a server of ours, or the one person whom a link is for.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text itself."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(…)"

    def __str__(self) -> str:
        return "…"

    def __format__(self, spec: str) -> str:
        return format("…", spec)

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash((Secret, self._text))

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not pickled: seal it with the vault instead")
