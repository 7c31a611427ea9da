"""What each right lets one do, in words: for the table of roles, and for who makes a key."""

from __future__ import annotations

from monitor.operations.actor import Right
from monitor.web.console.texts import N_

WORDS = {
    Right.CONNECTIONS_READ: N_("see connections, how they are, and the calendar"),
    Right.INCIDENTS_READ: N_("see incidents and what the fleet guard asks"),
    Right.NOTICES_READ: N_("see the outbox and what mails look like"),
    Right.SILENCES_READ: N_("see what is silent"),
    Right.CATALOGUE_READ: N_("see providers and apps"),
    Right.EVENTS_READ: N_("read the feed of events"),
    Right.CONNECTIONS_OPERATE: N_("probe, pause, resume, take on, accept an account"),
    Right.CONNECTIONS_WRITE: N_("add, change, import and remove connections; campaigns"),
    Right.LINKS_CREATE: N_("make and mail the links that clients reconnect by"),
    Right.INCIDENTS_OPERATE: N_("acknowledge incidents, release and drop what a guard holds"),
    Right.NOTICES_OPERATE: N_("hold, release and retry mails"),
    Right.SILENCES_WRITE: N_("begin and end silences"),
    Right.AUDIT_READ: N_("read the audit"),
    Right.WEBHOOKS_READ: N_("see webhooks and their deliveries"),
    Right.WEBHOOKS_WRITE: N_("add, change, test and remove webhooks"),
    Right.KEYS_READ: N_("see keys, never their text"),
    Right.SETTINGS_READ: N_("see the settings as loaded, and the checkup"),
    Right.KEYS_WRITE: N_("make, rotate and revoke keys"),
    Right.USERS_WRITE: N_("add and remove people, give them roles"),
    Right.TOKENS_READ: N_("fetch access tokens"),
    Right.SIGNALS_WRITE: N_("report what the program saw of a token"),
}
