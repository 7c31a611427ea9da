"""Requests that are done once, however often they are sent (Idempotency-Key): per principal, for a day."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from monitor.errors import CannotDecrypt, KeyMissing
from monitor.secret import Secret
from monitor.settings.parts import Parts
from monitor.store import idempotency
from monitor.tokens.vault import Cell


class Kept(NamedTuple):
    """What was answered: a status, the headers that belong to it, and the body."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Once:
    """A request under its key. `before` is what there is of it: an answer, or a word why there is none."""

    row: str
    before: Kept | str | None


REUSED, RUNNING, LOST = "idempotency_reused", "idempotency_in_progress", "idempotency_answer_lost"


async def begin(parts: Parts, principal: str, key: str, request: bytes) -> Once:
    """Begin a request, or find it answered. `request` is all that makes two of them the same."""
    row = hashlib.sha256(f"{principal}\n{key}".encode()).hexdigest()
    asked = hashlib.sha256(request).hexdigest()
    found = await idempotency.begin(parts.database, row, asked, parts.clock.now())
    if found is None:
        return Once(row, None)
    if found.request != asked:
        return Once(row, REUSED)
    if found.status is None or found.answer is None:
        return Once(row, RUNNING if found.runs else LOST)
    try:
        text = parts.vault.open(found.answer, _cell(row)).reveal()
    except (CannotDecrypt, KeyMissing):
        return Once(row, LOST)
    headers, _, body = text.partition("\n\n")
    pairs = [line.partition(": ") for line in headers.splitlines()]
    return Once(row, Kept(found.status, {name: value for name, _, value in pairs}, body.encode()))


@contextlib.contextmanager
def running(once: Once) -> Iterator[None]:
    """Do the work: the transaction in which it takes effect says so in the request's row."""
    token = idempotency.RUNNING.set(once.row)
    try:
        yield
    finally:
        idempotency.RUNNING.reset(token)


async def keep(parts: Parts, once: Once, answer: Kept) -> None:
    """Keep an answer, sealed: it may hold a secret that is shown once."""
    headers = "\n".join(f"{name}: {value}" for name, value in answer.headers.items())
    text = Secret(f"{headers}\n\n{answer.body.decode()}")
    await idempotency.keep(parts.database, once.row, answer.status, parts.vault.seal(text, _cell(once.row)))


async def give_up(parts: Parts, once: Once) -> None:
    """Forget a request that took no effect."""
    await idempotency.give_up(parts.database, once.row)


def _cell(row: str) -> Cell:
    return Cell("idempotency", row, "answer")
