"""Every metric as a value: what stands on /metrics, and what documents, panels and rules take from here.

What there is once in the fleet is read from the database (`metrics.exposition`); what each process counts
for itself, `metrics.meters` does.
"""

from __future__ import annotations

from monitor.metrics import ahead
from monitor.metrics.metric import Metric

CONNECTION_UP = Metric(
    "token_health_connection_up",
    "gauge",
    "1 while the connection is healthy or only doubted, 0 while it is broken.",
    ("connection", "app", "provider", "client"),
)
PROBLEM = Metric(
    "token_health_connection_problem",
    "gauge",
    "1 while the connection is broken; absent otherwise.",
    ("connection", "app", "provider", "client", "cause", "owner"),
)
CONNECTIONS = Metric(
    "token_health_connections", "gauge", "Connections by state.", ("provider", "app", "state")
)
UNWATCHED = Metric(
    "token_health_connections_unwatched",
    "gauge",
    "Connections that nobody looks at because their app is not configured.",
    ("app",),
)
WEBHOOKS_GIVEN_UP = Metric(
    "token_health_webhooks_given_up",
    "gauge",
    "Webhooks that get no events any more, since they answered 410 or nothing but failures for days.",
)
ACCOUNTS_WAITING = Metric(
    "token_health_accounts_waiting",
    "gauge",
    "First authorizations that wait for a person, who decides whose account it is.",
    ("provider", "app"),
)
CAMPAIGN_CONNECTIONS = Metric(
    "token_health_campaign_connections",
    "gauge",
    "Connections of campaigns that are not over, by how far they came: to_come, invited, opened, approved, "
    "declined, wrong_account, unusable (what was approved), broke (within an hour of approving), refused "
    "(the mail), gone.",
    ("campaign", "state"),
)
CAMPAIGN_STOPPED = Metric(
    "token_health_campaign_stopped",
    "gauge",
    "1 for a campaign that stopped by itself, since a wave of it went wrong, and waits for a person.",
    ("campaign",),
)
ACCESS_EXPIRY = Metric(
    "token_health_access_token_expiry_timestamp_seconds",
    "gauge",
    "When the access token expires, in Unix time.",
    ("connection", "app", "provider"),
)
REFRESH_EXPIRY = Metric(
    "token_health_refresh_token_expiry_timestamp_seconds",
    "gauge",
    "When the refresh token runs out if it is not used, or at the latest, in Unix time.",
    ("connection", "app", "provider"),
)
LAST_SUCCESS = Metric(
    "token_health_last_success_timestamp_seconds",
    "gauge",
    "When a probe last found the connection healthy, in Unix time.",
    ("connection", "app", "provider"),
)
BROKEN_SINCE = Metric(
    "token_health_connection_broken_since_timestamp_seconds",
    "gauge",
    "Since when the connection is broken, in Unix time; absent otherwise.",
    ("connection", "app", "provider", "client", "cause", "owner", "tier"),
)
LAST_PROBE = Metric(
    "token_health_connection_probe_seconds",
    "gauge",
    "How long the connection's last probe took, with its refresh and scope checks.",
    ("connection", "app", "provider"),
)
STEP_AT = Metric(
    "token_health_connection_step_timestamp_seconds",
    "gauge",
    "When a link was last made for the connection's client (each mail has one), opened, started and "
    "completed, in Unix time; for links of the last 30 days.",
    ("connection", "app", "provider", "step"),
)
PATIENCE = Metric(
    "token_health_tier_patience_seconds",
    "gauge",
    "For how long a client of the tier may be broken before a person is told (oncall.patience and tiers).",
    ("tier",),
)
APP_INFO = Metric(
    "token_health_app_info",
    "gauge",
    "1; the labels say whose app it is.",
    ("provider", "app", "region", "team"),
)
APP_LIMIT = Metric(
    "token_health_app_requests_per_second_limit",
    "gauge",
    "Requests a second that the app may make in all, where its limit is one of the whole app.",
    ("provider", "app"),
)
INCIDENT = Metric(
    "token_health_incident_connections",
    "gauge",
    "Broken connections that belong to an open incident of a provider, region, app or our network.",
    ("kind", "name", "provider", "app", "team", "cause", "owner"),
)
GUARD_ACTIVE = Metric(
    "token_health_guard_active",
    "gauge",
    "1 while the fleet guard is up over a group: an outage, or a provider whose clients break together, so "
    "that what breaks now is held.",
    ("kind", "name", "cause"),
)
WAVE_SINCE = Metric(
    "token_health_wave_since_timestamp_seconds",
    "gauge",
    "Since when a wave of the provider's clients is held until it heals or somebody decides, in Unix time.",
    ("provider",),
)
WAVE_CLIENTS = Metric(
    "token_health_wave_clients",
    "gauge",
    "Clients of an open wave: held, asked on trial, refuted (asked, authorized again, and still broken), "
    "mended by authorizing again, healed by themselves, or gone (paused, or mended by us).",
    ("provider", "state"),
)
WAITING = Metric(
    "token_health_notifications_waiting",
    "gauge",
    "Broken connections whose client is told later than usual: the fleet guard is in doubt, or the provider "
    "was in trouble when they broke.",
    ("provider", "why"),
)
SCHEDULE_LAG = Metric(
    "token_health_schedule_lag_seconds",
    "gauge",
    "How long the most overdue probe of the fleet has been waiting.",
)
PROBE_INTERVAL = Metric(
    "token_health_probe_interval_seconds",
    "gauge",
    "The interval between two probes of a healthy connection of the app, as its limit allows.",
    ("provider", "app"),
)
INTERVAL_STRETCHED = Metric(
    "token_health_probe_interval_stretched",
    "gauge",
    "How many times longer than configured the app's interval is, because of its rate limit.",
    ("provider", "app"),
)
OPEN_INCIDENTS = Metric("token_health_incidents_open", "gauge", "Open incidents.", ("kind", "cause", "owner"))
PROCESSES = Metric("token_health_processes", "gauge", "Service processes that are alive.")
PROBES = Metric("token_health_probes", "counter", "Probes by what they found.", ("provider", "app", "cause"))
PROBE_DURATION = Metric(
    "token_health_probe_duration_seconds",
    "histogram",
    "Time of one request of a probe.",
    ("provider", "step"),
)
REFRESHES = Metric(
    "token_health_refreshes",
    "counter",
    "Refreshes by how they ended. in_doubt: the answer was lost; recovered or lost: what a doubt came to.",
    ("provider", "app", "result"),
)
REFRESH_IN_DOUBT = Metric(
    "token_health_refresh_in_doubt",
    "gauge",
    "Connections whose last refresh got no answer, at a provider that replaces refresh tokens: they go on "
    "with the access token in hand, and the old refresh token is sent once more when that has ended.",
    ("provider", "app"),
)
DETECTION = Metric(
    "token_health_detection_seconds",
    "histogram",
    "From the first sign of a break to its confirmation.",
    ("provider", "cause"),
)
RECOVERY = Metric(
    "token_health_recovery_seconds",
    "histogram",
    "From the confirmation of a break to its end.",
    ("provider", "cause"),
)
NOTIFICATIONS = Metric(
    "token_health_notifications",
    "counter",
    "Attempts to tell somebody, by how they ended.",
    ("channel", "kind", "result"),
)
WEBHOOK_DELIVERIES = Metric(
    "token_health_webhook_deliveries",
    "counter",
    "Attempts to deliver an event to a webhook, by how they ended: sent, later (tried again), or "
    "failed (given up).",
    ("result",),
)
OUTBOX_AGE = Metric(
    "token_health_outbox_oldest_age_seconds",
    "gauge",
    "How long the oldest message that should be out has been waiting, by channel: email or oncall.",
    ("channel",),
)
HELD = Metric(
    "token_health_notifications_held",
    "gauge",
    "Broken connections whose client is not told because a wave of the fleet guard holds it; cause and owner "
    "are the wave's.",
    ("kind", "name", "provider", "cause", "owner"),
)
SILENCE = Metric(
    "token_health_silence_active",
    "gauge",
    "1 while a silence holds; one that pauses is a maintenance window.",
    ("over", "provider", "app", "client", "connection", "maintenance"),
)
SMTP_UP = Metric(
    "token_health_smtp_up",
    "gauge",
    "1 while the mail server takes a connection from us, our login and our sender.",
    ("server",),
)
SMTP_DOWN_SINCE = Metric(
    "token_health_smtp_down_since_timestamp_seconds",
    "gauge",
    "Since when the mail server takes no mail from this process, in Unix time; absent otherwise.",
    ("server",),
)
DATABASE_UP = Metric("token_health_database_up", "gauge", "1 while this process reaches the database.")
EGRESS_BLOCKED = Metric(
    "token_health_egress_blocked",
    "gauge",
    "1 while a provider refuses this process alone, so that it rests there and others do its work.",
    ("provider",),
)
TAKEN_BACK = Metric(
    "token_health_database_retries",
    "counter",
    "Transactions that the database took back and that were done again: deadlock, serialization, or busy.",
    ("why",),
)
LOOP_TICK = Metric(
    "token_health_loop_tick_timestamp_seconds",
    "gauge",
    "When the loop of this process last ticked, in Unix time; 0 in a process without one.",
)
TICK_SECONDS = Metric(
    "token_health_tick_seconds",
    "histogram",
    "Time of one run of the periodic work, most of it the database's.",
    ("tick",),
)
FUSE = Metric(
    "token_health_mail_fuse_blown",
    "gauge",
    "1 while more first mails want out than email.max_per_hour, and than five times the expected: none goes.",
)
STEPS = Metric(
    "token_health_reauthorization_steps",
    "counter",
    "Steps of clients on their way back, from the mail to the approval.",
    ("provider", "step"),
)
API_REQUESTS = Metric(
    "token_health_api_requests",
    "counter",
    "Requests of programs and pages to /api/v1, by the route's pattern, and what was answered.",
    ("route", "method", "status"),
)
STEP_SECONDS = Metric(
    "token_health_reauthorization_seconds",
    "histogram",
    "From the break to the first mail (mailed), and from the link's making to each later step.",
    ("provider", "step", "cause", "locale"),
)
TOKEN_REQUESTS = Metric(
    "token_health_token_requests",
    "counter",
    "Requests of programs for access tokens, by what they got: given, shortfall, unchanged, or the code that "
    "says why not.",
    ("provider", "app", "result"),
)
TOKEN_WAIT = Metric(
    "token_health_token_wait_seconds",
    "histogram",
    "From a program's request for a token to its answer, a refresh included; without those that wait for "
    "another token.",
)
SIGNALS = Metric(
    "token_health_signals",
    "counter",
    "What programs said that they saw of connections, by what was done about it.",
    ("kind", "effect"),
)
FENCED = Metric(
    "token_health_fenced_verdicts",
    "counter",
    "Verdicts thrown away because the connection was changed or claimed by another process meanwhile.",
)
TICK_ERRORS = Metric(
    "token_health_tick_errors", "counter", "Errors of our own in the periodic work.", ("tick",)
)
IN_FLIGHT = Metric("token_health_probes_in_flight", "gauge", "Probes running in this process now.")
BUILD = Metric("token_health_build_info", "gauge", "1; the labels say what runs.", ("version", "python"))

