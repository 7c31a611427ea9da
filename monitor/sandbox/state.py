"""What the sandbox knows: firms, users, apps, grants and tokens. All in memory, all its own."""

from __future__ import annotations

import secrets
import time
from collections import Counter, deque
from dataclasses import dataclass, field

RESOURCES = ("contacts", "matters", "activities", "calendar_entries", "bills")
REGIONS = ("us", "eu", "ca", "au")
MANAGE_LIFETIME = 604_800
PLATFORM_LIFETIME = 86_400


@dataclass
class User:
    """Someone at a firm. `allowed` is what the user's role may read."""

    id: str
    name: str
    email: str
    account_id: str
    account_name: str
    region: str
    allowed: set[str] = field(default_factory=lambda: set(RESOURCES))
    enabled: bool = True


@dataclass
class App:
    """A registration. `permissions` is what it asks for of those who authorize from now on."""

    client_id: str
    secret: str
    redirect_uris: list[str]
    permissions: set[str]
    system: str = "manage"  # or "platform"
    suspended: bool = False
    lifetime: int | None = None
    challenges: bool = False  # say `insufficient_scope` (RFC 6750 3.1) where Clio itself says a plain 403
    grace: float = 0.0  # seconds for which a replaced refresh token is taken back
    expiry: bool = True  # whether `expires_in` is said


@dataclass
class Grant:
    """What one user allowed one app. `lineage` are the refresh tokens that were replaced, and when."""

    id: str
    app: str
    user: str
    region: str
    permissions: set[str]
    refresh_token: str
    revoked: bool = False
    refresh_dead: str = ""  # why the refresh token no longer works: expired
    refresh_until: float | None = None  # its end, where introspection tells one; Unix time
    lineage: dict[str, float] = field(default_factory=dict)
    access: dict[str, float] = field(default_factory=dict)  # token -> expiry, Unix time


@dataclass
class Weather:
    """How a region behaves. `mode` is fine, or one of those that `wire.in_weather` plays."""

    mode: str = "fine"
    seconds: float = 0.0
    until: float = float("inf")

    def now(self) -> str:
        return self.mode if time.time() < self.until else "fine"


@dataclass
class Looks:
    """How often a grant's whoami was asked, how many at once at most, and when."""

    running: int = 0
    at_once: int = 0
    times: list[float] = field(default_factory=list)


@dataclass
class World:
    """Everything."""

    users: dict[str, User] = field(default_factory=dict)
    apps: dict[str, App] = field(default_factory=dict)
    grants: dict[str, Grant] = field(default_factory=dict)
    by_access: dict[str, str] = field(default_factory=dict)
    by_refresh: dict[str, str] = field(default_factory=dict)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    weather: dict[str, Weather] = field(default_factory=dict)
    used: Counter[str] = field(default_factory=Counter)  # refresh token -> times presented
    replays: int = 0
    early: int = 0  # replays while the access token that came with the replayed token was still good
    came_with: dict[str, str] = field(default_factory=dict)  # refresh token -> access token
    seen: Counter[str] = field(default_factory=Counter)  # "region step" -> requests
    calls: dict[str, deque[float]] = field(default_factory=dict)  # token or app -> times of requests
    per_minute: int = 50
    platform_per_second: float = 3.0
    looks: dict[str, Looks] = field(default_factory=dict)  # grant -> how it was looked at
    lose_answers: int = 0  # so many token answers are rotated and then never sent
    fates: deque[tuple[str, str]] = field(default_factory=deque)  # of the next token answers: how, when
    held: str = ""  # the grant type whose token answers wait, after they were decided
    waiting: int = 0  # how many do
    tickets: int = 0  # how many came so far
    let_go: int = 0  # the first so many of them need not wait any more
    given: list[str] = field(default_factory=list)  # every token and code there ever was

    def user(self, name: str, email: str, account_id: str, account_name: str, region: str) -> User:
        """Add a user."""
        made = User(str(1000 + len(self.users)), name, email, account_id, account_name, region)
        self.users[made.id] = made
        return made

    def token(self) -> str:
        """Make a token, or a code."""
        self.given.append(secrets.token_urlsafe(30))
        return self.given[-1]

    def grant(self, app: App, user: User) -> tuple[Grant, dict[str, object]]:
        """Let a user authorize an app; return the grant and the token answer."""
        made = Grant(
            secrets.token_hex(8), app.client_id, user.id, user.region, set(app.permissions), self.token()
        )
        self.grants[made.id] = made
        self.by_refresh[made.refresh_token] = made.id
        return made, self.issue(made, app, with_refresh=True)

    def issue(self, grant: Grant, app: App, *, with_refresh: bool) -> dict[str, object]:
        """Return a token answer with a fresh access token."""
        lifetime = app.lifetime or (PLATFORM_LIFETIME if app.system == "platform" else MANAGE_LIFETIME)
        token = self.token()
        grant.access[token] = time.time() + lifetime
        self.by_access[token] = grant.id
        self.came_with[grant.refresh_token] = token
        answer: dict[str, object] = {"token_type": "bearer", "access_token": token}
        if app.expiry:
            answer["expires_in"] = lifetime
        if with_refresh:
            answer["refresh_token"] = grant.refresh_token
        if app.system == "platform":
            answer["scope"] = " ".join(sorted(grant.permissions))
        return answer

    def rotate(self, grant: Grant) -> None:
        """Replace a grant's refresh token; the old one is remembered, to notice its replay."""
        grant.lineage[grant.refresh_token] = time.time()
        grant.refresh_token = self.token()
        self.by_refresh[grant.refresh_token] = grant.id

    def revoke(self, grant: Grant) -> None:
        """End a grant and all its tokens."""
        grant.revoked = True
        grant.access.clear()

    def allow(self, key: str, limit: int, window: float) -> tuple[bool, int, float]:
        """Count a request under a limit; return whether it may pass, what is left, and the reset time."""
        now = time.time()
        times = self.calls.setdefault(key, deque())
        while times and times[0] <= now - window:
            times.popleft()
        reset = (times[0] if times else now) + window
        if len(times) >= limit:
            return False, 0, reset
        times.append(now)
        return True, limit - len(times), reset
