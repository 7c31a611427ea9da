"""A connection's values: put into URLs and headers, and taken out of what a provider says. Pure.

What comes from a callback or an answer is a stranger's word. It fits the pattern of the provider's file as a
whole or is not taken, and an address, where bearer tokens would be sent, is on a host that the file allows or
that [[apps]] itself names.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from monitor.providers.kinds import PLACEHOLDER
from monitor.providers.schema import Provider, Value
from monitor.wire.answers import pick
from monitor.wire.targets import is_this_machine

LONGEST = 500
_HOST = re.compile(r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?")


def with_hosts(template: str, hosts: Mapping[str, str]) -> str:
    """Return a template with the region's hosts in it; the connection's values stay to be filled in."""
    for name, url in hosts.items():
        template = template.replace(f"{{hosts.{name}}}", url)
    return template


def below(base: str, path: str, hosts: Mapping[str, str]) -> str:
    """Return the URL of a path: below the base, unless it begins with a host or an address of its own."""
    url = with_hosts(path, hosts)
    return url if path.startswith(("{hosts.", "{values.")) else base + url


def names_in(*templates: str) -> frozenset[str]:
    """Return the names of the values that stand in templates."""
    return frozenset(
        name
        for text in templates
        if "{" in text
        for kind, name in PLACEHOLDER.findall(text)
        if kind == "values"
    )


def url_with(template: str, values: Mapping[str, str], addresses: Collection[str]) -> str:
    """Return a URL with values in it, each one segment or part of a query (RFC 3986 2.1); "" where one lacks.

    `addresses` are the names of those that are https://host themselves.
    """
    encoded = {name: v if name in addresses else quote(v, safe="") for name, v in values.items()}
    return _filled(template, encoded)


def header_with(template: str, values: Mapping[str, str]) -> str:
    """Return a header's value with values in it; "" where one lacks."""
    return _filled(template, values)


def _filled(template: str, values: Mapping[str, str]) -> str:
    if "{" not in template:
        return template
    if names_in(template) - values.keys():
        return ""
    return PLACEHOLDER.sub(lambda found: values[found[2]] if found[1] == "values" else found[0], template)


def why_not(name: str, value: Value, text: str, own: Collection[str] = ()) -> str | None:
    """Return why a text is not taken as a value, None where it is. `own`: addresses that [[apps]] names."""
    if not text or len(text) > LONGEST or not (text.isascii() and text.isprintable()):
        return f"values.{name}: is one line of printable ASCII, {LONGEST} characters at most"
    if value.hosts:
        trouble = _no_address(value, text, own)
        if trouble is not None or "pattern" not in value.model_fields_set:
            return trouble and f"values.{name}: {trouble}"
    elif text in (".", ".."):
        return f"values.{name}: {text!r} would be another path"
    if re.fullmatch(value.pattern, text) is None:
        return f"values.{name}: {text!r} does not fit {value.pattern}"
    return None


def _no_address(value: Value, text: str, own: Collection[str]) -> str | None:
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return f"{text!r} is no address"
    if text != f"{parts.scheme}://{parts.netloc}" or parts.username is not None or not host:
        return f"{text!r} is no address; write https://host and no more"
    if text in own and (parts.scheme == "https" or is_this_machine(host)):
        return None
    if _HOST.fullmatch(host) is None:  # a backslash or a %2f in it is read as / by some
        return f"{text!r} is no address; write https://host and no more"
    if parts.scheme != "https" or port not in (None, 443):
        return f"{text!r} does not start with https://, or names a port; bearer tokens would be sent there"
    allowed = any(host == one or (one.startswith(".") and host.endswith(one)) for one in value.hosts)
    if not allowed:
        return f"{text!r} is on none of the hosts that the provider's file allows: {', '.join(value.hosts)}"
    return None


def as_given(name: str, value: Value, text: str, own: Collection[str] = ()) -> str | None:
    """Return a text as it is kept, None where it does not fit. An address loses the / at its end."""
    text = text.removesuffix("/") if value.hosts else text
    return text if why_not(name, value, text, own) is None else None


def of_callback(
    provider: Provider, params: Mapping[str, str], document: Any, own: Collection[str]
) -> dict[str, str]:
    """Return the values that an authorization brings: of the callback's query, else of the token's answer."""
    found: dict[str, str] = {}
    for name, value in provider.values.items():
        said = params.get(value.callback) if value.callback else None
        for text in (said, pick(value.token, document)):
            kept = as_given(name, value, text, own) if text else None
            if kept is not None:
                found[name] = kept
                break
    return found


def of_refresh(
    provider: Provider, document: Any, known: Mapping[str, str], own: Collection[str]
) -> dict[str, str]:
    """Return the values that a refresh brings anew, such as another host after a migration.

    What came with the callback stays, and the value that is the account stays whatever is answered.
    """
    return _anew(provider, "token", document, known, own)


def of_whoami(
    provider: Provider, document: Any, known: Mapping[str, str], own: Collection[str]
) -> dict[str, str]:
    """Return the values that whoami brings anew: those that nothing before it brings, or that lack."""
    return _anew(provider, "whoami", document, known, own)


_BEFORE = {"token": ("callback",), "whoami": ("callback", "token")}


def _anew(
    provider: Provider, source: str, document: Any, known: Mapping[str, str], own: Collection[str]
) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in provider.values.items():
        settled = name == provider.whoami.account_value or any(getattr(value, one) for one in _BEFORE[source])
        if not getattr(value, source) or (settled and name in known):
            continue
        text = pick(getattr(value, source), document)
        kept = as_given(name, value, text, own) if text else None
        if kept is not None and known.get(name) != kept:
            found[name] = kept
    return found
