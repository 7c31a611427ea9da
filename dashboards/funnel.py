"""The way back: from the break to the mail, the click, the approval and the healed connection."""

from __future__ import annotations

from typing import Any

from grafana_foundation_sdk.builders.dashboard import Row

from dashboards import panels as p
from monitor.health.causes import TABLE
from monitor.metrics import catalogue as m
from monitor.metrics.metric import Metric

OF = 'provider=~"$provider"'
CAUSE = f'{OF}, cause=~"$cause", locale=~"$locale"'
RANGE = "$__range"


# What a client mends by authorizing again: the others never enter this funnel.
MENDED = "|".join(cause.value for cause, row in TABLE.items() if row.client_mail)


def _steps(step: str) -> str:
    return f'round (sum (increase ({m.STEPS.name}_total{{{OF}, step="{step}"}}[{RANGE}]))) or vector (0)'


def _count(metric: Metric) -> str:
    return f'round (sum (increase ({metric.name}_count{{{OF}, cause=~"{MENDED}"}}[{RANGE}]))) or vector (0)'


def _quantile(q: float, step: str) -> str:
    return (
        f"histogram_quantile ({q}, sum by (le) (increase ({m.STEP_SECONDS.name}_bucket"
        f'{{{CAUSE}, step="{step}"}}[{RANGE}])))'
    )


STAGES = (
    ("detected", _count(m.DETECTION)),
    ("mailed", _steps("mailed")),
    ("opened", _steps("opened")),
    ("started", _steps("started")),
    ("approved", _steps("completed")),
    ("healed", _count(m.RECOVERY)),
)


def build() -> Any:
    """Return the dashboard."""
    return (
        p.frame(
            "token-health-funnel",
            "Re-authorization funnel",
            "How clients find their way back, how long it takes them, and where they stop.",
        )
        .time("now-30d", "now")
        .with_variable(p.variable("provider", "Provider", m.CONNECTIONS.name))
        .with_variable(p.variable("cause", "Cause", f"{m.STEP_SECONDS.name}_count"))
        .with_variable(p.variable("locale", "Locale", f"{m.STEP_SECONDS.name}_count"))
        .with_row(Row("How many come through"))
        .with_panel(
            p.bars(
                "From the break to the healed connection",
                "Breaks that a client mends. An opened link is perhaps a mail scanner's; a started one is a "
                "person's. Some heal without a mail: the client noticed, or the provider took it back.",
                *((expr, name) for name, expr in STAGES),
                width=14,
                height=9,
            )
        )
        .with_panel(
            p.bars(
                "Where they stop",
                "Consent declined, another account approved, a grant that ends at once or reads less than the one "
                "that works, a link that had run out.",
                *(
                    (_steps(step), step.replace("_", " "))
                    for step in ("declined", "wrong_account", "born_dead", "narrower", "expired")
                ),
                steps=p.thresholds((None, p.GREEN), (1, p.ORANGE)),
                width=10,
                height=9,
            )
        )
        .with_panel(
            p.number(
                "Approved of those mailed",
                f'sum (increase ({m.STEPS.name}_total{{{OF}, step="completed"}}[{RANGE}])) / '
                f'(sum (increase ({m.STEPS.name}_total{{{OF}, step="mailed"}}[{RANGE}])) > 0)',
                "Of first mails in this time.",
                unit="percentunit",
                decimals=0,
                steps=p.thresholds((None, p.RED), (0.5, p.ORANGE), (0.8, p.GREEN)),
                width=6,
                empty="nobody was mailed",
            )
        )
        .with_panel(
            p.number(
                "Break to mail, median",
                _quantile(0.5, "mailed"),
                "The first mail waits for a whole round of probes, and for the client's morning.",
                unit="s",
                width=6,
                empty="no mail",
            )
        )
        .with_panel(
            p.number(
                "Mail to approval, median",
                _quantile(0.5, "completed"),
                "From the link's making to the approval.",
                unit="s",
                width=6,
                empty="no approval",
            )
        )
        .with_panel(
            p.number(
                "Break to healed, median",
                f'histogram_quantile (0.5, sum by (le) (increase ({m.RECOVERY.name}_bucket{{{OF}, cause=~"{MENDED}"}}[{RANGE}])))',
                "Of breaks that a client mends.",
                unit="s",
                width=6,
                empty="nothing healed",
            )
        )
        .with_row(Row("By cause and language"))
        .with_panel(
            p.grid(
                "By cause",
                "How many reached each step.",
                f"round (sum by (cause, step) (increase ({m.STEP_SECONDS.name}_count{{{CAUSE}}}[{RANGE}]))) > 0",
                {"cause": "Cause", "step": "Step"},
                value="Clients",
                empty="Nobody yet",
            )
        )
        .with_panel(
            p.grid(
                "By language of the mail",
                "A language that stops early has a mail or a page to be looked at.",
                f"round (sum by (locale, step) (increase ({m.STEP_SECONDS.name}_count{{{CAUSE}}}[{RANGE}]))) > 0",
                {"locale": "Language", "step": "Step"},
                value="Clients",
                empty="Nobody yet",
            )
        )
        .with_panel(
            p.series(
                "Time to each step, 90th percentile",
                "From the break to the first mail (mailed), and from the link's making to each later step.",
                (
                    f"histogram_quantile (0.9, sum by (le, step) (rate ({m.STEP_SECONDS.name}_bucket"
                    f"{{{CAUSE}}}[{p.RATE}])))",
                    "{{step}}",
                ),
                unit="s",
            )
        )
        .with_panel(
            p.series(
                "Mails by what became of them",
                "Sent, tried again later, refused by the address, failed, or unconfirmed.",
                (
                    f'sum by (result) (increase ({m.NOTIFICATIONS.name}_total{{channel="email"}}[{p.RATE}]))',
                    "{{result}}",
                ),
                stacked=True,
                colours={
                    "sent": "semi-dark-green",
                    "later": "semi-dark-yellow",
                    "refused": "semi-dark-red",
                    "failed": "dark-red",
                    "unconfirmed": "semi-dark-purple",
                },
            )
        )
        .with_row(Row("Campaigns"))
        .with_panel(
            p.grid(
                "How far campaigns are",
                "Connections whose clients are asked to approve again ahead of time, while they work.",
                f"sum by (campaign, state) ({m.CAMPAIGN_CONNECTIONS.name})",
                {"campaign": "Campaign", "state": "How far"},
                value="Connections",
                empty="No campaign",
            )
        )
        .with_panel(
            p.series(
                "What came of invitations",
                "One that stops by itself waits for a person: token-health campaign show says why.",
                (f"sum by (state) ({m.CAMPAIGN_CONNECTIONS.name})", "{{state}}"),
                stacked=True,
                colours={
                    "to_come": "semi-dark-blue",
                    "invited": "semi-dark-yellow",
                    "opened": "semi-dark-orange",
                    "approved": "semi-dark-green",
                    "declined": "semi-dark-red",
                    "wrong_account": "semi-dark-purple",
                    "broke": "dark-red",
                    "refused": "dark-red",
                },
            )
        )
    )