FLEET = (
    CONNECTION_UP,
    PROBLEM,
    BROKEN_SINCE,
    LAST_PROBE,
    STEP_AT,
    CONNECTIONS,
    UNWATCHED,
    ACCOUNTS_WAITING,
    WEBHOOKS_GIVEN_UP,
    CAMPAIGN_CONNECTIONS,
    CAMPAIGN_STOPPED,
    ACCESS_EXPIRY,
    REFRESH_EXPIRY,
    LAST_SUCCESS,
    GUARD_ACTIVE,
    SCHEDULE_LAG,
    PROBE_INTERVAL,
    INTERVAL_STRETCHED,
    OPEN_INCIDENTS,
    PROCESSES,
    PATIENCE,
    APP_INFO,
    APP_LIMIT,
    INCIDENT,
    HELD,
    REFRESH_IN_DOUBT,
    WAVE_SINCE,
    WAVE_CLIENTS,
    WAITING,
    *ahead.ALL,
)
OWN = (
    PROBES,
    PROBE_DURATION,
    REFRESHES,
    DETECTION,
    RECOVERY,
    NOTIFICATIONS,
    WEBHOOK_DELIVERIES,
    OUTBOX_AGE,
    SILENCE,
    SMTP_UP,
    SMTP_DOWN_SINCE,
    FUSE,
    STEPS,
    API_REQUESTS,
    STEP_SECONDS,
    TOKEN_REQUESTS,
    TOKEN_WAIT,
    SIGNALS,
    FENCED,
    TICK_ERRORS,
    TICK_SECONDS,
    LOOP_TICK,
    DATABASE_UP,
    EGRESS_BLOCKED,
    TAKEN_BACK,
    IN_FLIGHT,
    BUILD,
)

# What there is one series of for each connection; each broken one; each step of one whose client was mailed.
EACH = (CONNECTION_UP, ACCESS_EXPIRY, REFRESH_EXPIRY, LAST_SUCCESS, LAST_PROBE)
EACH_BROKEN = (PROBLEM, BROKEN_SINCE)
EACH_MAILED = (STEP_AT,)

STEP_NAMES = (
    "mailed", "opened", "started", "completed", "declined", "wrong_account", "born_dead", "narrower",
    "expired",
)  # fmt: skip
# Upper bounds of the histograms about breaks: half a minute to ten days.
INCIDENT_SECONDS = (30, 120, 300, 900, 3600, 14400, 86400, 259200, 864000)
