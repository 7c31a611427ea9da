"""A service in this process, on a clock that the test moves, with a stand-in for its provider."""

from __future__ import annotations

import contextlib
import html
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import httpx

from monitor.host.trust import trusted
from monitor.metrics.meters import Meters
from monitor.operations import imports, intake, tokens
from monitor.operations import links as asking
from monitor.providers import catalogue
from monitor.service.assembly import build_pages
from monitor.settings.builders import (
    build_granter,
    build_pager,
    build_pump,
    build_watching,
    build_wire,
    tell_both,
)
from monitor.settings.file import load
from monitor.settings.parts import opened
from monitor.store.processes import Role, new_name
from monitor.tokens.vault import new_key, write_key_file
from monitor.web.app import application
from monitor.web.ops import Ops, Pulse
from tests.conftest import MAIL, ME, PUBLIC_URL, Mailbox, Rig, SetClock
from tests.standins.dialect import Account, Dialect, Grant
from tests.standins.server import CLIENT, StandIn, standing

APP = "agency"
_CONFIG = """
[database]
url = "{database}"
[schedule]
interval = "5m"
recheck = "30s"
timeout = "2s"
{mail}
[guard]
once_in = "never"
[[apps]]
id = "agency"
provider_file = "{file}"
region = "{region}"
client_id = "{client}"
client_secret_env = "SECRET"
scopes = [{scopes}]
{more}
"""


@dataclass
class Stage(Rig):
    """A rig whose clients connect by link and consent."""

    standin: StandIn = field(kw_only=True)
    box: Mailbox = field(kw_only=True)
    locale: str = "en"
    asked: dict[str, str] = field(default_factory=dict)  # of the provider's consent page, last
    page: str = ""  # where the last trip ended

    @property
    def grant(self) -> Grant:
        """The grant that was made last."""
        return self.standin.grants[-1]

    async def client(self, name: str, scopes: Sequence[str] = (), locale: str = "en") -> None:
        """Take a client in, who has not connected yet."""
        who = {"name": f"Firm {name}", "contacts": [f"it@{name}.example"], "locale": locale}
        self.locale = locale
        record = {"id": name, "app": APP, "client": who, "scopes": list(scopes)}
        await imports.take_in(self.parts, ME, [intake.Record.model_validate(record)])

    async def connect(self, name: str, *accounts: Account, link: str = "", **form: str) -> str:
        """Go the client's road, by a link of a mail or a fresh one; return the headline of where it ends."""
        link = link or await asking.new(self.parts, ME, name)
        async with self.browser() as browser:
            first = await browser.post(urlsplit(link).path)
            assert first.status_code == 303, first.text
            back = await self.consent(first.headers["location"], accounts, form)
            page = await browser.get(back)
        self.page = html.unescape(page.text)
        found = re.search(r"<h1>(.*?)</h1>", page.text)
        assert found is not None, page.text
        return found[1]

    async def consent(self, url: str, accounts: Sequence[Account], form: dict[str, str]) -> str:
        """Decide at the provider; return the callback's path and query."""
        chosen = ",".join(f"{one.id}|{one.name}|{one.user}" for one in accounts)
        self.asked = dict(parse_qsl(urlsplit(url).query))
        async with httpx.AsyncClient(verify=trusted(None)) as elsewhere:
            page = await elsewhere.get(url)
            assert page.status_code == 200, page.text
            answer = await elsewhere.post(url, data={"decision": "approve", "accounts": chosen} | form)
        location = urlsplit(answer.headers["location"])
        return f"{location.path}?{location.query}"

    @contextlib.asynccontextmanager
    async def browser(self) -> AsyncIterator[httpx.AsyncClient]:
        """Show our pages to a browser without JavaScript."""
        ops = Ops(None, lambda: Pulse(True, 0.0, 1, {}), lambda: None)
        assert self.granter is not None
        pages = build_pages(self.parts, self.granter, self.watching.rounds, self.meters)
        transport = httpx.ASGITransport(application(ops, pages))
        async with httpx.AsyncClient(transport=transport, base_url=PUBLIC_URL) as client:
            yield client

    async def token(self, name: str) -> str:
        """Ask for a token as the middleware does; return it, or the code of why there is none."""
        self.watching.presence.skew = timedelta(0)  # PostgreSQL has the machine's clock, and this is another
        got = await tokens.hand_out(self.parts, self.watching, ME, name)
        return got.access.reveal() if isinstance(got, tokens.Token) else got.code  # type: ignore[union-attr]

    def last_mail(self) -> str:
        """Return the text of the last mail."""
        body = self.box.taken[-1].get_body(("plain",))
        assert body is not None
        return str(body.get_content())


def _addresses(standin: StandIn) -> str:
    oauth = standin.dialect.authorize.partition("/")[0]
    return f'base_url = "{standin.base}"\nauth_url = "{standin.base}/{oauth}"'


@contextlib.asynccontextmanager
async def staged(
    folder: Path, dialect: Dialect, database: str, box: Mailbox, scopes: Sequence[str] = ()
) -> AsyncIterator[Stage]:
    """Put a service and a stand-in for a provider together."""
    clock = SetClock()
    async with standing(dialect, clock) as standin:
        path = folder / "token-health.toml"
        path.write_text(
            _CONFIG.format(
                database=database,
                mail=MAIL.format(url=box.url),
                file=standin.provider_file(folder),
                region=next(iter(catalogue.load(dialect.provider).regions)),
                client=CLIENT[0],
                more=_addresses(standin) if standin.dialect.told_host else "",
                scopes=", ".join(f'"{one}"' for one in scopes),
            )
        )
        write_key_file(folder / "token-health.key", [new_key()])
        async with opened(load(path, {"SECRET": CLIENT[1]}), clock) as parts:
            wire, name, meters = build_wire(parts), new_name(), Meters()
            pump, pager = build_pump(parts, meters, name), build_pager(parts, meters, name)
            watching = build_watching(parts, wire, meters, name, Role.ALL, tell_both(pump, pager))
            granter = build_granter(parts, wire)
            await watching.ticks.prepare()
            standin.registered = tuple(scopes)
            sandbox = None  # the stand-in is in its place
            try:
                yield Stage(
                    parts,
                    watching,
                    clock,
                    sandbox,
                    pump,
                    granter,
                    pager,
                    meters,
                    standin=standin,
                    box=box,  # type: ignore[arg-type]
                )
            finally:
                await watching.ticks.stop()
                await wire.close()
