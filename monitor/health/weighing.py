"""What is decided where an answer does not say which of two causes it speaks of.

Strongest first: the provider's own words, in this answer or in another of the same look; then what its
introspection endpoint says, where it has one; then our clock against the lifetimes that are known; then
what is remembered of the grant. The finding keeps which of these spoke.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from monitor.health.causes import Cause, Owner
from monitor.health.evidence import Answer, Evidence, Exchange, Grant, Introspection, RefreshNote, Step
from monitor.health.finding import Finding, found
from monitor.health.rules import Rule, first_match, refuses_token
from monitor.health.words import told
from monitor.text.spans import span

# An access token refused this long before its own expiry was withdrawn; less may be clock skew.
EARLY = timedelta(minutes=5)
INTROSPECTED = "+introspection"  # the end of a rule's name that introspection decided


def revoked_or_expired(
    rule: Rule, exchange: Exchange, asked: str, evidence: Evidence, rules: tuple[Rule, ...] = ()
) -> Finding:
    """Tell a grant that was withdrawn from one that ran out; with nothing to go by, the first is likelier.

    `rules` are the provider's.
    """
    grant = evidence.grant
    if exchange.step is not Step.REFRESH:
        if evidence.refresh in (RefreshNote.DONE, RefreshNote.ELSEWHERE):
            return found(
                Cause.UNEXPECTED,
                0.7,
                "whoami.fresh_token_refused",
                f"{asked}, for an access token that was issued moments before. A token used at "
                "another region's host looks like this.",
            )
        if not grant.has_refresh_token:
            return (
                _said(rule, exchange, asked)
                or _introspected(rule, asked, evidence)
                or _without_refresh_token(rule, asked, evidence)
            )
        if evidence.last(Step.REFRESH) is None:
            return found(
                Cause.UNEXPECTED,
                0.3,
                "refresh.not_tried",
                f"{asked}, and the refresh that would tell more could not be tried just now.",
            )
    return (
        _said(rule, exchange, asked)
        or _said_of_the_access_token(rule, asked, evidence, rules)
        or _introspected(rule, asked, evidence)
        or _by_the_clock(rule, asked, evidence, rules)
    )


def leaves_open(evidence: Evidence, rules: tuple[Rule, ...] = ()) -> str | None:
    """Return of which token it is open what became of it: `refresh_token`, `access_token`, or none."""
    step, which = Step.REFRESH, "refresh_token"
    if not evidence.grant.has_refresh_token:
        step, which = Step.WHOAMI, "access_token"
    elif evidence.refresh is not RefreshNote.FAILED:
        return None
    exchange = evidence.last(step)
    if exchange is None or not isinstance(exchange.outcome, Answer) or exchange.outcome.ok:
        return None
    rule = first_match(rules, step, exchange.outcome)
    if rule is None or rule.cause is not Cause.REVOKED or not rule.weigh:
        return None
    told_already = _said(rule, exchange, "") or _said_of_the_access_token(rule, "", evidence, rules)
    return which if told_already is None else None


def told_before(rule: str, cause: Cause, since: datetime | None, issued_at: datetime | None) -> Cause | None:
    """Return what introspection told of these tokens when their trouble began: it is asked once.

    By the rule and cause that the trouble rests on `since` a time; `issued_at` is when the tokens came, since
    of newer ones nothing was told.
    """
    if not rule.endswith(INTROSPECTED) or since is None:
        return None
    return cause if issued_at is None or issued_at <= since else None


def _said(rule: Rule, exchange: Exchange, asked: str) -> Finding | None:
    cause = told(exchange.outcome) if isinstance(exchange.outcome, Answer) else None
    if cause is None:
        return None
    return found(cause, 0.95, f"{rule.name}+said", f"{asked}: the provider itself says which.")


def _said_of_the_access_token(
    rule: Rule, asked: str, evidence: Evidence, rules: tuple[Rule, ...]
) -> Finding | None:
    """A resource that says the access token was revoked speaks of the grant; one that ran out does not."""
    for exchange in evidence.exchanges:
        answer = _refusal(exchange, rules)
        if answer is not None and told(answer) is Cause.REVOKED:
            return found(
                Cause.REVOKED,
                0.9,
                f"{rule.name}+access_said",
                f"{asked}, which may mean withdrawn or run out.",
                f"Of the access token {exchange.step.value} said that it was revoked.",
            )
    return None


def _introspected(rule: Rule, asked: str, evidence: Evidence) -> Finding | None:
    """Tell by the end that a dead token had: passed, it ran out; to come, it was withdrawn before it.

    That a token is not active (RFC 7662 2.2) says no more than its refusal did, and an endpoint that says so
    of every token, or that every token is active, must not decide anything.
    """
    name, unclear = f"{rule.name}{INTROSPECTED}", f"{asked}, which may mean withdrawn or run out."
    if evidence.told_before is not None:
        before = "Introspection told which when the trouble began; nothing was asked again."
        return found(evidence.told_before, 0.95, name, unclear, before)
    said, grant = evidence.introspection, evidence.grant
    if said is None or said.active or said.expires_at is None:
        return None
    ended = said.expires_at
    if grant.issued_at is not None and ended <= grant.issued_at:
        return None  # it worked after that, so this is not the end of it
    if ended <= evidence.at:
        end = f"Introspection says that it ended {_day(ended)}."
        return found(Cause.REFRESH_EXPIRED, 0.95, name, unclear, end)
    if ended > evidence.at + EARLY:
        end = f"Introspection says that it is no longer active, though it was to last until {_day(ended)}."
        return found(Cause.REVOKED, 0.95, name, unclear, end)
    return None


def _day(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _noted(evidence: Evidence) -> list[str]:
    """What introspection said and did not decide: for people to know."""
    match evidence.introspection:
        case Introspection(active=True):
            return ["Introspection calls it active all the same."]
        case Introspection():
            return ["Introspection says that it is no longer active, and not why."]
        case _:
            return []


def _by_the_clock(rule: Rule, asked: str, evidence: Evidence, rules: tuple[Rule, ...]) -> Finding:
    grant, reasons = evidence.grant, [f"{asked}, which may mean withdrawn or run out.", *_noted(evidence)]
    used, born = grant.refresh_used_at, grant.authorized_at
    told = [at for at in (grant.refresh_ends_at, grant.grant_ends_at) if at is not None]
    if told and min(told) <= evidence.at:
        reasons.append(f"The provider told when it would end: {_day(min(told))}, and that is over.")
        return found(Cause.REFRESH_EXPIRED, 0.95, f"{rule.name}+clock.told", *reasons)
    if (
        grant.refresh_ends_at is None
        and grant.idle_lifetime
        and used
        and evidence.at - used >= grant.idle_lifetime
    ):
        reasons.append(
            f"The refresh token was last used {span(evidence.at - used)} ago; the provider keeps an "
            f"unused one for {span(grant.idle_lifetime)}."
        )
        return found(Cause.REFRESH_EXPIRED, 0.9, f"{rule.name}+clock.idle", *reasons)
    if (
        grant.grant_ends_at is None
        and grant.absolute_lifetime
        and born
        and evidence.at - born >= grant.absolute_lifetime
    ):
        reasons.append(
            f"It was authorized {span(evidence.at - born)} ago; the provider ends every grant after "
            f"{span(grant.absolute_lifetime)}."
        )
        return found(Cause.REFRESH_EXPIRED, 0.9, f"{rule.name}+clock.absolute", *reasons)
    if _refused_early(evidence, rules):
        reasons.append("The access token was refused before its own expiry, so access was withdrawn.")
        return found(Cause.REVOKED, 0.9, f"{rule.name}+access_refused_early", *reasons)
    if grant.refresh_ends_at is not None and grant.refresh_ends_at > evidence.at + EARLY:
        reasons.append(f"The provider told that it would last until {_day(min(told))}: it was withdrawn.")
        return found(Cause.REVOKED, 0.9, f"{rule.name}+clock.told", *reasons)
    reasons.append("Nothing else tells them apart; withdrawn is the likelier.")
    return found(Cause.REVOKED, 0.6, rule.name, *reasons)


def _without_refresh_token(rule: Rule, asked: str, evidence: Evidence) -> Finding:
    expires = evidence.grant.access_expires_at
    if expires is not None and evidence.at >= expires:
        return found(
            Cause.REFRESH_EXPIRED,
            0.9,
            f"{rule.name}+clock.no_refresh_token",
            f"{asked}; the access token has expired and no refresh token is stored.",
            *_noted(evidence),
        )
    return found(
        Cause.REVOKED,
        0.8,
        rule.name,
        f"{asked}, before the access token's own expiry; no refresh token is stored.",
        *_noted(evidence),
    )


def _refused_early(evidence: Evidence, rules: tuple[Rule, ...]) -> bool:
    expires = evidence.grant.access_expires_at
    if expires is None:
        return False
    # One that its provider calls expired was no withdrawal: it lived shorter than we reckoned.
    return any(
        (answer := _refusal(exchange, rules)) is not None
        and exchange.at < expires - EARLY
        and told(answer) is not Cause.REFRESH_EXPIRED
        for exchange in evidence.exchanges
    )


def _refusal(exchange: Exchange, rules: tuple[Rule, ...]) -> Answer | None:
    """Return a resource's answer that refused the access token, if this is one."""
    outcome = exchange.outcome
    if not isinstance(outcome, Answer) or exchange.step not in (Step.WHOAMI, Step.SCOPE):
        return None
    return outcome if refuses_token(rules, exchange.step, outcome) else None


