"""When each kind of mail goes, and to whom: what a preview does not show by itself."""

from __future__ import annotations

from dataclasses import dataclass

from alerts.mails.plan import MailPolicy
from alerts.mails.standing import Kind
from monitor.health.causes import TABLE
from monitor.text.spans import span

NEVER = "never, as it is configured"
_BY_CAUSE = {row.asks.mail: row.meaning for row in TABLE.values() if row.asks is not None}


@dataclass(frozen=True, slots=True)
class Occasion:
    """Who gets a kind of mail, and when."""

    title: str
    to: str
    when: str


def occasion(kind: str, policy: MailPolicy) -> Occasion:
    """Return who gets a kind of mail, and when, as the policy has it."""
    title = kind.replace("_", " ").capitalize()
    if kind in _BY_CAUSE:
        return Occasion(
            title,
            "the client's contacts",
            f"{span(policy.delay)} after it was confirmed that {_BY_CAUSE[kind]}",
        )
    to, when = _others(policy)[Kind(kind)]
    return Occasion(title, to, when)


def _others(policy: MailPolicy) -> dict[Kind, tuple[str, str]]:
    reminders = _listed([span(one) for one in policy.reminders])
    ahead = _listed([span(one) for one in policy.expiry])
    client, operator = "the client's contacts", "the operator"
    return {
        Kind.FIRST_AUTHORIZATION: (
            client, "when a person asks for it, before a connection was ever authorized",
        ),
        Kind.EXPIRING_SOON: (
            client, f"{ahead} before an authorization ends on a known day" if ahead else NEVER
        ),
        Kind.CAMPAIGN: (client, "when a campaign asks them ahead of time, while the connection works"),
        Kind.REMINDER: (
            client, f"{reminders} after the first mail, while nobody approved" if reminders else NEVER
        ),
        Kind.DIGEST: (
            client,
            f"in place of single mails, where several connections broke within {span(policy.delay)}",
        ),
        Kind.RESOLVED: (client, "when a connection works again that they were asked about"),
        Kind.HANDOVER: (
            operator,
            f"{span(policy.hand_over)} after the last reminder, or at once where no address takes mail",
        ),
        Kind.FUSE: (
            operator, "when more first mails want out than the fleet should bring, and the fuse holds them",
        ),
        Kind.ACCESS: (operator, "when somebody gives a key the right to read tokens, or a key ends soon"),
    }  # fmt: skip


def _listed(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
