"""The resources, a module a subject."""

from monitor.web.api.declared import Routes
from monitor.web.api.routes.connections import ROUTES as CONNECTIONS
from monitor.web.api.routes.meta import ROUTES as META

SUBJECTS: tuple[Routes, ...] = (META, CONNECTIONS)
