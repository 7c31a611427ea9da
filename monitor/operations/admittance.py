"""Whether strangers would find a door open: looked at before anything is served."""

from __future__ import annotations

from monitor.errors import ConfigurationError, Remedy
from monitor.host.network import loopback
from monitor.operations import people
from monitor.settings.parts import Parts

_ADD = Remedy("people.add", "adds the first user", "NAME")


async def closed_to_strangers(parts: Parts) -> None:
    """Refuse to serve the API where others reach it and nobody is asked who they are.

    Raises ConfigurationError.
    """
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
