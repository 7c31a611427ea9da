"""What an app takes: its lines in the configuration, for one provider, and what to register there."""

from __future__ import annotations

import json
import textwrap
from dataclasses import dataclass
from urllib.parse import urlsplit

from monitor.errors import Invalid
from monitor.host.network import loopback
from monitor.operations.actor import Actor, Right
from monitor.operations.listening import elsewhere
from monitor.providers import catalogue
from monitor.providers.schema import Provider
from monitor.settings.parts import Parts

LONGEST = 500  # characters of a client id
WIDTH = 46  # of a line, so that a page shows it whole
CLIENT_ID = "the app's client id"
BASE_URL = "https://login.example.com"


@dataclass(frozen=True, slots=True)
class Wanted:
    """An app as somebody begins it. Region and client id are empty where nothing was said of them yet."""

    provider: str
    region: str = ""
    client_id: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """An app's entry, what has to be registered at its provider, and where the secret is looked for."""

    provider: Provider
    region: str
    text: str
    redirect_uri: str
    here_only: bool  # whether that leads to this machine alone
    elsewhere: str  # the address of clients' pages on this machine, where the redirect URI leads to another
    variable: str
    secret_file: str


def entry(parts: Parts, actor: Actor, wanted: Wanted) -> Entry:
    """Return what an app takes. Raises NotFound for its provider, Invalid for its region or client id."""
    actor.needs(Right.CATALOGUE_READ)
    provider = catalogue.load(wanted.provider)
    region = wanted.region or next(iter(provider.regions))
    if region not in provider.regions:
        there = ", ".join(provider.regions)
        raise Invalid("region", f"{provider.title} has no {region[:60]!r}; it has {there}.")
    if len(wanted.client_id) > LONGEST or not wanted.client_id.isprintable():
        raise Invalid("client_id", "is no client id: one line of at most 500 characters.")
    web = parts.loaded.settings.web
    id_ = f"{provider.name}-{region}" if len(provider.regions) > 1 else provider.name
    variable = f"{provider.name.upper().replace('-', '_')}_SECRET"
    return Entry(
        provider=provider,
        region=region,
        text=_text(provider, region, id_, variable, wanted.client_id),
        redirect_uri=f"{web.public_url}/oauth/callback",
        here_only=loopback(urlsplit(web.public_url).hostname or ""),
        elsewhere=elsewhere(web),
        variable=variable,
        secret_file=f"{id_}.secret",
    )


def _text(provider: Provider, region: str, id_: str, variable: str, client_id: str) -> str:
    """Write the entry as TOML, in short lines; what may be left out is commented out."""
    others = ", ".join(name for name in provider.regions if name != region)
    lines = ["[[apps]]", _line("id", id_), _line("provider", provider.name)]
    if others:
        lines.append(f"{_line('region', region)}  # or {others}")
    if not provider.regions[region].base_url:
        lines.append(f"{_line('base_url', BASE_URL)}  # your server")
    lines += [_line("client_id", client_id or CLIENT_ID), _line("client_secret_env", variable)]
    if provider.scopes:
        named = textwrap.wrap(
            f"scopes = {json.dumps([*provider.scopes])}",
            WIDTH,
            break_long_words=False,
            break_on_hyphens=False,
        )
        lines += [f"# {one}" for one in ("What its registration has, where you know it:", *named)]
    return "\n".join(lines) + "\n"


def _line(key: str, value: str) -> str:
    # A TOML basic string is written as JSON writes one, but for DEL, which is not printable.
    return f"{key} = {json.dumps(value, ensure_ascii=False)}"
