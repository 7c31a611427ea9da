"""The resources, a module a subject."""

from monitor.web.api.declared import Routes
from monitor.web.api.routes.bulk import ROUTES as BULK
from monitor.web.api.routes.calendar import ROUTES as CALENDAR
from monitor.web.api.routes.campaigns import ROUTES as CAMPAIGNS
from monitor.web.api.routes.catalogue import ROUTES as CATALOGUE
from monitor.web.api.routes.connections import ROUTES as CONNECTIONS
from monitor.web.api.routes.events import ROUTES as EVENTS
from monitor.web.api.routes.fleet import ROUTES as FLEET
from monitor.web.api.routes.fleets import ROUTES as FLEETS
from monitor.web.api.routes.incidents import ROUTES as INCIDENTS
from monitor.web.api.routes.keys import ROUTES as KEYS
from monitor.web.api.routes.looking import ROUTES as LOOKING
from monitor.web.api.routes.meta import ROUTES as META
from monitor.web.api.routes.notices import ROUTES as NOTICES
from monitor.web.api.routes.service import ROUTES as SERVICE
from monitor.web.api.routes.signals import ROUTES as SIGNALS
from monitor.web.api.routes.silences import ROUTES as SILENCES
from monitor.web.api.routes.tokens import ROUTES as TOKENS
from monitor.web.api.routes.users import ROUTES as USERS
from monitor.web.api.routes.webhooks import ROUTES as WEBHOOKS

SUBJECTS: tuple[Routes, ...] = (
    META, FLEET, CONNECTIONS, CALENDAR, LOOKING, TOKENS, SIGNALS, BULK, FLEETS, CAMPAIGNS, INCIDENTS,
    NOTICES, SILENCES, EVENTS, WEBHOOKS, CATALOGUE, KEYS, USERS, SERVICE,
)  # fmt: skip
