"""Who reaches what, as far as the configuration shows it: listeners, links, and callbacks."""

from __future__ import annotations

from urllib.parse import urlsplit

from monitor.host.network import loopback
from monitor.operations.checks import Check
from monitor.settings.loaded import Loaded
from monitor.settings.sections import EXPOSED, WebSettings


def checked(loaded: Loaded) -> list[Check]:
    """Check what can be told of it without asking anybody."""
    return [*_callbacks(loaded), *_links(loaded), *_listeners(loaded)]


def _callbacks(loaded: Loaded) -> list[Check]:
    """Say where apps at several providers share one callback (RFC 9700 4.4.2)."""
    shared = [app for app in loaded.settings.apps if app.callback == "shared"]
    places = {(app.provider, app.provider_file, app.region, app.base_url, app.auth_url) for app in shared}
    if len(places) < 2:
        return []
    says = (
        f"{', '.join(app.id for app in shared)} share /oauth/callback at several servers. Safer is one each: "
        'register …/oauth/callback/ID and set callback = "own".'
    )
    return [Check("callbacks", None, says)]


def _links(loaded: Loaded) -> list[Check]:
    url = loaded.settings.web.public_url
    if there := elsewhere(loaded.settings.web):
        says = (
            f"web.public_url is {url}, and clients' pages are at {there}: unless something here passes them "
            "on, links lead nowhere. Set it to that."
        )
    elif loaded.settings.smtp.sender and urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1"):
        says = f"web.public_url is {url}: clients elsewhere cannot open links to it."
    else:
        return []
    return [Check("links", None, says)]


def elsewhere(web: WebSettings) -> str:
    """Return where clients' pages are, if public_url names another port of this machine; else nothing."""
    public, pages = urlsplit(web.public_url), next(one for one in web.listeners if one.clients)
    both_here = loopback(public.hostname or "") and loopback(pages.host)
    if not both_here or public.scheme != "http" or pages.port == (public.port or 80):
        return ""  # with TLS, or beyond this machine, something stands before us
    return f"http://{pages.address}"


def _listeners(loaded: Loaded) -> list[Check]:
    """Say who reaches what, as far as the configuration shows it."""
    web, checks = loaded.settings.web, []
    shown = " and ".join(
        f"{one.address} ({' and '.join(_served(one.clients, one.operations, one.api))})"
        for one in web.listeners
    )
    exposed = any(one.exposed for one in web.listeners)
    says = f"{shown}: {EXPOSED}." if exposed else f"{shown}."
    checks.append(Check("listeners", None if exposed else True, says))
    clients = next(one for one in web.listeners if one.clients)
    public = not loopback(urlsplit(web.public_url).hostname or "")
    here = all(loopback(proxy.partition("/")[0]) for proxy in web.proxies)
    if public and here and not loopback(clients.host):
        checks.append(
            Check(
                "proxies",
                None,
                f"Clients come to {web.public_url}, so a proxy stands before {clients.address}, and "
                "web.proxies names none beyond this machine: unless it runs here, all clients share one rate "
                "limit. Name its address or network there.",
            )
        )
    return checks


def _served(clients: bool, operations: bool, api: bool) -> list[str]:
    return ["clients' pages"] * clients + ["metrics and health"] * operations + ["the API"] * api
