"""Promise 2, the pure rule: what a lost answer means, and when a refresh token may be sent again."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.health.causes import Cause
from monitor.health.evidence import Answer, Content, Fault, FaultKind, Step
from monitor.health.rotation import (
    AfterLost,
    Doubt,
    Ending,
    Heard,
    Journal,
    May,
    Rotation,
    ending,
    free_at,
    heard,
    may_send,
    next_send,
)
from monitor.health.rules import Rule

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
LATE = timedelta(minutes=1)
REUSES, ROTATES = Rotation(False), Rotation(True)
LENIENT = Rotation(True, timedelta(minutes=30))
STERN = Rotation(True, after_lost=AfterLost.NEVER)
JSON, HTML, EMPTY = Content.JSON, Content.HTML, Content.EMPTY
MINUTE = timedelta(minutes=1)
DOUBT = Doubt(NOW)

HEARD = [
    ("a time-out", Fault(FaultKind.READ_TIMEOUT), Heard.UNCLEAR),
    ("a reset", Fault(FaultKind.RESET), Heard.UNCLEAR),
    ("half an answer", Fault(FaultKind.TRUNCATED), Heard.UNCLEAR),
    ("nobody was there", Fault(FaultKind.REFUSED), Heard.NOT_SENT),
    ("no name", Fault(FaultKind.DNS), Heard.NOT_SENT),
    ("never connected", Fault(FaultKind.CONNECT_TIMEOUT), Heard.NOT_SENT),
    ("a gateway's 502", Answer(502, HTML), Heard.UNCLEAR),
    ("a 500 in JSON", Answer(500, JSON, "server_error"), Heard.UNCLEAR),
    ("a 503", Answer(503, EMPTY), Heard.UNCLEAR),
    ("a firewall's 403", Answer(403, HTML), Heard.UNCLEAR),
    ("a page with 200", Answer(200, HTML), Heard.UNCLEAR),
    ("a redirect", Answer(302, EMPTY), Heard.UNCLEAR),
    ("server_error said with a 400", Answer(400, JSON, "server_error"), Heard.UNCLEAR),
    ("a 400 of nobody's", Answer(400, EMPTY), Heard.UNCLEAR),
    ("invalid_grant", Answer(400, JSON, "invalid_grant"), Heard.REFUSED),
    ("our secret is wrong", Answer(401, JSON, "invalid_client"), Heard.NOT_DONE),
    ("our secret is wrong, 400", Answer(400, JSON, "invalid_client"), Heard.NOT_DONE),
    ("too often", Answer(429, HTML), Heard.NOT_DONE),
    ("a no that no rule knows", Answer(403, JSON, "Forbidden"), Heard.NOT_DONE),
    ("a 200 that says no", Answer(200, JSON, "bad_refresh_token"), Heard.NOT_DONE),
]


def test_what_a_setting_at_the_provider_refuses_leaves_the_token_as_it_was():
    """Neither spent nor lost, also while an earlier answer is in doubt: the provider did not look at it."""
    blocked = Answer(400, JSON, "invalid_grant", "reauth related error (invalid_rapt)")
    rules = (Rule("x.rules[0]", Cause.POLICY_BLOCKED, step=Step.REFRESH, description="invalid_rapt"),)
    assert heard(blocked, ()) is Heard.REFUSED and heard(blocked, rules) is Heard.NOT_DONE
    assert ending(Heard.NOT_DONE, DOUBT, NOW, ROTATES) == Ending(Journal.REFUSED, DOUBT)
    assert ending(Heard.REFUSED, DOUBT, NOW, ROTATES).lost


@pytest.mark.parametrize(("outcome", "means"), [h[1:] for h in HEARD], ids=[h[0] for h in HEARD])
def test_what_came_back_says_whether_the_token_was_looked_at(outcome, means):
    assert heard(outcome, ()) is means


def test_a_providers_own_rule_is_believed_also_of_a_page():
    rules = (
        Rule("x.rules[0]", Cause.REVOKED, step=Step.REFRESH, error=frozenset({"bad_refresh_token"})),
        Rule("x.rules[1]", Cause.REVOKED, step=Step.REFRESH, status=(401, 401), content=HTML),
    )
    assert heard(Answer(200, JSON, "bad_refresh_token"), rules) is Heard.REFUSED
    assert heard(Answer(401, HTML), rules) is Heard.REFUSED


ENDINGS = [
    ("asking again is free", Heard.UNCLEAR, None, REUSES, Ending(Journal.RETRIED)),
    ("a doubt begins", Heard.UNCLEAR, None, ROTATES, Ending(Journal.UNCLEAR, DOUBT)),
    ("also within a grace", Heard.UNCLEAR, None, LENIENT, Ending(Journal.UNCLEAR, DOUBT)),
    ("never again", Heard.UNCLEAR, None, STERN, Ending(Journal.LOST, DOUBT, lost=True)),
    ("a last try got no answer", Heard.UNCLEAR, Doubt(NOW - MINUTE), ROTATES,
     Ending(Journal.UNCLEAR, Doubt(NOW - MINUTE, NOW))),
    ("a last try was refused", Heard.REFUSED, DOUBT, ROTATES, Ending(Journal.LOST, DOUBT, lost=True)),
    ("a last try was not looked at", Heard.NOT_DONE, DOUBT, ROTATES, Ending(Journal.REFUSED, DOUBT)),
    ("a last try was not sent", Heard.NOT_SENT, DOUBT, ROTATES, Ending(Journal.NOT_SENT, DOUBT)),
    ("a last try worked", Heard.PAIR, DOUBT, ROTATES, Ending(Journal.STORED)),
    ("a plain refusal", Heard.REFUSED, None, ROTATES, Ending(Journal.REFUSED)),
    ("a doubt of before the file changed", Heard.REFUSED, DOUBT, REUSES, Ending(Journal.REFUSED)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("what", "doubt", "rotation", "end"), [e[1:] for e in ENDINGS], ids=[e[0] for e in ENDINGS]
)
def test_what_a_refresh_leaves_behind(what, doubt, rotation, end):
    assert ending(what, doubt, NOW, rotation) == end


MAY = [
    ("no doubt", None, ROTATES, False, 0, May.SEND),
    ("a doubt, and asking again is free", DOUBT, REUSES, False, 0, May.SEND),
    ("within the grace", DOUBT, LENIENT, False, 29, May.AGAIN),
    ("after the grace", DOUBT, LENIENT, False, 31, May.KEEP),
    ("something is left to lose", DOUBT, ROTATES, False, 600, May.KEEP),
    ("nothing is left, but too soon", DOUBT, ROTATES, True, 0, May.WAIT),
    ("nothing is left", DOUBT, ROTATES, True, 1, May.LAST_TRY),
    ("nothing is left, and tried a moment ago", Doubt(NOW, NOW + 9 * MINUTE), ROTATES, True, 9, May.WAIT),
    ("nothing is left, and tried before", Doubt(NOW, NOW + 9 * MINUTE), ROTATES, True, 10, May.LAST_TRY),
    ("the file says never", DOUBT, STERN, True, 600, May.LOST),
]  # fmt: skip


@pytest.mark.parametrize(
    ("doubt", "rotation", "ended", "minutes", "may"), [m[1:] for m in MAY], ids=[m[0] for m in MAY]
)
def test_when_it_may_be_sent(doubt, rotation, ended, minutes, may):
    assert may_send(doubt, rotation, NOW + minutes * MINUTE, ended=ended, late=LATE) is may


def test_when_it_is_sent_next():
    ends = NOW + timedelta(hours=1)
    assert next_send(DOUBT, LENIENT, ends, NOW + MINUTE) == NOW + MINUTE
    assert next_send(DOUBT, ROTATES, ends, NOW + MINUTE) == ends
    assert next_send(DOUBT, ROTATES, None, NOW) is None, "when a whoami refuses the access token"
    assert free_at(Doubt(NOW, ends), LATE) == ends + LATE


# -- a life of a grant, with everything that may befall it --------------------------------------------


@dataclass
class Server:
    """A provider that rotates. `strict`: a replaced token that comes back after the grace ends the grant."""

    grace: timedelta
    strict: bool
    right: int = 0  # the token that is good now
    replaced: dict[int, datetime] = field(default_factory=dict)
    ended: bool = False
    numbers: int = 0

    def takes(self, token: int, now: datetime) -> bool:
        fresh = token == self.right or (token in self.replaced and now - self.replaced[token] < self.grace)
        return fresh and not self.ended

    def asked(self, token: int, now: datetime) -> int | None:
        """Take a refresh token: return its successor, or None for invalid_grant."""
        if not self.takes(token, now):
            self.ended |= self.strict and token in self.replaced
            return None
        self.numbers += 1
        self.replaced.setdefault(token, now)
        self.right = self.numbers
        return self.right

    def granted(self) -> int:
        """A client authorizes: a new grant."""
        self.numbers += 1
        self.right, self.replaced, self.ended = self.numbers, {}, False
        return self.right


@dataclass
class Keeper:
    """What our books say, moved by the rule alone, as `tokens.refresh` and `probe` do."""

    server: Server
    rotation: Rotation
    life: timedelta
    now: datetime = NOW
    token: int = 0
    ends: datetime = NOW
    doubt: Doubt | None = None
    lost: bool = False
    said: bool = False  # a refusal that is no loss: revoked, by the client's doing
    open_line: datetime | None = None  # of a process that died
    on_its_way: list[tuple[datetime, int]] = field(default_factory=list)
    unanswered: list[tuple[datetime, bool]] = field(default_factory=list)  # of this token: when, at its end?
    answered: bool = False  # this token was refused while in doubt

    def __post_init__(self) -> None:
        self.new_pair(self.server.granted())

    def new_pair(self, token: int) -> None:
        self.token, self.ends = token, self.now + self.life
        self.doubt, self.lost, self.said, self.open_line = None, False, False, None
        self.unanswered, self.answered = [], False

    def pass_time(self, span: timedelta) -> None:
        until = self.now + span
        for at, token in sorted(self.on_its_way):
            if at <= until:
                self.server.asked(token, at)
        self.on_its_way = [(at, token) for at, token in self.on_its_way if at > until]
        self.now = until

    def close(self, what: Heard, begun_at: datetime) -> None:
        end = ending(what, self.doubt, begun_at, self.rotation)
        if end.outcome in (Journal.UNCLEAR, Journal.RETRIED, Journal.LOST):
            self.doubt, self.lost = end.doubt, end.lost
        self.answered |= end.outcome is Journal.LOST and what is Heard.REFUSED
        if self.lost and self.rotation.habit is AfterLost.LAST_TRY:
            assert not self.server.takes(self.token, self.now), "a usable grant was declared lost"
        if end.outcome is Journal.REFUSED and what is Heard.REFUSED:
            self.said = True

    def look(self, fate: str) -> None:
        """One probe, as far as tokens go."""
        if self.lost or self.said:
            return
        if self.open_line is not None:
            begun, self.open_line = self.open_line, None
            self.close(Heard.UNCLEAR, begun)
            if self.lost:
                return
        refused = self.server.ended or self.now >= self.ends
        due = self.now >= self.ends - self.life / 5
        if not (refused or due or self.doubt is not None):
            return
        may = may_send(self.doubt, self.rotation, self.now, ended=refused, late=LATE)
        if may in (May.SEND, May.AGAIN, May.LAST_TRY) and (refused or due or may is May.AGAIN):
            self.send(fate, refused)
            if may is May.SEND and self.doubt is not None and fate != "killed":
                again = may_send(self.doubt, self.rotation, self.now, ended=refused, late=LATE)
                if again is May.AGAIN:
                    self.send(fate, refused)

    def send(self, fate: str, ended: bool) -> None:
        self.check_allowed(ended)
        begun, token = self.now, self.token
        match fate:
            case "answered":
                successor = self.server.asked(token, self.now)
                if successor is None:
                    self.close(Heard.REFUSED, begun)
                else:
                    self.new_pair(successor)
            case "not sent":
                self.close(Heard.NOT_SENT, begun)
            case "not looked at":
                self.close(Heard.NOT_DONE, begun)
            case "held by a gateway":
                # Within a grace it comes in time to be forgiven; else it comes before our last try.
                delay = min(LATE, self.server.grace) if self.server.grace else LATE
                self.on_its_way.append((self.now + delay * 0.9, token))
            case "lost on the way back" | "killed":
                self.server.asked(token, self.now)
        if fate not in ("answered", "not sent", "not looked at"):
            self.unanswered.append((begun, ended))
            if fate == "killed":
                self.open_line = begun
            else:
                self.close(Heard.UNCLEAR, begun)

    def check_allowed(self, ended: bool) -> None:
        assert not self.answered, "what was refused is never sent again"
        if not self.unanswered or self.rotation.habit is AfterLost.RETRY:
            return
        assert self.rotation.habit is not AfterLost.NEVER
        if self.now - self.unanswered[0][0] < self.rotation.grace:
            return
        assert ended, "sent again while the access token was worth something"
        assert self.now - self.unanswered[-1][0] >= LATE, (
            "sent while the one before could still be on its way"
        )


FATES = [
    "answered", "not sent", "not looked at", "lost on the way there", "lost on the way back",
    "held by a gateway", "killed",
]  # fmt: skip
events = st.lists(
    st.one_of(
        st.tuples(st.just("look"), st.sampled_from(FATES)),
        st.tuples(st.just("pass"), st.sampled_from([5, 30, 61, 400, 4000, 90_000])),
        st.tuples(st.just("wait"), st.sampled_from([0.1, 0])),
        st.tuples(st.sampled_from(["import", "authorize", "withdraw"]), st.none()),
    ),
    max_size=40,
)
graces = st.sampled_from([0, 20, 1800]).map(lambda seconds: timedelta(seconds=seconds))
lives = st.sampled_from([20, 600, 86_400]).map(lambda seconds: timedelta(seconds=seconds))


@settings(max_examples=250, deadline=None)
@given(events, graces, lives, st.booleans(), st.sampled_from([None, AfterLost.LAST_TRY]))
def test_whatever_happens_nothing_usable_is_lost_and_nothing_lost_is_kept_quiet(
    happenings, grace, life, strict, habit
):
    """Over any sequence: no doubted token is sent while it could do harm, a grant that the provider would
    still take is never declared lost, and one that it takes no more is said in the end."""
    keeper = Keeper(Server(grace, strict), Rotation(True, grace, habit), life)
    for what, how in happenings:
        match what:
            case "look":
                keeper.look(how)
            case "pass":
                keeper.pass_time(timedelta(seconds=how))
            case "wait":
                # Until a tenth of the access token's life is left, or none.
                keeper.pass_time(max(timedelta(0), keeper.ends - keeper.life * how - keeper.now))
            case "import" | "authorize":
                keeper.on_its_way.clear()  # another grant's
                keeper.new_pair(keeper.server.granted())
            case "withdraw":
                keeper.server.ended = True
    # The weather is fine from now on: in the end it works, or it was said that it does not.
    for _ in range(4):
        keeper.pass_time(max(life, LATE) + timedelta(seconds=1))
        keeper.look("answered")
    works = keeper.server.takes(keeper.token, keeper.now) and keeper.doubt is None
    assert works != (keeper.lost or keeper.said)


@settings(max_examples=60, deadline=None)
@given(events, lives)
def test_where_a_file_says_never_a_doubted_token_is_lost_at_once_and_never_sent_again(happenings, life):
    keeper = Keeper(Server(timedelta(0), strict=True), STERN, life)
    for what, how in happenings:
        match what:
            case "look":
                keeper.look(how)
            case "pass":
                keeper.pass_time(timedelta(seconds=how))
            case "wait":
                # Until a tenth of the access token's life is left, or none.
                keeper.pass_time(max(timedelta(0), keeper.ends - keeper.life * how - keeper.now))
    assert keeper.lost == (keeper.doubt is not None)
    assert keeper.open_line is None or not keeper.lost
