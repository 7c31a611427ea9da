"""The tables of token-health.toml that the monitor reads, as models; those of telling: alerts.settings."""

from __future__ import annotations

import re
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Literal, NamedTuple
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, model_validator

from alerts.pages.settings import TeamName
from monitor.errors import Remedy, Unusable
from monitor.health.guard import GuardPolicy
from monitor.health.surprise import SurprisePolicy
from monitor.health.wave import WavePolicy
from monitor.host.network import loopback, network, network_of_ours, proxy
from monitor.providers.kinds import BaseUrl, OptionalUrl
from monitor.text.tomlfile import Duration, Section, parse_duration, positive, show_duration


def _share(value: object) -> object:
    if isinstance(value, str):
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*%\s*", value)
        if match is None:
            raise ValueError(f'{value!r} is no share; write "10%" or 0.1')
        return float(match.group(1)) / 100
    return value


Share = Annotated[float, BeforeValidator(_share), Field(ge=0, le=1)]
PositiveDuration = Annotated[Duration, AfterValidator(positive)]


def _listen(value: str) -> str:
    host, _, port = value.rpartition(":")
    if not host or not port.isdigit() or not 0 <= int(port) <= 65535:
        raise ValueError(f"{value!r} is no address to listen on; write 127.0.0.1:8080")
    return value


class DatabaseSettings(Section):
    """[database]"""

    url: str = "sqlite:///token-health.db"
    url_file: Path | None = None
    url_env: str | None = None


class SecuritySettings(Section):
    """[security]"""

    key_file: Path = Path("token-health.key")


EXPOSED = (
    "/metrics names every client to whoever reaches the clients' pages; set web.operations_listen to an "
    "address that strangers do not reach"
)


class Listener(NamedTuple):
    """One address that is listened on, and for whom: the setting that names it is `setting`.

    `api` is for programs, and for people who sign in.
    """

    setting: str
    address: str
    clients: bool
    operations: bool
    api: bool = False

    @property
    def host(self) -> str:
        return self.address.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    @property
    def exposed(self) -> bool:
        """Whether others than this machine reach what is for operators on the clients' own address."""
        return self.clients and self.operations and not loopback(self.host)


class WebSettings(Section):
    """[web]"""

    listen: Annotated[str, AfterValidator(_listen)] = "127.0.0.1:8080"
    clients_listen: Annotated[str, AfterValidator(_listen)] | None = None
    operations_listen: Annotated[str, AfterValidator(_listen)] | None = None
    public_url: OptionalUrl = "http://127.0.0.1:8080"
    # Reverse proxies whose X-Forwarded-For is believed.
    proxies: tuple[Annotated[str, AfterValidator(proxy)], ...] = ("127.0.0.1",)
    connections: int = Field(default=100, ge=10, le=100_000)  # at once, on each listener
    # Where keys for tokens and signals may come from without TLS, since nobody listens there.
    insecure_networks: tuple[Annotated[str, AfterValidator(network)], ...] = ()
    # Names that the service answers to, beside public_url's, addresses, and names that nobody owns in public.
    hosts: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Return the host names that are this service's."""
        return (urlsplit(self.public_url).hostname or "", *self.hosts)

    @property
    def listeners(self) -> tuple[Listener, ...]:
        """Return what is listened on: `listen` serves the API, and whom no address of their own is given.

        Where both others have one, `listen` is for the API alone, and is listened on only if it is set: it
        would else stand in the way of another process on this machine.
        """
        own = ("web.listen", self.listen)
        clients = ("web.clients_listen", self.clients_listen) if self.clients_listen else own
        operations = ("web.operations_listen", self.operations_listen) if self.operations_listen else own
        addresses = dict.fromkeys(address for _, address in (clients, operations, own))
        found = [
            Listener(
                next(setting for setting, named in (clients, operations, own) if named == address),
                address,
                clients=clients[1] == address,
                operations=operations[1] == address,
                api=address == self.listen,
            )
            for address in addresses
        ]
        given = "listen" in self.model_fields_set
        return tuple(one for one in found if one.clients or one.operations or given)


class ConnectionSettings(Section):
    """[connections]: how a connection comes to its account"""

    # What happens to the first account of a connection: "check": it is bound unless another client has it;
    # "ask": a person decides each time.
    first_account: Literal["check", "ask"] = "check"
    require_account: bool = False  # imports have to give account_id


def _never(value: object) -> object:
    return None if value == "never" else parse_duration(value)


def _seldom(span: timedelta | None) -> timedelta | None:
    return positive(span) if span is not None else None


# A span, or None for what never is. The default goes through no validator.
OrNever = Annotated[
    timedelta | None,
    BeforeValidator(_never),
    AfterValidator(_seldom),
    PlainSerializer(lambda span: "never" if span is None else show_duration(span), return_type=str),
]


