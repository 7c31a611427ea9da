"""The door for programs: what they ask and get, what they say they saw, and what they are told."""

from __future__ import annotations

from typing import Any

from grafana_foundation_sdk.builders.dashboard import Row

from dashboards import panels as p
from monitor.metrics import catalogue as m
from monitor.metrics.metric import Metric

OF = 'app=~"$app"'
WORKS = 'result=~"given|shortfall|unchanged"'
# A counter begins with what it counts first: what never came about has no series, and is a zero.
ZERO = "or vector (0)"


def _hour(metric: Metric, labels: str = "") -> str:
    return f"round (sum (increase ({metric.name}_total{{{labels}}}[1h]))) {ZERO}"


def _wait(q: float) -> str:
    return f"histogram_quantile ({q}, sum by (le) (rate ({m.TOKEN_WAIT.name}_bucket[{p.RATE}])))"


def build() -> Any:
    """Return the dashboard."""
    return (
        p.frame(
            "token-health-programs",
            "Programs",
            "What programs of yours ask and get, what they say they saw, and what they are told.",
        )
        .with_variable(p.variable("app", "App", m.CONNECTIONS.name))
        .with_row(Row("Served?"))
        .with_panel(
            p.number(
                "Tokens handed out",
                _hour(m.TOKEN_REQUESTS, f"{OF}, {WORKS}"),
                "In the last hour; those that a program has already count, too.",
                decimals=0,
                empty="0",
            )
        )
        .with_panel(
            p.number(
                "Tokens that wait for a person",
                _hour(m.TOKEN_REQUESTS, f'{OF}, result="needs_person"'),
                "Requests of the last hour. No retry helps: the work is parked until the client, or the operator, acts.",
                decimals=0,
                steps=p.WARN_ABOVE_0,
                empty="0",
            )
        )
        .with_panel(
            p.number(
                "Token in hand, 95th percentile",
                f"histogram_quantile (0.95, sum by (le) (increase ({m.TOKEN_WAIT.name}_bucket[1h])))",
                "From the request to the answer in the last hour, a refresh included.",
                unit="s",
                steps=p.thresholds((None, p.GREEN), (2, p.ORANGE), (10, p.RED)),
                empty="nobody asked",
            )
        )
        .with_panel(
            p.number(
                "Refused by the door",
                _hour(m.API_REQUESTS, 'status=~"4.."'),
                "Requests of the last hour: keys that are not good, rights that lack, words that do not fit.",
                decimals=0,
                empty="0",
            )
        )
        .with_panel(
            p.number(
                "Could not be answered",
                _hour(m.API_REQUESTS, 'status=~"5.."'),
                "Requests of the last hour that were told to come again, or met an error of ours.",
                decimals=0,
                steps=p.WARN_ABOVE_0,
                empty="0",
            )
        )
        .with_panel(
            p.number(
                "Webhooks given up",
                f"max ({m.WEBHOOKS_GIVEN_UP.name})",
                "They get no events any more: they answered 410, or nothing but failures for days.",
                decimals=0,
                steps=p.BAD_ABOVE_0,
                empty="nobody leads",
            )
        )
        .with_row(Row("Tokens"))
        .with_panel(
            p.series(
                "Requests for tokens by what they got",
                "given, shortfall (it could not be renewed just now), unchanged (the program has it), or why not.",
                (
                    f"sum by (result) (rate ({m.TOKEN_REQUESTS.name}_total{{{OF}}}[{p.RATE}]))",
                    "{{result}}",
                ),
                unit="reqps",
                stacked=True,
            )
        )
        .with_panel(
            p.series(
                "How long a token takes",
                "Without those that wait for another token.",
                (_wait(0.5), "median"),
                (_wait(0.95), "95th percentile"),
                unit="s",
            )
        )
        .with_row(Row("Requests"))
        .with_panel(
            p.series(
                "Requests by answer",
                "All of /api/v1, programs and pages.",
                (f"sum by (status) (rate ({m.API_REQUESTS.name}_total[{p.RATE}]))", "{{status}}"),
                unit="reqps",
                stacked=True,
            )
        )
        .with_panel(
            p.series(
                "Problems by route",
                "What was answered 400 or more.",
                (
                    f'sum by (method, route, status) (rate ({m.API_REQUESTS.name}_total{{status=~"[45].."}}[{p.RATE}]))',
                    "{{method}} {{route}} {{status}}",
                ),
                unit="reqps",
                empty="No problem in this time",
            )
        )
        .with_row(Row("What they say, and what they are told"))
        .with_panel(
            p.series(
                "Signals by what was done",
                "probe_now and spared move our own look; the others change nothing.",
                (
                    f"sum by (kind, effect) (rate ({m.SIGNALS.name}_total[{p.RATE}]))",
                    "{{kind}}: {{effect}}",
                ),
                unit="ops",
                stacked=True,
                empty="No signal in this time",
            )
        )
        .with_panel(
            p.series(
                "Deliveries to webhooks",
                "Attempts: sent, later (the event waits and is tried again), failed (given up).",
                (
                    f"sum by (result) (rate ({m.WEBHOOK_DELIVERIES.name}_total[{p.RATE}]))",
                    "{{result}}",
                ),
                unit="ops",
                colours={"sent": p.GREEN, "later": p.ORANGE, "failed": p.RED},
                empty="No process sends",
            )
        )
    )
