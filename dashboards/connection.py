"""One connection's life."""

from __future__ import annotations

from typing import Any

from grafana_foundation_sdk.builders.dashboard import Row

from dashboards import panels as p
from monitor.metrics import catalogue as m

THIS = 'connection="$connection"'
STEPS = ("link", "opened", "started", "completed")


def build() -> Any:
    """Return the dashboard."""
    return (
        p.frame(
            "token-health-connection", "Connection", "What became of one connection, and what is known of it."
        )
        .with_variable(
            p.variable(
                "connection",
                "Connection",
                f'{{__name__=~"{m.CONNECTION_UP.name}|{m.PROBLEM.name}"}}',
                many=False,
            )
        )
        .with_panel(
            p.words(
                "",
                "Everything that is known, with the evidence and what comes next: "
                "`token-health explain $connection`   ·   look now: `token-health probe $connection`   ·   "
                "a link to hand over: `token-health reauthorize $connection`",
                height=2,
            )
        )
        .with_row(Row("Now"))
        .with_panel(
            p.number(
                "State",
                f"max (last_over_time ({m.CONNECTION_UP.name}{{{THIS}}}[2m]))",
                "Healthy also while it is only doubted.",
                names={"1": ("works", p.GREEN), "0": ("broken", p.RED)},
                empty="not watched: paused or pending",
            )
        )
        .with_panel(
            p.number(
                "Cause",
                f"max by (cause, owner) ({m.PROBLEM.name}{{{THIS}}})",
                "What is wrong, and who has to act.",
                names={"1": (" ", p.ORANGE)},
                legend="{{cause}}: {{owner}} acts",
                empty="nothing is wrong",
            )
        )
        .with_panel(
            p.number(
                "Broken for",
                f"time () - max ({m.BROKEN_SINCE.name}{{{THIS}}})",
                "Since the confirmation.",
                unit="s",
                decimals=0,
                steps=p.thresholds((None, p.ORANGE)),
                empty="not broken",
            )
        )
        .with_panel(
            p.number(
                "Last success",
                f"time () - max ({m.LAST_SUCCESS.name}{{{THIS}}})",
                "How long ago a probe last found it healthy.",
                unit="s",
                decimals=0,
                steps=p.thresholds((None, p.GREEN), (900, p.ORANGE), (86400, p.RED)),
                empty="never",
            )
        )
        .with_panel(
            p.number(
                "Access token",
                f"max ({m.ACCESS_EXPIRY.name}{{{THIS}}}) - time ()",
                "Until it expires; it is refreshed ahead of that.",
                unit="s",
                decimals=0,
                steps=p.thresholds((None, p.RED), (0, p.ORANGE), (600, p.GREEN)),
                empty="unknown",
            )
        )
        .with_panel(
            p.number(
                "Refresh token",
                f"max ({m.REFRESH_EXPIRY.name}{{{THIS}}}) - time ()",
                "Until it runs out if it is not used, or at the latest.",
                unit="s",
                decimals=0,
                steps=p.thresholds((None, p.RED), (0, p.ORANGE), (7 * 86400, p.GREEN)),
                empty="does not run out",
            )
        )
        .with_row(Row("Over time"))
        .with_panel(
            p.timeline(
                "State",
                "Works or broken, and for which cause.",
                (f"max ({m.CONNECTION_UP.name}{{{THIS}}})", "works"),
                (f"2 * max by (cause) ({m.PROBLEM.name}{{{THIS}}})", "{{cause}}"),
                names={"0": ("broken", p.RED), "1": ("works", p.GREEN), "2": ("cause", p.ORANGE)},
            )
        )
        .with_panel(
            p.series(
                "How long its probes take",
                "With refresh and scope checks, beside the provider's 95th percentile of one request.",
                (f"max ({m.LAST_PROBE.name}{{{THIS}}})", "this connection"),
                (
                    "histogram_quantile (0.95, sum by (le, provider) (rate "
                    f"({m.PROBE_DURATION.name}_bucket[{p.RATE}]) * on (provider) group_left () "
                    f"max by (provider) ({m.CONNECTION_UP.name}{{{THIS}}} >= 0) ^ 0))",
                    "95 % of {{provider}}'s requests",
                ),
                unit="s",
            )
        )
        .with_panel(
            p.series(
                "How long its tokens live on",
                "The access token's saw teeth are its refreshes.",
                (f"max ({m.ACCESS_EXPIRY.name}{{{THIS}}}) - time ()", "access token"),
                (f"max ({m.REFRESH_EXPIRY.name}{{{THIS}}}) - time ()", "refresh token"),
                unit="s",
                minimum=None,
            )
        )
        .with_row(Row("Its client on the way back"))
        .with_panel(
            p.bars(
                "Mails and link",
                "How long ago a link was last made (each mail has one), opened, started and completed. "
                "What was said to whom is in 'token-health explain'.",
                *(
                    (
                        f'time () - max ({m.STEP_AT.name}{{{THIS}, step="{step}"}})',
                        {"link": "mailed"}.get(step, step) + " … ago",
                    )
                    for step in STEPS
                ),
                unit="s",
                width=24,
                height=6,
                empty="not yet",
            )
        )
    )
