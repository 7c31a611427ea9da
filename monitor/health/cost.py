"""What looking at an app's connections costs at its provider, and what a fleet of that size has to know."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from math import ceil

from monitor.text.spans import span

MONTH = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Allowed:
    """What a provider allows, as its file has it; None where nothing is known."""

    requests_per_minute: float | None = None
    app_wide: bool = False
    share: float = 1.0  # of it, for probing
    reads_per_month: int | None = None  # of the app, where reads are metered
    live_access_tokens: int | None = None
    grants_per_user: int | None = None


@dataclass(frozen=True, slots=True)
class Cost:
    """What probing an app's connections takes; `scopes` is how many scope checks they need in all."""

    connections: int
    interval: timedelta
    scopes: int = 0
    scope_interval: timedelta = timedelta(hours=1)

    @property
    def reads_per_month(self) -> int:
        """Reads in 30 days: each look asks who the token is of, and at most one scope beside it."""
        looks = self.connections * (MONTH / self.interval)
        return ceil(looks + min(self.scopes * (MONTH / self.scope_interval), looks))

    def limit_share(self, allowed: Allowed) -> float | None:
        """Return which part of the rate limit probing takes: of the app's, or of each token's."""
        if allowed.requests_per_minute is None or not self.connections:
            return None
        each_minute = self.reads_per_month / (MONTH / timedelta(minutes=1))
        if not allowed.app_wide:
            each_minute /= self.connections
        return each_minute / allowed.requests_per_minute

    def interval_for(self, reads: int) -> timedelta:
        """Return the shortest interval, in whole minutes, at which so many reads a month are enough."""
        checks = self.scopes * (MONTH / self.scope_interval)
        # Scope checks go on as they are, or with each look where that is more seldom.
        without = self.connections * MONTH / max(reads - checks, 1.0)
        together = 2 * self.connections * MONTH / max(reads, 1)
        return timedelta(minutes=ceil(min(without, together) / timedelta(minutes=1)))


def too_dear(cost: Cost, allowed: Allowed) -> str | None:
    """Say that probing takes more than the metered reads, and what to set; None where it does not."""
    limit = allowed.reads_per_month
    if limit is None or cost.reads_per_month <= limit * allowed.share:
        return None
    least = cost.interval_for(int(limit * allowed.share))
    part = f"{allowed.share:.0%} of " if allowed.share < 1 else ""
    return (
        f"Probing {cost.connections:,} connections takes {cost.reads_per_month:,} reads a month; it may take "
        f"{part}{limit:,}: probe every {span(least, units=2)} or more seldom (schedule.interval, or "
        "limits.least_interval in its provider's file)."
    )


def sentences(cost: Cost, allowed: Allowed, title: str) -> list[str]:
    """Return what one should know of a fleet of that size at this provider, one sentence each."""
    found = []
    if cost.connections:
        said = f"Probing {cost.connections:,} connections every {span(cost.interval, units=2)} takes about "
        said += f"{cost.reads_per_month:,} reads a month"
        if allowed.reads_per_month is not None:
            said += f" of the {allowed.reads_per_month:,} that {title} lets an app make"
        found.append(f"{said}.")
    if (part := cost.limit_share(allowed)) is not None:
        whose = "the app's rate limit" if allowed.app_wide else "each token's rate limit"
        found.append(f"That is {_percent(part)} of {whose}.")
    if allowed.live_access_tokens is not None:
        found.append(
            f"{title} keeps {_count(allowed.live_access_tokens, 'access token')} of a grant alive: programs "
            "have to fetch theirs here each time, and not keep a copy."
        )
    if allowed.grants_per_user is not None:
        found.append(
            f"{title} keeps {_count(allowed.grants_per_user, 'approval')} of a user, and one more ends the "
            "oldest: every try of a re-authorization costs one."
        )
    return found


def _percent(part: float) -> str:
    return "less than 1%" if part < 0.01 else f"{part:.0%}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("s" if number != 1 else "")
