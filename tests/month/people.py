"""The people of a month: clients who read their mail, an operator who decides, and on-call's phone."""

from __future__ import annotations

import heapq
import random
import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.message import EmailMessage
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
from starlette.applications import Starlette

from alerts.mails import truth
from alerts.outbox.envelope import Outcome
from alerts.rules.fleet import GUARD_HOLDING
from monitor.operations import notices
from monitor.operations.actor import Actor, Door, Right
from monitor.secret import Secret
from monitor.settings.builders import build_post
from monitor.settings.parts import Parts
from monitor.store import connections, incidents, links
from tests.month import speech
from tests.month.fleet import HOUR, firm_of, reaction
from tests.month.world import World

OPERATOR = Actor("operator", Door.CLI, frozenset(Right))

TRIES, TRY_AGAIN = 4, 5 * HOUR


@dataclass
class Clients:
    """Whoever reads the mails: a while after a first one they open each link, and authorize."""

    parts: Parts
    world: World
    draw: random.Random
    _plans: list[tuple[datetime, int, list[str]]] = field(default_factory=list)
    _visits: int = 0

    def read(self, message: EmailMessage, now: datetime) -> None:
        """Take in a mail that asks to act."""
        wait = reaction(self.draw)
        text = message.get_body(("plain",)).get_content()  # type: ignore[union-attr]
        found = re.findall(r"https?://\S+/r/([\w-]+)", text)
        if wait is not None and found:
            heapq.heappush(self._plans, (now + wait, 1, found))

    @property
    def next_at(self) -> datetime | None:
        return self._plans[0][0] if self._plans else None

    async def act(self, pages: Starlette, now: datetime) -> None:
        """Do what was put off until now."""
        while self._plans and self._plans[0][0] <= now:
            _, tried, found = heapq.heappop(self._plans)
            left = [link for link in found if not await self._visit(pages, link)]
            if left and tried < TRIES:
                heapq.heappush(self._plans, (now + TRY_AGAIN, tried + 1, left))

    async def _visit(self, pages: Starlette, secret: str) -> bool:
        """Press a link's button, consent, come back. True where there is nothing left to do."""
        link = await links.find(self.parts.database, Secret(secret))
        assert link is not None
        # Everybody comes from elsewhere, or the pages' limit would take them for one.
        self._visits += 1
        transport = httpx.ASGITransport(pages, client=(f"10.0.{self._visits >> 8}.{self._visits & 255}", 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080") as browser:
            begun = await browser.post(f"/r/{secret}")
            if begun.status_code != 303:
                return True  # it works already, or the link was used
            (state,) = parse_qs(urlsplit(begun.headers["location"]).query)["state"]
            provider, now = self.world.provider(link.connection), self.parts.clock.now()
            more = speech.comes_with(provider, link.connection, now)
            await browser.get("/oauth/callback", params={"state": state, "code": link.connection, **more})
        known = await connections.show(self.parts.database, link.connection)
        given = self.world.given.get(link.connection)
        if given is None or known.sealed.authorized_at is None or known.sealed.authorized_at < given:
            return False
        self.world.stored[link.connection].append(given)
        return True


@dataclass
class Phone:
    """On-call's channel: keeps what it was told. `pages` are the keys of matters, in order."""

    pages: list[str] = field(default_factory=list)
    held_since: dict[str, datetime] = field(default_factory=dict)

    async def send(
        self, key: str, matter: dict[str, Any], *, over: bool, now: datetime
    ) -> tuple[Outcome, str]:
        if over:
            self.held_since.pop(key, None)
        else:
            self.pages.append(key)
            if key.startswith(GUARD_HOLDING.name):
                self.held_since.setdefault(key, now)
        return Outcome.SENT, ""


@dataclass
class Operator:
    """Looks at what a guard holds, `after` the page and as often again, until it can be decided.

    Knows the truth: where nine of ten have to act, the mails are let out; else this waits for the incident to
    be over, or drops the mails at once.
    """

    parts: Parts
    world: World
    phone: Phone
    after: timedelta
    drops: bool = False
    decisions: list[str] = field(default_factory=list)
    _looked_at: datetime | None = None

    async def act(self, now: datetime) -> None:
        """Decide, where it is time."""
        if not self.phone.held_since:
            self._looked_at = None
            return
        last = self._looked_at or min(self.phone.held_since.values())
        if now < last + self.after:
            return
        self._looked_at = now
        firms = await held_back(self.parts, now)
        true = sum(self.world.in_need(firm, now) is not None for firm in firms)
        if firms and true >= 0.9 * len(firms):
            await self._say(incidents.RELEASED)
        elif firms and self.drops:
            await self._say(incidents.DROPPED)

    async def _say(self, mails: str) -> None:
        async with self.parts.database.read() as conn:
            names = {str(row.name) for row in await conn.execute(incidents.held())}
        say = notices.release if mails == incidents.RELEASED else notices.drop
        for name in sorted(names):
            await say(self.parts, OPERATOR, name)
            self.decisions.append(mails)


async def held_back(parts: Parts, now: datetime) -> set[int]:
    """Return the firms that a guard keeps a mail from."""
    post = build_post(parts)
    assert post is not None
    async with parts.database.read() as conn:
        clients = await truth.clients_to_look_at(conn, post.voice, now)
        found = await truth.stand(conn, sorted(clients), post.voice, now)
    return {firm_of(case.connection) for known in found.values() for case in known.cases if case.held}
