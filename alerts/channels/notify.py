"""PagerDuty, Opsgenie, Slack, Teams, e-mail and many more, through apprise (the extra `notify`).

apprise is synchronous and runs in a thread, with time-outs in its own requests. Its log prints addresses
and headers at DEBUG, so it is kept quiet. Services that tell repetitions by a key
get the matter's.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from alerts.channels.channel import Around, Given, Read
from alerts.channels.inert import inert
from alerts.outbox.envelope import Outcome
from alerts.rules.alert import Severity
from monitor.errors import ConfigurationError
from monitor.secret import Secret
from monitor.text.spans import span
from monitor.text.tomlfile import Section

NAME = "notify"
SECTION = "oncall"
TAKES_ANY = True  # apprise knows more services than anybody can list; it says when it is opened

# Services that tell repetitions by a key, where with "map" a success ends what a failure began.
RESOLVING = frozenset(
    {
        "pagerduty",
        "incidentio",
        "ilert",
        "squadcast",
        "goalert",
        "goalerts",
        "firehydrant",
        "signl4",
        "pagertree",
    }
)
# Services whose alerts apprise closes only by ids that it keeps itself, and not over a restart: with "map"
# an end would be sent nowhere and reported as sent. They get it as one more message of the same alert.
ALIASED = frozenset({"opsgenie", "jira"})
TIMEOUT = 10  # seconds to connect, and to read
DEADLINE = 45.0  # for all of it, the thread's start included


class Settings(Section):
    """What of [oncall] is for services that apprise knows."""

    urls: tuple[str, ...] = ()
    urls_env: str | None = None
    urls_file: Path | None = None


def given(settings: Settings, read: Read) -> list[Given]:
    """Return the addresses that nothing more is said about: what wakes somebody goes there."""
    urls = list(settings.urls)
    listed = read("oncall.urls", "", settings.urls_env, settings.urls_file)
    if listed:
        urls += [line.strip() for line in listed.reveal().splitlines() if line.strip()]
    return [Given(name_of(url), Secret(url), frozenset([Severity.PAGE.value])) for url in urls]


def claims(url: str) -> bool:
    """Any address may be one that apprise knows."""
    return True


def opened(name: str, url: Secret, around: Around) -> Notify:
    """Open it. Raises ConfigurationError for an address that apprise does not know."""
    return Notify(name, url)


def name_of(url: str) -> str:
    """Name a channel without telling its address: `slack-3f9a1c`."""
    scheme = urlsplit(url).scheme or "channel"
    return f"{scheme}-{hashlib.sha256(url.encode()).hexdigest()[:6]}"


class Notify:
    """One address of apprise's. Raises ConfigurationError for one that apprise does not know."""

    def __init__(self, name: str, url: Secret) -> None:
        self._name, self._url = name, url
        service(name, url, "test")

    async def send(
        self, key: str, matter: dict[str, Any], *, over: bool, now: datetime
    ) -> tuple[Outcome, str]:
        """Send one message in a thread of its own."""
        try:
            async with asyncio.timeout(DEADLINE):
                trouble = await asyncio.to_thread(self._send, key, matter, over)
        except TimeoutError:
            return Outcome.LATER, f"{self._name}: no answer within {span(timedelta(seconds=DEADLINE))}"
        return (Outcome.LATER, f"{self._name}: {trouble}") if trouble else (Outcome.SENT, "taken")

    def _send(self, key: str, matter: dict[str, Any], over: bool) -> str:
        """Send; return what went wrong, nothing where it was taken. apprise tells no more than that."""
        from apprise import NotifyType

        severity = matter["labels"]["severity"]
        kind = (
            NotifyType.SUCCESS if over else NotifyType.FAILURE if severity == "page" else NotifyType.WARNING
        )
        title = inert(f"{'Over' if over else severity.capitalize()}: {matter['summary']}")
        about = ", ".join(f"{name} {value}" for name, value in sorted(matter["labels"].items()))
        said, about = inert(matter["description"]), inert(about)
        body = f"{said}\n\nRunbook: {matter['runbook']}\nSince {matter['since']} ({about})"
        try:
            done = service(self._name, self._url, key).notify(body=body, title=title, notify_type=kind)
        except Exception as error:  # whatever a plugin raises; its text may hold the address, its class not
            return f"{type(error).__name__} in apprise"
        return "" if done else "not reached, or it did not take the message"


def service(name: str, url: Secret, key: str) -> Any:
    """Return apprise's plugin for an address, told what one matter is known by. Raises ConfigurationError."""
    try:
        import apprise
    except ImportError:
        raise ConfigurationError(
            f"oncall: {name}: this channel needs apprise; install token-health[notify]."
        ) from None
    logging.getLogger("apprise").setLevel(logging.CRITICAL)
    text = url.reveal()
    scheme = text.partition("://")[0].lower()
    more = {"cto": str(TIMEOUT), "rto": str(TIMEOUT)}
    if scheme in RESOLVING:
        more |= {"dedup": key, "action": "map"}
    elif scheme in ALIASED:
        more |= {"alias": key, "action": "new"}
    joined = (
        text + ("&" if "?" in text else "?") + "&".join(f"{k}={quote(v, safe='')}" for k, v in more.items())
    )
    found = apprise.Apprise.instantiate(joined, suppress_exceptions=True)
    if found is None:
        raise ConfigurationError(
            f"oncall: {name}: this is no address that apprise knows; see "
            "https://github.com/caronc/apprise/wiki for how each service is written."
        )
    return found
