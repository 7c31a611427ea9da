"""A provider's recorded answers, put through the very functions that read them on the wire."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from monitor.health.causes import Owner, consequence
from monitor.health.classify import HEALTHY, classify
from monitor.health.doors import Outcome, token_door
from monitor.health.evidence import (
    Answer,
    Evidence,
    Exchange,
    Fault,
    Grant,
    Identity,
    Introspection,
    RefreshNote,
    Step,
)
from monitor.health.finding import Finding
from monitor.health.rotation import Heard, ending, heard
from monitor.health.rules import Rule, first_match, refuses_token
from monitor.providers.schema import Provider
from monitor.tokens.arrival import born_dead
from monitor.tokens.callback import on_return
from monitor.tokens.introspect import heard_of
from monitor.tokens.messages import TokenAnswer
from monitor.tokens.refresh import taken
from monitor.wire.answers import read_as
from monitor.wire.recorded import BORN_DEAD, DECLINED, REFRESHES, REFUSED, Message, Recorded
from monitor.wire.whose import identity

_HOST, _ON_RECORD = "recorded.invalid", "as on record"
# A code and a refresh token are refused alike, so that one rule reads both.
_STEPS = {"whoami": Step.WHOAMI, "refresh": Step.REFRESH, "code": Step.REFRESH, "scope": Step.SCOPE}


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of one file of answers, beside what must come of it.

    `token` is what a refresh meant for the refresh token that was sent, `wait` how many seconds the
    connection is left alone then.
    """

    file: str
    about: str
    steps: tuple[str, ...]
    statuses: tuple[int, ...]
    wanted: str
    verdict: str
    rule: str
    confidence: float
    owner: str
    reasons: tuple[str, ...]
    account: str | None
    token: str | None
    wait: float | None
    setting: str | None  # which of the client's administrator has to be changed
    wrong: tuple[str, ...]  # what is not as the file wants it
    proved: str
    source: str
    reached: frozenset[str]  # the names of the rules that spoke

    @property
    def as_wanted(self) -> bool:
        """Whether all is as the file of answers says."""
        return not self.wrong


def tried(provider: Provider, recorded: Recorded) -> Tried:
    """Read recorded answers as a probe would, and say what they come to."""
    rules = provider.compiled_rules()
    look = _Look(provider, rules, recorded)
    for message in recorded.messages:
        look.hear(message)
    finding = look.finding()
    verdict, rule, owner = look.ended or (finding.cause.value, finding.rule, finding.owner)
    refused = look.awaits_refresh()
    if refused is not None:
        verdict, rule, owner = REFRESHES, refused, Owner.NOBODY
    evidence, token = look.evidence(), look.heard.value if look.heard is not None else None
    wait = (evidence.retry_at - recorded.at).total_seconds() if evidence.retry_at is not None else None
    setting = next((one.setting for one in rules if one.name == rule), None)
    checks = (
        ("verdict", recorded.verdict, verdict),
        ("rule", recorded.rule, rule.partition("+")[0]),
        ("heard", recorded.heard, token),
        ("setting", recorded.setting, setting),
    )
    return Tried(
        file=recorded.name,
        about=recorded.about,
        steps=tuple(message.step for message in recorded.messages),
        statuses=tuple(message.status for message in recorded.messages),
        wanted=recorded.verdict,
        verdict=verdict,
        rule=rule,
        confidence=finding.confidence,
        owner=owner.value,
        reasons=finding.reasons,
        account=look.identity.account_id if look.identity is not None else None,
        token=token,
        wait=wait,
        setting=setting,
        wrong=tuple(f"{what}: {got}, not {want}" for what, want, got in checks if want and want != got),
        proved=recorded.proved,
        source=recorded.source,
        reached=frozenset(look.reached),
    )


def document(one: Tried) -> dict[str, Any]:
    """Return what came of one file as a document."""
    names = ("file", "about", "verdict", "wanted", "rule", "confidence", "owner", "setting", "account")
    return {
        **{name: getattr(one, name) for name in (*names, "token", "wait")},
        "as_wanted": one.as_wanted,
        "wrong": list(one.wrong),
        "answers": [{"step": s, "status": n} for s, n in zip(one.steps, one.statuses, strict=True)],
        "reasons": list(one.reasons),
        "proved": one.proved,
        "source": one.source,
    }


def not_reached(provider: Provider, all_tried: Sequence[Tried]) -> list[str]:
    """Return the rules of a provider's file that no recorded answer came to.

    What is said at the doors that clients pass is not among the answers: it is no connection's.
    """
    reached = frozenset().union(*(one.reached for one in all_tried))
    looks = [rule for rule in provider.compiled_rules() if rule.step not in (Step.EXCHANGE, Step.AUTHORIZE)]
    return [rule.name for rule in looks if rule.name not in reached]


