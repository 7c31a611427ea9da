"""What each route declares once: who may, what it takes, and what stands before it is done.

The route's checks, the OpenAPI document and the test that walks all operations read this one list.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from monitor.operations.actor import Right

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
SMALL, LARGE = 1 << 20, 200 << 20  # bytes of a body: of requests, and of imports


@dataclass(frozen=True, slots=True)
class Declared:
    """One route. `needs`: the right, None where anybody may; `takes`: the model of its body.

    `precondition`: it takes If-Match. `wild`: beginnings of query names that are not named one by one.
    `raw`: the media types of a body that is no JSON document; `rate`: which of a key's limits it counts to.
    """

    method: str
    path: str
    endpoint: Callable[..., Any]
    needs: Right | None
    takes: type[BaseModel] | None = None
    shows: Any = None
    status: int = 200
    problems: tuple[str, ...] = ()
    precondition: bool = False
    media: str = JSON
    raw: tuple[str, ...] = ()
    largest: int = SMALL
    wild: tuple[str, ...] = ()
    rate: str = "requests"
    kept: bool = True  # answers are kept for an Idempotency-Key
    tag: str = ""
    more: Mapping[int | str, dict[str, Any]] | None = None  # answers beside `status`
    open: bool = False  # nobody has to be signed in


class Routes:
    """Collects the routes of a subject."""

    def __init__(self, tag: str) -> None:
        self.tag = tag
        self.all: list[Declared] = []

    def get(self, path: str, **declared: Any) -> Callable[[Any], Any]:
        """Declare what reads."""
        return self._add("GET", path, declared)

    def post(self, path: str, **declared: Any) -> Callable[[Any], Any]:
        """Declare what does something."""
        return self._add("POST", path, declared)

    def put(self, path: str, **declared: Any) -> Callable[[Any], Any]:
        """Declare what makes or replaces something."""
        return self._add("PUT", path, declared)

    def patch(self, path: str, **declared: Any) -> Callable[[Any], Any]:
        """Declare what changes something (RFC 7396)."""
        return self._add("PATCH", path, {"media": MERGE_PATCH} | declared)

    def delete(self, path: str, **declared: Any) -> Callable[[Any], Any]:
        """Declare what removes something."""
        return self._add("DELETE", path, {"status": 204} | declared)

    def _add(self, method: str, path: str, declared: dict[str, Any]) -> Callable[[Any], Any]:
        def take(endpoint: Any) -> Any:
            endpoint.declared = Declared(method, path, endpoint, tag=self.tag, **declared)
            self.all.append(endpoint.declared)
            return endpoint

        return take
