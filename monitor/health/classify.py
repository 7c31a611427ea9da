"""From evidence to a finding: one cause, how sure we are, and why.

The order is the provider's rules, then the standards', then nothing: what no rule knows is
`unexpected`, which never reaches a client.
"""

from __future__ import annotations

from dataclasses import dataclass

from monitor.health.causes import Cause, at_scopes, consequence, is_definite
from monitor.health.evidence import (
    Answer,
    Content,
    Evidence,
    Exchange,
    Fault,
    FaultKind,
    RefreshNote,
    Step,
)
from monitor.health.finding import Finding, found
from monitor.health.rotation import Heard, brief, heard
from monitor.health.rules import Rule, first_match, refuses_token
from monitor.health.weighing import leaves_open, revoked_or_expired, scope_or_role, told_before

__all__ = ["EXHAUSTED", "HEALTHY", "Finding", "Reach", "classify", "found", "leaves_open", "told_before"]


@dataclass(frozen=True, slots=True)
class Reach:
    """Which hosts this process heard from lately, and which it tried in vain."""

    answered: frozenset[str] = frozenset()
    silent: frozenset[str] = frozenset()


HEALTHY = found(Cause.OK, 1.0, "ok")
# The rule of a finding that rests on nothing but our own lack of descriptors, memory or threads.
EXHAUSTED = "fault.exhausted"


def classify(evidence: Evidence, rules: tuple[Rule, ...] = (), reach: Reach = Reach()) -> Finding:
    """Say what is wrong with a connection, if anything.

    A refresh that failed speaks first when what it says is definite (the grant is gone even while
    the access token still works). When it only met bad weather, a whoami that works outweighs it:
    the access token has time left, and the refresh is tried again.
    """
    if evidence.refresh is RefreshNote.UNREADABLE:
        return found(
            Cause.APP_MISCONFIGURED,
            1.0,
            "vault.cannot_decrypt",
            "The stored tokens do not decrypt with any key at hand, so nothing was asked.",
        )
    if evidence.refresh is RefreshNote.OTHER_APP:
        return found(
            Cause.APP_MISCONFIGURED,
            1.0,
            "app.moved",
            "Its app stands for another provider or region in [[apps]] than when its tokens were stored, so "
            "they were sent nowhere. Put that back, or import the connection again with tokens of now.",
        )
    if evidence.refresh is RefreshNote.LOST:
        return _of_lost(evidence, rules)
    if evidence.lacks and evidence.refresh in (None, RefreshNote.DONE, RefreshNote.ELSEWHERE):
        return _of_lacking(evidence.lacks)
    if undecided(evidence, rules):
        return found(
            Cause.UNEXPECTED,
            0.3,
            f"refresh.{'busy' if evidence.refresh is RefreshNote.BUSY else 'in_doubt'}",
            "The access token has ended, and what comes of its refresh is not known yet.",
        )
    refusal: Finding | None = None
    refreshed = evidence.last(Step.REFRESH)
    if refreshed is not None and evidence.refresh in (RefreshNote.FAILED, RefreshNote.IN_DOUBT):
        refusal = _of_outcome(refreshed, evidence, rules, reach)
        if is_definite(refusal.cause):
            return refusal
    whoami = evidence.last(Step.WHOAMI)
    if whoami is None:
        return refusal or _without_whoami(evidence)
    about_whoami = _of_whoami(whoami, evidence, rules, reach)
    if not about_whoami.ok:
        # A token that ran out because the refresh met an outage is the outage's doing.
        expired = isinstance(whoami.outcome, Answer) and _ran_out(whoami.outcome, rules)
        return refusal if refusal is not None and expired else about_whoami
    return _of_scopes(evidence, rules, reach) or HEALTHY


def undecided(evidence: Evidence, rules: tuple[Rule, ...] = ()) -> bool:
    """Whether all that is wrong is a refresh that has to be waited for: nothing follows from that yet."""
    if evidence.refresh not in (RefreshNote.BUSY, RefreshNote.IN_DOUBT):
        return False
    whoami = evidence.last(Step.WHOAMI)
    if evidence.last(Step.REFRESH) is not None or whoami is None:
        return evidence.last(Step.REFRESH) is None
    return isinstance(whoami.outcome, Answer) and refuses_token(rules, Step.WHOAMI, whoami.outcome)


def _ran_out(answer: Answer, rules: tuple[Rule, ...]) -> bool:
    """Whether a whoami may have met nothing worse than an access token at its end."""
    unknown = answer.status == 401 and first_match(rules, Step.WHOAMI, answer) is None
    return unknown or refuses_token(rules, Step.WHOAMI, answer)


