"""Who could come in: a door that strangers would find open is not opened. And doctor's lines about it."""

from __future__ import annotations

from datetime import timedelta

from monitor.errors import ConfigurationError, Remedy, TokenHealthError
from monitor.host.network import loopback
from monitor.operations import people
from monitor.operations.api_keys import WARNED
from monitor.operations.checks import Check
from monitor.settings.builders import build_openid_provider, build_wire
from monitor.settings.parts import Parts
from monitor.store import api_keys
from monitor.store import people as store

_ADD = Remedy("people.add", "adds the first user", "NAME")


async def closed_to_strangers(parts: Parts) -> None:
    """Refuse to serve the API where others reach it and nobody could sign in. Raises ConfigurationError."""
    open_ones = [one for one in parts.loaded.settings.web.listeners if one.api and not loopback(one.host)]
    if open_ones and not await people.anybody(parts):
        one = open_ones[0]
        aside = "" if not (one.clients or one.operations) else (
            " Or leave web.listen on this machine, and serve others on web.clients_listen and "
            "web.operations_listen."
        )  # fmt: skip
        raise ConfigurationError(
            f"{one.setting}: others reach the API on {one.address}, and there is no user yet and no [oidc]."
            f"{aside}",
            _ADD,
        )


async def access_lines(parts: Parts) -> list[Check]:
    """Check who could sign in, whether their provider answers, and which keys end soon."""
    return [*await _people(parts), *await _provider(parts), *await _keys(parts)]


async def _people(parts: Parts) -> list[Check]:
    try:
        await closed_to_strangers(parts)
    except ConfigurationError as error:
        return [Check.failed("users", error)]
    count = len(await store.every(parts.database))
    if count or parts.loaded.settings.oidc.issuer:
        return [Check("users", True, f"{count} known." if count else "None has signed in yet.")]
    return [Check("users", None, "There is none yet.", (_ADD,))]


async def _provider(parts: Parts) -> list[Check]:
    if not parts.loaded.settings.oidc.issuer:
        return []
    from monitor.wire.oidc import OidcTrouble

    wire = build_wire(parts)
    try:
        provider = build_openid_provider(parts, wire)
        assert provider is not None  # noqa: S101 - it has an issuer
        await provider.check()
    except OidcTrouble as trouble:
        return [Check("oidc", False, f"{parts.loaded.settings.oidc.issuer}: {trouble}.")]
    except TokenHealthError as error:
        return [Check.failed("oidc", error)]
    finally:
        await wire.close()
    return [Check("oidc", True, f"{provider.issuer}: reachable, its keys can be read.")]


async def _keys(parts: Parts) -> list[Check]:
    now = parts.clock.now()
    soon = await api_keys.ending(parts.database, now + timedelta(days=max(WARNED)), now)
    return [
        Check("api keys", None, f"{key.name!r} ({key.id}) ends on {key.expires_at:%Y-%m-%d %H:%M} UTC.")
        for key, _ in soon
    ]
