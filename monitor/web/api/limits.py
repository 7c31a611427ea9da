"""How much a key may ask of one process: so many in a minute, and a fifth of that at once."""

from __future__ import annotations

from limits import RateLimitItemPerMinute, RateLimitItemPerSecond
from limits.strategies import FixedWindowRateLimiter

from monitor.clock import Clock
from monitor.operations.actor import Actor
from monitor.web.api.problems import Problem
from monitor.web.rates import Bounded

PER_MINUTE = {"requests": 600, "tokens": 6000, "signals": 600}


class Limits:
    """The limits of one process, by who asks and what for."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._limiter = FixedWindowRateLimiter(Bounded(clock))

    def spend(self, actor: Actor, what: str, cost: int = 1) -> dict[str, str]:
        """Count a request; return the headers that say what is left (IETF draft RateLimit headers).

        Raises Problem where it was too many.
        """
        minute = RateLimitItemPerMinute(PER_MINUTE[what])
        at_once = RateLimitItemPerSecond(PER_MINUTE[what] // 5)
        for limit in (at_once, minute):
            if not self._limiter.hit(limit, what, actor.name, cost=cost):
                reset = self._limiter.get_window_stats(limit, what, actor.name).reset_time
                wait = max(1.0, reset - self._clock.now().timestamp())
                raise Problem("too_many_requests", after=wait, headers=_headers(minute.amount, 0, wait))
        left = self._limiter.get_window_stats(minute, what, actor.name)
        return _headers(
            minute.amount, left.remaining, max(0.0, left.reset_time - self._clock.now().timestamp())
        )


def _headers(quota: int, left: int, resets: float) -> dict[str, str]:
    return {
        "RateLimit-Policy": f'"key";q={quota};w=60',
        "RateLimit": f'"key";r={left};t={int(resets + 0.999)}',
    }
