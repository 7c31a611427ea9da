"""The thinking, without I/O: what is known of each connection, what to ask, what follows from an answer.

A *talk* is a generator: it yields a Request and is given what was heard, or a Rest and is given nothing, and
returns a Token or a Problem. `TokenHealth` and `AsyncTokenHealth` differ only in how they hold a talk.

What is known of a connection is one frozen value, replaced in one assignment: threads and forked children see
the old one or the new one, and nothing between.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import Any, Callable, Optional, Union
from urllib.parse import quote

from token_health_client._errors import Problem
from token_health_client._reading import (
    Look,
    date_of,
    look_or_problem,
    problem_of,
    token_or_problem,
)
from token_health_client._token import Token
from token_health_client._values import Heard, Lost, Request, Rest

Outcome = Union[Token, Problem]
Step = Union[Request, Rest]
Talk = Generator[Step, Any, Outcome]

# Problems of Token Health itself. They say nothing about the grant, so a token at hand is used meanwhile.
OWN_TROUBLE = frozenset(
    {
        "unreachable",
        "internal",
        "database_unavailable",
        "clock_skewed",
        "too_many_waiters",
        "too_many_requests",
        "stopping",
    }
)
SERVER_WAIT = 15  # seconds the server waits for a refresh if it is told nothing
LOOK = 20  # seconds a refused token's second look may take
LONGEST_POLL = 60
PERSON_REMEMBERED = 60.0
# A person mends in minutes: asking more often tells nothing sooner that matters.
MENDING_PAUSE = 15.0
# A server that does not answer is left alone for so long, twice as long after each further time.
FIRST_PAUSE, LONGEST_PAUSE = 5.0, 60.0
# A token whose provider tells no expiry is asked about so often; without Token Health it serves an hour.
UNKNOWN_KEPT, UNKNOWN_SERVES = 60.0, 3_600.0
# A token that has less left than was asked for is kept for this share of it: not every call is a request.
SHORT_SHARE = 0.05
JITTER = 0.1

log = logging.getLogger("token_health_client")


@dataclass(frozen=True)
class Terms:
    """What the caller asked for, in seconds."""

    min_ttl: int = 300
    accept_ttl: Optional[int] = None
    wait: int = SERVER_WAIT
    stale_if_down: float = 30.0
    margin: float = 5.0

    def __post_init__(self) -> None:
        for name, value, most in (
            ("min_ttl", self.min_ttl, 86_400),
            ("accept_ttl", self.accept_ttl or 0, self.min_ttl),
            ("wait", self.wait, LONGEST_POLL),
        ):
            if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
                raise ValueError(f"{name} is a whole number of seconds from 0 to {most}")
        if not (self.stale_if_down >= 0 and self.margin > 0):
            raise ValueError("stale_if_down is at least 0 seconds, margin more than 0")


@dataclass(frozen=True)
class Known:
    """What is known of one connection; times by the monotonic clock."""

    token: Optional[Token] = None
    learned_at: float = -math.inf
    fresh_until: float = -math.inf
    serves_until: float = -math.inf
    problem: Optional[Problem] = None
    problem_until: float = -math.inf
    misses: int = 0


NOTHING = Known()
UP: tuple[Optional[Problem], float] = (None, -math.inf)


class Core:
    """All connections of one client. Its methods never wait."""

    def __init__(self, terms: Terms, clock: Callable[[], float], chance: Callable[[], float]) -> None:
        self.terms = terms
        self._clock = clock
        self._chance = chance
        self._known: dict[str, Known] = {}
        self._anew: dict[str, float] = {}  # what was asked before is the word of another time
        self._down = UP
        self._server_time: Optional[tuple[datetime, float]] = None

    def __repr__(self) -> str:
        return f"<Core of {len(self._known)} connections>"

    # What is at hand

    def at_hand(self, connection: str) -> Optional[Outcome]:
        """Return what can be said without asking: a fresh token, a remembered problem, or None."""
        known, now = self._known.get(connection, NOTHING), self._clock()
        if known.token is not None and now < known.fresh_until:
            return known.token
        down, down_until = self._down
        for problem, until in ((known.problem, known.problem_until), (down, down_until)):
            if problem is not None and now < until:
                left = None if problem.retry_after is None else until - now
                return self._bridged(connection, replace(problem, connection=connection, retry_after=left))
        return None

    def server_now(self) -> Optional[str]:
        """Return the time by Token Health's clock, RFC 3339: ours may be wrong."""
        if self._server_time is None:
            return None
        date, heard_at = self._server_time
        now = date.astimezone(timezone.utc) + timedelta(seconds=self._clock() - heard_at)
        return now.strftime("%Y-%m-%dT%H:%M:%SZ")

    def forget(self) -> None:
        """Let go of every token."""
        self._known.clear()

    def ask_anew(self, connection: str) -> None:
        """Answer nothing about a connection from memory, nor keep what was asked before now."""
        self._anew[connection] = self._clock()
        self._known.pop(connection, None)

    # Talks

    def read(self, connection: str) -> Talk:
        """Get a token: from memory if another caller has just asked, else from Token Health."""
        found = self.at_hand(connection)
        if found is not None:
            return found
        outcome = yield from self._ask(connection, self._known.get(connection, NOTHING))
        bridged = self._bridged(connection, outcome)
        if bridged is not outcome:
            log.warning("%s; %r serves meanwhile", outcome, bridged)
        return bridged

    def refused(self, token: Token, signal: Mapping[str, Any]) -> Talk:
        """Have a refused token looked at, and get the one that replaces it."""
        connection = token.connection
        known = self._known.get(connection, NOTHING)
        if known.token is not None and not _same(known.token, token):
            return (yield from self.read(connection))
        looked = look_or_problem(connection, (yield self._look_request(connection, signal)))
        if isinstance(looked, Problem):
            return looked
        if looked.fine and looked.generation == token.generation:
            return _still_refused(connection, looked)
        outcome = yield from self._ask(connection, known)
        if isinstance(outcome, Token) and _same(outcome, token):
            return _still_refused(connection, looked)
        return outcome

    def mended(self, connection: str, seconds: float) -> Talk:
        """Wait for another token than the one at hand, through what passes and what a person has to mend."""
        ends = self._clock() + seconds
        while True:
            known, asked_at = self._known.get(connection, NOTHING), self._clock()
            left = max(0.0, ends - asked_at)
            outcome = yield from self._ask(connection, known, poll=min(int(left), LONGEST_POLL))
            if isinstance(outcome, Token):
                if known.token is None or not _same(outcome, known.token):
                    return outcome
                outcome = _still_refused(connection, None)
            now = self._clock()
            if now >= ends or not _passes(outcome):
                return outcome
            if outcome.code != "still_refused" or now - asked_at < 1:  # else it was held as long as we asked
                yield Rest(min(ends - now, outcome.retry_after or MENDING_PAUSE))

    # Asking and learning

    def _ask(self, connection: str, known: Known, poll: Optional[int] = None) -> Talk:
        asked_at = self._clock()
        heard: Heard = yield self._token_request(connection, known, poll)
        meaning = token_or_problem(connection, heard, asked_at, self._clock)
        if isinstance(meaning, Token):
            self._heard_time(heard)
            return self._learn(connection, meaning, asked_at)
        if isinstance(meaning, Problem):
            return self._learn_problem(connection, meaning, heard, asked_at)
        if known.token is not None:
            self._heard_time(heard)
            return self._still_good(connection, known, known.token)
        lost = Lost("304 to a question without a condition", connected=True)
        return self._learn_problem(connection, problem_of(connection, lost), lost, asked_at)

    def _learn(self, connection: str, token: Token, asked_at: float) -> Outcome:
        held, now = self._known.get(connection, NOTHING), self._clock()
        if held.token is not None and held.token.generation > token.generation and asked_at < held.learned_at:
            return held.token  # an answer that was overtaken by a younger one
        if self._outdated(connection, asked_at):
            return token
        left = token.seconds_left
        self._down = UP
        self._known[connection] = Known(
            token=token,
            learned_at=now,
            fresh_until=now + self._kept(left) * (1 - JITTER * self._chance()),
            serves_until=now + (UNKNOWN_SERVES if math.isinf(left) else left),
        )
        return token

    def _outdated(self, connection: str, asked_at: float) -> bool:
        return asked_at < self._anew.get(connection, -math.inf)

    def _still_good(self, connection: str, known: Known, token: Token) -> Outcome:
        """Keep a token for what is left of it; without jitter, which would make ever smaller steps."""
        now, left = self._clock(), token.seconds_left
        self._down = UP
        if self._known.get(connection, NOTHING).token is token:
            self._known[connection] = Known(
                token=token,
                learned_at=now,
                fresh_until=now + self._kept(left),
                serves_until=now + UNKNOWN_SERVES if math.isinf(left) else known.serves_until,
            )
        return token

    def _kept(self, left: float) -> float:
        """Return for how long a token is used without asking."""
        if math.isinf(left):
            return UNKNOWN_KEPT
        spare = left - self.terms.min_ttl
        return spare if spare > 0 else left * SHORT_SHARE

    def _learn_problem(self, connection: str, problem: Problem, heard: Heard, asked_at: float) -> Problem:
        known, now = self._known.get(connection, NOTHING), self._clock()
        if problem.code == "unreachable":
            pause = min(FIRST_PAUSE * 2**known.misses, LONGEST_PAUSE)
            problem = replace(problem, retry_after=problem.retry_after or pause)
            if isinstance(heard, Lost) and not heard.connected:
                self._down = (problem, now + FIRST_PAUSE)
                return replace(problem, retry_after=FIRST_PAUSE)
        else:
            self._heard_time(heard)
        if self._outdated(connection, asked_at):
            return problem
        remembered = PERSON_REMEMBERED if problem.status == 409 else problem.retry_after
        until = now + (remembered or 0.0)
        if problem.code in OWN_TROUBLE:
            misses = min(known.misses + 1, 10)
            self._known[connection] = replace(known, problem=problem, problem_until=until, misses=misses)
        elif remembered is None:
            self._known.pop(connection, None)
        else:  # what Token Health does not hand out any more is not handed out from memory
            self._known[connection] = Known(problem=problem, problem_until=until)
        return problem

    def _bridged(self, connection: str, outcome: Outcome) -> Outcome:
        """Return the token at hand where Token Health itself is in trouble."""
        if not isinstance(outcome, Problem) or outcome.code not in OWN_TROUBLE:
            return outcome
        known = self._known.get(connection, NOTHING)
        left = known.serves_until - self._clock()
        if known.token is None or left <= self.terms.stale_if_down:
            return outcome
        return known.token

    def _heard_time(self, heard: Heard) -> None:
        date = date_of(heard)
        if date is not None:
            self._server_time = (date, self._clock())

    # Requests

    def _token_request(self, connection: str, known: Known, poll: Optional[int]) -> Request:
        terms = self.terms
        accept = min(60, terms.min_ttl) if terms.accept_ttl is None else terms.accept_ttl
        query = f"min_ttl={terms.min_ttl}s&accept_ttl={accept}s"
        etag = known.token._etag if known.token is not None else None
        wait = SERVER_WAIT
        # A condition with a wait is a long poll: who only asks whether a token is still good says no `wait`.
        if poll is not None or etag is None:
            wait = terms.wait if poll is None else poll
            query += f"&wait={wait}s"
        return Request("GET", f"{_path(connection)}/token?{query}", wait + terms.margin, etag=etag)

    def _look_request(self, connection: str, signal: Mapping[str, Any]) -> Request:
        body = json.dumps(signal, ensure_ascii=False).encode("utf-8", "replace")
        return Request(
            "POST", f"{_path(connection)}/signals?wait={LOOK}s", LOOK + self.terms.margin, body=body
        )


def checked(connection: str) -> str:
    """Return a connection's id, or raise ValueError where no path can name it."""
    if not isinstance(connection, str) or connection in ("", ".", ".."):
        raise ValueError("a connection is named by its id")
    return connection


def _path(connection: str) -> str:
    return f"/connections/{quote(connection, safe='')}"


def _same(one: Token, other: Token) -> bool:
    """Whether two are one token; a connection removed and made again counts its generations anew."""
    return one.generation == other.generation and one.access_token == other.access_token


def _passes(problem: Problem) -> bool:
    return problem.retry_after is not None or problem.code in ("needs_person", "still_refused")


def _still_refused(connection: str, look: Optional[Look]) -> Problem:
    looked = look.looked if look is not None else None
    cause = f"Token Health looked: {looked.get('cause')}" if looked else ""
    return Problem(
        401,
        "still_refused",
        "The provider refuses this token, and there is no other",
        cause,
        connection=connection,
        members={"looked": looked},
    )
