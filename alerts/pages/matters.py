"""What on-call has to know now, and what follows from it. Values in, values out; no clock, no I/O.

A *matter* is one thing that one person acts on: a provider's outage, however many connections and incidents
show it. Its key is the same for as long as it lasts, so that on-call is told once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from alerts.rules import fleet, inhibitions
from alerts.rules.alert import Alert
from alerts.silences.windows import Scope, Silenced, first_over
from monitor.health.causes import Cause, Owner, Subject, consequence, operator_first
from monitor.text.names import one_line
from monitor.text.spans import span


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that is so: an open incident, or a condition of ours. `value` is usually how many."""

    alert: Alert
    since: datetime
    value: float = 1
    provider: str = ""
    app: str = ""
    team: str = ""
    connection: str = ""
    client: str = ""
    tier: str = ""
    channel: str = ""
    cause: str = ""
    reasons: tuple[str, ...] = ()
    marks: Mapping[str, str] = field(default_factory=dict)  # the labels of its connections
    answered_at: datetime | None = None  # when a person last said something about it


@dataclass(frozen=True, slots=True)
class Matter:
    """One thing to be told, with all that says so."""

    alert: Alert
    facts: tuple[Fact, ...]
    default_team: str

    @property
    def key(self) -> str:
        """What stays the same while it lasts."""
        return "/".join((self.alert.name, *(self._one(name) for name in self.alert.by)))

    def _one(self, name: str) -> str:
        found = {str(getattr(fact, name)) for fact in self.facts}
        return found.pop() if len(found) == 1 else ""

    @property
    def since(self) -> datetime:
        """When the first of it began."""
        return min(fact.since for fact in self.facts)

    @property
    def value(self) -> float:
        """How much of it there is."""
        return sum(fact.value for fact in self.facts)

    def unanswered(self, told_at: datetime, now: datetime) -> bool:
        """Whether it is to be told again: it was told long ago, and nobody has said anything since."""
        if self.alert.again is None:
            return False
        last = max([told_at, *(f.answered_at for f in self.facts if f.answered_at is not None)])
        return now - last >= self.alert.again

    @property
    def provider(self) -> str:
        """The provider it is about, if it is about one."""
        return self._one("provider")

    @property
    def app(self) -> str:
        """The app it is about, where that is what makes it one matter."""
        return self._one("app") if "app" in self.alert.by else ""

    @property
    def team(self) -> str:
        """Whose it is."""
        return (self._one("team") if "team" in self.alert.by else "") or self.default_team

    @property
    def marks(self) -> dict[str, str]:
        """The labels that all its connections share."""
        first, *rest = [dict(fact.marks) for fact in self.facts]
        return {k: v for k, v in first.items() if all(other.get(k) == v for other in rest)}

    @property
    def scope(self) -> Scope:
        """What a silence would have to lie over."""
        return Scope(self._one("provider"), self._one("app"), self._one("client"), self._one("connection"))

    @property
    def words(self) -> dict[str, str]:
        """What its texts may name."""
        seconds = self.alert.unit == "humanizeDuration"
        names = ("provider", "app", "client", "connection", "tier", "channel", "cause")
        return {name: one_line(self._one(name)) or f"several {name}s" for name in names} | {
            "value": span(timedelta(seconds=self.value), units=2, short=True)
            if seconds
            else f"{self.value:g}"
        }

    @property
    def summary(self) -> str:
        """What a person reads first."""
        return self.alert.summary.format(**self.words)

    @property
    def description(self) -> str:
        """What it means, and why we think so."""
        text = self.alert.description.format(**self.words)
        reasons = list(dict.fromkeys(reason for fact in self.facts for reason in fact.reasons))
        return text + "".join(f"\n- {reason}" for reason in reasons[:3])

    def labels(self) -> dict[str, str]:
        """Return the labels it has in Alertmanager: the same that Prometheus would give it."""
        found = {
            "alertname": self.alert.name,
            "severity": self.alert.severity.value,
            "owner": self.alert.owner,
            "team": self.team,
            **self.alert.labels,
        }
        return found | {name: known for name in self.alert.by if (known := self._one(name))}


