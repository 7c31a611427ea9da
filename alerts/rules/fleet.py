"""Alerts about connections: what the service found out and confirmed, and who has to act."""

from __future__ import annotations

from datetime import timedelta

from alerts.rules.alert import Alert, Severity
from alerts.rules.recording import CONNECTIONS, INCIDENTS, PROBLEMS, with_team
from monitor.health.causes import Cause, Owner
from monitor.metrics import catalogue as m

PROVIDER_OUTAGE = Alert(
    "TokenHealthProviderOutage",
    Severity.of(Cause.PROVIDER_OUTAGE),
    Owner.PROVIDER.value,
    "{provider} is down: {value} connections broken",
    "{provider} does not answer, or answers with errors of its own, and this was confirmed. Clients are not "
    "mailed. Nothing of ours is to be mended: watch the provider's status page, tell the teams that rely on "
    "it. Connections recover by themselves.",
    f'sum by (provider) ({INCIDENTS.name}{{cause="{Cause.PROVIDER_OUTAGE.value}"}}) > 0',
    keep="5m",
    labels={"cause": Cause.PROVIDER_OUTAGE.value},
    by=("provider",),
)
APP_MISCONFIGURED = Alert(
    "TokenHealthAppMisconfigured",
    Severity.of(Cause.APP_MISCONFIGURED),
    Owner.OPERATOR.value,
    "{provider} refuses our app {app}: {value} connections broken or about to break",
    "The provider refuses the app itself: its id, secret, redirect or registration, or the registration "
    "lacks a scope that connections need. No client can mend this. Compare the app's registration with "
    "[[apps]] in token-health.toml.",
    f'sum by (provider, app, team) ({INCIDENTS.name}{{cause="{Cause.APP_MISCONFIGURED.value}"}}) > 0\nor\n'
    + with_team(
        f'count by (provider, app) ({PROBLEMS.name}{{cause="{Cause.INSUFFICIENT_SCOPE.value}", '
        f'owner="{Owner.OPERATOR.value}"}})'
    ),
    keep="5m",
    labels={"cause": Cause.APP_MISCONFIGURED.value},
    by=("provider", "app", "team"),
    has_team=True,
)
NETWORK_LOST = Alert(
    "TokenHealthNetworkLost",
    Severity.of(Cause.NETWORK),
    Owner.OPERATOR.value,
    "Token Health reaches no provider: our own network or DNS, {value} connections unseen",
    "From where the service runs, providers cannot be reached at all. This is ours: egress, proxy, firewall "
    "or name resolution. Until it is mended no break is detected and no token is refreshed.",
    f'sum ({INCIDENTS.name}{{cause="{Cause.NETWORK.value}"}}) > 0',
    keep="5m",
    labels={"cause": Cause.NETWORK.value},
)
EGRESS_BLOCKED = Alert(
    "TokenHealthEgressBlocked",
    Severity.of(Cause.EGRESS_BLOCKED),
    Owner.OPERATOR.value,
    "{provider} refuses the address that we come from, or one replica of ours",
    "The provider refuses the address that a replica of ours comes from, or all of them. This is ours: no "
    "client can mend it, and none is mailed. Have the address allowed at the provider, or stop the replica. "
    "A replica that alone is refused rests at this provider by itself, and tries again now and then.",
    f'sum by (provider) ({INCIDENTS.name}{{cause="{Cause.EGRESS_BLOCKED.value}"}}) > 0\nor\n'
    f"max by (provider) ({m.EGRESS_BLOCKED.name}) > 0",
    keep="5m",
    labels={"cause": Cause.EGRESS_BLOCKED.value},
    by=("provider",),
)
UNEXPECTED_ANSWERS = Alert(
    "TokenHealthUnexpectedAnswers",
    Severity.of(Cause.UNEXPECTED),
    Owner.OPERATOR.value,
    "{provider} answers in a way that no rule knows: {value} connections",
    "A firewall's page, a proxy's refusal or a changed API. Clients are not mailed, because nobody knows "
    "yet what is wrong. The sample is in 'token-health explain ID'.",
    f'sum by (provider) ({INCIDENTS.name}{{cause="{Cause.UNEXPECTED.value}"}}) > 0',
    wait="2m",
    keep="5m",
    labels={"cause": Cause.UNEXPECTED.value},
    by=("provider",),
)
RATE_LIMITED = Alert(
    "TokenHealthRateLimited",
    Severity.of(Cause.RATE_LIMITED),
    Owner.OPERATOR.value,
    "{provider} has been slowing {app} down for long: {value} connections are not seen",
    "The provider answers 429 and goes on doing so, although the service obeys Retry-After. Somebody else "
    "uses up the app's limit, or the limit in token-health.toml is too high.",
    f'sum by (provider, app, team) ({INCIDENTS.name}{{cause="{Cause.RATE_LIMITED.value}"}}) > 0',
    wait="15m",
    keep="5m",
    labels={"cause": Cause.RATE_LIMITED.value},
    by=("provider", "app", "team"),
    has_team=True,
)
REFRESH_LOST = Alert(
    "TokenHealthRefreshLost",
    Severity.of(Cause.REFRESH_LOST),
    Owner.OPERATOR.value,
    "{value} connections of {app} may have lost their refresh token on our side",
    "The answer to a refresh was lost, this provider's refresh tokens rotate, and nothing is left to try: "
    "the old token was sent once more when the access token had ended, and was refused. The clients are "
    "asked to authorize again; find out why answers get lost before it happens to more of them.",
    with_team(f'count by (provider, app) ({PROBLEMS.name}{{cause="{Cause.REFRESH_LOST.value}"}})'),
    keep="5m",
    labels={"cause": Cause.REFRESH_LOST.value},
    by=("provider", "app", "team"),
    has_team=True,
)
GUARD_HOLDING = Alert(
    "TokenHealthGuardHolding",
    Severity.PAGE,
    Owner.OPERATOR.value,
    "{value} connections of {provider} broke together; the mails to their clients are held",
    "More clients broke together than chance brings about: it is hardly each one's own doing. Decide: "
    "'token-health notices list' shows since when, what they share and what comes next by itself; 'notices "
    "release' (with --first 3: a few first) or 'notices drop', each with --guard, decides. Who recovers is "
    "not mailed.",
    f'sum by (provider) (max by (kind, name, provider) ({m.HELD.name}{{owner="{Owner.CLIENT.value}"}})) > 0',
    wait="2m",
    keep="5m",
    again=timedelta(days=1),
    by=("provider",),
)
FUSE_BLOWN = Alert(
    "TokenHealthMailFuseBlown",
    Severity.PAGE,
    Owner.OPERATOR.value,
    "More first mails want out than email.max_per_hour allows; none goes",
    "The last fuse before clients: more than email.max_per_hour, and than five times what this fleet is "
    "expected to bring. Look at 'token-health status' and 'token-health notices list': if the breaks are "
    "real, 'token-health notices release --fuse' lets mails out for an hour.",
    f"max ({m.FUSE.name}) == 1",
    wait="1m",
)
MASS_EXPIRY = Alert(
    "TokenHealthMassExpiryAhead",
    Severity.TICKET,
    Owner.OPERATOR.value,
    "{value} refresh tokens of {app} run out within a week",
    "Clients are told ahead of time, one by one; that many at once are worth a word from a person, or a "
    "change of what the app asks for.",
    with_team(
        "count by (provider, app) (max by (connection, provider, app) "
        f"({m.REFRESH_EXPIRY.name}) - time() < 7 * 86400) >= 5\n"
        "and on (provider, app)\n"
        "count by (provider, app) (max by (connection, provider, app) "
        f"({m.REFRESH_EXPIRY.name}) - time() < 7 * 86400)\n"
        f"  > 0.05 * sum by (provider, app) ({CONNECTIONS.name})"
    ),
    wait="1h",
    has_team=True,
)
FUNNEL_STUCK = Alert(
    "TokenHealthFunnelStuck",
    Severity.TICKET,
    Owner.OPERATOR.value,
    "{value} clients of {provider} were mailed within three days, and none has completed",
    "Either mails do not arrive or the way back does not work: the redirect URI, the consent page, our "
    "public address. Walk it yourself with 'token-health reauthorize ID'.",
    f'(sum by (provider) (increase({m.STEPS.name}_total{{step="mailed"}}[3d])) >= 5)\n'
    "unless on (provider)\n"
    f'(sum by (provider) (increase({m.STEPS.name}_total{{step="completed"}}[3d])) > 0)',
    wait="1h",
)
GRANTS_BORN_DEAD = Alert(
    "TokenHealthGrantsBornDead",
    Severity.TICKET,
    Owner.OPERATOR.value,
    "Clients of {provider} approved, and what came could not be renewed: nothing was kept",
    "The provider gave an access token that ends and no refresh token. The client was told so on its page, "
    "and can do little: what the authorize request asks for, or the app's registration, has to ask for "
    "access that lasts. 'token-health audit' names them (consent.born_dead).",
    f'sum by (provider) (increase({m.STEPS.name}_total{{step="born_dead"}}[1h])) > 0',
)
CLIENT_BROKEN = Alert(
    "TokenHealthClientBroken",
    Severity.TICKET,
    Owner.CLIENT.value,
    "{client}: {connection} has been broken for longer than tier '{tier}' allows ({cause})",
    "Only the client can mend this. It was mailed and reminded as 'token-health explain {connection}' "
    "shows; a person has to call now. Broken for {value}.",
    with_team(
        "(time() - max by (connection, app, provider, client, cause, tier) "
        f'({m.BROKEN_SINCE.name}{{owner="{Owner.CLIENT.value}"}}))\n'
        f"  > on (tier) group_left () max by (tier) ({m.PATIENCE.name})"
    ),
    by=("provider", "app", "team", "connection", "client", "cause", "tier"),
    has_team=True,
    unit="humanizeDuration",
)

ALL = (
    PROVIDER_OUTAGE, APP_MISCONFIGURED, NETWORK_LOST, EGRESS_BLOCKED, UNEXPECTED_ANSWERS, RATE_LIMITED,
    REFRESH_LOST, GUARD_HOLDING, FUSE_BLOWN, MASS_EXPIRY, FUNNEL_STUCK, GRANTS_BORN_DEAD, CLIENT_BROKEN,
)  # fmt: skip

# What an incident of a cause is told as: each alert names the cause that it is about.
OF_CAUSE = {Cause(alert.labels["cause"]): alert for alert in ALL if "cause" in alert.labels}
