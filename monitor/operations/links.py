"""Links on which clients authorize again: handed over by a person, or mailed."""

from __future__ import annotations

from alerts.mails import asking
from monitor.errors import ConfigurationError
from monitor.operations.actor import Actor, Right
from monitor.settings.builders import build_post
from monitor.settings.parts import Parts
from monitor.store import audit, connections, incidents, links


async def new(parts: Parts, actor: Actor, connection_id: str) -> str:
    """Make a link that an operator hands over; it starts whatever the connection's state is."""
    actor.needs(Right.LINKS_CREATE)
    known = await connections.show(parts.database, connection_id)
    connections.must_be_configured(known.id, known.place.app, parts.apps)
    settings, now = parts.loaded.settings, parts.clock.now()
    open_ones = await incidents.of_connection(parts.database, connection_id)
    secret = await links.issue(
        parts.database,
        connection_id,
        locale=known.locale,
        now=now,
        expires_at=now + settings.email.link_lifetime,
        incident=open_ones[0].id if open_ones else None,
        cause="pending" if known.newcomer else known.health.cause.value,
        always=True,
    )
    await audit.write_down(parts.database, now, actor.name, "link.made", connection_id)
    return f"{settings.web.public_url}/r/{secret.reveal()}"


async def mail(parts: Parts, actor: Actor, connection_id: str) -> int:
    """Have the client mailed now; return the notice's number. Raises where it would mend nothing."""
    actor.needs(Right.LINKS_CREATE)
    post = build_post(parts)
    if post is None:
        raise ConfigurationError(
            f"{parts.loaded.path}: set smtp.from (and smtp.url) first; then mails go out."
        )
    known = await connections.show(parts.database, connection_id)
    connections.must_be_configured(known.id, known.place.app, parts.apps)
    return await asking.request(parts.database, post.voice, known, parts.clock.now(), actor.name)
