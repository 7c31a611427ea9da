"""How a grant stands before anything is asked: what is known of it, and when it is refreshed. Pure."""

from __future__ import annotations

from datetime import datetime

from monitor.health.cadence import Cadence, refresh_at
from monitor.health.evidence import Grant
from monitor.health.rotation import AfterLost, next_send
from monitor.store.columns import Sealed
from monitor.store.due import Lease
from monitor.wire.apps import App


def grant_known(lease: Lease, sealed: Sealed, app: App) -> Grant:
    """Return what is known of a leased connection's grant; `sealed` are its tokens as they are by now."""
    oauth = app.provider.oauth
    return Grant(
        account_id=lease.account_id,
        needed=lease.scopes,
        granted=app.in_our_words(sealed.granted) if sealed.granted is not None else None,
        app_scopes=app.scopes or None,
        read_before=lease.reads,
        authorized_at=sealed.authorized_at,
        refresh_used_at=sealed.refresh_used_at,
        issued_at=sealed.issued_at,
        access_expires_at=sealed.access_expires_at,
        idle_lifetime=oauth.refresh_idle_lifetime,
        absolute_lifetime=oauth.refresh_absolute_lifetime,
        refresh_ends_at=sealed.refresh_ends_at,
        grant_ends_at=sealed.grant_ends_at,
        has_refresh_token=sealed.refresh is not None,
    )


def next_refresh(
    connection: str, sealed: Sealed, app: App, cadence: Cadence, now: datetime
) -> datetime | None:
    """Return when a connection's pair is due to be refreshed, None where it cannot or need not be."""
    if sealed.refresh is None or sealed.lost:
        return None
    rotation = app.provider.oauth.habit
    if sealed.doubt is not None and rotation.habit is not AfterLost.RETRY:
        return next_send(sealed.doubt, rotation, sealed.access_expires_at, now)
    return refresh_at(
        connection,
        cadence,
        issued_at=sealed.issued_at,
        expires_at=sealed.access_expires_at,
        used_at=sealed.refresh_used_at,
        idle_lifetime=app.provider.oauth.refresh_idle_lifetime,
        idle_end=sealed.refresh_ends_at,
        at_most=app.provider.oauth.refresh_ahead,
    )
