"""[people] and [oidc]: who may sign in, and how."""

from __future__ import annotations

from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from monitor.host.network import loopback
from monitor.providers.kinds import OptionalUrl
from monitor.text.tomlfile import Section

RoleName = Literal["viewer", "operator", "admin"]


class PeopleSettings(Section):
    """[people]: those who sign in with a password."""

    # What a password costs: "ordinary", 64 MiB and a fifth of a second; "small", 19 MiB and half of that.
    argon2: Literal["ordinary", "small"] = "ordinary"


class OidcSettings(Section):
    """[oidc]: those who sign in at an OpenID provider."""

    issuer: str = ""  # as its metadata says it; empty: nobody signs in so
    name: str = "single sign-on"  # on the button: "Continue with …"
    client_id: str = ""
    client_secret_env: str | None = None
    client_secret_file: Path | None = None
    scopes: tuple[str, ...] = ("openid", "profile", "email")
    groups: str = "groups"  # the claim that lists a person's groups
    called: str = "preferred_username"  # the claim that a person is called by; else email, else sub
    # Where the provider sends people back to; empty: public_url's /oidc/callback.
    callback: OptionalUrl = ""
    # Which role a group has; who is in several has the highest. Who is in none does not come in.
    roles: dict[str, RoleName] = Field(default_factory=dict)

    @field_validator("issuer")
    @classmethod
    def _issuer(cls, value: str) -> str:
        parts = urlsplit(value)
        if value and not (
            parts.scheme == "https" or (parts.scheme == "http" and loopback(parts.hostname or ""))
        ):
            raise ValueError("is an https:// URL: whoever sits on the way could say who anybody is")
        if parts.query or parts.fragment:
            raise ValueError("has no query and no fragment (OpenID Connect Core 2)")
        return value

    @field_validator("scopes")
    @classmethod
    def _openid(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if "openid" not in value:
            raise ValueError('has to contain "openid"')
        return value

    @model_validator(mode="after")
    def _whole(self) -> OidcSettings:
        if not self.issuer:
            return self
        if not self.client_id or bool(self.client_secret_env) == bool(self.client_secret_file):
            raise ValueError("an issuer needs client_id, and client_secret_env or client_secret_file")
        if not self.roles:
            raise ValueError('without roles nobody could come in; write roles = { "ops-team" = "admin" }')
        return self
