"""How the console says why a connection is as it is: a short sentence for each cause, its code beside it."""

from __future__ import annotations

from collections.abc import Mapping

from monitor.health.causes import Cause
from monitor.web.console.texts import N_

CAUSES: Mapping[Cause, str] = {
    Cause.OK: N_("It works"),
    Cause.REVOKED: N_("Access was withdrawn"),
    Cause.REFRESH_EXPIRED: N_("The refresh token ran out"),
    Cause.INSUFFICIENT_SCOPE: N_("Was not granted what it needs"),
    Cause.POLICY_BLOCKED: N_("A setting of the client’s administrator is in the way"),
    Cause.ROLE_RESTRICTED: N_("The user’s role may not read what it needs"),
    Cause.WRONG_ACCOUNT: N_("It is another account"),
    Cause.REFRESH_LOST: N_("A refresh token may be lost"),
    Cause.APP_MISCONFIGURED: N_("The provider refuses our app"),
    Cause.RATE_LIMITED: N_("Asked to slow down"),
    Cause.PROVIDER_OUTAGE: N_("The provider answers with errors of its own"),
    Cause.EGRESS_BLOCKED: N_("The provider refuses our address"),
    Cause.NETWORK: N_("We reach nothing from here"),
    Cause.UNEXPECTED: N_("An answer that no rule knows"),
}
# Where it is known of which scope.
OF_SCOPE: Mapping[Cause, str] = {
    Cause.INSUFFICIENT_SCOPE: N_("Was not granted %(scope)s"),
    Cause.ROLE_RESTRICTED: N_("The user’s role may not read %(scope)s"),
}
