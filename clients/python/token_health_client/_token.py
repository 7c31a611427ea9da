"""An access token that does not show itself."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Callable, NoReturn, Optional


class Token:
    """An access token of one connection, as Token Health handed it out. It cannot be changed.

    Neither `repr`, `str`, logging nor pickle show the token itself: use `headers`, or `access_token`.

    Attributes:
        connection: whose token it is.
        generation: rises with each renewal; names this token in signals.
        base_url: where the provider's API of this connection is; empty if Token Health names none.
        account: the account at the provider, `{"id": ..., "name": ...}`, or None.
        values: what stands in the URLs and headers of this connection's API beside `base_url`, by name, such
            as the number of a company or an address of its own; empty where nothing differs.
        scopes: what was granted.
        health: how Token Health sees the connection: `state`, `cause`, `owner`, `since`.
        shortfall: why less life is left than was asked for, or None.
    """

    __slots__ = (
        "__weakref__",
        "_access_token",
        "_clock",
        "_ends",
        "_etag",
        "_token_type",
        "account",
        "base_url",
        "connection",
        "generation",
        "health",
        "scopes",
        "shortfall",
        "values",
    )

    connection: str
    generation: int
    base_url: str
    account: Optional[Mapping[str, Any]]
    values: Mapping[str, Any]
    scopes: tuple[str, ...]
    health: Mapping[str, Any]
    shortfall: Optional[Mapping[str, Any]]
    _access_token: str
    _token_type: str
    _ends: Optional[float]
    _etag: Optional[str]
    _clock: Callable[[], float]

    def __init__(self, **values: Any) -> None:
        for name, value in values.items():
            object.__setattr__(self, name, value)

    @property
    def access_token(self) -> str:
        """The token itself. Each use of this name is a place where it leaves."""
        return self._access_token

    @property
    def headers(self) -> dict[str, str]:
        """The header that authorizes a request to the provider; a new dict each time."""
        return {"Authorization": f"{self._token_type} {self._access_token}"}

    @property
    def seconds_left(self) -> float:
        """Life left at this moment, by the monotonic clock; infinite if the provider tells no expiry."""
        return math.inf if self._ends is None else max(0.0, self._ends - self._clock())

    @property
    def expires_in(self) -> Optional[int]:
        """Whole seconds of life left at this moment; None if the provider tells no expiry."""
        return None if self._ends is None else int(self.seconds_left)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("a Token cannot be changed")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError("a Token cannot be changed")

    def __repr__(self) -> str:
        return f"Token({self.connection!r}, generation={self.generation}, expires_in={self.expires_in})"

    def __copy__(self) -> Token:
        return self

    def __deepcopy__(self, memo: object) -> Token:
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a Token is not pickled: ask for it where it is used")
