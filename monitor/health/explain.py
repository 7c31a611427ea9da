"""Why a connection is as it is, in words that a support person can forward.

One text for the command line now, and for pages and mails that follow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from monitor.errors import Remedy
from monitor.health.causes import Cause, Owner, consequence, operator_first
from monitor.health.evidence import Answer, Evidence, Exchange, Fault
from monitor.health.lifecycle import Health, Policy, State
from monitor.health.pauses import Pause
from monitor.health.probed import Period, line
from monitor.health.rotation import Doubt, brief
from monitor.health.rules import Rule, limited
from monitor.text.spans import span, when


@dataclass(frozen=True, slots=True)
class Story:
    """Everything that is known of a connection, for telling it."""

    id: str
    client: str
    provider: str  # its title
    app: str
    health: Health
    reasons: tuple[str, ...] = ()
    rule: str = ""
    setting: str = ""  # which setting of the client's administrator it is, where the provider's file says so
    evidence: Sequence[Mapping[str, Any]] = ()
    evidence_at: datetime | None = None
    scope: str | None = None
    last_probe_at: datetime | None = None
    last_success_at: datetime | None = None
    next_probe_at: datetime | None = None
    next_refresh_at: datetime | None = None
    incident_since: datetime | None = None
    larger: str | None = None  # the shared incident that this one belongs to
    waits: str = ""  # why the client is told later, or not: the fleet guard's words
    choices: tuple[Remedy, ...] = ()  # what an operator may say about it
    said: tuple[str, ...] = ()  # what was said or waits to be said, newest first
    mails: bool = True  # whether mails are configured at all
    policy: Policy = field(default_factory=Policy)
    rests: str | None = None  # the maintenance window that paused it
    pause: Pause | None = None  # a person's; without who for whoever may not know
    configured: bool = True  # whether its app is; of others nobody looks at the connections
    doubt: Doubt | None = None  # about its refresh token
    unanswered: Sequence[Mapping[str, Any]] = ()  # the refreshes that the doubt comes of, oldest first
    grace: timedelta = timedelta(0)  # how long the provider takes a replaced refresh token back
    access_ends: datetime | None = None
    probed: tuple[Period, ...] = ()  # how its probes went
    held: str = ""  # the first authorization that waits for a person: whose, and why
    accounts: tuple[str, ...] = ()  # the account that it would be, or those that it may be
    authorized_by: str = ""  # who approved last, as the provider names them
    middleware: tuple[str, ...] = ()  # what programs say of it; we did not see that
    signals: Sequence[Mapping[str, Any]] = ()  # the same, as documents


@dataclass(frozen=True, slots=True)
class Explanation:
    """The chain from what was asked to what comes next."""

    headline: str
    why: tuple[str, ...]
    evidence: tuple[str, ...]
    who: str
    told: tuple[str, ...]
    next: tuple[str, ...]
    probed: tuple[str, ...] = ()
    middleware: tuple[str, ...] = ()  # what programs say, apart from what we saw
    remedies: tuple[Remedy, ...] = ()  # what a person may do about it


def document(evidence: Evidence, rules: tuple[Rule, ...] = ()) -> list[dict[str, Any]]:
    """Return evidence as it is kept: one plain mapping a request, nothing secret in it.

    Refreshes that went unanswered before come first, where they count again. `rules` are the provider's.
    """
    exchanges = [_exchange(item, rules) for item in evidence.exchanges]
    return [*(dict(kept) for kept in evidence.unanswered if kept not in exchanges), *exchanges]


def _exchange(item: Exchange, rules: tuple[Rule, ...]) -> dict[str, Any]:
    kept: dict[str, Any] = {
        "step": item.step.value,
        "asked": item.asked,
        "at": item.at.isoformat(timespec="seconds"),
        "seconds": round(item.seconds, 3),
    }
    if item.scope is not None:
        kept["scope"] = item.scope
    match item.outcome:
        case Answer() as answer:
            kept["status"] = answer.status
            kept["content"] = answer.content.value
            for name in ("error", "description", "challenge", "sample", "redirect"):
                if getattr(answer, name):
                    kept[name] = getattr(answer, name)
            if answer.refusal:
                kept["refusal"] = True
            if answer.fields:
                kept["fields"] = {name: list(texts) for name, texts in answer.fields}
            if answer.headers:
                kept["headers"] = dict(answer.headers)
            if answer.retry_at is not None:
                kept["retry_at"] = answer.retry_at.isoformat(timespec="seconds")
            if limited(rules, item.step, answer):
                kept["limited"] = True
        case Fault() as fault:
            kept["fault"] = fault.kind.value
            kept["detail"] = fault.detail
    return kept


def refused_scopes(kept: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return the scopes that the provider refused, by evidence as it is kept."""

    def refused(item: Mapping[str, Any]) -> bool:
        status = item.get("status", 0)
        limit = item.get("limited") or status == 429  # the second in evidence of older versions
        return _says_no(item) and status < 500 and not limit

    return tuple(dict.fromkeys(item["scope"] for item in kept if "scope" in item and refused(item)))


