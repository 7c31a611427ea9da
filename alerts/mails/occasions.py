"""When each kind of mail goes, and to whom: what a preview does not show by itself."""

from __future__ import annotations

from dataclasses import dataclass

from alerts.mails.plan import MailPolicy
from alerts.mails.standing import Kind
from monitor.health.causes import TABLE
from monitor.text.spans import span

CLIENT, OPERATOR = "the client's contacts", "the operator"
NEVER = "never, as it is configured"
_BY_CAUSE = {row.asks.mail: (row.asks.short, row.meaning) for row in TABLE.values() if row.asks is not None}


@dataclass(frozen=True, slots=True)
class Occasion:
    """Who gets a kind of mail, and when."""

    title: str
    to: str
    when: str


def occasion(kind: str, policy: MailPolicy) -> Occasion:
    """Return who gets a kind of mail, and when, as the policy has it."""
    if kind in _BY_CAUSE:
        short, meaning = _BY_CAUSE[kind]
        when = f"{span(policy.delay)} after it was confirmed that {meaning}"
        return Occasion(short[:1].upper() + short[1:], CLIENT, when)
    title, to, when = _others(policy)[Kind(kind)]
    return Occasion(title, to, when)


def _others(policy: MailPolicy) -> dict[Kind, tuple[str, str, str]]:
    """Return of mails that are about no single cause: the title, who gets it, and when."""
    reminders = _listed([span(one) for one in policy.reminders])
    ahead = _listed([span(one) for one in policy.expiry])
    together = f"in place of single mails, where several connections broke within {span(policy.delay)}"
    remind = f"{reminders} after the first mail, while nobody approved" if reminders else NEVER
    expire = f"{ahead} before an authorization ends on a known day" if ahead else NEVER
    ask = "when a person asks for it, before a connection was ever authorized"
    over = f"{span(policy.hand_over)} after the last reminder, or at once where no address takes mail"
    blown = "when more first mails want out than the fleet should bring, and the fuse holds them"
    campaign = "when a campaign asks them ahead of time, while the connection works"
    return {
        Kind.FIRST_AUTHORIZATION: ("Connect for the first time", CLIENT, ask),
        Kind.EXPIRING_SOON: ("It runs out soon", CLIENT, expire),
        Kind.CAMPAIGN: ("Asked ahead of time", CLIENT, campaign),
        Kind.REMINDER: ("Reminder", CLIENT, remind),
        Kind.DIGEST: ("Several at once", CLIENT, together),
        Kind.RESOLVED: ("Thank you, it works", CLIENT, "when what they were asked about works again"),
        Kind.HANDOVER: ("Over to you", OPERATOR, over),
        Kind.FUSE: ("The fuse has blown", OPERATOR, blown),
        Kind.ACCESS: ("A key that matters", OPERATOR, "when a key may read tokens, or one ends soon"),
    }


def _listed(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