def scope_or_role(rule: str, exchange: Exchange, asked: str, grant: Grant, *, said: bool) -> Finding:
    """Tell a scope that was not granted from a role that forbids it, and name who acts first.

    `said`: the provider's own words are that the token's scope does not reach (RFC 6750 3.1). They are
    stronger than what we remember of the grant; only where they leave it open is the memory heard.
    """
    scope = exchange.scope
    if scope is None:
        return found(
            Cause.INSUFFICIENT_SCOPE,
            0.9,
            rule,
            f"{asked}: the token's scope does not reach the question who it is.",
            "Each authorization asks for that scope in the same way: `default_scopes` of the provider's "
            "file, or the app's registration, lacks it.",
            owner=Owner.OPERATOR,
        )
    named = f"The resource {scope!r} was refused: {asked}."
    if grant.app_scopes is not None and scope not in grant.app_scopes:
        return found(
            Cause.INSUFFICIENT_SCOPE,
            0.95,
            f"{rule}+app_scopes",
            named,
            f"The app's own registration lacks {scope!r}: it has to be added there first; asking the "
            "client before that would mend nothing.",
            owner=Owner.OPERATOR,
            scope=scope,
        )
    if said:
        before = (
            "" if not _had(grant, scope) else " The grant had it before; what the provider says now counts."
        )
        return found(
            Cause.INSUFFICIENT_SCOPE,
            0.95,
            rule,
            named,
            f"The provider itself says that it is the token's scope that does not reach.{before}",
            scope=scope,
        )
    return _by_memory(rule, scope, named, grant)


