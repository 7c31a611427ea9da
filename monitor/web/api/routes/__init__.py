"""The resources, a module a subject."""

from monitor.web.api.declared import Routes
from monitor.web.api.routes.catalogue import ROUTES as CATALOGUE
from monitor.web.api.routes.connections import ROUTES as CONNECTIONS
from monitor.web.api.routes.fleet import ROUTES as FLEET
from monitor.web.api.routes.incidents import ROUTES as INCIDENTS
from monitor.web.api.routes.looking import ROUTES as LOOKING
from monitor.web.api.routes.meta import ROUTES as META
from monitor.web.api.routes.notices import ROUTES as NOTICES
from monitor.web.api.routes.service import ROUTES as SERVICE
from monitor.web.api.routes.silences import ROUTES as SILENCES

SUBJECTS: tuple[Routes, ...] = (
    META, FLEET, CONNECTIONS, LOOKING, INCIDENTS, NOTICES, SILENCES, CATALOGUE, SERVICE,
)  # fmt: skip
