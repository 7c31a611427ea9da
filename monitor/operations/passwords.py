"""Passwords: hashed with argon2id (RFC 9106), in a thread and two at once, whoever asks."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Literal, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.profiles import RFC_9106_LOW_MEMORY

from monitor.errors import ConfigurationError
from monitor.secret import Secret

Profile = Literal["ordinary", "small"]
SHORTEST, LONGEST = 12, 1000  # characters
_CLEAR = "abcdefghijkmnpqrstuvwxyz23456789"  # none that one takes for another
AT_ONCE = 2  # each takes 64 MiB and a processor for a fifth of a second
_THREADS = ThreadPoolExecutor(AT_ONCE, "argon2")


def check(password: Secret) -> None:
    """Refuse a password that is too short to be one (NIST SP 800-63B 3.1.1). Raises ConfigurationError."""
    if not SHORTEST <= len(password.reveal()) <= LONGEST:
        raise ConfigurationError(
            f"A password is at least {SHORTEST} characters long; a few words make a good one."
        )


def made() -> Secret:
    """Return a new password, of 99 bits: for somebody who is told it once, and chooses their own then."""
    return Secret("-".join("".join(secrets.choice(_CLEAR) for _ in range(5)) for _ in range(4)))


class Passwords:
    """Hashes and checks, in the time that this machine's profile takes for everybody alike."""

    def __init__(self, profile: Profile = "ordinary") -> None:
        self._hasher = _hasher(profile)

    async def hash(self, password: Secret) -> str:
        """Return what is stored of a password."""
        return await _in_a_thread(self._hasher.hash, password.reveal())

    async def fits(self, password: Secret, stored: str | None) -> bool:
        """Whether a password is the stored one. Where there is none, it takes as long and is not."""
        return await _in_a_thread(self._fits, password.reveal(), stored)

    def outgrown(self, stored: str) -> bool:
        """Whether a hash was made by another profile: checking it takes another time than nobody's does."""
        return self._hasher.check_needs_rehash(stored)

    def _fits(self, password: str, stored: str | None) -> bool:
        # Made before anything is compared, so that the first who asks cannot tell either.
        nobodys = _of_nobody(self._hasher)
        try:
            return self._hasher.verify(stored or nobodys, password) and stored is not None
        except (VerificationError, InvalidHashError):
            return False


R = TypeVar("R")


async def _in_a_thread(work: Callable[..., R], *args: object) -> R:
    return await asyncio.get_running_loop().run_in_executor(_THREADS, work, *args)


@cache
def _hasher(profile: Profile) -> PasswordHasher:
    if profile == "small":  # OWASP's least: 19 MiB, two passes, one lane
        return PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
    return PasswordHasher.from_parameters(RFC_9106_LOW_MEMORY)


@cache
def _of_nobody(hasher: PasswordHasher) -> str:
    return hasher.hash("of nobody")
