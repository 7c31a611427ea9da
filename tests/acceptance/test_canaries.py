"""Promise 'secrets stay inside': a whole life of the service, and then everything that it wrote is searched."""

from __future__ import annotations

import base64
import contextlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlsplit

import httpx
import pytest

from tests.acceptance.forked import command
from tests.acceptance.test_processes import Program, config, free_port, get, import_fleet, until
from tests.acceptance.test_story import MAIL, mails
from tests.conftest import NO_GUARD, Sandbox, environ

APPS = ("clio", "plat")


class Life:
    """One service's life, and everything that came out of it."""

    def __init__(self, folder: Path, sandbox: Sandbox, catcher: tuple[str, str]) -> None:
        self.folder, self.sandbox = folder, sandbox
        smtp, self.mailbox = catcher
        self.port = free_port()
        self.written: dict[str, bytes] = {}
        self.web = f"http://127.0.0.1:{self.port}"
        sandbox.app("clio", redirect_uris=[f"{self.web}/oauth/callback", f"{self.web}/oauth/callback/clio"])
        sandbox.app("plat", system="platform")
        more = MAIL.format(smtp=smtp) + '[log]\nformat = "json"\nlevel = "debug"\n' + NO_GUARD
        apps = {"clio": {}, "plat": {"provider": "clio-platform", "extra": "requests_per_minute = 60000"}}
        self.path = config(folder, sandbox, f"sqlite:///{folder / 'th.db'}", self.port, more=more, apps=apps)
        self.path.write_text(self.path.read_text().replace("[web]\n", f'[web]\npublic_url = "{self.web}"\n'))

    def say(self, *words: str) -> None:
        """Run a command; what it prints is searched, whether it is content (a doctor need not be)."""
        done = command(*words, "--config", str(self.path), env=environ(*APPS))
        assert done.returncode in (0, 2) and (done.stdout or done.stderr)
        self.written[f"token-health {' '.join(words)}"] = (done.stdout + done.stderr).encode()

    def live(self) -> None:
        """Everything that touches a secret: import, refresh, errors that echo, revocation, mail, consent."""
        honest = import_fleet(self.path, self.sandbox, "clio", "us", 2, apps=APPS)
        rotating = import_fleet(
            self.path, self.sandbox, "plat", "platform-us", 2, name="plat", first=50, apps=APPS
        )
        with self.running("json"):
            until(lambda: self.state("firm-0") == "healthy" and self.state("plat-51") == "healthy")
            for grant in rotating:
                self.sandbox.do(grant, "expire_access")
            until(lambda: self.sandbox.seen()["refreshes"] >= 2)
            self._hear_everything_again(rotating)
        with self.running("console"):
            self._hear_everything_again(rotating)
            self.sandbox.do(honest[0], "revoke")
            until(lambda: len(mails(self.mailbox)) >= 1)
            self._mend(honest[0])
            until(lambda: len(mails(self.mailbox)) >= 2)
            self._ask_everything()
        for number, mail in enumerate(mails(self.mailbox)):
            self.written[f"mail {number}"] = (
                json.dumps(mail).encode() + httpx.get(f"{self.mailbox}/mail/{number}").content
            )
        for file in self.folder.rglob("*"):
            if file.is_file() and not file.name.endswith((".jsonl", ".key")):
                self.written[file.name] = file.read_bytes()

    @contextlib.contextmanager
    def running(self, log: str) -> Iterator[None]:
        """The service, with its log in one of the two formats."""
        text = self.path.read_text()
        self.path.write_text(re.sub(r'format = "\w+"', f'format = "{log}"', text))
        program = Program(self.path, APPS, from_nothing=True)  # for its command line
        try:
            until(lambda: get(self.port, "/readyz")[0] == 200)
            yield
            process = Path(f"/proc/{program.process.pid}")
            self.written[f"/proc/PID/cmdline ({log})"] = (process / "cmdline").read_bytes()
            for page in ("/metrics", "/healthz", "/readyz", "/r/none", "/oauth/callback?state=x&code=y"):
                self.written[f"{page} ({log})"] = get(self.port, page)[1].encode()
        finally:
            program.end()
        self.written[f"the log ({log})"] = program.text.encode()

    def state(self, name: str) -> str:
        """How a connection is."""
        return json.loads(get(self.port, f"/api/v1/connections/{name}/status")[1])["state"]

    def _hear_everything_again(self, rotating: list[str]) -> None:
        """A server that repeats in its errors what it was sent: tokens at whoami, secrets at the token endpoint."""
        for region in ("us", "platform-us"):
            self.sandbox.weather("echo", region)
        self.sandbox.do(rotating[1], "expire_access")
        until(lambda: self.state("firm-1") != "healthy" and self.state("plat-51") != "healthy")
        for region in ("us", "platform-us"):
            self.sandbox.weather("fine", region)
        until(lambda: self.state("firm-1") == "healthy")

    def _mend(self, grant: str) -> None:
        """The client's way: link, consent, back with a code."""
        text = httpx.get(f"{self.mailbox}/mail/0").text
        self.link = re.search(rf"{re.escape(self.web)}/r/([\w-]+)", text)[1]
        with httpx.Client(base_url=self.web) as browser:
            self.written["the link's page"] = browser.get(f"/r/{self.link}").content.replace(
                self.link.encode(), b""
            )
            away = browser.post(f"/r/{self.link}")
            assert away.status_code == 303, away.text
            self.state_of_trip = re.search(r"state=([\w-]+)", away.headers["location"])[1]
            self.cookie = next(iter(browser.cookies.jar)).value
            user = self.sandbox.do(grant, "look")["user"]
            back = httpx.post(away.headers["location"], data={"user": user, "decision": "approve"})
            came = urlsplit(back.headers["location"])
            done = browser.get(f"{came.path}?{came.query}")
            assert done.status_code == 200, done.text
            self.written["the last page"] = done.content.replace(self.link.encode(), b"")

    def _ask_everything(self) -> None:
        """Whatever tells of connections, in each of its forms."""
        for words in (
            ("explain", "firm-1"), ("explain", "plat-51", "--json"), ("connections", "show", "plat-51"), ("status",),
            ("connections", "list", "--json"), ("notices", "list"), ("oncall", "list"), ("doctor",),
        ):  # fmt: skip
            self.say(*words)


