"""Tokens that nobody needs any more, sealed until they are revoked: replaced ones, and those never kept."""

from __future__ import annotations

from monitor.errors import CannotDecrypt, KeyMissing
from monitor.health.causes import consequence
from monitor.store.connections import Known
from monitor.store.links import Trip
from monitor.tokens.messages import TokenAnswer
from monitor.tokens.refresh import access_cell, refresh_cell
from monitor.tokens.vault import Cell, Vault
from monitor.wire.apps import App


def leftover_cell(trip: int) -> Cell:
    """Where a token that is to be revoked is kept."""
    return Cell("consent", str(trip), "leftover")


def brought(vault: Vault, trip: Trip, app: App, pair: TokenAnswer) -> str:
    """Return the token of a pair that is not kept, sealed for its revocation."""
    token = pair.refresh if app.provider.oauth.revoke_with == "token" and pair.refresh else pair.access
    return vault.seal(token, leftover_cell(trip.id))


def replaced(vault: Vault, trip: Trip, app: App, known: Known) -> str | None:
    """Return the replaced token, sealed for its revocation, where that cannot end the new grant."""
    bearer = app.provider.oauth.revoke_with == "bearer"
    sealed = known.sealed.access if bearer else known.sealed.refresh
    gone = consequence(known.health.cause).ends_grant
    if app.provider.oauth.revoke_ends != "grant" or sealed is None or gone:
        return None
    try:
        cell = (access_cell if bearer else refresh_cell)(known.id, app.place)
        return vault.seal(vault.open(sealed, cell), leftover_cell(trip.id))
    except (CannotDecrypt, KeyMissing):
        return None
