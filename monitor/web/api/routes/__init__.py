"""The resources, a module a subject."""

from monitor.web.api.declared import Routes
from monitor.web.api.routes.connections import ROUTES as CONNECTIONS
from monitor.web.api.routes.events import ROUTES as EVENTS
from monitor.web.api.routes.meta import ROUTES as META
from monitor.web.api.routes.webhooks import ROUTES as WEBHOOKS

SUBJECTS: tuple[Routes, ...] = (META, CONNECTIONS, EVENTS, WEBHOOKS)