def _of_lacking(names: tuple[str, ...]) -> Finding:
    named = f"value {names[0]}" if len(names) == 1 else f"values {', '.join(names)}"
    return found(
        Cause.APP_MISCONFIGURED,
        1.0,
        "values.missing",
        f"It has no {named}, which stands in the URLs that it is asked at, so nothing was asked. Import the "
        "connection with it, or let its client authorize again.",
    )


def _of_lost(evidence: Evidence, rules: tuple[Rule, ...]) -> Finding:
    """Say how a pair was lost: what went unanswered, and what was tried since."""
    reasons = [
        f"A refresh was sent at {kept['at']} and its answer was lost: {brief(kept)}. The provider replaces "
        "refresh tokens, so a new pair may have been in it."
        for kept in evidence.unanswered[:1]
    ]
    answer = evidence.last(Step.REFRESH)
    if (
        not reasons
        or answer is None
        or not isinstance(answer.outcome, Answer)
        or heard(answer.outcome, rules) is not Heard.REFUSED
    ):
        reasons.append("Nothing is left to try with the stored refresh token.")
        return found(Cause.REFRESH_LOST, 0.9, "journal.unanswered", *reasons)
    reasons.append(
        "When that could cost nothing any more, the same refresh token was sent once more: at "
        f"{answer.at.isoformat(timespec='seconds')} refresh answered {answer.outcome.status}"
        f"{_quote(answer.outcome)}. So the pair that was in the lost answer is gone, or access was withdrawn "
        "since; both are mended by authorizing again."
    )
    return found(Cause.REFRESH_LOST, 0.95, "journal.last_try_refused", *reasons)


def _without_whoami(evidence: Evidence) -> Finding:
    if evidence.refresh is RefreshNote.NO_TOKEN:
        return found(
            Cause.REFRESH_EXPIRED,
            0.9,
            "clock.no_refresh_token",
            "The access token has expired and no refresh token is stored.",
        )
    return found(Cause.UNEXPECTED, 0.3, "none", "Nothing was asked of the provider.")


def _of_whoami(exchange: Exchange, evidence: Evidence, rules: tuple[Rule, ...], reach: Reach) -> Finding:
    outcome = exchange.outcome
    if not outcome.ok:
        return _of_outcome(exchange, evidence, rules, reach)
    identity, expected = evidence.identity, evidence.grant.account_id
    if identity is not None and identity.accounts is not None and identity.account_id is None:
        return _of_accounts(identity.accounts, expected)
    if identity is None or identity.account_id is None:
        return found(
            Cause.UNEXPECTED,
            0.8,
            "whoami.no_account",
            "whoami answered 200, but without the account it should name.",
        )
    if expected is not None and identity.account_id != expected:
        name = f" ({identity.account_name})" if identity.account_name else ""
        return found(
            Cause.WRONG_ACCOUNT,
            1.0,
            "whoami.account",
            f"whoami answered for account {identity.account_id}{name}; on record is {expected}.",
        )
    return HEALTHY


def _of_accounts(accounts: tuple[tuple[str, str], ...], expected: str | None) -> Finding:
    """Say what it means that the account on record is not among those that a token reaches."""
    if not accounts:
        return found(
            Cause.REVOKED,
            0.9,
            "whoami.no_accounts_left",
            "whoami took the token and answered 200 with an empty list: the token reaches no account any "
            "more, so the connection was removed at the provider.",
        )
    if expected is None:
        return HEALTHY  # which one is meant, a person has to say: it is held
    named = ", ".join(f"{number} ({name})" if name else number for number, name in accounts[:5])
    more = f" and {len(accounts) - 5} more" if len(accounts) > 5 else ""
    return found(
        Cause.WRONG_ACCOUNT,
        1.0,
        "whoami.accounts",
        f"whoami answered for {named}{more}; on record is {expected}, which is not among them.",
    )


def _of_scopes(evidence: Evidence, rules: tuple[Rule, ...], reach: Reach) -> Finding | None:
    worst: Finding | None = None
    for exchange in evidence.exchanges:
        if exchange.step is not Step.SCOPE or exchange.outcome.ok:
            continue
        finding = _of_outcome(exchange, evidence, rules, reach)
        if worst is None or _weight(finding) > _weight(worst):
            worst = finding
    return worst


def _weight(finding: Finding) -> tuple[bool, float]:
    # A definite refusal of one resource outweighs another resource's bad weather.
    return at_scopes(finding.cause), finding.confidence


