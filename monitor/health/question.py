"""A wave as the question it is to people: since when, who, what they share, what next, and the choices."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from monitor.errors import Remedy
from monitor.health.breaks import IN_DOUBT, IN_TROUBLE, Break
from monitor.health.pattern import pattern
from monitor.health.surprise import Surprise
from monitor.health.wave import Members, Turn, Wait, Wave, WavePolicy, is_over, next_turn
from monitor.text.spans import span, when

AT_ONCE = timedelta(hours=1)  # breaks no further apart share their hour
HARDLY_EVER = 1000.0  # years


@dataclass(frozen=True, slots=True)
class Question:
    """What a person has to know to decide on a wave. Numbers are clients unless they say otherwise."""

    provider: str
    since: datetime
    clients: int
    connections: int
    held: int
    held_connections: int
    asked: int
    healed: int
    mended: int
    refuted: int
    reasons: tuple[str, ...]
    alike: tuple[str, ...]
    unlike: tuple[str, ...]
    next: str
    next_at: datetime | None
    choices: tuple[Remedy, ...]  # what a person may say; to wait is always one

    @property
    def headline(self) -> str:
        """It in one sentence."""
        return (
            f"{_count(self.clients, 'client')} of {self.provider} broke together "
            f"({_count(self.connections, 'connection')}); the mails to {self.held} of them are held."
        )

    @property
    def so_far(self) -> str:
        """What became of them until now."""
        said = [
            (self.healed, "healed by themselves"),
            (self.asked, "asked and not back yet"),
            (self.mended, "mended by authorizing again"),
            (self.refuted, "authorized again and still refused"),
        ]
        return ", ".join(f"{n} {what}" for n, what in said if n) or "none healed by itself, none was asked"


def reasons(up: Iterable[Surprise]) -> tuple[str, ...]:
    """Say why the guard is up: how many broke within what time, and how seldom that is chance."""
    # Several groups may say the same of the same clients: once is enough.
    once: dict[tuple[int, timedelta], Surprise] = {}
    for found in up:
        once.setdefault((found.clients, found.window), found)
    return tuple(
        f"{s.clients} clients of {s.about} broke within {span(s.window)}; chance brings about as many "
        f"{_seldom(s.years)}."
        for s in list(once.values())[:3]
    )


def _seldom(years: float) -> str:
    if years > HARDLY_EVER:
        return "hardly ever"
    return f"once in {years:.0f} years" if years >= 2 else f"once in {max(1, round(years * 12))} months"


def question(
    provider: str, wave: Wave, of: Members, why: Sequence[str], policy: WavePolicy, now: datetime
) -> Question:
    """Put a wave as a question."""
    left = [one for one in of.breaks if one.untold]
    turn = next_turn(wave, of, policy, now)
    alike, unlike = _shared(left)
    return Question(
        provider=provider,
        since=wave.opened_at,
        clients=len(of),
        connections=len({one.connection for one in of.breaks}),
        held=len(of.untold),
        held_connections=len(left),
        asked=len(of.asked),
        healed=len(of.healed),
        mended=len(of.mended),
        refuted=len(of.refuted),
        reasons=tuple(why),
        alike=alike,
        unlike=unlike,
        next=_next(of, turn, policy, now),
        next_at=turn.at,
        choices=_choices(provider, of),
    )


def held_back(one: Question) -> str:
    """Say to whoever asks about one that is held why its client is not told, and what comes next."""
    return f"The client is not told: {one.headline} {one.next}"


def later(waits: str, doubt_delay: timedelta, opened_at: datetime, now: datetime) -> str:
    """Say why a client is told later than usual; nothing where it is not."""
    if waits == IN_DOUBT:
        at = opened_at + doubt_delay
        return (
            f"The client is told {when(at, now) if at > now else 'soon'} at the earliest: the fleet guard is "
            "in doubt, since more clients of its group broke than usual, or some healed by themselves."
        )
    if waits == IN_TROUBLE:
        return (
            "The client is not told yet: it broke while the provider was in trouble. It waits until that is "
            "over and has settled, a day at most."
        )
    return ""


def _shared(left: Sequence[Break]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Say what those that are held have alike, and what not."""
    found = pattern(left)
    alike, unlike = [], []
    for trait in found.traits:
        if trait.shared:
            alike.append(f"{trait.name} {trait.values[0][0]}")
        else:
            unlike.append(f"{trait.name}: " + ", ".join(f"{value} {n}" for value, n in trait.values[:4]))
    if found.first is not None:
        at_once = found.apart <= AT_ONCE
        (alike if at_once else unlike).append(f"{'all within' if at_once else 'over'} {span(found.apart)}")
    return tuple(alike), tuple(unlike)


def _next(of: Members, turn: Turn, policy: WavePolicy, now: datetime) -> str:
    if not of.untold:
        return "Nothing is left to be told; it ends when the guard comes down."
    half = (
        f"If half of them heal by themselves, those left are told {span(policy.settle)} after the last one "
        "did, each as its own break."
    )
    if turn.why is Wait.HEALING:
        return half if not is_over(of, policy, now) else f"{half} They are too many for that still."
    if turn.at is None:
        return f"Nobody is told without you: {turn.why.value if turn.why else 'nothing is due'}. {half}"
    who = "one client is" if turn.size == 1 else f"{turn.size} more clients are"
    at = when(turn.at, now) if turn.at > now else "now"
    return (
        f"If nobody decides, {who} asked on trial {at}, to see whether authorizing again mends it; "
        f"never more than {policy.alone} of them without you. {half}"
    )


def _choices(provider: str, of: Members) -> tuple[Remedy, ...]:
    first = min(3, len(of.untold))
    return (
        Remedy("notices.release", f"tells all {len(of.untold)}, each after one more probe", provider),
        Remedy(
            "notices.ask_first",
            f"tells {first} first, to see whether it mends them",
            provider,
            options=(("count", str(first)),),
        ),
        Remedy("notices.drop", "tells none of them about this break", provider),
    )


def _count(n: int, what: str) -> str:
    return f"{n} {what}{'s' if n != 1 else ''}"
