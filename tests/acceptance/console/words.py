"""Names and answers that the scene is made of: firms of every kind of name, and what providers said of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from monitor.health.evidence import (
    Answer,
    Content,
    Evidence,
    Exchange,
    Fault,
    FaultKind,
    Grant,
    Identity,
    RefreshNote,
    Step,
)
from monitor.wire.apps import App

FIRST = (
    "Harcourt", "Pinecrest", "Okafor", "Riverside", "Castellano", "Sterling", "Northgate", "Dubois", "Beaumont", "Tanaka",
    "Keller", "Whitfield", "Oakwood", "McAllister", "Rowan", "Vasquez", "St Clair", "Brightwater", "Lindgren", "Ashby",
)  # fmt: skip
LAST = (
    "Law",
    "LLP",
    "Legal",
    "& Partners",
    "Solicitors",
    "Chambers",
    "Advocates",
    "& Moreau",
    "Family Law",
    "Probate",
)
# What a page has to survive: as long as names get, from the right to the left, and no place to break a line.
# By app, and where in it.
ODD = {
    ("clio-us", 10): ("long-clio", "Ashworth, Featherstonehaugh, Cholmondeley & Partners Solicitors"),
    ("clio-us", 11): ("unbroken-clio", "Rechtsanwaltsgesellschaftspartnerschaftsverbandsvereinigungen"),
    ("clio-us", 12): ("arabic-clio", "مكتب المحاماة الدولي للاستشارات القانونية"),
    ("clio-us", 13): (
        "a-connection-whose-id-is-about-as-long-as-the-ids-of-a-middleware-get-4f2a9c61", "O’Hara <b>& Sons</b>",
    ),
    ("xero", 3): ("hebrew-xero", "משרד עורכי דין כהן ושות׳"),
    ("google-docs", 5): ("kanji-google", "田中国際法律事務所 東京本店"),
}  # fmt: skip
Told = Callable[[App, datetime], Evidence]


def firm(number: int) -> str:
    return f"{FIRST[number % len(FIRST)]} {LAST[number // len(FIRST) % len(LAST)]}"


def _asked(app: App, at: datetime, step: Step, outcome: Answer | Fault, scope: str | None = None) -> Exchange:
    token = step is Step.REFRESH
    host = urlsplit(app.base_url).netloc or "api.example"
    return Exchange(
        step, f"{'POST' if token else 'GET'} https://{host}/{'oauth/token' if token else 'me'}", host, at, 0.084,
        outcome, scope,
    )  # fmt: skip


def _grant(at: datetime, **more: object) -> Grant:
    known = Grant(
        account_id="51734", access_expires_at=at + timedelta(days=4), issued_at=at - timedelta(days=3),
        refresh_used_at=at - timedelta(days=3), authorized_at=at - timedelta(days=30),
    )  # fmt: skip
    return replace(known, **more)  # type: ignore[arg-type]


def well(app: App, at: datetime) -> Evidence:
    who = Identity("51734", "Firm", "k.moreau@firm.example")
    return Evidence(at, (_asked(app, at, Step.WHOAMI, Answer(200)),), who, None, _grant(at))


_REFUSED = Answer(
    401, error="invalid_token", challenge="invalid_token", description="The access token was revoked"
)
_GONE = Answer(400, error="invalid_grant")


def revoked(app: App, at: datetime) -> Evidence:
    asked = (_asked(app, at, Step.WHOAMI, _REFUSED), _asked(app, at, Step.REFRESH, _GONE))
    return Evidence(at, asked, None, RefreshNote.FAILED, _grant(at))


def expired(app: App, at: datetime) -> Evidence:
    asked = (_asked(app, at, Step.REFRESH, _GONE),)
    idle = _grant(at, idle_lifetime=timedelta(hours=12), access_expires_at=None)
    return Evidence(at, asked, None, RefreshNote.FAILED, idle)


def narrowed(app: App, at: datetime) -> Evidence:
    no = Answer(403, error="insufficient_scope", challenge="insufficient_scope")
    asked = (_asked(app, at, Step.WHOAMI, Answer(200)), _asked(app, at, Step.SCOPE, no, "matters"))
    who = Identity("51734", "Firm")
    return Evidence(at, asked, who, None, _grant(at, needed=("contacts", "matters")))


def other_account(app: App, at: datetime) -> Evidence:
    asked = (_asked(app, at, Step.WHOAMI, Answer(200)),)
    return Evidence(at, asked, Identity("88120", "Harbor & Finch"), None, _grant(at))


def lost(app: App, at: datetime) -> Evidence:
    asked = (_asked(app, at, Step.WHOAMI, _REFUSED), _asked(app, at, Step.REFRESH, _GONE))
    return Evidence(at, asked, None, RefreshNote.LOST, _grant(at))


def misconfigured(app: App, at: datetime) -> Evidence:
    no = Answer(401, error="invalid_client", description="AADSTS7000222: The client secret keys are expired.")
    return Evidence(at, (_asked(app, at, Step.REFRESH, no),), None, RefreshNote.FAILED, _grant(at))


def firewall(app: App, at: datetime) -> Evidence:
    page = Answer(
        403, content=Content.HTML, sample="<title>Attention Required!</title> Sorry, you have been blocked"
    )
    return Evidence(at, (_asked(app, at, Step.WHOAMI, page),), None, None, _grant(at))


def down(app: App, at: datetime) -> Evidence:
    no = Answer(503, content=Content.HTML, sample="<h1>503 Service Unavailable</h1>")
    return Evidence(at, (_asked(app, at, Step.WHOAMI, no),), None, None, _grant(at))


def limited(app: App, at: datetime) -> Evidence:
    return Evidence(at, (_asked(app, at, Step.WHOAMI, Answer(429)),), None, None, _grant(at))


def silent(app: App, at: datetime) -> Evidence:
    no = Fault(FaultKind.READ_TIMEOUT, "no answer within 10 s")
    return Evidence(at, (_asked(app, at, Step.WHOAMI, no),), None, None, _grant(at))