class _Look:
    """One look, as its answers come in."""

    def __init__(self, provider: Provider, rules: tuple[Rule, ...], recorded: Recorded) -> None:
        self._provider, self._rules, self._recorded = provider, rules, recorded
        self._at, self._exchanges = recorded.at, list[Exchange]()
        self._note: RefreshNote | None = None
        self._introspection: Introspection | None = None
        self.identity: Identity | None = None
        self.heard: Heard | None = None
        self.ended: tuple[str, str, Owner] | None = None  # a trip to the consent page: how, why, whose turn
        self.reached: set[str] = set()

    def hear(self, message: Message) -> None:
        """Take one answer in."""
        if message.step == "introspect":
            answer, self._introspection = heard_of(message.reply, self._provider.oauth, self._at)
            self._add(Step.INTROSPECT, answer)
            return
        if message.step == "callback":
            self._returned(message.query)
            return
        if message.step == "exchange":
            self._asked_with_a_made_up_code(message)
            return
        step = _STEPS[message.step]
        answer, document = read_as(
            step, message.reply, self._provider.errors, self._rules, message.at or self._at
        )
        rule = None if answer.ok else first_match(self._rules, step, answer)
        if rule is not None:
            self.reached.add(rule.name)
        outcome: Answer | Fault = answer
        if step is Step.REFRESH:
            oauth, exchange = self._provider.oauth, message.step == "code"
            outcome, pair = taken(answer, document, self._at, oauth, exchange=exchange)
            self._refreshed(outcome, pair)
            if exchange and pair is not None and born_dead(oauth, pair):
                self.ended = BORN_DEAD, "grant.born_dead", Owner.OPERATOR
        elif step is Step.WHOAMI and answer.ok:
            where, account = self._provider.whoami, self._recorded.account
            values = {where.account_value: account or _ON_RECORD}
            self.identity = identity(where, values, document, account)
        elif step is Step.SCOPE and self.identity is None:
            self._known()  # a scope is checked once whoami answered
        self._add(step, outcome, message.scope)

    def _returned(self, params: Mapping[str, str]) -> None:
        """Take what a browser brings back from the consent page."""
        forbidden = on_return(self._rules, params)
        if forbidden is not None:
            cause = next(rule.cause for rule in self._rules if rule.name == forbidden.rule)
            self.reached.add(forbidden.rule)
            self.ended = cause.value, forbidden.rule, consequence(cause).owner
        elif params.get("error") == "access_denied":
            self.ended = DECLINED, "callback.access_denied", Owner.CLIENT
        elif params.get("error") or not params.get("code"):
            self.ended = REFUSED, "callback.error", Owner.OPERATOR
        else:
            self.ended = HEALTHY.cause.value, HEALTHY.rule, HEALTHY.owner

    def _asked_with_a_made_up_code(self, message: Message) -> None:
        """Take the answer that tells whether our app is taken at the token endpoint."""
        at = message.at or self._at
        answer, _ = read_as(Step.EXCHANGE, message.reply, self._provider.errors, self._rules, at)
        seen = token_door(self._rules, answer)
        self.reached.add(seen.rule)
        refused = seen.outcome is Outcome.REFUSED
        self.ended = seen.outcome.value, seen.rule or "none", Owner.OPERATOR if refused else Owner.NOBODY

    def _refreshed(self, outcome: Answer | Fault, pair: TokenAnswer | None) -> None:
        if pair is not None:
            self._note, self.heard = RefreshNote.DONE, Heard.PAIR
            return
        self.heard = heard(outcome, self._rules)
        end = ending(self.heard, None, self._at, self._provider.oauth.habit)
        self._note = RefreshNote.FAILED if end.doubt is None else RefreshNote.IN_DOUBT

    def _known(self) -> None:
        self.identity = Identity(self._recorded.account or _ON_RECORD)
        self._add(Step.WHOAMI, Answer(200))

    def _add(self, step: Step, outcome: Answer | Fault, scope: str | None = None) -> None:
        self._exchanges.append(Exchange(step, f"recorded {step.value}", _HOST, self._at, 0.0, outcome, scope))

    def awaits_refresh(self) -> str | None:
        """Return what says so where the access token is refused, and a refresh would be tried now."""
        if not self._recorded.refresh_token or self._note is not None or not self._exchanges:
            return None
        last = self._exchanges[-1]
        if last.step is not Step.WHOAMI or not isinstance(last.outcome, Answer):
            return None
        if not refuses_token(self._rules, last.step, last.outcome):
            return None
        rule = first_match(self._rules, last.step, last.outcome)
        return rule.name if rule is not None else f"http.{last.outcome.status}"

    def evidence(self) -> Evidence:
        """What a look with these answers would have found."""
        recorded, oauth, at = self._recorded, self._provider.oauth, self._at
        grant = Grant(
            account_id=recorded.account,
            granted=recorded.granted,
            read_before=dict.fromkeys(recorded.read_before, at),
            authorized_at=at - recorded.age if recorded.age is not None else None,
            refresh_used_at=at - recorded.idle if recorded.idle is not None else None,
            access_expires_at=at + recorded.access,
            idle_lifetime=oauth.refresh_idle_lifetime,
            absolute_lifetime=oauth.refresh_absolute_lifetime,
            has_refresh_token=recorded.refresh_token,
        )
        asked, told = tuple(self._exchanges), self._introspection
        return Evidence(at, asked, self.identity, self._note, grant, introspection=told)

    def finding(self) -> Finding:
        """What it comes to: a pair is well where nothing was asked with it."""
        evidence = self.evidence()
        if self.heard is Heard.PAIR and evidence.last(Step.WHOAMI) is None:
            return HEALTHY
        return classify(evidence, self._rules)
