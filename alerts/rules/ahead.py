"""Alerts about what has not broken yet: ends that somebody has to act on, and doors that are shut already."""

from __future__ import annotations

from datetime import timedelta

from alerts.rules.alert import Alert, Severity
from alerts.rules.recording import with_team
from monitor.health.calendar import Kind
from monitor.health.causes import Owner
from monitor.metrics import ahead as m

_OPERATOR = Owner.OPERATOR.value
SECRET_TICKET, SECRET_PAGE = timedelta(days=30), timedelta(days=7)
END_FAR, END_NEAR = timedelta(days=90), timedelta(days=30)
MANY = 5  # grants that end together and are worth a campaign


def _left(kind: Kind, by: str, less: timedelta) -> str:
    """Return how many seconds are left of the next end of a kind, where they are few."""
    return f'max by ({by}) ({m.NEXT_END.name}{{kind="{kind.value}"}}) - time() < {less.days} * 86400'


SECRET_ENDS = Alert(
    "TokenHealthSecretEnds",
    Severity.TICKET,
    _OPERATOR,
    "The client secret of {app} ends in {value}",
    "secret_expires of the app says so. From then on {provider} refuses every refresh and every new "
    "authorization of it. Make a new secret at the provider, put it in place, restart, and change the day.",
    with_team(_left(Kind.CLIENT_SECRET, "provider, app", SECRET_TICKET)),
    has_team=True,
    unit="humanizeDuration",
    by=("provider", "app", "team"),
)
SECRET_ENDS_SOON = Alert(
    "TokenHealthSecretEndsSoon",
    Severity.PAGE,
    _OPERATOR,
    "The client secret of {app} ends in {value}, and nobody has put a new one in place",
    "secret_expires of the app says so. From then on {provider} refuses every refresh of {app}: all its "
    "connections break together, within the life of an access token. No client can mend that.",
    with_team(_left(Kind.CLIENT_SECRET, "provider, app", SECRET_PAGE)),
    has_team=True,
    unit="humanizeDuration",
    by=("provider", "app", "team"),
)
PROVIDER_END_AHEAD = Alert(
    "TokenHealthProviderEndAhead",
    Severity.TICKET,
    _OPERATOR,
    "{provider} ends something that our apps use, in {value}",
    "The provider announced it, and its file says what: 'token-health calendar --kind provider_end' has "
    "what ends, the provider's page, and how many connections it touches. There is time to ask the clients "
    "in turn.",
    _left(Kind.PROVIDER_END, "provider", END_FAR),
    unit="humanizeDuration",
    by=("provider",),
)
PROVIDER_END_NEAR = Alert(
    "TokenHealthProviderEndNear",
    Severity.TICKET,
    _OPERATOR,
    "{provider} ends something that our apps use within a month, in {value}",
    "The provider announced it, and its file says what: 'token-health calendar --kind provider_end' has what "
    "ends, the provider's page, and how many connections it still touches.",
    _left(Kind.PROVIDER_END, "provider", END_NEAR),
    unit="humanizeDuration",
    by=("provider",),
)
GRANTS_END = Alert(
    "TokenHealthGrantsEndAhead",
    Severity.TICKET,
    _OPERATOR,
    "{value} authorizations of {app} end within 30 days, whatever is done",
    "Their clients have to authorize again, and are told 30, 7 and 1 days ahead, one by one. That many are "
    "worth a campaign, and none that runs has them: 'token-health calendar --kind grant' shows whose they "
    "are and when, 'token-health campaign new' asks them in turn.",
    with_team(f"max by (provider, app) ({m.GRANTS_ENDING.name}) >= {MANY}"),
    wait="1h",
    has_team=True,
    by=("provider", "app", "team"),
)
DOOR_SHUT = Alert(
    "TokenHealthDoorShut",
    Severity.PAGE,
    _OPERATOR,
    "{provider} refuses our app {app} at the door: nobody can connect or come back",
    "Asked with nothing of a client's, the authorize or the token endpoint refused our client id, redirect "
    "URI or secret, twice in a row and in so many words. Connections may still be well, until their next "
    "refresh; whoever follows a link of ours now is turned away. 'token-health doctor --doors' asks again.",
    with_team(f"min by (provider, app) ({m.DOOR_UP.name}) == 0"),
    keep="5m",
    has_team=True,
    by=("provider", "app", "team"),
)
METERED_READS = Alert(
    "TokenHealthMeteredReads",
    Severity.TICKET,
    _OPERATOR,
    "Probing {app} takes {value} reads a month, more than {provider} lets an app make",
    "The provider meters reads, and refuses the rest of the month once they are used up, the middleware's "
    "too. 'token-health doctor' says at which interval they would do: schedule.interval, or least_interval "
    "in [limits] of the provider's file.",
    with_team(
        f"max by (provider, app) ({m.READS.name})\n> on (provider, app) "
        f"max by (provider, app) ({m.READS_LIMIT.name})"
    ),
    wait="1h",
    has_team=True,
    by=("provider", "app", "team"),
)

ALL = (
    DOOR_SHUT, SECRET_ENDS_SOON, SECRET_ENDS, PROVIDER_END_NEAR, PROVIDER_END_AHEAD, GRANTS_END,
    METERED_READS,
)  # fmt: skip
