"""Signing in at an OpenID provider: a browser sets out, comes back once, and has the role of its groups."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import timedelta

import structlog

from monitor.errors import NotAdmitted
from monitor.operations import people as operate
from monitor.operations.people import SignedIn
from monitor.operations.roles import Role
from monitor.secret import Secret
from monitor.settings.parts import Parts
from monitor.store import audit, people
from monitor.store.people import Person
from monitor.text.ids import new_id
from monitor.wire.oidc import OidcTrouble, OpenIdProvider

log = structlog.get_logger("monitor.people")

TRIP_LASTS = timedelta(minutes=10)
_HIGHEST_FIRST = tuple(reversed(Role))


@dataclass(frozen=True, slots=True)
class SetOut:
    """Where a browser is sent, and the cookie by which it is known again."""

    url: str
    name: str
    browser: Secret


async def set_out(parts: Parts, provider: OpenIdProvider, target: str) -> SetOut:
    """Send a browser to the provider. Raises NotAdmitted (`provider_unreachable`).

    Verifier and nonce are made of the cookie, so that none of them has to be kept: who has not the cookie
    cannot finish, wherever the state was seen.
    """
    state, browser = secrets.token_urlsafe(32), Secret(secrets.token_urlsafe(32))
    try:
        url = await provider.authorize_url(
            state, _made_of(browser, state, "nonce"), _verifier(browser, state)
        )
    except OidcTrouble as error:
        log.warning("oidc.unreachable", issuer=provider.issuer, why=str(error))
        raise NotAdmitted(
            "provider_unreachable", "The sign-in provider cannot be reached just now."
        ) from None
    until = parts.clock.now() + TRIP_LASTS
    await people.set_out(parts.database, _hash(state), _hash(browser.reveal()), target, until)
    return SetOut(url, name_of(state), browser)


async def come_back(
    parts: Parts, provider: OpenIdProvider, browser: str, state: str, code: str, issuer: str | None,
    *, before: str = "",
) -> tuple[SignedIn, str]:  # fmt: skip
    """Let in whom the provider names; return that, and the page that they wanted.

    Raises NotAdmitted: `bad_state` for a browser that did not set out, or is back for the second time;
    `not_identified` where the provider's word does not hold; `no_role` for who is in no group of ours.
    """
    now, cookie = parts.clock.now(), Secret(browser)
    target = await people.arrive(parts.database, _hash(state), _hash(browser), now)
    if target is None:
        raise NotAdmitted("bad_state", "This sign-in was not begun in this browser, or took too long.")
    try:
        identity = await provider.identify(
            code, _made_of(cookie, state, "nonce"), _verifier(cookie, state), issuer
        )
    except OidcTrouble as error:
        log.warning("oidc.refused", issuer=provider.issuer, why=str(error))
        raise NotAdmitted("not_identified", "The sign-in provider did not say who you are.") from None
    role = _role(parts, identity.groups)
    if role is None:
        await people.shut_out(parts.database, provider.issuer, identity.subject, now)
        await audit.write_down(
            parts.database, now, audit.SERVICE, "user.refused", identity.name, issuer=provider.issuer
        )
        raise NotAdmitted("no_role", f"{identity.name} is in no group that may come in here.")
    wanted = Person(
        new_id("usr"), identity.name, role.value, None, provider.issuer, identity.subject, now, None, 1
    )
    known = await people.from_provider(parts.database, wanted, now)
    return await operate.begin(parts, known, before=before), target


def name_of(state: str) -> str:
    """Return what the cookie of a state is called by, so that two tabs do not spoil each other."""
    return _hash(state)[:16]


def _role(parts: Parts, groups: tuple[str, ...]) -> Role | None:
    roles = parts.loaded.settings.oidc.roles
    given = {roles[group] for group in groups if group in roles}
    return next((role for role in _HIGHEST_FIRST if role.value in given), None)


def _verifier(browser: Secret, state: str) -> Secret:
    return Secret(_made_of(browser, state, "verifier"))


def _made_of(browser: Secret, state: str, what: str) -> str:
    made = hmac.digest(browser.reveal().encode(), f"{what} {state}".encode(), "sha256")
    return base64.urlsafe_b64encode(made).rstrip(b"=").decode()


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
