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
    ROLE_RESTRICTED = "role_restricted"
    WRONG_ACCOUNT = "wrong_account"
    REFRESH_LOST = "refresh_lost"
    APP_MISCONFIGURED = "app_misconfigured"
    RATE_LIMITED = "rate_limited"
    PROVIDER_OUTAGE = "provider_outage"
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


@dataclass(frozen=True, slots=True)
class Consequence:
    """One row of the table: what a cause means and who has to do what."""

    meaning: str
    owner: Owner
    confirm: Confirm
    client_mail: bool
    page: bool
    mended_by_reauthorizing: bool
    subject: Subject
    advice: str


_C = Consequence

TABLE: dict[Cause, Consequence] = {
    Cause.OK: _C(
        "it answers as the expected account and may read what it needs",
        Owner.NOBODY,
        Confirm.AT_ONCE,
        False,
        False,
        False,
        Subject.CONNECTION,
        "Nothing to do.",
    ),
    Cause.REVOKED: _C(
        "access was withdrawn: the app was removed, a password changed, or the user was deactivated",
        Owner.CLIENT,
        Confirm.DEFINITE,
        True,
        False,
        True,
        Subject.CONNECTION,
        "An administrator of the client authorizes the connection again.",
    ),
    Cause.REFRESH_EXPIRED: _C(
        "the refresh token ran out, so no new access token can be had",
        Owner.CLIENT,
        Confirm.DEFINITE,
        True,
        False,
        True,
        Subject.CONNECTION,
        "An administrator of the client authorizes the connection again.",
    ),
    Cause.INSUFFICIENT_SCOPE: _C(
        "it connects, but was not granted a resource that it needs",
        Owner.CLIENT,
        Confirm.DEFINITE,
        True,
        False,
        True,
        Subject.CONNECTION,
        "The client authorizes again and grants the missing access.",
    ),
    Cause.ROLE_RESTRICTED: _C(
        "the access was granted, but the user's own role at the provider does not allow the resource",
        Owner.CLIENT,
        Confirm.DEFINITE,
        True,
        False,
        True,
        Subject.CONNECTION,
        "The client's administrator widens that user's role, or authorizes with an account that has it.",
    ),
    Cause.WRONG_ACCOUNT: _C(
        "the token belongs to another account than the one on record",
        Owner.CLIENT,
        Confirm.DEFINITE,
        True,
        False,
        True,
        Subject.CONNECTION,
        "The client authorizes again, signed in to the account on record.",
    ),
    Cause.REFRESH_LOST: _C(
        "the answer to a refresh was lost, and nothing is left to try: the pair that was in it is gone",
        Owner.CLIENT,
        Confirm.AT_ONCE,
        True,
        True,
        True,
        Subject.CONNECTION,
        "The client authorizes again; the operator looks at why the answer was lost.",
    ),
    Cause.APP_MISCONFIGURED: _C(
        "the provider refuses our app itself (its id, secret, redirect or registration), or a stored "
        "credential cannot be decrypted",
        Owner.OPERATOR,
        Confirm.DEFINITE,
        False,
        True,
        False,
        Subject.APP,
        "The operator corrects the app's credentials or registration; no client has to act.",
    ),
    Cause.RATE_LIMITED: _C(
        "the provider asks us to slow down",
        Owner.PROVIDER,
        Confirm.LASTING,
        False,
        True,
        False,
        Subject.APP,
        "Nothing, unless it lasts: then probe less often or share the app's limit differently.",
    ),
    Cause.PROVIDER_OUTAGE: _C(
        "the provider does not answer, or answers with an error of its own",
        Owner.PROVIDER,
        Confirm.TRANSIENT,
        False,
        True,
        False,
        Subject.PROVIDER,
        "Wait for the provider; connections recover by themselves.",
    ),
    Cause.NETWORK: _C(
        "we cannot reach anything from here: our own network or name resolution",
        Owner.OPERATOR,
        Confirm.TRANSIENT,
        False,
        True,
        False,
        Subject.NETWORK,
        "The operator looks at this machine's network and DNS; no client has to act.",
    ),
    Cause.UNEXPECTED: _C(
        "an answer that no rule knows, such as a firewall's page or a changed API",
        Owner.OPERATOR,
        Confirm.TRANSIENT,
        False,
        True,
        False,
        Subject.PROVIDER,
        "The operator reads the sample in the evidence and adds a rule, or asks the provider.",
    ),
}


def consequence(cause: Cause) -> Consequence:
    """Return the row of the table for a cause."""
    return TABLE[cause]


def is_definite(cause: Cause) -> bool:
    """Whether this cause is a statement about the connection itself, not about the weather."""
    return TABLE[cause].confirm in (Confirm.DEFINITE, Confirm.AT_ONCE)
