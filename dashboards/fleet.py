"""How the fleet is, and why: the first look."""

from __future__ import annotations

from typing import Any

from grafana_foundation_sdk.builders.dashboard import Row

from alerts.rules import recording as r
from dashboards import panels as p
from monitor.metrics import ahead
from monitor.metrics import catalogue as m
from monitor.metrics.metric import Metric

IN = 'provider=~"$provider", app=~"$app"'
WATCHED = f'sum ({r.CONNECTIONS.name}{{{IN}, state=~"healthy|suspect|broken"}})'
REFRESH = f"max by (connection, provider, app) ({m.REFRESH_EXPIRY.name}{{{IN}}}) - time ()"
PROBLEM = f"max by (connection, client, provider, app, cause, owner) ({m.PROBLEM.name}{{{IN}}})"
WHO = {"connection": "Connection", "client": "Client", "cause": "Cause", "owner": "Who acts"}


def build() -> Any:
    """Return the dashboard."""
    return (
        p.frame(
            "token-health-fleet", "Fleet", "How the connections are now, what is broken and who mends it."
        )
        .with_variable(p.variable("provider", "Provider", m.CONNECTIONS.name))
        .with_variable(p.variable("app", "App", m.CONNECTIONS.name, of='{provider=~"$provider"}'))
        .with_row(Row("Now"))
        .with_panel(
            p.number(
                "Healthy",
                f'sum ({r.CONNECTIONS.name}{{{IN}, state=~"healthy|suspect"}}) / {WATCHED}',
                "Share of the watched connections that work. Paused and pending ones do not count.",
                unit="percentunit",
                decimals=1,
                steps=p.thresholds((None, p.RED), (0.9, p.ORANGE), (0.98, p.GREEN)),
                empty="no connections",
            )
        )
        .with_panel(
            p.number(
                "Broken",
                f'sum ({r.CONNECTIONS.name}{{{IN}, state="broken"}}) or vector (0)',
                "Confirmed: the service has looked more than once.",
                steps=p.WARN_ABOVE_0,
            )
        )
        .with_panel(
            p.number(
                "Wait for their client",
                f'count (max by (connection) ({m.PROBLEM.name}{{{IN}, owner="client"}})) or vector (0)',
                "Only the client can mend these; it has been mailed, or is about to be.",
                steps=p.WARN_ABOVE_0,
            )
        )
        .with_panel(
            p.number(
                "Ours to mend",
                f'count (max by (connection) ({m.PROBLEM.name}{{{IN}, owner="operator"}})) or vector (0)',
                "An engineer has to act: our app, our network, or an answer that no rule knows.",
                steps=p.BAD_ABOVE_0,
            )
        )
        .with_panel(
            p.number(
                "Mails held by the guard",
                f'sum (max by (kind, name, provider) ({m.HELD.name}{{provider=~"$provider"}})) or vector (0)',
                "So many broke together that no client is asked until a person has decided.",
                steps=p.BAD_ABOVE_0,
            )
        )
        .with_panel(
            p.number(
                "Silences",
                f"count (max by (over, provider, app, client, connection) ({m.SILENCE.name})) or vector (0)",
                "Silences and maintenance windows that hold now: 'token-health silence list'.",
                steps=p.thresholds((None, p.GREY), (1, p.BLUE)),
            )
        )
        .with_row(Row("Why"))
        .with_panel(
            p.series(
                "Broken by cause",
                "What is wrong with the broken connections.",
                (f"count by (cause) ({PROBLEM})", "{{cause}}"),
                stacked=True,
                colours=p.CAUSES,
                empty="Nothing is broken",
            )
        )
        .with_panel(
            p.series(
                "Broken by who has to act",
                "The client, we, or the provider.",
                (f"count by (owner) ({PROBLEM})", "{{owner}}"),
                stacked=True,
                colours=p.OWNERS,
                empty="Nothing is broken",
            )
        )
        .with_panel(
            p.grid(
                "Firing alerts",
                "What on-call has been told. A click opens the runbook.",
                "max by (alertname, severity, owner, team, provider, app, connection) "
                '(ALERTS{alertname=~"TokenHealth.+", alertname!="TokenHealthSilenced", alertstate="firing"})',
                {
                    "alertname": "Alert",
                    "severity": "Severity",
                    "provider": "Provider",
                    "app": "App",
                    "connection": "Connection",
                    "owner": "Who acts",
                    "team": "Team",
                },
                empty="No alert fires",
                link=(p.TO_RUNBOOK,),
            )
        )
        .with_panel(
            p.grid(
                "Incidents of a provider, region, app, or our network",
                "Many connections with one cause are one incident.",
                f'max by (kind, name, cause, owner, team) ({r.INCIDENTS.name}{{provider=~"$provider|"}})',
                {"kind": "Of a", "name": "Name", "cause": "Cause", "owner": "Who acts", "team": "Team"},
                value="Connections",
                empty="None open",
            )
        )
        .with_row(Row("Who"))
        .with_panel(
            p.grid(
                "Broken the longest",
                "Since the break was confirmed. A click opens the connection; 'token-health explain ID' tells all.",
                "sort_desc (time () - max by (connection, client, provider, app, cause, owner, tier) "
                f"({m.BROKEN_SINCE.name}{{{IN}}}))",
                WHO | {"tier": "Tier"},
                unit="s",
                value="Broken for",
                width=16,
                height=9,
                empty="Nothing is broken",
                link=(p.TO_CONNECTION,),
            )
        )
        .with_panel(
            p.series(
                "The fleet guard",
                "Over which group it is up, how many connections' mails it holds, and how it goes with the "
                "clients of the wave: whether they heal, and what those asked on trial show.",
                (
                    f"max by (kind, name, cause) ({m.GUARD_ACTIVE.name})",
                    "guard over {{kind}} {{name}}: {{cause}}",
                ),
                (f"max by (kind, name) ({m.HELD.name})", "mails held: {{name}}"),
                (f"max by (provider, state) ({m.WAVE_CLIENTS.name})", "{{provider}}: clients {{state}}"),
                width=8,
                height=9,
                empty="The guard is down",
            )
        )
        .with_row(Row("Ahead"))
        .with_panel(
            p.bars(
                "Refresh tokens that run out",
                "Counted from now, if nobody uses or renews them. Idle ones are used before their deadline by "
                "the service itself; an absolute end is announced to the client.",
                *(
                    (
                        f"count ({REFRESH} < {days} * 86400) or vector (0)",
                        f"within {days} day{'s' * (days > 1)}",
                    )
                    for days in (1, 7, 30, 90)
                ),
                steps=p.thresholds((None, p.GREEN), (1, p.ORANGE)),
                width=8,
                height=7,
            )
        )
        .with_panel(
            p.series(
                "Access tokens past their end",
                "The service refreshes ahead of time; what stands here could not be refreshed.",
                (
                    "count by (provider, app) (max by (connection, provider, app) "
                    f"({m.ACCESS_EXPIRY.name}{{{IN}}}) < time ()) or 0 * max by (provider, app) "
                    f"({m.APP_INFO.name}{{{IN}}})",
                    "{{app}}",
                ),
                width=8,
                height=7,
            )
        )
        .with_panel(
            p.series(
                "Time to detect and to recover, 90th percentile",
                "From the first sign to the confirmation; from the confirmation to the end.",
                (_p90(m.DETECTION), "detect"),
                (_p90(m.RECOVERY), "recover"),
                unit="s",
                width=8,
                height=7,
            )
        )
        .with_panel(
            p.grid(
                "What ends next",
                "Of each kind the next end that somebody has to act on: 'token-health calendar' has them all.",
                f'max by (kind, provider, app) ({ahead.NEXT_END.name}{{provider=~"$provider|"}}) - time ()',
                {"kind": "What", "provider": "Provider", "app": "App"},
                unit="s",
                value="In",
                descending=False,
                empty="Nothing within 90 days",
            )
        )
        .with_panel(
            p.grid(
                "Doors",
                "Apps that the provider refuses at the authorize or token endpoint: nobody can connect.",
                f"min by (provider, app, door) ({ahead.DOOR_UP.name}{{{IN}}}) == 0",
                {"provider": "Provider", "app": "App", "door": "Door"},
                empty="None is refused, as far as was asked",
            )
        )
        .with_row(Row("Changed in the last hour"))
        .with_panel(
            p.grid(
                "Broke",
                "Broken now, and not an hour ago.",
                f"{PROBLEM} unless {PROBLEM.replace('}', '} offset 1h', 1)}",
                WHO,
                empty="Nothing broke",
                link=(p.TO_CONNECTION,),
            )
        )
        .with_panel(
            p.grid(
                "Healed",
                "Broken within the hour, and not now.",
                f"{PROBLEM.replace(m.PROBLEM.name, 'max_over_time (' + m.PROBLEM.name).replace('}', '}[1h])', 1)}"
                f" unless on (connection) {PROBLEM}",
                WHO,
                empty="Nothing healed",
                link=(p.TO_CONNECTION,),
            )
        )
        .with_panel(
            p.series(
                "Connections by state",
                "All of them.",
                (f"sum by (state) ({r.CONNECTIONS.name}{{{IN}}})", "{{state}}"),
                stacked=True,
                width=24,
                height=6,
                colours={
                    "healthy": "semi-dark-green",
                    "suspect": "semi-dark-yellow",
                    "broken": "semi-dark-red",
                    "paused": "text",
                    "pending": "light-blue",
                },
            )
        )
    )


def _p90(metric: Metric) -> str:
    return (
        f'histogram_quantile (0.9, sum by (le) (rate ({metric.name}_bucket{{provider=~"$provider"}}'
        f"[{p.RATE}])))"
    )
