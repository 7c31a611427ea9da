"""Why a connection can be ill, and the one table of what follows from each cause."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Cause(StrEnum):
    """What is wrong with a connection; `OK` is one of them so that every probe has a finding."""

    OK = "ok"
    REVOKED = "revoked"
    REFRESH_EXPIRED = "refresh_expired"
    INSUFFICIENT_SCOPE = "insufficient_scope"
    POLICY_BLOCKED = "policy_blocked"
    ROLE_RESTRICTED = "role_restricted"
    WRONG_ACCOUNT = "wrong_account"
    REFRESH_LOST = "refresh_lost"
    APP_MISCONFIGURED = "app_misconfigured"
    RATE_LIMITED = "rate_limited"
    PROVIDER_OUTAGE = "provider_outage"
    EGRESS_BLOCKED = "egress_blocked"
    NETWORK = "network"
    UNEXPECTED = "unexpected"


class Owner(StrEnum):
    """Who can mend it."""

    NOBODY = "nobody"
    CLIENT = "client"
    OPERATOR = "operator"
    PROVIDER = "provider"


class Confirm(StrEnum):
    """How much has to be seen before a cause is believed."""

    AT_ONCE = "at_once"  # our own books say so, and nothing is left to ask
    DEFINITE = "definite"  # the provider said it in so many words: one repeat
    TRANSIENT = "transient"  # such things pass: several times, over minutes
    LASTING = "lasting"  # only worth a word when it goes on and on


class Subject(StrEnum):
    """What an incident is about."""

    CONNECTION = "connection"
    APP = "app"
    REGION = "region"
    PROVIDER = "provider"
    NETWORK = "network"


class Call(StrEnum):
    """How loudly on-call is told of a cause: a page wakes somebody, a ticket waits for the morning."""

    PAGE = "page"
    TICKET = "ticket"


@dataclass(frozen=True, slots=True)
class Asks:
    """What a client reads who is asked to mend it; the sentences are of `alerts/mails/locales`.

    `first` is said where something else has to be done before authorizing again can help; then the button
    comes second. `reminders`: never more than so many, whatever the policy has.
    """

    mail: str  # the folder below `alerts/mails/kinds`
    short: str  # in a line of a digest
    why: str  # on the link's page
    first: str = ""
    reminders: int | None = None


@dataclass(frozen=True, slots=True)
class Consequence:
    """One row of the table: what a cause means and who has to do what.

    `asks` is given where the client can mend it, and nowhere else: nobody is ever asked for what does not
    help. `call`: whether an engineer has to know, and how soon. `about_scopes`: single resources are refused
    while the connection itself works. `ends_grant`: nothing of the grant is left to be revoked or kept.
    `ends_renewal`: no other access token can be had before a person acts.
    """

    meaning: str
    owner: Owner
    confirm: Confirm
    subject: Subject
    advice: str
    colour: str  # in every diagram, by Grafana's names
    asks: Asks | None = None
    call: Call | None = None
    short: str = ""  # in the cell of a list; `short_of_scope` where it is known of which scope
    short_of_scope: str = ""
    about_scopes: bool = False
    ends_grant: bool = False
    ends_renewal: bool = False

    @property
    def client_mail(self) -> bool:
        """Whether the client is mailed: only ever to ask for what helps."""
        return self.asks is not None

    @property
    def elsewhere(self) -> bool:
        """Whether something else than authorizing mends it: the grant is as good as it was meanwhile."""
        return self.asks is not None and bool(self.asks.first)


_AGAIN = "An administrator of the client authorizes the connection again."

TABLE: dict[Cause, Consequence] = {
    Cause.OK: Consequence(
        "it answers as the expected account and may read what it needs",
        Owner.NOBODY,
        Confirm.AT_ONCE,
        Subject.CONNECTION,
        "Nothing to do.",
        "semi-dark-green",
        short="works",
    ),
    Cause.REVOKED: Consequence(
        "access was withdrawn: the app was removed, a password changed, or the user was deactivated",
        Owner.CLIENT,
        Confirm.DEFINITE,
        Subject.CONNECTION,
        _AGAIN,
        "semi-dark-orange",
        asks=Asks(
            "revoked", "access was withdrawn", "Access was withdrawn, so we can no longer reach your data."
        ),
        ends_grant=True,
        ends_renewal=True,
        short="access was withdrawn",
    ),
    Cause.REFRESH_EXPIRED: Consequence(
        "the refresh token ran out, so no new access token can be had",
        Owner.CLIENT,
        Confirm.DEFINITE,
        Subject.CONNECTION,
        _AGAIN,
        "light-orange",
        asks=Asks("refresh_expired", "the permission ran out", "The permission you gave has run out."),
        ends_grant=True,
        ends_renewal=True,
        short="the refresh token ran out",
    ),
    Cause.INSUFFICIENT_SCOPE: Consequence(
        "it connects, but was not granted a resource that it needs",
        Owner.CLIENT,
        Confirm.DEFINITE,
        Subject.CONNECTION,
        "The client authorizes again and grants the missing access.",
        "super-light-orange",
        asks=Asks(
            "insufficient_scope",
            "a permission is missing",
            "Something we need is not part of what is approved.",
        ),
        about_scopes=True,
        short="was not granted what it needs",
        short_of_scope="was not granted %(scope)s",
    ),
    Cause.POLICY_BLOCKED: Consequence(
        "a setting of the client's own administrator keeps us out; authorizing again as before does not help",
        Owner.CLIENT,
        Confirm.DEFINITE,
        Subject.CONNECTION,
        "The client's administrator changes that setting; then it mostly comes back by itself.",
        "super-light-yellow",
        asks=Asks(
            "policy_blocked",
            "a setting at the provider keeps us out",
            "A setting of your own administrator keeps us out; approving again does not change that.",
            first="First an administrator of %(provider)s has to change a setting.",
            reminders=1,
        ),
        ends_renewal=True,
        short="a setting of the client's administrator is in the way",
    ),
    Cause.ROLE_RESTRICTED: Consequence(
        "the access was granted, but the user's own role at the provider does not allow the resource",
        Owner.CLIENT,
        Confirm.DEFINITE,
        Subject.CONNECTION,
        "The client's administrator widens that user's role, or authorizes with an account that has it.",
        "light-yellow",
        asks=Asks(
            "role_restricted",
            "a user role is too narrow",
            "The user who connected may not see all that we need. An administrator can.",
        ),
        about_scopes=True,
        short="the user's role may not read what it needs",
        short_of_scope="the user's role may not read %(scope)s",
    ),
    Cause.WRONG_ACCOUNT: Consequence(
        "the token belongs to another account than the one on record",
        Owner.CLIENT,
        Confirm.DEFINITE,
        Subject.CONNECTION,
        "The client authorizes again, signed in to the account on record.",
        "semi-dark-yellow",
        asks=Asks(
            "wrong_account",
            "it answers as another account",
            "The connection answers as another account than the one it was set up for.",
        ),
        short="it is another account",
    ),
    Cause.REFRESH_LOST: Consequence(
        "the answer to a refresh was lost, and nothing is left to try: the pair that was in it is gone",
        Owner.CLIENT,
        Confirm.AT_ONCE,
        Subject.CONNECTION,
        "The client authorizes again; the operator looks at why the answer was lost.",
        "dark-red",
        asks=Asks(
            "refresh_lost",
            "the permission was lost on the way",
            "A technical fault cost the permission; only a new approval can restore it.",
        ),
        call=Call.PAGE,
        ends_renewal=True,
        short="a refresh token may be lost",
    ),
    Cause.APP_MISCONFIGURED: Consequence(
        "the provider refuses our app itself (its id, secret, redirect or registration), or a stored "
        "credential cannot be decrypted",
        Owner.OPERATOR,
        Confirm.DEFINITE,
        Subject.APP,
        "The operator corrects the app's credentials or registration; no client has to act.",
        "semi-dark-red",
        call=Call.PAGE,
        ends_renewal=True,
        short="the provider refuses our app",
    ),
    Cause.RATE_LIMITED: Consequence(
        "the provider asks us to slow down",
        Owner.PROVIDER,
        Confirm.LASTING,
        Subject.APP,
        "Nothing, unless it lasts: then probe less often or share the app's limit differently.",
        "light-blue",
        call=Call.PAGE,
        short="asked to slow down",
    ),
    Cause.PROVIDER_OUTAGE: Consequence(
        "the provider does not answer, or answers with an error of its own",
        Owner.PROVIDER,
        Confirm.TRANSIENT,
        Subject.PROVIDER,
        "Wait for the provider; connections recover by themselves.",
        "semi-dark-blue",
        call=Call.PAGE,
        short="the provider answers with errors of its own",
    ),
    Cause.EGRESS_BLOCKED: Consequence(
        "the provider refuses the address that we come from, or one replica of ours",
        Owner.OPERATOR,
        Confirm.DEFINITE,
        Subject.PROVIDER,
        "The operator has this address allowed at the provider, or stops that replica; no client has to act.",
        "light-purple",
        call=Call.PAGE,
        short="the provider refuses our address",
    ),
    Cause.NETWORK: Consequence(
        "we cannot reach anything from here: our own network or name resolution",
        Owner.OPERATOR,
        Confirm.TRANSIENT,
        Subject.NETWORK,
        "The operator looks at this machine's network and DNS; no client has to act.",
        "dark-purple",
        call=Call.PAGE,
        short="we reach nothing from here",
    ),
    Cause.UNEXPECTED: Consequence(
        "an answer that no rule knows, such as a firewall's page or a changed API",
        Owner.OPERATOR,
        Confirm.TRANSIENT,
        Subject.PROVIDER,
        "The operator reads the sample in the evidence and adds a rule, or asks the provider.",
        "semi-dark-purple",
        call=Call.PAGE,
        short="an answer that no rule knows",
    ),
}


def consequence(cause: Cause) -> Consequence:
    """Return the row of the table for a cause."""
    return TABLE[cause]


def is_definite(cause: Cause) -> bool:
    """Whether this cause is a statement about the connection itself, not about the weather."""
    return TABLE[cause].confirm in (Confirm.DEFINITE, Confirm.AT_ONCE)


def at_scopes(cause: Cause) -> bool:
    """Whether single resources may have said so while whoami works: then they are what to ask again."""
    row = TABLE[cause]
    return row.confirm is Confirm.DEFINITE and row.owner is not Owner.NOBODY and not row.ends_grant


def our_own_books(cause: Cause) -> bool:
    """Whether our own books say so, and nothing that we could ask would add to it."""
    return TABLE[cause].confirm is Confirm.AT_ONCE and TABLE[cause].owner is not Owner.NOBODY


def mailed_as(cause: Cause) -> str:
    """Return the mail that a client is asked with. Raises ValueError where asking does not help."""
    asks = TABLE[cause].asks
    if asks is None:
        raise ValueError(f"{cause.value}: no client is asked to mend it")
    return asks.mail


def operator_first(cause: Cause, owner: Owner) -> bool:
    """Whether the operator has to act before the client can, whose cause it is otherwise."""
    return owner is Owner.OPERATOR and TABLE[cause].owner is Owner.CLIENT