def encodings(secret: str) -> set[bytes]:
    """A secret as it may turn up: plain, quoted, and in base64 at each of its three offsets."""
    raw = secret.encode()
    found = {raw, quote(secret, safe="").encode(), raw.hex().encode(), raw[::-1]}
    for shift in range(3):
        coded = base64.b64encode(b"\0" * shift + raw)
        inner = coded[4:-4] if shift else coded[:-4]
        found |= {inner, inner.replace(b"+", b"-").replace(b"/", b"_")}
    return found


@pytest.mark.timeout(180)
def test_no_token_code_or_key_is_in_anything_that_is_written(tmp_path, sandbox, catcher):
    life = Life(tmp_path, sandbox, catcher)
    life.live()
    given = life.sandbox.call("/admin/given")
    assert len(given) > 10, "tokens were given, refreshed and approved"
    key = (tmp_path / "token-health.key").read_text().split()[-1]
    secrets = {f"token {n}": token for n, token in enumerate(given)}
    secrets |= {"the app's secret": "s3cret", "the key": key, "the link": life.link}
    secrets |= {"the trip's state": life.state_of_trip, "the trip's cookie": life.cookie}
    out = []
    for name, secret in secrets.items():
        for where, what in life.written.items():
            if name == "the link" and where.startswith("mail"):
                continue  # that is what the mail is for
            out += [f"{name} in {where}" for form in encodings(secret) if form in what]
    assert out == []
    assert {"the log (json)", "the log (console)", "th.db", "mail 1", "the last page"} <= life.written.keys()
