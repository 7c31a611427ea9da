"""What SQLAlchemy has compiled is shared by the databases of all tests.

Each engine compiles each statement anew, and each test has engines of its own: that was a quarter of what tests cost.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.util import LRUCache


class _ByKind(LRUCache[Any, Any]):
    """A cache whose keys begin with the kind of a dialect, in place of one engine's own."""

    def get(self, key: Any, default: Any = None) -> Any:
        return super().get((type(key[0]), *key[1:]), default)

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__((type(key[0]), *key[1:]), value)


def shared() -> Iterator[None]:
    """Have every engine look into one cache."""
    compiled = _ByKind(5_000)

    def share(connection: Connection) -> None:
        connection.engine._compiled_cache = compiled

    event.listen(Engine, "engine_connect", share)
    yield
    event.remove(Engine, "engine_connect", share)
