"""From evidence to what is written: the same whoever brought the evidence, a probe or the middleware.

Values in, a value out: no clock, no database, nothing that is counted or logged (an import contract).
"""

from __future__ import annotations

from datetime import datetime

from monitor.health.cadence import Cadence, next_probe
from monitor.health.classify import EXHAUSTED, Reach, classify, undecided
from monitor.health.evidence import Evidence, Identity
from monitor.health.explain import document
from monitor.health.finding import Finding
from monitor.health.lifecycle import Health, Policy, State, Verdict, step
from monitor.health.rules import Rule
from monitor.health.ruling import Ruling


def judge(
    connection: str,
    health: Health,
    evidence: Evidence,
    *,
    rules: tuple[Rule, ...],
    reach: Reach,
    policy: Policy,
    cadence: Cadence,
    now: datetime,
    refresh_at: datetime | None = None,
) -> Ruling:
    """Say what follows for a connection in this health, and when to look at it again.

    `rules` are its provider's, `reach` is whom this process heard from lately, and `refresh_at` is when its
    pair is due to be refreshed.
    """
    finding = classify(evidence, rules, reach)
    verdict = step(health, finding, policy, now)
    if decides_nothing(health, evidence, finding, rules):
        verdict = Verdict(health, changed=False)
    return Ruling(
        at=now,
        finding=finding,
        verdict=verdict,
        next_probe_at=next_probe(
            connection,
            verdict.health,
            cadence,
            now,
            retry_at=evidence.retry_at,
            refresh_at=refresh_at,
        ),
        account=_to_record(evidence, finding, verdict),
        kept=document(evidence, rules) if verdict.changed else (),
    )


def set_aside(ruling: Ruling, health: Health, cadence: Cadence) -> Ruling:
    """Return what is left of a ruling that is not believed: the connection as it was, looked at soon."""
    again = max(filter(None, (ruling.at + cadence.recheck, ruling.finding.retry_at)))
    verdict = Verdict(health, changed=False)
    return ruling._replace(verdict=verdict, next_probe_at=again, account=None, kept=())


def decides_nothing(
    health: Health, evidence: Evidence, finding: Finding, rules: tuple[Rule, ...] = ()
) -> bool:
    """Whether a connection stays as it was, whatever was found."""
    # What was in doubt could not be looked at, so nothing good that was seen is a recovery.
    unseen = finding.ok and not evidence.complete and health.state is not State.PENDING
    return (
        unseen
        # A refresh is another's just now, or not due yet.
        or undecided(evidence, rules)
        # The account may be another client's: a person has to say so first.
        or evidence.held
        # We lacked descriptors or memory, which says nothing of anybody else.
        or finding.rule == EXHAUSTED
    )


def _to_record(evidence: Evidence, finding: Finding, verdict: Verdict) -> Identity | None:
    """Return whom to put on record: the account with the first good probe, its name with every recovery."""
    first = evidence.grant.account_id is None
    return evidence.identity if finding.ok and (first or verdict.changed) else None
