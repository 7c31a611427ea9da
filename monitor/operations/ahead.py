"""What lies ahead of one connection, and how old its tokens are: from what is on record of it."""

from __future__ import annotations

from datetime import datetime

from monitor.health.ages import Age, Tokens, ages
from monitor.health.causes import Owner, consequence
from monitor.health.coming import Ahead, Coming, coming
from monitor.health.explain import Story
from monitor.health.lifecycle import State
from monitor.operations.asked import Asked
from monitor.settings.parts import Parts
from monitor.store.connections import Known


def ages_of(parts: Parts, known: Known) -> tuple[Age, ...]:
    """Return how old a connection's tokens are and when they end, never the tokens."""
    sealed, app, health = known.sealed, parts.apps.get(known.place.app), known.health
    oauth = app.provider.oauth if app is not None else None
    return ages(
        Tokens(
            access=sealed.access is not None,
            refresh=sealed.refresh is not None,
            issued_at=sealed.issued_at,
            access_ends=sealed.access_expires_at,
            assumed=sealed.assumed,
            refused=sealed.refused is not None and sealed.refused == sealed.version,
            refresh_used_at=sealed.refresh_used_at,
            refresh_ends=sealed.refresh_ends_at,
            lost=sealed.lost,
            doubted=known.doubt is not None,
            ended=health.state is State.BROKEN and consequence(health.cause).ends_grant,
            authorized_at=sealed.authorized_at,
            grant_ends=sealed.grant_ends_at,
            idle_lifetime=oauth.refresh_idle_lifetime if oauth is not None else None,
            absolute_lifetime=oauth.refresh_absolute_lifetime if oauth is not None else None,
            gives_refresh=oauth.gives_refresh_token if oauth is not None else True,
        ),
        parts.clock.now(),
    )


def coming_of(
    parts: Parts, known: Known, story: Story, asked: Asked, silent_until: datetime | None
) -> tuple[Coming, ...]:
    """Return what comes next for a connection, soonest first."""
    patience = parts.loaded.settings.oncall.waits
    tier = patience.tier(known.labels)
    waits = known.health.state is State.BROKEN and known.health.owner is Owner.CLIENT
    ticket = story.incident_since + patience.tiers[tier] if waits and story.incident_since else None
    ahead = Ahead(
        mails=asked.mails,
        hand_over_at=asked.hand_over_at,
        ticket_at=ticket,
        tier=tier,
        claim=known.claim,
        silent_until=silent_until,
        link_ends=asked.link_ends,
        ages=ages_of(parts, known),
    )
    return coming(story, ahead, parts.clock.now())
