"""What each page and each action of the console declares; handler, tests and documents read it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from monitor.operations.actor import Right
from monitor.web.console.answers import Answer, Ask
from monitor.web.console.visit import Visit

Asks = Callable[[Visit], Awaitable[Ask]]
F = TypeVar("F", bound=Callable[[Visit], Awaitable[Any]])
SMALL = 64 << 10  # bytes of a form
_found: list[Declared] = []


@dataclass(frozen=True, slots=True)
class Declared:
    """A page that is looked at, or an action. An action that `asks` is a page, too: it says what it would do.

    `api` are the routes of the API that do the same: the console does nothing that a program may not.
    """

    path: str
    needs: Right | None
    endpoint: Callable[[Visit], Awaitable[Answer]]
    acts: bool = False
    asks: Asks | None = None
    api: tuple[str, ...] = ()
    largest: int = SMALL

    @property
    def name(self) -> str:
        """Return what it is called."""
        return self.endpoint.__name__


def page(path: str, needs: Right | None) -> Callable[[F], F]:
    """Declare a page."""

    def declare(endpoint: F) -> F:
        _found.append(Declared(path, needs, endpoint))
        return endpoint

    return declare


def action(
    path: str, needs: Right | None, *, api: tuple[str, ...], asks: Asks | None = None, largest: int = SMALL
) -> Callable[[F], F]:
    """Declare an action: POST does it, GET says what it would do where it `asks`."""

    def declare(endpoint: F) -> F:
        _found.append(Declared(path, needs, endpoint, True, asks, api, largest))
        return endpoint

    return declare


def so_far() -> tuple[Declared, ...]:
    """Return what was declared by the modules that are loaded; all of them are once a console is served."""
    return tuple(_found)
