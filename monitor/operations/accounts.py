"""Which account at the provider is a connection's: taken or refused by a person."""

from __future__ import annotations

import contextlib

from monitor.errors import CannotDecrypt, KeyMissing, NotFound
from monitor.operations import reach
from monitor.operations.actor import Actor, Right
from monitor.settings.parts import Parts
from monitor.store import bindings, connections
from monitor.store.bindings import HeldGrant
from monitor.tokens.refresh import access_cell, refresh_cell
from monitor.tokens.unwanted import leftover_cell


async def waiting(parts: Parts, actor: Actor) -> list[HeldGrant]:
    """Return the first authorizations that wait for a person."""
    actor.needs(Right.CONNECTIONS_READ)
    return await bindings.waiting(parts.database)


async def accept(parts: Parts, actor: Actor, connection_id: str, account: str) -> str | None:
    """Take another account as the right one from now on; return the one before."""
    actor.needs(Right.CONNECTIONS_OPERATE)
    known = await connections.show(parts.database, connection_id)
    actor.sees(known.id, known.place.app, known.labels)
    connections.must_be_configured(known.id, known.place.app, parts.apps)
    named = parts.apps[known.place.app].provider.whoami.account_value
    await connections.set_account(
        parts.database, connection_id, account, parts.clock.now(), actor.name,
        values={named: account} if named else None,
    )  # fmt: skip
    return known.account_id


async def refuse(parts: Parts, actor: Actor, connection_id: str) -> HeldGrant:
    """Refuse the account whose authorization waits for a person, and give the grant back.

    It is revoked where revoking ends nothing else: the account may be another client's, whose own grant
    works. Raises NotFound where none waits.
    """
    actor.needs(Right.CONNECTIONS_OPERATE)
    await reach.all_of(parts, actor, [connection_id])
    grant = await bindings.of_connection(parts.database, connection_id)
    if grant is None:
        raise NotFound(f"{connection_id}: no authorization waits for a decision.")
    app, leftover = parts.apps.get(grant.place.app), None
    if app is not None and grant.consent is not None and app.provider.oauth.revoke_ends == "grant":
        bearer = app.provider.oauth.revoke_with == "bearer" or grant.refresh is None
        text, cell = (grant.access, access_cell) if bearer else (grant.refresh or "", refresh_cell)
        with contextlib.suppress(CannotDecrypt, KeyMissing):
            token = parts.vault.open(text, cell(connection_id, grant.place))
            leftover = parts.vault.seal(token, leftover_cell(grant.consent))
    await bindings.refuse(parts.database, connection_id, leftover, parts.clock.now(), actor.name)
    return grant
