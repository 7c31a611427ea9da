"""The state machine of a connection: what a finding changes, and when it is believed.

Dear reader: a connection moves between few states, and `MOVES` lists every move that may happen, with who
makes it; a function below that made another would raise. `step` makes the moves of a finding, those
after it are of people, of maintenance windows, and of pauses whose time is over. Nobody is told anything
before a break is *confirmed*; how much has to be seen is the cause's own (`causes.Confirm`). Four rules carry
most of the weight:

1. A different cause starts its own count. Two outages and one refusal confirm neither.
2. Bad weather never overwrites a definite cause. While a revoked connection's provider is down, the
   connection is still revoked; it is just not recovered either.
3. What flaps has to be good for longer before it counts as recovered.
4. Whoever was authorized is never pending again. After a pause nothing from before is believed, and yet a
   client who once connected is no newcomer: the connection is in doubt until a probe has looked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from monitor.health.causes import Cause, Confirm, Owner, consequence, is_definite
from monitor.health.classify import Finding


class State(StrEnum):
    """What a connection is, for people."""

    PENDING = "pending"  # never authorized, or its first tokens were not looked at yet
    HEALTHY = "healthy"
    SUSPECT = "suspect"
    BROKEN = "broken"
    PAUSED = "paused"


class By(StrEnum):
    """Who moves a connection."""

    PROBE = "probe"  # a finding
    GROUNDS = "grounds"  # new tokens (imported, or the client authorized), another account on record
    PAUSE = "pause"  # a person
    RESUME = "resume"
    LAPSE = "lapse"  # the time that a person gave the pause is over
    REST = "rest"  # a maintenance window begins
    WAKE = "wake"  # and is over
    HOLD = "hold"  # its tokens turned out to be another client's: they wait for a person


MOVES: Mapping[By, frozenset[tuple[State, State]]] = {
    By.PROBE: frozenset(
        {
            (State.PENDING, State.HEALTHY),  # the first probe after an authorization
            (State.PENDING, State.SUSPECT),
            (State.PENDING, State.BROKEN),
            (State.HEALTHY, State.SUSPECT),
            (State.HEALTHY, State.BROKEN),  # causes confirmed at once
            (State.SUSPECT, State.HEALTHY),
            (State.SUSPECT, State.BROKEN),
            (State.BROKEN, State.HEALTHY),
        }
    ),
    # New tokens alone move nobody: what they are worth is for a probe to say.
    By.GROUNDS: frozenset(),
    By.PAUSE: frozenset(
        {
            (State.PENDING, State.PAUSED),
            (State.HEALTHY, State.PAUSED),
            (State.SUSPECT, State.PAUSED),
            (State.BROKEN, State.PAUSED),
            (State.PAUSED, State.PAUSED),  # what only rests, until the window ends
        }
    ),
    By.RESUME: frozenset({(State.PAUSED, State.PENDING), (State.PAUSED, State.SUSPECT)}),
    By.LAPSE: frozenset({(State.PAUSED, State.PENDING), (State.PAUSED, State.SUSPECT)}),
    # What was broken before the window keeps its state and its incident: nobody is asked twice because of it.
    By.REST: frozenset({(State.HEALTHY, State.PAUSED), (State.SUSPECT, State.PAUSED)}),
    By.WAKE: frozenset({(State.PAUSED, State.SUSPECT)}),
    # Never authorized, as it turns out: what it had was not its client's.
    By.HOLD: frozenset(
        {
            (State.PENDING, State.PENDING),
            (State.HEALTHY, State.PENDING),
            (State.SUSPECT, State.PENDING),
            (State.BROKEN, State.PENDING),
        }
    ),
}


def movable(by: By) -> frozenset[State]:
    """Return the states out of which somebody may move a connection."""
    return frozenset(before for before, _ in MOVES[by])


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

    `cause` is what the state rests on; `candidate` is what was seen last and is being counted. A doubt
    without a cause is one that no probe has looked into: it was resumed, woken, or got new tokens.
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

    @property
    def unseen(self) -> bool:
        """Whether nothing is known but that it was authorized once."""
        return self.state is State.SUSPECT and self.cause is Cause.OK


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
    verdict = (_good if finding.ok else _bad)(before, finding, policy, now)
    if verdict.health.state is not before.state:
        _moved(By.PROBE, before, verdict.health)
    return verdict


def added(now: datetime) -> Health:
    """Return the health of a connection on its first day: nothing is known of it."""
    return Health(state=State.PENDING, since=now)


def paused(before: Health, now: datetime) -> Health:
    """Return the health of a connection that a person pauses. Its incident, if any, is over."""
    return _moved(By.PAUSE, before, _laid_down(before, now))


def rested(before: Health, now: datetime) -> Health:
    """Return the health of a connection that rests while its maintenance window holds."""
    return _moved(By.REST, before, _laid_down(before, now))


def resumed(before: Health, now: datetime, *, authorized: bool) -> Health:
    """Return the health of a connection that a person resumes: nothing from before is believed.

    `authorized`: it has tokens. Without, it is as new as on its first day.
    """
    return _moved(By.RESUME, before, _from_the_start(now, authorized=authorized))


def lapsed(before: Health, now: datetime, *, authorized: bool) -> Health:
    """Return the health of a connection whose pause is over by itself: as if somebody resumed it."""
    return _moved(By.LAPSE, before, _from_the_start(now, authorized=authorized))


def woken(before: Health, now: datetime) -> Health:
    """Return the health of a connection whose maintenance window is over; only what was well rests."""
    return _moved(By.WAKE, before, Health(state=State.SUSPECT, since=now))


def given_back(before: Health, now: datetime) -> Health:
    """Return the health of a connection whose tokens are taken out: they may be another client's."""
    return _moved(By.HOLD, before, Health(state=State.PENDING, since=now))


def on_new_grounds(before: Health, now: datetime) -> Health:
    """Return the health of a connection that has new tokens, or another account: what was seen says nothing.

    A break stays one, and its incident open, until a probe was good; but nothing that was seen speaks for
    it any more, so that its client is not asked for what it may have done just now.
    """
    match before.state:
        case State.BROKEN:
            return replace(
                before,
                candidate=Cause.OK,
                streak=0,
                streak_since=None,
                good_streak=0,
                flaps=0.0,
                flaps_at=None,
            )
        case State.SUSPECT:
            return Health(state=State.SUSPECT, since=now)
        case State.HEALTHY:
            return replace(before, flaps=0.0, flaps_at=None)
        case State.PENDING | State.PAUSED:
            return before


def _from_the_start(now: datetime, *, authorized: bool) -> Health:
    return Health(state=State.SUSPECT if authorized else State.PENDING, since=now)


def _laid_down(before: Health, now: datetime) -> Health:
    """Nobody looks at it any more: what was being counted is dropped."""
    return replace(
        before, state=State.PAUSED, since=now, bad_since=None, streak=0, streak_since=None, good_streak=0
    )


def _moved(by: By, before: Health, after: Health) -> Health:
    if (before.state, after.state) not in MOVES[by]:
        raise ValueError(f"{by.value}: there is no move from {before.state.value} to {after.state.value}")
    return after


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
