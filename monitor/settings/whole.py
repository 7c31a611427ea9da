"""All sections together, and the policies that follow from them."""

from __future__ import annotations

from datetime import date, timedelta

from pydantic import model_validator

from alerts.channels.smtp import Settings as SmtpSettings
from alerts.mails.plan import MailPolicy
from alerts.mails.settings import BrandSettings, EmailSettings
from alerts.pages.settings import OncallSettings
from alerts.silences.settings import SilenceSettings
from alerts.silences.windows import Window
from monitor.health.cadence import Cadence
from monitor.health.guard import GuardPolicy
from monitor.health.lifecycle import Policy
from monitor.metrics.exposition import Extent
from monitor.settings.access import OidcSettings, PeopleSettings
from monitor.settings.sections import (
    AppSettings,
    ConnectionSettings,
    DatabaseSettings,
    GuardSettings,
    HistorySettings,
    LogSettings,
    MetricsSettings,
    ScheduleSettings,
    SecuritySettings,
    WebhookSettings,
    WebSettings,
)
from monitor.store.history import Kept
from monitor.text.tomlfile import Section
from monitor.wire.settings import HttpSettings

# A lease has to outlive the longest probe: each of its requests may take the whole time-out.
LEASE_TIMEOUTS = 12


class Settings(Section):
    """The whole file."""

    database: DatabaseSettings = DatabaseSettings()
    security: SecuritySettings = SecuritySettings()
    web: WebSettings = WebSettings()
    people: PeopleSettings = PeopleSettings()
    oidc: OidcSettings = OidcSettings()
    connections: ConnectionSettings = ConnectionSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    guard: GuardSettings = GuardSettings()
    history: HistorySettings = HistorySettings()
    http: HttpSettings = HttpSettings()
    metrics: MetricsSettings = MetricsSettings()
    log: LogSettings = LogSettings()
    smtp: SmtpSettings = SmtpSettings()
    email: EmailSettings = EmailSettings()
    brand: BrandSettings = BrandSettings()
    oncall: OncallSettings = OncallSettings()
    webhooks: WebhookSettings = WebhookSettings()
    silences: tuple[SilenceSettings, ...] = ()
    apps: tuple[AppSettings, ...] = ()

    @model_validator(mode="after")
    def _ids_once(self) -> Settings:
        ids = [app.id for app in self.apps]
        twice = sorted({name for name in ids if ids.count(name) > 1})
        if twice:
            raise ValueError(f"apps: {', '.join(map(repr, twice))} stands there more than once")
        for silence in self.silences:
            if silence.app and silence.app not in ids:
                raise ValueError(
                    f"silences: {silence.name!r} lies over app {silence.app!r}, which is not there"
                )
        return self

    @property
    def windows(self) -> tuple[Window, ...]:
        return tuple(silence.window() for silence in self.silences)

    @property
    def teams(self) -> dict[str, str]:
        return {app.id: app.team or self.oncall.team for app in self.apps}

    @property
    def extent(self) -> Extent:
        return Extent(
            self.metrics.client_names,
            self.metrics.connections,
            self.teams,
            self.oncall.team,
            self.oncall.waits.tiers,
            self.oncall.waits.tier,
            self.secrets,
            self.schedule.scope_interval,
        )

    @property
    def secrets(self) -> dict[str, date]:
        return {app.id: app.secret_expires for app in self.apps if app.secret_expires is not None}

    @property
    def cadence(self) -> Cadence:
        s = self.schedule
        return Cadence(s.interval, s.jitter, s.recheck, s.refresh_ahead)

    @property
    def policy(self) -> Policy:
        s = self.schedule
        return Policy(s.confirm_after, s.recheck, flap_half_life=s.interval * 12)

    @property
    def mail_policy(self) -> MailPolicy:
        return self.email.policy(
            self.schedule.interval, self.schedule.recheck, doubt_delay=self.guard.doubt_delay
        )

    @property
    def guard_policy(self) -> GuardPolicy:
        return self.guard.policy()

    @property
    def kept(self) -> Kept:
        return Kept(self.history.changes, self.history.counts)

    @property
    def lease(self) -> timedelta:
        return max(timedelta(seconds=60), self.schedule.timeout * LEASE_TIMEOUTS)
