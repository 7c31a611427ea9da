"""A wave: the breaks of one provider that the fleet guard holds together, and how it ends.

While the guard is up over a group, its untold breaks younger than a day join. A member leaves by healing or
by being told. A wave ends, in this order:

1. Nothing is left untold, and the guard is down.
2. It is over: at least half of its clients healed by themselves, the guard is down, for a while nobody healed
   any more, and those left are so few that each may well be its own.
3. A person releases or drops it (`monitor.store.waves`).
4. Canaries: where no person spoke for a day and hardly anybody heals, one client is asked on trial. When it
   authorized again and is healthy, twice as many are asked as before, and so on; when it authorized and is
   still refused, nobody is asked any more. Without a person never more than `alone` clients in all.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from monitor.health.breaks import ALONE, AUTHORIZED, CANARY, DAY, PROOF, Break
from monitor.health.incidents import About

SOON = timedelta(hours=2)  # from the last canaries to the next at least, where they were mended
TRIES = 3  # canaries, one at a time, while none was mended
FEW = 0.1  # of the clients may heal by themselves within a day, as revoked ones do now and then
NEAR = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class WavePolicy:
    """When the rule asks on trial (None: never), and how many clients of a wave without a person's word."""

    canary_after: timedelta | None = timedelta(days=1)
    alone: int = 10
    settle: timedelta = timedelta(hours=4)


@dataclass(frozen=True, slots=True)
class Wave:
    """How far a wave is.

    `begun_at` is when the wait for a canary and its proof began: with the wave, and anew when somebody joins
    after a canary or a person asks a few. Since then `sent` clients were asked on trial, the last at
    `sent_at`. Of the whole wave `total` were asked without a person, `tried` of them one at a time.
    `spoken_at` is a person's last word.
    """

    opened_at: datetime
    begun_at: datetime
    joined_at: datetime
    sent: int = 0
    total: int = 0
    tried: int = 0
    sent_at: datetime | None = None
    spoken_at: datetime | None = None

    @classmethod
    def begin(cls, now: datetime) -> Wave:
        """Return a wave that begins now."""
        return cls(now, now, now)


class End(StrEnum):
    """How a wave ended, as the audit says it."""

    CLOSED = "nothing is left to be told"
    OVER = "it healed by itself, and those left are each their own"
    OFF = "guard.once_in is never"


class Wait(StrEnum):
    """Why the rule asks nobody on trial."""

    NEVER = "guard.canary_after is never"
    HEALING = "clients heal by themselves"
    REFUTED = "a client authorized again and is still refused"
    SPENT = "as many were asked as are without a person (guard.alone)"
    UNANSWERED = "those asked on trial have not authorized again"
    NOBODY = "no client that is left has an address"


@dataclass(frozen=True, slots=True)
class Turn:
    """Who is asked on trial next: how many, when at the earliest; or why nobody."""

    at: datetime | None = None
    size: int = 0
    why: Wait | None = None


class Outcome(StrEnum):
    """What became of a client of a wave."""

    HELD = "held"
    ASKED = "asked"
    MENDED = "mended"
    REFUTED = "refuted"
    HEALED = "healed"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Members:
    """The clients of a wave by how they are: each in one set but `refuted`, who are told or healed."""

    breaks: tuple[Break, ...]
    untold: frozenset[str]
    asked: frozenset[str]  # told, or about to be
    healed: frozenset[str]  # by themselves
    mended: frozenset[str]  # by authorizing again
    gone: frozenset[str]  # paused, or mended by us
    refuted: frozenset[str]  # authorized again, and that did not help
    lately: frozenset[str]  # of the healed, those within a day
    healed_at: datetime | None  # the last one

    def __len__(self) -> int:
        """How many clients."""
        return sum(map(len, (self.untold, self.asked, self.healed, self.mended, self.gone)))

    def outcome(self, client: str) -> Outcome:
        """Return what became of a client."""
        if client in self.refuted:
            return Outcome.REFUTED
        sets = (
            (Outcome.HELD, self.untold), (Outcome.ASKED, self.asked), (Outcome.MENDED, self.mended),
            (Outcome.HEALED, self.healed),
        )  # fmt: skip
        return next((outcome for outcome, who in sets if client in who), Outcome.GONE)


def members(breaks: Iterable[Break], now: datetime) -> Members:
    """Sort the breaks of a wave by client."""
    whole = tuple(breaks)
    by_client: dict[str, list[Break]] = defaultdict(list)
    for one in whole:
        by_client[one.client].append(one)
    sets: dict[str, set[str]] = defaultdict(set)
    for client, mine in by_client.items():
        sets[_state(mine)].add(client)
    healed = sorted((b.closed_at, b.client) for b in whole if b.ended == ALONE and b.closed_at is not None)
    healed_at = {client: at for at, client in healed}
    return Members(
        whole,
        untold=frozenset(sets["untold"]),
        asked=frozenset(sets["asked"]),
        healed=frozenset(sets["healed"]),
        mended=frozenset(sets["mended"]),
        gone=frozenset(sets["gone"]),
        refuted=frozenset(b.client for b in whole if _refuted(b, now)),
        lately=frozenset(client for client in sets["healed"] if healed_at[client] > now - DAY),
        healed_at=max(healed_at.values(), default=None),
    )


def _state(mine: Sequence[Break]) -> str:
    if any(one.untold for one in mine):
        return "untold"
    if any(one.closed_at is None for one in mine):
        return "asked"
    if any(one.ended == AUTHORIZED for one in mine):
        return "mended"
    return "healed" if any(one.ended == ALONE for one in mine) else "gone"


