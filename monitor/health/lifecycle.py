"""The state machine of a connection: what a finding changes, and when it is believed.

Dear reader: a connection moves between few states, and `MOVES` lists every move that may happen. `step`
is the only code that makes one. Nobody is told anything before a break is *confirmed*; how much has
to be seen is the cause's own (`causes.Confirm`). Three rules carry most of the weight:

1. A different cause starts its own count. Two outages and one refusal confirm neither.
2. Bad weather never overwrites a definite cause. While a revoked connection's provider is down, the
   connection is still revoked; it is just not recovered either.
3. What flaps has to be good for longer before it counts as recovered.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from monitor.health.causes import Cause, Confirm, Owner, consequence, is_definite
from monitor.health.classify import Finding


class State(StrEnum):
    """What a connection is, for people."""

    PENDING = "pending"
    HEALTHY = "healthy"
    SUSPECT = "suspect"
    BROKEN = "broken"
    PAUSED = "paused"


MOVES: frozenset[tuple[State, State]] = frozenset(
    {
        (State.PENDING, State.HEALTHY),  # the first probe after an authorization
        (State.PENDING, State.SUSPECT),
        (State.PENDING, State.BROKEN),
        (State.HEALTHY, State.SUSPECT),
        (State.HEALTHY, State.BROKEN),  # causes confirmed at once
        (State.SUSPECT, State.HEALTHY),
        (State.SUSPECT, State.BROKEN),
        (State.BROKEN, State.HEALTHY),
        # An operator's moves; `step` never makes these, and never leaves PAUSED.
        (State.HEALTHY, State.PAUSED),
        (State.SUSPECT, State.PAUSED),
        (State.BROKEN, State.PAUSED),
        (State.PENDING, State.PAUSED),
        (State.PAUSED, State.PENDING),
    }
)


class IncidentChange(StrEnum):
    """What a verdict does to the connection's incident."""

    OPEN = "open"
    UPDATE = "update"
    CLOSE = "close"


@dataclass(frozen=True, slots=True)
class Policy:
    """How much has to be seen. `recheck` is the wait between the observations of a doubt."""

    confirm_after: int = 2
    recheck: timedelta = timedelta(seconds=30)
    flap_half_life: timedelta = timedelta(hours=1)

    def needs(self, cause: Cause) -> tuple[int, timedelta]:
        """Return how often a cause has to be seen in a row, and over what time at least."""
        match consequence(cause).confirm:
            case Confirm.AT_ONCE:
                return 1, timedelta(0)
            case Confirm.DEFINITE:
                return self.confirm_after, self.recheck * (self.confirm_after - 1) / 2
            case Confirm.TRANSIENT:
                return self.confirm_after + 2, self.recheck * 4
            case Confirm.LASTING:
                return self.confirm_after + 2, self.recheck * 60


@dataclass(frozen=True, slots=True)
class Health:
    """What is remembered of a connection between two probes.

    `cause` is what the state rests on; `candidate` is what was seen last and is being counted.
    """

    state: State = State.PENDING
    since: datetime | None = None
    cause: Cause = Cause.OK
    owner: Owner = Owner.NOBODY
    confidence: float = 0.0
    rule: str = ""
    candidate: Cause = Cause.OK
    streak: int = 0
    streak_since: datetime | None = None
    bad_since: datetime | None = None
    good_streak: int = 0
    flaps: float = 0.0
    flaps_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The health after a finding, and what has to be told to others about the change."""

    health: Health
    changed: bool
    incident: IncidentChange | None = None
    detected_after: timedelta | None = None
    recovered_after: timedelta | None = None


def step(before: Health, finding: Finding, policy: Policy, now: datetime) -> Verdict:
    """Return what a connection's health is after one more finding."""
    if before.state is State.PAUSED:
        return Verdict(before, changed=False)
    return _good(before, finding, policy, now) if finding.ok else _bad(before, finding, policy, now)


def flapping(health: Health, policy: Policy, now: datetime) -> float:
    """Return how often it broke or healed lately, older changes counting less (half-life)."""
    if health.flaps_at is None:
        return 0.0
    age = max(timedelta(0), now - health.flaps_at)
    return float(health.flaps * 0.5 ** (age / policy.flap_half_life))


def good_needed(health: Health, policy: Policy, now: datetime) -> int:
    """Return how many good probes in a row end a break: one, and one more for each recent relapse."""
    return 1 + min(4, max(0, int(flapping(health, policy, now) + 0.5) - 1))


def _good(before: Health, finding: Finding, policy: Policy, now: datetime) -> Verdict:
    if before.state is State.HEALTHY:
        return Verdict(before, changed=False)
    streak = before.good_streak + 1
    if before.state is State.BROKEN and streak < good_needed(before, policy, now):
        return Verdict(
            replace(before, good_streak=streak, candidate=Cause.OK, streak=0, streak_since=None),
            changed=False,
        )
    was_broken = before.state is State.BROKEN
    after = Health(
        state=State.HEALTHY,
        since=now,
        confidence=finding.confidence,
        rule=finding.rule,
        flaps=flapping(before, policy, now) + 1 if was_broken else before.flaps,
        flaps_at=now if was_broken else before.flaps_at,
    )
    return Verdict(
        after,
        changed=True,
        incident=IncidentChange.CLOSE if was_broken else None,
        recovered_after=now - before.since if was_broken and before.since else None,
    )


def _bad(before: Health, finding: Finding, policy: Policy, now: datetime) -> Verdict:
    seen = _count(before, finding, now)
    confirmed = _confirmed(seen, policy, now)
    if before.state is State.BROKEN:
        return _still_broken(before, seen, finding, confirmed, now)
    if confirmed:
        after = replace(_adopt(seen, finding), state=State.BROKEN, since=now)
        return Verdict(
            after,
            changed=True,
            incident=IncidentChange.OPEN,
            detected_after=now - seen.bad_since if seen.bad_since else None,
        )
    changed = before.state is not State.SUSPECT or before.cause is not finding.cause
    since = now if before.state is not State.SUSPECT else before.since
    return Verdict(replace(_adopt(seen, finding), state=State.SUSPECT, since=since), changed=changed)


def _count(before: Health, finding: Finding, now: datetime) -> Health:
    """One more of the same, or the first of something else."""
    same = finding.cause is before.candidate and before.streak > 0
    return replace(
        before,
        candidate=finding.cause,
        streak=before.streak + 1 if same else 1,
        streak_since=before.streak_since if same else now,
        bad_since=before.bad_since or now,
        good_streak=0,
    )


def _confirmed(seen: Health, policy: Policy, now: datetime) -> bool:
    times, over = policy.needs(seen.candidate)
    since = seen.streak_since or now
    return seen.streak >= times and now - since >= over


def _adopt(seen: Health, finding: Finding) -> Health:
    return replace(
        seen, cause=finding.cause, owner=finding.owner, confidence=finding.confidence, rule=finding.rule
    )


def _still_broken(before: Health, seen: Health, finding: Finding, confirmed: bool, now: datetime) -> Verdict:
    if finding.cause is before.cause:
        # The owner may move while the cause stays: the app registration gained the scope.
        moved = finding.owner is not before.owner
        return Verdict(
            _adopt(seen, finding),
            changed=moved,
            incident=IncidentChange.UPDATE if moved else None,
        )
    weather_over_definite = is_definite(before.cause) and not is_definite(finding.cause)
    if weather_over_definite or not confirmed:
        return Verdict(seen, changed=False)
    return Verdict(_adopt(seen, finding), changed=True, incident=IncidentChange.UPDATE)