def refusal(kept: Sequence[Mapping[str, Any]]) -> str:
    """Return the last answer that refused something, as its provider gave it; empty where there is none.

    `HTTP 400 invalid_grant “reauth related error”`: for whoever looks it up at the provider.
    """
    for item in reversed(kept):
        if _says_no(item):
            words = f" {item['error']}" if item.get("error") else ""
            words += f" “{item['description']}”" if item.get("description") else ""
            return f"HTTP {item['status']}{words}"
    return ""


def _says_no(item: Mapping[str, Any]) -> bool:
    status = item.get("status", 0)
    return status >= 400 or (status == 200 and ("error" in item or "refusal" in item))


def describe(item: Mapping[str, Any]) -> str:
    """Return one line for a kept request."""
    what = f"{item['step']}{' ' + item['scope'] if 'scope' in item else ''}: {item['asked']}"
    if "fault" in item:
        outcome = f"no answer: {item['fault']}" + (f" ({item['detail']})" if item.get("detail") else "")
    else:
        outcome = str(item["status"])
        if item.get("error"):
            outcome += f" {item['error']}"
        if item.get("description"):
            outcome += f" “{item['description']}”"
        if item.get("content") not in ("json", None):
            outcome += f", {item['content']}"
        if item.get("redirect"):
            outcome += f", to {item['redirect']}"
        outcome += _further(item)
    return f"{what} → {outcome} ({item['seconds'] * 1000:.0f} ms)"


def _further(item: Mapping[str, Any]) -> str:
    """Return what the provider's file wants kept: its support asks for some of it."""
    fields = [f"{name} {', '.join(texts)}" for name, texts in item.get("fields", {}).items()]
    headers = [f"{name}: {text}" for name, text in item.get("headers", {}).items()]
    return f" [{'; '.join((*fields, *headers))}]" if fields or headers else ""


def explain(story: Story, now: datetime) -> Explanation:
    """Tell a connection's state, why it is so, who must act, and what comes next."""
    health = story.health
    return Explanation(
        headline=_headline(story, now),
        why=(*_why(story), *_in_doubt(story)),
        evidence=tuple(describe(item) for item in story.evidence),
        who=_who(story),
        told=_told(story),
        next=_next(story, health, now),
        probed=tuple(line(period) for period in story.probed),
        middleware=story.middleware,
        remedies=_remedies(story),
    )


def _headline(story: Story, now: datetime) -> str:
    health = story.health
    since = f" for {span(now - health.since)}" if health.since is not None else ""
    name = f"{story.client} on {story.provider}"
    match health.state:
        case _ if story.held:
            return f"{name} waits for you: it was authorized, and you decide whether with the right account."
        case State.PENDING:
            return f"{name} has never been authorized, or not been looked at yet."
        case State.PAUSED if story.rests:
            return f"{name} rests{since}: maintenance of {story.rests}; it is not looked at."
        case State.PAUSED:
            return f"{name} is paused{since}{_until(story)}: an operator's choice; it is not looked at."
        case State.HEALTHY:
            return f"{name} is healthy{since}."
        case State.SUSPECT if health.unseen:
            return f"{name} is to be looked at{since}: what was known of it is believed no more."
        case State.SUSPECT:
            return f"{name} is in doubt{since}: {consequence(health.cause).meaning}."
        case State.BROKEN:
            return f"{name} is broken{since}: {consequence(health.cause).meaning}."


def _until(story: Story) -> str:
    until = story.pause.until if story.pause is not None else None
    return f", until {until:%Y-%m-%d %H:%M} UTC" if until is not None else ""


def _paused(pause: Pause) -> str:
    by = f"{pause.who} paused it" if pause.by else "It was paused"
    until = "" if pause.until is not None else ", until somebody resumes it"
    return f"{by}{until}: {pause.reason}" if pause.reason else f"{by}{until}."


def _why(story: Story) -> tuple[str, ...]:
    if story.held:
        return (f"{story.held}. Nothing is done with it until you say so.",)
    if story.health.unseen:
        return ("It was resumed or got new tokens, and no probe has looked since.",)
    said = list(story.reasons)
    if story.pause is not None and (story.pause.until is not None or story.pause.reason):
        said.insert(0, _paused(story.pause))
    if story.health.state is State.HEALTHY and not said:
        said.append("The last probe was answered as it should be.")
    if story.authorized_by:
        said.append(f"Last authorized by {story.authorized_by}.")
    if story.rule and story.health.state in (State.SUSPECT, State.BROKEN):
        said.append(f"Rule {story.rule}, confidence {story.health.confidence:.0%}.")
    if story.setting and consequence(story.health.cause).elsewhere:
        said.append(f"The setting: {story.setting}")
    if story.larger:
        said.append(f"It belongs to a larger incident: {story.larger}")
    return tuple(said)


def _in_doubt(story: Story) -> tuple[str, ...]:
    """Say that a refresh is in doubt, what came back, and what was tried since."""
    if story.doubt is None:
        return ()
    lines = [
        f"Refresh in doubt since {_utc(story.doubt.since)}: its answer was lost{_came(story.unanswered)}."
    ]
    if story.doubt.tried_at is not None:
        lines.append(
            f"The same refresh token was sent again at {_utc(story.doubt.tried_at)}, and that answer was "
            f"lost, too{_came(story.unanswered[1:])}."
        )
    return tuple(lines)


