"""How we know: what was asked and answered, which rule told, how often, and whether it is this one alone.

In the order in which the service decided. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from monitor.health.causes import Cause, Confirm, Owner, consequence
from monitor.health.explain import Story
from monitor.health.lifecycle import State

_ASKED = {
    "refresh": "We tried to refresh",
    "whoami": "We asked who we are",
    "introspect": "We asked whether the token is still good",
    "exchange": "We exchanged the client's approval for tokens",
    "authorize": "We looked at the consent page",
    "callback": "The client came back",
}


@dataclass(frozen=True, slots=True)
class Proof:
    """One step: a request with what was answered, or what was concluded. Texts of others are redacted."""

    title: str
    at: datetime | None = None
    milliseconds: int | None = None
    asked: str = ""
    status: str = ""
    answered: str = ""
    bad: bool = False
    rule: str = ""
    says: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Seen:
    """A change of the verdict, as far as proof needs it."""

    at: datetime
    state: State
    cause: Cause
    evidence: Sequence[Mapping[str, Any]]


def proof(story: Story, before: Sequence[Seen], *, changed_at: datetime | None = None) -> tuple[Proof, ...]:
    """Return the steps to a connection's state. `before` are its changes, newest first."""
    if story.held or story.health.state in (State.PENDING, State.PAUSED) or story.health.unseen:
        return ()
    newest = before[0] if before else None
    doubt = _doubted(before)
    first = doubt or newest
    steps = [_request(kept) for kept in (first.evidence if first is not None else story.evidence)]
    if story.health.state is State.HEALTHY:
        return tuple(steps)
    return (*steps, *_concluded(story), *_repeated(story, newest, doubt), *_alone(story))


def _doubted(before: Sequence[Seen]) -> Seen | None:
    """Return the first sight of what a break was confirmed by: the doubt just before, of the same cause."""
    if len(before) < 2 or before[0].state is not State.BROKEN:
        return None
    was = before[1]
    return was if was.state is State.SUSPECT and was.cause is before[0].cause and was.evidence else None


def _request(kept: Mapping[str, Any]) -> Proof:
    step = str(kept.get("step", ""))
    title = f"We read {kept['scope']}" if step == "scope" and "scope" in kept else _ASKED.get(step, step)
    status, answered = _answer(kept)
    good = str(kept.get("status", "")).startswith("2") and not (kept.get("error") or kept.get("refusal"))
    return Proof(
        title, datetime.fromisoformat(kept["at"]) if kept.get("at") else None,
        round(float(kept.get("seconds", 0)) * 1000), str(kept.get("asked", "")), status, answered, not good,
    )  # fmt: skip


def _answer(kept: Mapping[str, Any]) -> tuple[str, str]:
    if "fault" in kept:
        return "no answer", " ".join(filter(None, (str(kept["fault"]), str(kept.get("detail", "")))))
    words = [str(kept.get("error", ""))]
    if kept.get("description"):
        words.append(f"“{kept['description']}”")
    if kept.get("content") not in ("json", None):
        words.append(str(kept["content"]))
    if kept.get("redirect"):
        words.append(f"to {kept['redirect']}")
    words += [f"{name} {', '.join(texts)}" for name, texts in kept.get("fields", {}).items()]
    words += [f"{name}: {text}" for name, text in kept.get("headers", {}).items()]
    if kept.get("sample") and not any(words):
        words.append(str(kept["sample"]))
    return str(kept.get("status", "")), " ".join(filter(None, words))


def _concluded(story: Story) -> Iterator[Proof]:
    says = list(story.reasons)
    cause = story.health.cause if story.health.state is State.BROKEN else story.health.candidate
    means = consequence(cause).meaning.partition(":")[0]
    says.append(f"So {means}: {cause.value}, confidence {story.health.confidence:.0%}.")
    yield Proof("What that means", rule=story.rule, says=tuple(one[:1].upper() + one[1:] for one in says))


def _repeated(story: Story, newest: Seen | None, doubt: Seen | None) -> Iterator[Proof]:
    health = story.health
    if health.state is State.SUSPECT:
        times, _ = story.policy.needs(health.candidate)
        yield Proof("Not sure yet", says=(f"Seen {health.streak} of {times} times; nobody is told.",))
    elif consequence(health.cause).confirm is Confirm.AT_ONCE:
        yield Proof("Nothing to repeat", says=("Our own books say it, and no probe could add to them.",))
    elif newest is not None and doubt is not None:
        again = [_request(kept) for kept in newest.evidence]
        said = "; ".join(f"{one.title}: {one.status} {one.answered}".strip() for one in again)
        says = (said or "The same again.", "That makes it a confirmed break.")
        yield Proof("Once more, to be sure", newest.at, says=says)


def _alone(story: Story) -> Iterator[Proof]:
    health = story.health
    if health.state is not State.BROKEN:
        return
    if story.larger:
        said = (f"It belongs to a larger incident: {story.larger}", *filter(None, (story.waits,)))
        yield Proof("Only this one?", says=said)
    elif story.waits:
        yield Proof("Only this one?", says=(story.waits,))
    elif health.owner is Owner.CLIENT:
        stays = "It broke by itself: the fleet guard stays down over it, so the client may be told."
        yield Proof("Only this one?", says=(stays,))
