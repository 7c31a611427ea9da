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


class SingleSignOn:
    """The way to one provider and back."""

    def __init__(self, parts: Parts, provider: OpenIdProvider) -> None:
        self._parts, self._provider = parts, provider

    async def set_out(self, target: str) -> SetOut:
        """Send a browser to the provider. Raises NotAdmitted (`provider_unreachable`).

        Verifier and nonce are made of the cookie, so that none of them has to be kept: who has not the cookie
        cannot finish, wherever the state was seen.
        """
        state, browser = secrets.token_urlsafe(32), Secret(secrets.token_urlsafe(32))
        try:
            url = await self._provider.authorize_url(
                state, _made_of(browser, state, "nonce"), _verifier(browser, state)
            )
        except OidcTrouble as error:
            log.warning("oidc.unreachable", issuer=self._provider.issuer, why=str(error))
            raise NotAdmitted(
                "provider_unreachable", "The sign-in provider cannot be reached just now."
            ) from None
        until = self._parts.clock.now() + TRIP_LASTS
        await people.set_out(self._parts.database, _hash(state), _hash(browser.reveal()), target, until)
        return SetOut(url, name_of(state), browser)

    async def come_back(
        self, browser: str, state: str, code: str, issuer: str | None, *, before: str = ""
    ) -> tuple[SignedIn, str]:
        """Let in whom the provider names; return that, and the page that they wanted.

        Raises NotAdmitted: `bad_state` for a browser that did not set out, or is back for the second time;
        `not_identified` where the provider's word does not hold; `no_role` for who is in no group of ours.
        """
        now, cookie = self._parts.clock.now(), Secret(browser)
        target = await people.arrive(self._parts.database, _hash(state), _hash(browser), now)
        if target is None:
            raise NotAdmitted("bad_state", "This sign-in was not begun in this browser, or took too long.")
        try:
            identity = await self._provider.identify(
                code, _made_of(cookie, state, "nonce"), _verifier(cookie, state), issuer
            )
        except OidcTrouble as error:
            log.warning("oidc.refused", issuer=self._provider.issuer, why=str(error))
            raise NotAdmitted("not_identified", "The sign-in provider did not say who you are.") from None
        role = _role(self._parts, identity.groups)
        if role is None:
            await people.shut_out(self._parts.database, self._provider.issuer, identity.subject, now)
            database, issuer = self._parts.database, self._provider.issuer
            await audit.write_down(database, now, audit.SERVICE, "user.refused", identity.name, issuer=issuer)
            raise NotAdmitted("no_role", f"{identity.name} is in no group that may come in here.")
        wanted = Person(
            new_id("usr"), identity.name, role.value, None, self._provider.issuer, identity.subject, now,
            None, 1,
        )  # fmt: skip
        known = await people.from_provider(self._parts.database, wanted, now)
        return await operate.begin(self._parts, known, before=before), target


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
