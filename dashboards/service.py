"""The service itself: is it in time, what does it cost, does it get its messages out."""

from __future__ import annotations

from typing import Any

from grafana_foundation_sdk.builders.dashboard import Row

from alerts.rules import recording as r
from dashboards import panels as p
from monitor.metrics import ahead
from monitor.metrics import catalogue as m

OURS = f"and on (job, instance) {m.BUILD.name}"


def build() -> Any:
    """Return the dashboard."""
    return (
        p.frame("token-health-service", "Service", "Whether Token Health itself is well, and what it costs.")
        .with_variable(p.variable("app", "App", m.CONNECTIONS.name))
        .with_row(Row("Well?"))
        .with_panel(
            p.number(
                "Processes",
                r.PROCESSES.name,
                "Those that beat.",
                steps=p.thresholds((None, p.RED), (1, p.GREEN)),
                empty="down",
                width=3,
            )
        )
        .with_panel(
            p.number(
                "Database",
                f"min ({m.DATABASE_UP.name})",
                "As each process sees it.",
                width=3,
                names={"1": ("reached", p.GREEN), "0": ("gone", p.RED)},
                empty="unknown",
            )
        )
        .with_panel(
            p.number(
                "Mail server",
                f"min ({m.SMTP_UP.name})",
                "Tried each minute.",
                width=3,
                names={"1": ("there", p.GREEN), "0": ("gone", p.RED)},
                empty="not set up",
            )
        )
        .with_panel(
            p.number(
                "Probes late by",
                r.LAG.name,
                "The most overdue probe of the fleet.",
                unit="s",
                width=3,
                decimals=0,
                steps=p.thresholds((None, p.GREEN), (60, p.ORANGE), (600, p.RED)),
                empty="nobody leads",
            )
        )
        .with_panel(
            p.number(
                "Oldest message",
                f"max ({m.OUTBOX_AGE.name})",
                "That should be out and is not.",
                unit="s",
                width=3,
                decimals=0,
                steps=p.thresholds((None, p.GREEN), (300, p.ORANGE), (900, p.RED)),
                empty="none",
            )
        )
        .with_panel(
            p.number(
                "Mail fuse",
                f"max ({m.FUSE.name})",
                "Blown: more first mails want out than the cap allows.",
                width=3,
                names={"0": ("whole", p.GREEN), "1": ("blown", p.RED)},
                empty="no mails",
            )
        )
        .with_panel(
            p.number(
                "Own errors",
                f"sum (increase ({m.TICK_ERRORS.name}_total[1h])) or vector (0)",
                "In the last hour, in the periodic work.",
                width=3,
                decimals=0,
                steps=p.BAD_ABOVE_0,
            )
        )
        .with_panel(
            p.number(
                "Loop ticked",
                f"time () - min ({m.LOOP_TICK.name} > 0)",
                "The longest ago of all processes.",
                unit="s",
                width=3,
                decimals=0,
                steps=p.thresholds((None, p.GREEN), (30, p.ORANGE), (60, p.RED)),
                empty="no loop",
            )
        )
        .with_row(Row("Probing"))
        .with_panel(
            p.series(
                "Probes a second by what they found",
                "All processes together.",
                (f'sum by (cause) (rate ({m.PROBES.name}_total{{app=~"$app"}}[{p.RATE}]))', "{{cause}}"),
                unit="ops",
                stacked=True,
                colours=p.CAUSES,
                width=8,
            )
        )
        .with_panel(
            p.series(
                "One request, 95th percentile",
                "By step. The points are exemplars: slow requests, each with its connection.",
                (
                    f"histogram_quantile (0.95, sum by (le, provider, step) (rate ({m.PROBE_DURATION.name}_bucket[{p.RATE}])))",
                    "{{provider}} {{step}}",
                ),
                unit="s",
                width=8,
                link=(
                    (
                        "Open this connection",
                        "/d/token-health-connection?var-connection=${__data.fields.connection}",
                    ),
                ),
            )
        )
        .with_panel(
            p.series(
                "CPU seconds for a thousand probes",
                "What probing costs, all in.",
                (
                    f"1000 * sum (rate (process_cpu_seconds_total[{p.RATE}]) {OURS}) / "
                    f"sum (rate ({m.PROBES.name}_total[{p.RATE}]))",
                    "cost",
                ),
                unit="s",
                width=8,
            )
        )
        .with_panel(
            p.series(
                "Refreshes by result",
                "Tokens renewed ahead of their end.",
                (
                    f'sum by (provider, result) (rate ({m.REFRESHES.name}_total{{app=~"$app"}}[{p.RATE}]))',
                    "{{provider}} {{result}}",
                ),
                unit="ops",
                width=8,
            )
        )
        .with_panel(
            p.series(
                "Refreshes in doubt",
                "Their answers were lost. They work with the access token in hand; the old refresh token is "
                "sent once more when that has ended.",
                (
                    f'max by (provider, app) ({m.REFRESH_IN_DOUBT.name}{{app=~"$app"}})',
                    "{{provider}} {{app}}",
                ),
                width=8,
            )
        )
        .with_panel(
            p.series(
                "Late by, and in flight",
                "The most overdue probe, and probes running now.",
                (r.LAG.name, "late by (s)"),
                (f"sum ({m.IN_FLIGHT.name})", "in flight"),
                width=8,
            )
        )
        .with_panel(
            p.series(
                "Verdicts thrown away",
                "Because the connection was changed or claimed by another process meanwhile.",
                (f"sum (rate ({m.FENCED.name}_total[{p.RATE}]))", "fenced"),
                unit="ops",
                width=8,
            )
        )
        .with_row(Row("Budgets"))
        .with_panel(
            p.series(
                "Interval against the configured one",
                "More than 1: the app's rate limit allows no more.",
                (f'max by (provider, app) ({m.INTERVAL_STRETCHED.name}{{app=~"$app"}})', "{{app}}"),
                minimum=1,
                steps=p.thresholds((None, p.GREEN), (1.5, p.ORANGE)),
            )
        )
        .with_panel(
            p.series(
                "Metered reads",
                "What probing takes in 30 days of the reads that the provider meters; more than 1 is too much.",
                (
                    f'max by (app) ({ahead.READS.name}{{app=~"$app"}}) '
                    f"/ on (app) max by (app) ({ahead.READS_LIMIT.name})",
                    "{{app}}",
                ),
                unit="percentunit",
                steps=p.thresholds((None, p.GREEN), (1, p.ORANGE)),
                empty="No provider of yours meters reads",
            )
        )
        .with_panel(
            p.series(
                "Requests a second and what the app may",
                "Only apps whose limit is one of the whole app.",
                (
                    f'sum by (app) (rate ({m.PROBES.name}_total{{app=~"$app"}}[{p.RATE}])) and on (app) {m.APP_LIMIT.name}',
                    "{{app}} used",
                ),
                (f'max by (app) ({m.APP_LIMIT.name}{{app=~"$app"}})', "{{app}} may"),
                unit="reqps",
                empty="No app has such a limit",
            )
        )
        .with_row(Row("Telling"))
        .with_panel(
            p.series(
                "Oldest message",
                "That should be out, by channel.",
                (f"max by (channel) ({m.OUTBOX_AGE.name})", "{{channel}}"),
                unit="s",
                width=8,
                steps=p.thresholds((None, p.GREEN), (900, p.RED)),
            )
        )
        .with_panel(
            p.series(
                "Messages by channel and result",
                "Mails to clients, and what on-call was told without Prometheus.",
                (
                    f"sum by (channel, result) (increase ({m.NOTIFICATIONS.name}_total[{p.RATE}]))",
                    "{{channel}} {{result}}",
                ),
                width=8,
            )
        )
        .with_panel(
            p.timeline(
                "Mail server and fuse",
                "Tried each minute; the fuse is the last thing before a client.",
                (f"min by (server) ({m.SMTP_UP.name})", "{{server}}"),
                (f"2 + max ({m.FUSE.name})", "fuse"),
                names={
                    "0": ("gone", p.RED),
                    "1": ("there", p.GREEN),
                    "2": ("whole", p.GREEN),
                    "3": ("blown", p.RED),
                },
                width=8,
                height=8,
            )
        )
        .with_row(Row("Database and processes"))
        .with_panel(
            p.series(
                "Periodic work, 95th percentile",
                "Claiming, settling, planning, sending: most of it is the database's time.",
                (
                    f"histogram_quantile (0.95, sum by (le, tick) (rate ({m.TICK_SECONDS.name}_bucket[{p.RATE}])))",
                    "{{tick}}",
                ),
                unit="s",
                width=8,
            )
        )
        .with_panel(
            p.series(
                "Memory",
                "Resident, by process.",
                (f"process_resident_memory_bytes {OURS}", "{{instance}}"),
                unit="bytes",
                width=8,
            )
        )
        .with_panel(
            p.series(
                "CPU",
                "By process; 1 is a whole core.",
                (f"rate (process_cpu_seconds_total[{p.RATE}]) {OURS}", "{{instance}}"),
                unit="percentunit",
                width=8,
            )
        )
        .with_panel(
            p.series(
                "Open files",
                "By process, and how many it may have.",
                (f"process_open_fds {OURS}", "{{instance}}"),
                width=8,
                height=6,
            )
        )
        .with_panel(
            p.series(
                "A scrape",
                "How long it takes, and how many samples it brings.",
                (f"scrape_duration_seconds {OURS}", "{{instance}} seconds"),
                (f"scrape_samples_scraped {OURS}", "{{instance}} samples"),
                width=8,
                height=6,
            )
        )
        .with_panel(
            p.grid(
                "What runs",
                "Version and Python of each process.",
                f"max by (instance, version, python) ({m.BUILD.name})",
                {"instance": "Process", "version": "Version", "python": "Python"},
                width=8,
                height=6,
                empty="down",
            )
        )
    )