def _refuted(one: Break, now: datetime) -> bool:
    """Whether the client authorized again after it was told, and that did not mend it."""
    if one.told_at is None or one.authorized_at is None or one.authorized_at < one.told_at:
        return False
    if one.closed_at is None:
        return now - one.authorized_at >= PROOF
    return one.ended == ALONE


def joining(breaks: Iterable[Break], up: Callable[[Break], bool], now: datetime) -> list[Break]:
    """Return the breaks that belong to a wave while the guard is up over their group."""
    return [one for one in breaks if one.untold and now - one.at < DAY and up(one)]


def joined(wave: Wave, now: datetime) -> Wave:
    """Return the wave after somebody joined: who joins after a canary is not told on that one's proof."""
    if wave.sent:
        return replace(wave, joined_at=now, begun_at=now, sent=0, sent_at=None)
    return replace(wave, joined_at=now)


def by_person(wave: Wave, asked: int, now: datetime) -> Wave:
    """Return the wave after a person asked a few on trial: the rule waits again before it asks by itself."""
    if not asked:
        return replace(wave, spoken_at=now)
    return replace(wave, begun_at=now, spoken_at=now, sent=asked, sent_at=now)


@dataclass(frozen=True, slots=True)
class Course:
    """What becomes of a wave now: its state, how it ended, and which clients are asked on trial."""

    wave: Wave
    end: End | None = None
    canaries: frozenset[str] = field(default_factory=frozenset)


def step(
    wave: Wave, of: Members, *, up: bool, limit: Callable[[About], int], policy: WavePolicy, now: datetime
) -> Course:
    """Return what becomes of a wave. `up`: the guard is; `limit`: how many in a day would raise it."""
    if not of.untold:
        return Course(wave, None if up else End.CLOSED)
    if not up and is_over(of, policy, now) and _ordinary(wave, of, limit):
        return Course(wave, End.OVER)
    turn = next_turn(wave, of, policy, now)
    if turn.at is None or turn.at > now:
        return Course(wave)
    chosen = densest(of, turn.size)
    mended = bool(_mended(wave, of, now))
    after = replace(
        wave,
        sent=wave.sent + len(chosen),
        total=wave.total + len(chosen),
        tried=wave.tried + (0 if mended else 1),
        sent_at=now,
    )
    return Course(after, canaries=chosen)


def is_over(of: Members, policy: WavePolicy, now: datetime) -> bool:
    """Whether at least half healed by themselves, and nobody does any more."""
    calm = of.healed_at is not None and now - of.healed_at >= policy.settle
    return calm and 2 * len(of.healed) >= len(of)


def _ordinary(wave: Wave, of: Members, limit: Callable[[About], int]) -> bool:
    """Whether those left are no more than chance may well bring about in the time the wave grew."""
    days = max(1.0, (wave.joined_at - wave.opened_at) / DAY)
    left: dict[About, set[str]] = defaultdict(set)
    for one in of.breaks:
        if one.untold:
            for about in one.place.groups():
                left[about].add(one.client)
    return all(len(who) < limit(about) * days for about, who in left.items())


def next_turn(wave: Wave, of: Members, policy: WavePolicy, now: datetime) -> Turn:
    """Return when whom to ask on trial next, or why nobody."""
    if policy.canary_after is None:
        return Turn(why=Wait.NEVER)
    if of.refuted:
        return Turn(why=Wait.REFUTED)
    if len(of.lately) > FEW * len(of):
        return Turn(why=Wait.HEALING)
    if wave.total >= policy.alone:
        return Turn(why=Wait.SPENT)
    if not any(one.untold and one.reachable for one in of.breaks):
        return Turn(why=Wait.NOBODY)
    ready = max(wave.begun_at, wave.spoken_at or wave.begun_at) + policy.canary_after
    left = policy.alone - wave.total
    sent_at = wave.sent_at or wave.begun_at
    if mended := len(_mended(wave, of, now)):
        # Half of them after two hours, or a third after a day: some never react.
        wait = SOON if 2 * mended >= wave.sent else DAY if 3 * mended >= wave.sent else None
        if wait is None:
            return Turn(why=Wait.UNANSWERED)
        return Turn(max(ready, sent_at + wait), min(2 * wave.sent, left))
    if wave.tried >= TRIES:
        return Turn(why=Wait.UNANSWERED)
    return Turn(max(ready, sent_at + policy.canary_after), 1)


def _mended(wave: Wave, of: Members, now: datetime) -> set[str]:
    """Return the clients asked since the proof began that authorized, and have been healthy since."""
    return {
        one.client
        for one in of.breaks
        if one.client in of.mended
        and one.mails == CANARY
        and one.told_at is not None
        and one.told_at >= wave.begun_at
        and one.ended == AUTHORIZED
        and one.closed_at is not None
        and now - one.closed_at >= PROOF
        and one.healthy
    }


def densest(of: Members, size: int) -> frozenset[str]:
    """Choose whom to ask: from the densest half hour of the wave, the earliest first.

    A client's own break from before or after it would prove nothing about the others.
    """
    first: dict[str, datetime] = {}
    for one in sorted(of.breaks, key=lambda b: b.at):
        first.setdefault(one.client, one.at)
    times = sorted(first.values())

    def near(client: str) -> int:
        at = first[client]
        return bisect_left(times, at + NEAR) - bisect_left(times, at - NEAR)

    can = {one.client for one in of.breaks if one.untold and one.reachable}
    chosen = sorted(can & of.untold, key=lambda client: (-near(client), first[client], client))
    return frozenset(chosen[:size])
