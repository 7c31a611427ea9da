"""Alerts about the service itself: who watches the watchman."""

from __future__ import annotations

from alerts.rules.alert import Alert, Severity
from alerts.rules.recording import LAG, PROCESSES, with_team
from monitor.health.causes import Owner
from monitor.metrics import catalogue as m

_OPERATOR = Owner.OPERATOR.value

DOWN = Alert(
    "TokenHealthDown",
    Severity.PAGE,
    _OPERATOR,
    "Token Health is down, or Prometheus does not reach it",
    "No process answers on /metrics. Nothing is probed, no token is refreshed ahead of its expiry, nobody is "
    "told anything. Access tokens live on for hours: there is time, but not a day.",
    f"absent({m.BUILD.name})",
    wait="2m",
)
DATABASE_DOWN = Alert(
    "TokenHealthDatabaseDown",
    Severity.PAGE,
    _OPERATOR,
    "Token Health cannot reach its database",
    "Processes run and remember nothing: no probe is claimed, no token refreshed, no mail sent. They go on "
    "by themselves as soon as the database is back.",
    f"min ({m.DATABASE_UP.name}) == 0",
    wait="2m",
)
LOOP_STALLED = Alert(
    "TokenHealthLoopStalled",
    Severity.PAGE,
    _OPERATOR,
    "The probe loop stands still",
    "A process answers, but its loop has not ticked for a minute, or no process holds the fleet's duty. "
    "/readyz says why. Restarting the process loses nothing.",
    f"(time() - ({m.LOOP_TICK.name} > 0) > 60)\nor\n"
    f"(absent({m.SCHEDULE_LAG.name}) and on () (max ({m.DATABASE_UP.name}) == 1))",
    wait="1m",
)
PROBES_LAGGING = Alert(
    "TokenHealthProbesLagging",
    Severity.PAGE,
    _OPERATOR,
    "Probes are {value} late, more than two whole rounds",
    "Breaks are found later than promised and tokens are refreshed late. Too little CPU, a slow database, a "
    "provider that answers slowly, or a limit that is too tight for the fleet.",
    f"{LAG.name} > 2 * max ({m.PROBE_INTERVAL.name}) and {LAG.name} > 60",
    wait="10m",
    unit="humanizeDuration",
)
INTERVAL_STRETCHED = Alert(
    "TokenHealthIntervalStretched",
    Severity.TICKET,
    _OPERATOR,
    "{app} is probed {value} times more seldom than configured: its rate limit allows no more",
    "The app has more connections than its request budget allows at schedule.interval. Ask the provider for "
    "a higher limit, raise the interval, or split the app.",
    with_team(f"max by (provider, app) ({m.INTERVAL_STRETCHED.name}) > 1.5"),
    wait="30m",
    has_team=True,
)
APP_NOT_CONFIGURED = Alert(
    "TokenHealthAppNotConfigured",
    Severity.TICKET,
    _OPERATOR,
    "{value} connections of app {app} are not looked at: the app is not configured",
    "The database has connections of an app that is not in [[apps]] of token-health.toml. They are neither "
    "probed nor refreshed, and nobody is told about them. Add the app again, or pause or remove them.",
    f"max by (app) ({m.UNWATCHED.name}) > 0",
    wait="15m",
)
ACCOUNT_WAITS = Alert(
    "TokenHealthAccountWaits",
    Severity.TICKET,
    _OPERATOR,
    "{value} first authorizations of {app} wait for a person: whose account is it?",
    "Somebody approved with an account that another client of yours has, or your settings have every first "
    "authorization wait. It is not used until you decide: 'token-health status' names them; 'connections "
    "accept-account' takes the account, 'connections refuse-account' does not. A link can be forwarded: ask "
    "the client whom you know, not whoever approved.",
    with_team(f"max by (provider, app) ({m.ACCOUNTS_WAITING.name}) > 0"),
    by=("provider", "app", "team"),
    has_team=True,
)
WEBHOOK_GIVEN_UP = Alert(
    "TokenHealthWebhookGivenUp",
    Severity.TICKET,
    _OPERATOR,
    "{value} webhooks get no events any more",
    "A program's endpoint answered 410, or took nothing for five days. It is sent nothing until somebody "
    "says so: mend it at its side, 'token-health webhooks enable' it, and 'webhooks replay' what it missed "
    "in the last 30 days.",
    f"max ({m.WEBHOOKS_GIVEN_UP.name}) > 0",
)
CAMPAIGN_STOPPED = Alert(
    "TokenHealthCampaignStopped",
    Severity.TICKET,
    _OPERATOR,
    "{value} campaigns stopped by themselves: a wave went wrong",
    "At least three clients of a wave, and more than a fifth of those written to, declined, approved with "
    "another account or what could not be used, broke within an hour of approving, or did not take the "
    "mail. No further client is invited or reminded until a person says so: 'token-health campaign show' "
    "says what went wrong, 'campaign resume' goes on, 'campaign stop' ends it. All others go on working.",
    f"sum ({m.CAMPAIGN_STOPPED.name}) > 0",
)
OUTBOX_STUCK = Alert(
    "TokenHealthOutboxStuck",
    Severity.PAGE,
    _OPERATOR,
    "The outbox ({channel}) is stuck: its oldest message has been waiting for {value}",
    "Messages that should be out are not. Nothing is lost and nothing is sent twice; they go out when the "
    "way is free again. 'token-health notices list' shows the answers of the other side.",
    f"max by (channel) ({m.OUTBOX_AGE.name}) > 900",
    wait="5m",
    unit="humanizeDuration",
    by=("channel",),
)
MAILS_REFUSED = Alert(
    "TokenHealthMailsRefused",
    Severity.TICKET,
    _OPERATOR,
    "{value} mails were refused within the hour",
    "An address does not exist any more, the mail server does not take what we wrote, or a template of yours "
    "cannot be filled: 'token-health notices list' says which. A client that is not reached does not "
    "authorize again: find another contact, or correct the template and 'token-health notices retry'.",
    f'round(sum (increase({m.NOTIFICATIONS.name}_total{{channel="email", result=~"failed|refused"}}[1h])))'
    " > 0",
)
SMTP_DOWN = Alert(
    "TokenHealthSmtpDown",
    Severity.PAGE,
    _OPERATOR,
    "The mail server {server} takes no connection from Token Health",
    "No client can be asked to authorize again. Mails wait in the outbox, none of them loses an attempt. "
    "'token-health email test ADDRESS' shows what the server says.",
    f"max by (server) ({m.SMTP_UP.name}) == 0",
    wait="5m",
)
ONCALL_FAILING = Alert(
    "TokenHealthOncallFailing",
    Severity.TICKET,
    _OPERATOR,
    "The on-call channel {channel} takes no message from Token Health",
    "Whoever is told over this channel is told nothing now. 'token-health oncall test' sends a message "
    "over each channel and shows the answers.",
    f'(sum by (channel) (increase({m.NOTIFICATIONS.name}_total{{channel!="email", '
    'result=~"later|failed"}[10m])) > 0)\n'
    "unless on (channel)\n"
    f'(sum by (channel) (increase({m.NOTIFICATIONS.name}_total{{channel!="email", '
    'result="sent"}[10m])) > 0)',
    wait="5m",
)
OWN_ERRORS = Alert(
    "TokenHealthOwnErrors",
    Severity.TICKET,
    _OPERATOR,
    "Token Health fails in its own work: {tick}, {value} times in a quarter of an hour",
    "An error of ours, or of the database, in the periodic work named. The log has it under 'tick.failed'.",
    f"round(sum by (tick) (increase({m.TICK_ERRORS.name}_total[15m]))) > 3",
    wait="5m",
)
REPLICA_MISSING = Alert(
    "TokenHealthReplicaMissing",
    Severity.TICKET,
    _OPERATOR,
    "A Token Health process is missing: {value} alive",
    "Fewer processes beat than for most of the last hour. The others do its work; look at why it is gone.",
    f"{PROCESSES.name} < quantile_over_time(0.8, {PROCESSES.name}[1h])",
    wait="5m",
)
SCRAPE_SLOW = Alert(
    "TokenHealthScrapeSlow",
    Severity.TICKET,
    _OPERATOR,
    "Scraping {instance} takes {value}; Prometheus gives up after ten seconds by default",
    "The fleet's gauges are many. Set metrics.connections = \"broken\", or raise the scrape's time-out.",
    f"max by (job, instance) (scrape_duration_seconds and on (job, instance) {m.BUILD.name}) > 5",
    wait="10m",
    unit="humanizeDuration",
)
# Not told to anybody: it silences in Alertmanager what is silenced here.
SILENCED = Alert(
    "TokenHealthSilenced",
    Severity.NONE,
    _OPERATOR,
    "",
    "",
    f"max by (over, provider, app, client, connection) ({m.SILENCE.name}) == 1",
    keep="1m",
)

ALL = (
    DOWN, DATABASE_DOWN, LOOP_STALLED, PROBES_LAGGING, INTERVAL_STRETCHED, APP_NOT_CONFIGURED, ACCOUNT_WAITS,
    WEBHOOK_GIVEN_UP, CAMPAIGN_STOPPED, OUTBOX_STUCK,
    MAILS_REFUSED, SMTP_DOWN, ONCALL_FAILING, OWN_ERRORS, REPLICA_MISSING, SCRAPE_SLOW,
)  # fmt: skip