def _had(grant: Grant, scope: str) -> bool:
    return scope in grant.read_before or scope in (grant.granted or ())


def _by_memory(rule: str, scope: str, named: str, grant: Grant) -> Finding:
    if grant.granted is not None:
        if scope in grant.granted:
            return found(
                Cause.ROLE_RESTRICTED,
                0.95,
                f"{rule}+granted",
                named,
                f"The provider granted {scope!r} to this token, so it is the user's own role that "
                "does not allow it.",
                scope=scope,
            )
        return found(
            Cause.INSUFFICIENT_SCOPE,
            0.95,
            f"{rule}+granted",
            named,
            f"The provider's list of granted scopes does not have {scope!r}.",
            scope=scope,
        )
    before = grant.read_before.get(scope)
    if before is not None:
        return found(
            Cause.ROLE_RESTRICTED,
            0.75,
            f"{rule}+read_before",
            named,
            f"This same grant could read it at {before:%Y-%m-%d %H:%M} UTC, so the grant had it and "
            "the user's role has changed since.",
            scope=scope,
        )
    return found(
        Cause.INSUFFICIENT_SCOPE,
        0.7,
        f"{rule}+never_read",
        named,
        "This grant has never been able to read it: the user authorized before the access was asked "
        "for, or declined it.",
        scope=scope,
    )