def _of_outcome(exchange: Exchange, evidence: Evidence, rules: tuple[Rule, ...], reach: Reach) -> Finding:
    outcome = exchange.outcome
    if isinstance(outcome, Fault):
        return _of_fault(outcome, exchange.host, reach)
    rule = first_match(rules, exchange.step, outcome)
    if rule is None:
        return _by_kind(exchange, outcome, evidence)
    says = _quote(outcome)
    asked = f"{exchange.step.value} answered {outcome.status}{says}"
    if _is_weighed(rule, exchange):
        return revoked_or_expired(rule, exchange, asked, evidence, rules)
    if rule.cause is Cause.INSUFFICIENT_SCOPE:
        return scope_or_role(rule.name, exchange, asked, evidence.grant, said=rule.says)
    # A rule that quotes the description, or a body, read the provider's own words; nothing is stronger.
    confidence = 1.0 if rule.description or rule.text else 0.95
    return found(
        rule.cause,
        confidence,
        rule.name,
        f"{asked}.",
        scope=exchange.scope,
        retry_at=outcome.retry_at,
    )


def _is_weighed(rule: Rule, exchange: Exchange) -> bool:
    """Whether a rule that says the grant ended leaves open how, or whether it did at all.

    A resource speaks of an access token: only where the rule quotes its words are they taken for the grant.
    """
    if not consequence(rule.cause).ends_grant:
        return False
    if exchange.step is Step.REFRESH:
        return rule.weigh and rule.cause is Cause.REVOKED
    return not rule.says


def _quote(outcome: Answer) -> str:
    if outcome.error and outcome.description:
        return f" {outcome.error} (“{outcome.description}”)"
    if outcome.error:
        return f" {outcome.error}"
    return ""


def _by_kind(exchange: Exchange, outcome: Answer, evidence: Evidence) -> Finding:
    asked = f"{exchange.step.value} answered {outcome.status}"
    if 300 <= outcome.status < 400:
        to = f" to {outcome.redirect}" if outcome.redirect else ""
        return found(
            Cause.UNEXPECTED,
            0.9,
            "http.redirect",
            f"{asked}: a redirect{to}, which an API does not send; it was not followed.",
        )
    if outcome.content is not Content.JSON:
        return found(
            Cause.UNEXPECTED,
            0.9,
            f"content.{outcome.content.value}",
            f"{asked} with {_article(outcome.content)} instead of JSON: a firewall, a proxy or a "
            "maintenance page may have answered in the provider's place.",
        )
    if (
        exchange.step is Step.SCOPE
        and outcome.status == 403
        and (outcome.error is not None or outcome.challenge is not None)
    ):
        return scope_or_role("http.403", exchange, asked + _quote(outcome), evidence.grant, said=False)
    return found(Cause.UNEXPECTED, 0.7, "none", f"{asked}{_quote(outcome)}, which no rule knows.")


def _article(content: Content) -> str:
    return {
        Content.HTML: "an HTML page",
        Content.EMPTY: "an empty body",
        Content.OTHER: "something unreadable",
        Content.JSON: "JSON",
    }[content]


def _of_fault(fault: Fault, host: str, reach: Reach) -> Finding:
    what = f"{host} gave no answer: {fault.kind.value}" + (f" ({fault.detail})" if fault.detail else "")
    if fault.kind is FaultKind.EXHAUSTED:
        sent = "the request may have left" if fault.perhaps_sent else "nothing was sent"
        return found(
            Cause.UNEXPECTED, 0.3, EXHAUSTED, f"{what}: ours alone, {sent}; nothing follows from it."
        )
    if fault.kind is FaultKind.OURS:
        return found(Cause.UNEXPECTED, 0.5, "fault.ours", f"{what}: the fault is on our side.")
    if fault.kind is FaultKind.TOO_LARGE:
        return found(Cause.UNEXPECTED, 0.8, "fault.too_large", f"{what}: no such answer is that long.")
    if reach.answered - {host}:
        return found(
            Cause.PROVIDER_OUTAGE,
            0.9,
            f"fault.{fault.kind.value}",
            f"{what}, while other hosts do answer us.",
        )
    if len(reach.silent | {host}) > 1 and host not in reach.answered:
        return found(
            Cause.NETWORK,
            0.9,
            f"fault.{fault.kind.value}+nobody_answers",
            f"{what}; nor does any other host that we tried.",
        )
    if fault.kind in (FaultKind.DNS, FaultKind.UNREACHABLE) and host not in reach.answered:
        return found(
            Cause.NETWORK,
            0.6,
            f"fault.{fault.kind.value}",
            f"{what}; we know of no other host to compare with.",
        )
    return found(Cause.PROVIDER_OUTAGE, 0.7, f"fault.{fault.kind.value}", f"{what}.")
