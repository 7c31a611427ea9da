"""How often who may ask: per address, and for one link from wherever.

What is remembered is bounded. The storage of `limits` keeps each key until a thread sweeps it away, so that
a hundred thousand addresses cost tens of megabytes and a pause for each sweep; this one forgets the key that
was seen longest ago. Whoever has more addresses than it has places is held by no limit per address anyway.
"""

from __future__ import annotations

from collections import OrderedDict

from limits import RateLimitItemPerMinute
from limits.storage import Storage
from limits.strategies import FixedWindowRateLimiter

from monitor.clock import Clock
from monitor.host.network import whose

PER_ADDRESS = RateLimitItemPerMinute(60)
PER_LINK = RateLimitItemPerMinute(30)
MOST_KEYS = 10_000


class Bounded(Storage):
    """Counts in memory, for at most so many keys; the one not seen for longest makes room."""

    STORAGE_SCHEME = None

    def __init__(self, clock: Clock, most: int = MOST_KEYS) -> None:
        super().__init__()
        self._clock, self._most = clock, most
        self._counts: OrderedDict[str, tuple[int, float]] = OrderedDict()  # how often, and until when

    def __len__(self) -> int:
        return len(self._counts)

    @property
    def base_exceptions(self) -> type[Exception]:
        """Nothing here fails."""
        return ValueError

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        """Count, and return how often by now. `expiry`: seconds that a new window lasts."""
        now = self._now()
        count, until = self._counts.get(key, (0, 0.0))
        if until <= now:
            count, until = 0, now + expiry
        self._counts[key] = (count + amount, until)
        self._counts.move_to_end(key)
        if len(self._counts) > self._most:
            self._counts.popitem(last=False)
        return count + amount

    def get(self, key: str) -> int:
        """Return how often in the window that is open."""
        count, until = self._counts.get(key, (0, 0.0))
        return count if until > self._now() else 0

    def get_expiry(self, key: str) -> float:
        """Return when the window of a key ends, in Unix time."""
        return self._counts.get(key, (0, self._now()))[1]

    def _now(self) -> float:
        return self._clock.now().timestamp()

    def check(self) -> bool:
        """Say that it is well."""
        return True

    def reset(self) -> int | None:
        """Forget all."""
        count = len(self._counts)
        self._counts.clear()
        return count

    def clear(self, key: str) -> None:
        """Forget one key."""
        self._counts.pop(key, None)


class Rates:
    """The limits of the clients' pages."""

    def __init__(self, clock: Clock) -> None:
        self._storage = Bounded(clock)
        self._limiter = FixedWindowRateLimiter(self._storage)

    def __len__(self) -> int:
        return len(self._storage)

    def address(self, host: str | None) -> bool:
        """Count a request from an address; False when it was one too many."""
        return self._limiter.hit(PER_ADDRESS, "address", whose(host or ""))

    def link(self, number: int) -> bool:
        """Count a use of a link that exists; what is only guessed counts for its address alone."""
        return self._limiter.hit(PER_LINK, "link", str(number))