def _came(unanswered: Sequence[Mapping[str, Any]]) -> str:
    return f" ({brief(unanswered[-1])})" if unanswered else ""


def _utc(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _who(story: Story) -> str:
    health = story.health
    if not story.configured:
        return f"The operator: add app {story.app} to [[apps]] again, or remove the connection."
    if story.held:
        return "The operator: is the account this client's? Ask somebody whom you know there."
    if health.state is State.HEALTHY and story.doubt is not None:
        return "Nobody has to act: it works, and the refresh in doubt is tried again when that costs nothing."
    if health.state is State.HEALTHY:
        return "Nobody has to act."
    if health.state is State.PAUSED and story.rests:
        return "Nobody. It is looked at again when the maintenance ends."
    if health.state is State.PAUSED:
        if story.pause is not None and story.pause.until is not None:
            return "Nobody. It is looked at again when the pause is over, or when an operator resumes it."
        return "The operator, when it is to be watched again."
    if health.state is State.PENDING:
        return "The client authorizes the connection for the first time, if tokens were not imported."
    row = consequence(health.cause)
    if operator_first(health.cause, health.owner):
        return (
            "The operator first: add the missing access to the app's registration at the provider and to "
            "`scopes` of the app. After that the client authorizes again."
        )
    return f"{health.owner.value.capitalize()}. {row.advice}"


def _told(story: Story) -> tuple[str, ...]:
    row = consequence(story.health.cause)
    if story.health.state is not State.BROKEN:
        return story.said or ("Nobody was told, since nothing is confirmed broken.",)
    if story.waits:
        return (story.waits, *story.said)
    if story.health.owner is not Owner.CLIENT or not row.client_mail:
        return (
            "The client is not told, since authorizing again would mend nothing; an incident is open.",
            *story.said,
        )
    if not story.mails:
        return ("No client is mailed: [smtp] has no `from` yet. An incident is open.", *story.said)
    return story.said or ("Nothing yet; an incident is open.",)


def _next(story: Story, health: Health, now: datetime) -> tuple[str, ...]:
    if not story.configured:
        return (f"Nobody looks at it, and nobody is told: its app {story.app} is not configured.",)
    if story.held:
        return ("It waits until you have decided.",)
    lines = []
    if health.state is State.SUSPECT and not health.unseen:
        times, over = story.policy.needs(health.candidate)
        lines.append(
            f"Seen {health.streak} time{'s' if health.streak != 1 else ''}; {times} in a row over "
            f"{span(over)} make it a confirmed break. Until then nobody is told."
        )
    if story.next_probe_at is not None:
        lines.append(f"Next probe {when(story.next_probe_at, now)}.")
    elif health.state is State.PENDING:
        lines.append("It is probed as soon as it has tokens.")
    if story.doubt is not None:
        lines.append(_last_try(story, now))
    elif story.next_refresh_at is not None and health.state in (State.HEALTHY, State.SUSPECT):
        lines.append(f"Next token refresh {when(story.next_refresh_at, now)}.")
    if health.state is State.BROKEN:
        lines.append(
            "It recovers by itself as soon as a probe is answered well."
            if health.cause is not Cause.REFRESH_LOST
            else "It recovers with a new authorization."
        )
    return tuple(lines)


def _remedies(story: Story) -> tuple[Remedy, ...]:
    """Return what an operator may do about it as it stands."""
    if not story.configured:
        return ()
    if story.held:
        return account_remedies(story.id, story.accounts)
    if story.health.state is State.PAUSED and story.rests:
        return (Remedy("silences.list", "shows until when"),)
    if story.health.state is State.PAUSED:
        return (Remedy("connections.resume", "watches it again", story.id),)
    return story.choices


def account_remedies(connection: str, accounts: Sequence[str]) -> tuple[Remedy, ...]:
    """Return what to do about a first authorization that waits for a person, of one account or several."""
    it = "it" if len(accounts) == 1 else "this one"
    takes = (
        Remedy(
            "accounts.accept",
            f"takes {it}",
            connection,
            when=f"If {it} is theirs",
            options=(("account", account),),
        )
        for account in accounts[:5]
    )
    return (*takes, Remedy("accounts.refuse", "gives it back", connection, when="If it is not"))


def _last_try(story: Story, now: datetime) -> str:
    ends = story.access_ends
    if story.doubt is not None and now - story.doubt.since < story.grace:
        return "The same refresh token is sent again at each look: its provider takes it back for a while."
    if ends is None:
        at = "as soon as the access token is refused"
    elif ends > now:
        at = f"when the access token ends ({when(ends, now)}) or is refused"
    else:
        at = "with the next probe that the provider answers, since the access token has ended"
    return (
        f"The same refresh token is sent once more {at}: nothing is left to lose then. Only if it is refused "
        "is the pair lost."
    )