@dataclass(frozen=True, slots=True)
class Trouble:
    """An open incident, as far as on-call is concerned."""

    kind: Subject
    name: str
    cause: Cause
    owner: Owner
    opened_at: datetime
    wave: bool = False  # what the fleet guard holds of a provider's clients
    held: int = 0  # connections whose clients are not told because of it
    members: int = 0
    provider: str = ""
    app: str = ""
    client: str = ""
    marks: Mapping[str, str] = field(default_factory=dict)
    reasons: tuple[str, ...] = ()
    answered_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Patience:
    """For how long a client may be broken before a person is told, by tier: a label of the connection."""

    label: str = "tier"
    tiers: Mapping[str, timedelta] = field(default_factory=lambda: {"default": timedelta(days=3)})

    def tier(self, labels: Mapping[str, str]) -> str:
        """Return a connection's tier; "default" where it has none that is known."""
        tier = labels.get(self.label, "")
        return tier if tier in self.tiers else "default"

    @property
    def shortest(self) -> timedelta:
        """The least of them."""
        return min(self.tiers.values())


def facts_of(trouble: Trouble, teams: Mapping[str, str], patience: Patience, now: datetime) -> list[Fact]:
    """Return what an open incident means for on-call; nothing where the client alone has to act, yet."""
    common: dict[str, Any] = {
        "since": trouble.opened_at,
        "provider": trouble.provider,
        "app": trouble.app,
        "team": teams.get(trouble.app, ""),
        "cause": trouble.cause.value,
        "reasons": trouble.reasons,
        "marks": trouble.marks,
    }
    if trouble.wave:
        common |= {"value": trouble.held, "answered_at": trouble.answered_at}
        return [Fact(fleet.GUARD_HOLDING, **common)] if trouble.held else []
    found, row = [], consequence(trouble.cause)
    if trouble.kind is not Subject.CONNECTION:
        if row.call and trouble.members:
            found.append(Fact(fleet.OF_CAUSE[trouble.cause], value=trouble.members, **common))
        return found
    common |= {"connection": trouble.name, "client": trouble.client}
    # What is shared is told once, for the provider or the app that it is an incident of.
    if row.call and row.subject is Subject.CONNECTION:
        found.append(Fact(fleet.OF_CAUSE[trouble.cause], **common))
    elif operator_first(trouble.cause, trouble.owner):
        found.append(Fact(fleet.APP_MISCONFIGURED, **common))
    if trouble.owner is Owner.CLIENT and not trouble.held:
        tier = patience.tier(trouble.marks)
        if now - trouble.opened_at > patience.tiers[tier]:
            waited = (now - trouble.opened_at).total_seconds()
            found.append(Fact(fleet.CLIENT_BROKEN, value=waited, tier=tier, **common))
    return found


def standing(facts: Iterable[Fact], default_team: str) -> dict[str, Matter]:
    """Gather facts into matters, by key."""
    groups: dict[tuple[str, ...], list[Fact]] = defaultdict(list)
    for fact in facts:
        by = fact.alert.by
        groups[fact.alert.name, *(str(getattr(fact, name)) for name in by)].append(fact)
    matters = (Matter(group[0].alert, tuple(group), default_team) for group in groups.values())
    return {matter.key: matter for matter in matters}


def worth_telling(
    matters: Mapping[str, Matter], silences: Sequence[Silenced]
) -> tuple[dict[str, Matter], dict[str, str]]:
    """Return the matters to be told, and why each of the others is not."""
    quiet: dict[str, str] = {}
    for key, matter in matters.items():
        silence = first_over(silences, matter.scope)
        if silence is not None:
            quiet[key] = silence.sentence
        elif (source := _inhibitor(matter, matters.values())) is not None:
            quiet[key] = f"Part of a larger matter: {source.summary}."
    return {key: matter for key, matter in matters.items() if key not in quiet}, quiet


def _inhibitor(matter: Matter, others: Iterable[Matter]) -> Matter | None:
    for rule in inhibitions.ALL:
        if matter.alert not in rule.targets:
            continue
        for other in others:
            if other.alert is rule.source and all(
                other.labels().get(name) == matter.labels().get(name) for name in rule.equal
            ):
                return other
    return None