class ScheduleSettings(Section):
    """[schedule]"""

    interval: PositiveDuration = timedelta(minutes=5)
    jitter: Share = 0.1
    recheck: PositiveDuration = timedelta(seconds=30)
    confirm_after: int = Field(default=2, ge=1, le=20)
    refresh_ahead: Duration = timedelta(minutes=10)
    concurrency: int = Field(default=100, ge=1, le=5000)
    timeout: PositiveDuration = timedelta(seconds=10)
    scope_interval: PositiveDuration = timedelta(hours=1)
    pace: float | None = Field(default=None, gt=0)
    doors: OrNever = timedelta(days=1)  # how often each app is asked whether anybody could still connect


class GuardSettings(Section):
    """[guard]: the fleet guard"""

    share: Annotated[Share, Field(gt=0)] = 0.2
    minimum: int = Field(default=5, ge=1)
    window: PositiveDuration = timedelta(minutes=15)
    once_in: OrNever = timedelta(days=90)
    doubt_once_in: PositiveDuration = timedelta(days=3)
    doubt_delay: Duration = timedelta(hours=8)
    settle: PositiveDuration = timedelta(hours=4)
    canary_after: OrNever = timedelta(days=1)
    alone: int = Field(default=10, ge=0)

    @model_validator(mode="after")
    def _doubt_before_holding(self) -> GuardSettings:
        if self.once_in is not None and self.doubt_once_in > self.once_in:
            raise ValueError("doubt_once_in is longer than once_in: what is rarer is held, not doubted")
        return self

    def policy(self) -> GuardPolicy:
        """Return the rules that follow."""
        return GuardPolicy(
            self.share,
            self.minimum,
            self.window,
            SurprisePolicy(self.once_in, self.doubt_once_in, self.settle),
            WavePolicy(self.canary_after, self.alone, self.settle),
        )


class WebhookSettings(Section):
    """[webhooks]: where events may be sent; which endpoints there are is kept in the database"""

    private_networks: bool = False  # whether endpoints may be in private networks
    # Networks to which http is good enough; this machine is one.
    insecure_networks: tuple[Annotated[str, AfterValidator(network_of_ours)], ...] = ()


class HistorySettings(Section):
    """[history]: what is kept, and for how long"""

    changes: PositiveDuration = timedelta(days=400)
    counts: PositiveDuration = timedelta(days=90)
    interval: PositiveDuration = timedelta(days=1)


class MetricsSettings(Section):
    """[metrics]"""

    client_names: bool = True
    connections: Literal["all", "broken", "none"] = "all"


class LogSettings(Section):
    """[log]"""

    format: Literal["auto", "console", "json"] = "auto"
    level: Literal["debug", "info", "warning", "error"] = "info"


class AppSettings(Section):
    """[[apps]]: one registration of ours at a provider"""

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)]
    provider: str = ""
    region: str = ""
    client_id: str = Field(min_length=1)
    client_secret: str | None = None
    client_secret_env: str | None = None
    client_secret_file: Path | None = None
    secret_expires: date | None = None  # the day from which on the provider does not take the secret any more
    scopes: tuple[str, ...] = ()
    base_url: OptionalUrl = ""
    auth_url: OptionalUrl = ""
    hosts: dict[str, BaseUrl] = Field(default_factory=dict)  # further ones, in the region's place
    values: dict[str, str] = Field(default_factory=dict)  # what stands in URLs of all its connections
    provider_file: str = ""
    requests_per_minute: float | None = Field(default=None, gt=0)
    limit_share: Annotated[Share, Field(gt=0)] | None = None
    team: TeamName | None = None
    # Which redirect URI is registered at the provider: "shared", /oauth/callback; "own", /oauth/callback/ID,
    # by which an answer that another server made is known (RFC 9700 4.4.2.2).
    callback: Literal["shared", "own"] = "shared"

    @model_validator(mode="after")
    def _one_of_each(self) -> AppSettings:
        given = [n for n in ("client_secret", "client_secret_env", "client_secret_file") if getattr(self, n)]
        if len(given) != 1:
            raise ValueError(
                f"app {self.id!r} needs exactly one of client_secret_env, client_secret_file or a sealed "
                "client_secret"
            )
        if self.client_secret is not None and not self.client_secret.startswith("v1."):
            raise Unusable(
                f"app {self.id!r}: client_secret takes a sealed text only; else name where the secret is "
                "with client_secret_env or client_secret_file",
                Remedy("keys.seal", "makes one", self.id),
            )
        if not self.provider and not self.provider_file:
            raise ValueError(f'app {self.id!r} needs a provider, such as "clio", or a provider_file')
        return self
