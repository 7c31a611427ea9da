"""The resources, a module a subject."""

from monitor.web.api.declared import Routes
from monitor.web.api.routes.bulk import ROUTES as BULK
from monitor.web.api.routes.connections import ROUTES as CONNECTIONS
from monitor.web.api.routes.events import ROUTES as EVENTS
from monitor.web.api.routes.fleets import ROUTES as FLEETS
from monitor.web.api.routes.meta import ROUTES as META
from monitor.web.api.routes.webhooks import ROUTES as WEBHOOKS

SUBJECTS: tuple[Routes, ...] = (META, CONNECTIONS, BULK, FLEETS, EVENTS, WEBHOOKS)
